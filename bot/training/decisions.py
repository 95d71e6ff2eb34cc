"""The table `decisions`: which version is in use, kept back or deleted, why, and by whom. The one way to change that.

A decision is written down just before the shelf changes and marked as done just after, both under a lock over all
processes. So whoever finds one that is not done knows that its process was killed in between, and the shelf itself
tells whether it came to pass: then it is marked, else it is taken out. None is lost and none invented.
A persona that is taken down takes its decisions along; that decision stands in `takedowns`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from filelock import AsyncFileLock

from bot.database import Database, Row
from bot.errors import Busy, DiskFull, MockingbirdError, UnknownPersona
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import SHIPPED, Shelf
from bot.training.policy import to_prune

NEWS_FOR = timedelta(days=1)

_TOLD = "announcements-told"  # the mark in the database: the number of the decision that was told last
_LOOK_S = 0.05  # between two looks whether another process has done with the shelf


class What(StrEnum):
    """What was decided about a version."""

    USED = "put in use"  # it was learned and is better, or as good
    ADOPTED = "adopted"  # somebody else had trained it; it is in use
    BLENDED = "blended"  # it is the weighted sum of others; it is in use
    ROLLED_BACK = "rolled back"  # it is in use again
    KEPT = "kept"  # it was learned and is not used
    UNCHANGED = "unchanged"  # a training found nothing that it had not learned already
    PRUNED = "pruned"  # it is deleted


SWITCHES = (What.USED, What.ADOPTED, What.BLENDED, What.ROLLED_BACK)  # after which a persona speaks as another version


@dataclass(frozen=True, slots=True)
class Decision:
    """One row."""

    id: int
    persona: str
    from_version: str | None  # in use until then
    to_version: str  # the version that it is about
    what: What
    why: str
    by: str  # command, retraining, or a platform with an id on it
    at: datetime  # UTC
    training: int | None = None  # that led to it

    @property
    def is_switch(self) -> bool:
        """Whether the persona speaks as another version from then on."""
        return self.what in SWITCHES and self.from_version != self.to_version

    def as_json(self) -> dict[str, Any]:
        """As it is printed."""
        return {
            "from": self.from_version,
            "version": self.to_version,
            "what": self.what.value,
            "why": self.why,
            "by": self.by,
            "at": self.at.isoformat(),
        }


class Decisions:
    """Takes decisions about versions, and knows those that were taken."""

    def __init__(self, database: Database, shelf: Shelf, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._shelf = shelf
        self._clock = clock

    # --- Taking them ---

    async def use(
        self, persona: str, version: str, what: What, why: str, by: str, training: int | None = None
    ) -> Manifest:
        """Put that version in use. Putting one in use that is in use already is no decision, unless a training made it.

        `training` is what led to it; when that has decided already, its decision stands and the shelf stays as
        it is. Raises `UnknownVersion`, `UnknownPersona`, `DamagedVersion`, `DiskFull`.
        """
        async with self._alone():
            await self._mend()
            manifest = self._shelf.version(persona, version)
            await asyncio.to_thread(self._shelf.verified, manifest)
            if training is not None and await self._taken(training) is not None:
                return manifest
            before = self._in_use(persona)
            if before == version and training is None:
                return manifest
            await self._write(persona, before, version, what, why, by, training, done=False)
            async with self._marked():
                self._shelf.use(persona, version)
            return manifest

    async def roll_back(self, persona: str, version: str | None, by: str) -> Decision | None:
        """Put an earlier version in use: that one, or the one before the present one; None when it is in use already.

        Raises what `use` raises, and `UnknownVersion` when there is none to go back to.
        """
        current = self._shelf.current(persona)
        target = version or current.parent
        if target is None:
            raise self._shelf.none_before(persona)
        if target == current.version:
            return None
        await self.use(persona, target, What.ROLLED_BACK, f"It speaks instead of {current.version}.", by)
        return (await self.of(persona))[-1]

    async def note(self, manifest: Manifest, what: What, why: str, by: str, training: int) -> None:
        """Write down a decision after which the shelf stays as it is; what that training has decided already stands."""
        before = self._in_use(manifest.persona)
        await self._write(manifest.persona, before, manifest.version, what, why, by, training, done=True)

    async def prune(self, persona: str, keep: int, by: str) -> list[str]:
        """Delete the versions that the rule does not keep; their names. Raises `OutsideError`."""
        async with self._alone():
            await self._mend()
            current = self._in_use(persona)
            if not keep or current is None:
                return []
            shipped = {version for name, version in SHIPPED if name == persona}
            pruned = [each for each in to_prune(self._shelf.versions(persona), current, keep) if each not in shipped]
            for version in pruned:
                why = f"[shelf] keep_versions is {keep}."
                await self._write(persona, current, version, What.PRUNED, why, by, None, done=False)
                async with self._marked():
                    self._shelf.prune(persona, version)  # not in a thread: who is cancelled would not wait for it
                await asyncio.to_thread(self._shelf.clear_pruned, persona, version)
            return pruned

    async def mend(self) -> None:
        """Settle what a killed process has left open."""
        if await self._open():
            async with self._alone():
                await self._mend()

    # --- Looking ---

    async def of(self, persona: str) -> list[Decision]:
        """Every decision about that persona that was carried out, the oldest first."""
        await self.mend()
        rows = await self._database.all("SELECT * FROM decisions WHERE persona = ? AND done ORDER BY id", (persona,))
        return [_decision(row) for row in rows]

    async def of_training(self, training: int) -> Decision | None:
        """What that training led to, if it was carried out."""
        await self.mend()
        return await self._taken(training)

    async def newest(self) -> int:
        """The number of the newest decision; 0 when there is none."""
        row = await self._database.one("SELECT coalesce(max(id), 0) FROM decisions WHERE done")
        return int(row[0]) if row else 0

    async def outcomes_since(self, number: int) -> list[Decision]:
        """The decisions after that one by which a persona speaks as another version than before, and those by which a
        version that was learned is not used, the oldest first.
        """
        rows = await self._database.all("SELECT * FROM decisions WHERE id > ? AND done ORDER BY id", (number,))
        found = [_decision(row) for row in rows]
        return [each for each in found if each.is_switch or each.what is What.KEPT]

    async def told(self) -> int | None:
        """The number of the decision up to which people were told; None where nothing was ever told."""
        row = await self._database.one("SELECT value FROM marks WHERE name = ?", (_TOLD,))
        return int(row["value"]) if row else None

    async def note_told(self, number: int) -> None:
        """People were told up to this decision."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "INSERT INTO marks (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                (_TOLD, str(number)),
            )

    async def samples(self, decision: Decision) -> str | None:
        """What was kept beside the decision: generated texts, for whoever wants to see what it changed."""
        row = await self._database.one("SELECT samples FROM decisions WHERE id = ?", (decision.id,))
        return row["samples"] if row else None

    async def keep_samples(self, decision: Decision, samples: str) -> None:
        """Keep that beside the decision, where it still stands."""
        async with self._database.transaction() as transaction:
            await transaction.run("UPDATE decisions SET samples = ? WHERE id = ?", (samples, decision.id))

    # --- Forgetting ---

    async def about(self, personas: Sequence[str]) -> list[dict[str, object]]:
        """What was decided about these personas, without who did, the oldest first."""
        found = [each for persona in personas for each in await self.of(persona)]
        return [
            {"persona": each.persona, **{name: value for name, value in each.as_json().items() if name != "by"}}
            for each in found
        ]

    async def remove(self, personas: Sequence[str]) -> None:
        """Delete every decision about these personas."""
        async with self._alone(), self._database.transaction() as transaction:
            await transaction.run_many("DELETE FROM decisions WHERE persona = ?", [(name,) for name in personas])

    # --- Rows ---

    def _alone(self) -> AsyncFileLock:
        return AsyncFileLock(
            self._database.path.with_name("decisions.lock"), poll_interval=_LOOK_S, run_in_executor=False
        )

    def _in_use(self, persona: str) -> str | None:
        try:
            return self._shelf.current(persona).version
        except MockingbirdError:
            return None

    async def _write(
        self,
        persona: str,
        before: str | None,
        version: str,
        what: What,
        why: str,
        by: str,
        training: int | None,
        *,
        done: bool,
    ) -> None:
        async with self._database.transaction() as transaction:
            await transaction.run(
                "INSERT INTO decisions (persona, from_version, to_version, what, why, by, training_id, at, done)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (training_id) DO NOTHING",
                (persona, before, version, what, why, by, training, self._clock().astimezone(UTC).isoformat(), done),
            )

    @asynccontextmanager
    async def _marked(self) -> AsyncIterator[None]:
        """Mark what the body has made come to pass, or take it out.

        What can't be written now is left to whoever is next: the shelf has changed, and nobody is to be told otherwise.
        """
        try:
            yield
        finally:
            with suppress(DiskFull, Busy):
                await self._mend()

    async def _taken(self, training: int) -> Decision | None:
        row = await self._database.one("SELECT * FROM decisions WHERE training_id = ? AND done", (training,))
        return _decision(row) if row else None

    async def _open(self) -> list[Row]:
        return await self._database.all("SELECT * FROM decisions WHERE NOT done ORDER BY id")

    async def _mend(self) -> None:
        """What is not marked as done came to pass, as the shelf tells, or did not."""
        for row in await self._open():
            came_to_pass = await asyncio.to_thread(self._came_to_pass, row["what"], row["persona"], row["to_version"])
            sql = "UPDATE decisions SET done = 1 WHERE id = ?" if came_to_pass else "DELETE FROM decisions WHERE id = ?"
            async with self._database.transaction() as transaction:
                await transaction.run(sql, (row["id"],))

    def _came_to_pass(self, what: str, persona: str, version: str) -> bool:
        if what != What.PRUNED:
            return self._in_use(persona) == version
        try:
            return version not in {each.version for each in self._shelf.versions(persona)}
        except UnknownPersona:  # taken down meanwhile
            return False


def still_news(decisions: Sequence[Decision], now: datetime) -> list[Decision]:
    """Those of them, the oldest first, that are worth telling: of what is older than a day, each persona's newest."""
    newest = {each.persona: each.id for each in decisions}
    return [each for each in decisions if each.id == newest[each.persona] or now - each.at <= NEWS_FOR]


def _decision(row: Row) -> Decision:
    return Decision(
        id=row["id"],
        persona=row["persona"],
        from_version=row["from_version"],
        to_version=row["to_version"],
        what=What(row["what"]),
        why=row["why"],
        by=row["by"],
        at=datetime.fromisoformat(row["at"]),
        training=row["training_id"],
    )
