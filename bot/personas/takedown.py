"""Forgetting an account: everything that was learned from it goes, a receipt stays, and it is not learned again.

A takedown is a row that is finished when all of it was done, so whatever interrupts it, it goes on: at the next
`mockingbird forget`, and in a running service within seconds. Every step may be taken twice. Their order is this:

1. block: the handle (and X's id of the account, where it is known) is on the blocked list, and the row is there, in one
   transaction. From here on nothing new comes in, and no answer in these voices is written down as to be sent.
2. stop learning: a training under way is cancelled, in whatever process it runs. Only now is it certain which versions
   there are.
3. stop speaking: the versions go out of use, and what is being sent at this moment is waited for.
4. find: what there is, in figures and digests, and the ids of what was said in public. It is written into the row
   before anything is deleted, so that a receipt is whole even when the deleting took several attempts.
5. delete: what can be seen from outside first (posts, versions), then the rest. The costs stay, under another name.
6. wipe: no byte of it is left in the database's files.
   That it was is in the receipt: whoever goes on later begins at the next step, since by then a name
   may be somebody else's.
7. take back, if that was asked: what was posted and answered, on X and on Discord. It comes after all that is in our
   own hands, because it may have to wait for somebody else: a limit, an outage, a budget.
8. finish: the receipt gets its date.

The rooms whose things are deleted are handed in (`Room`), since they stand above this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import structlog
from filelock import AsyncFileLock, FileLock, Timeout
from pydantic import BaseModel, ConfigDict

from bot.database import Database, Row, Transaction
from bot.errors import ConfigError, MockingbirdError, UnknownPersona, UsageError
from bot.tweets.blocked import Blocked, Blocklist, Reads
from bot.tweets.store import TweetStore
from bot.tweets.tweet import normalise_handle

DELETED = "deleted"  # outcome of what was said in public
_LOOK_S = 0.2  # between two looks whether another process has finished a takedown
_NOTED_EVERY = 20  # things taken back, between two notes of how far it has come; deleting twice is no error

log = structlog.get_logger(__name__)


class Said(BaseModel):
    """Something that was said in public in the voice of somebody who is to be forgotten."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: str  # x, discord, hub
    channel: str  # on Discord; on X an account of ours, empty for the main one
    id: str | None  # the platform's, or a repository's name; None when it is unknown whether and where it stands
    outcome: str | None = None  # None: it stands; DELETED; or in a sentence why it could not be deleted


class Receipt(BaseModel):
    """What a takedown was about, found and did: figures, digests and ids, never a text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    handles: tuple[str, ...]  # the one that was named first; others are the same account under another name
    personas: tuple[str, ...] = ()  # whose versions go: made from one of these handles, alone or among others
    found: dict[str, Any] | None = None  # by room; None until everything was looked through
    removed_at: str | None = None  # UTC, ISO 8601: from when on nothing of it is left here; None until then
    said: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Takedown:
    """A request to forget somebody, and how far it has come."""

    id: int
    handle: str
    asked_by: str  # command, or an id on its platform such as discord:17
    delete_posts: bool  # whether what was said in public is taken back, too
    begun_at: datetime  # UTC
    finished_at: datetime | None  # UTC; None while something remains to be done
    receipt: Receipt

    @property
    def label(self) -> str:
        """What stands in the ledger in the place of the names."""
        return f"forgotten-{self.id}"

    @property
    def subject(self) -> Subject:
        """Whom it is about."""
        return Subject(self.receipt.handles, self.receipt.personas, self.label)

    def as_json(self) -> dict[str, Any]:
        """The receipt as it is printed."""
        return {
            "id": self.id,
            "handle": self.handle,
            "asked_by": self.asked_by,
            "delete_posts": self.delete_posts,
            "begun_at": self.begun_at.isoformat(),
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            **self.receipt.model_dump(mode="json"),
        }


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is to be forgotten."""

    handles: tuple[str, ...]
    personas: tuple[str, ...]
    label: str
    blends: tuple[str, ...] = ()  # those of the personas that others are part of, too; known in an export


class Room:
    """What a room does in a takedown and in an export. This one holds nothing; each method is safe to repeat."""

    async def personas(self, handles: Sequence[str]) -> Iterable[str]:
        """The personas that were learned from one of these accounts, as far as this room knows."""
        return ()

    async def blends(self, handles: Sequence[str]) -> Iterable[str]:
        """Those of `personas` that were learned from others, too."""
        return ()

    async def stop_learning(self, handles: Sequence[str]) -> None:
        """Return once nothing new can come of these accounts here."""

    async def stop_speaking(self, subject: Subject) -> None:
        """Return once nothing is said in these voices any more."""

    async def find(self, subject: Subject) -> Mapping[str, Any]:
        """What is here: counts and digests, as JSON."""
        return {}

    async def said(self, subject: Subject) -> Iterable[Said]:
        """What was said in public from here."""
        return ()

    async def remove(self, subject: Subject) -> None:
        """Delete it all."""

    async def export(self, subject: Subject) -> Mapping[str, str]:
        """All that is here about the account, nobody else's included: file name -> text."""
        return {}


class Outlet(Protocol):
    """Takes back what was said on one platform."""

    async def require_means(self) -> None:
        """Raise `ConfigError` where what taking back needs is not set up: a key, a token."""
        ...

    def take_back(self, said: Sequence[Said], label: str) -> AsyncGenerator[Said]:
        """Delete each and give it with its outcome; gone already is as good as deleted. `label` is for the ledger.

        Raises `MockingbirdError` when the platform is out of reach, has a limit, or costs too much for now.
        """
        ...


class Takedowns:
    """The table `takedowns`, and the one place that carries them out, whatever asks for it."""

    def __init__(
        self,
        database: Database,
        store: TweetStore,
        blocklist: Blocklist,
        rooms: Mapping[str, Room],
        outlets: Mapping[str, Outlet],
        data: Path,
        clock: Callable[[], datetime],
    ) -> None:
        """`rooms` in the order in which they are emptied; `outlets` by platform; `data` holds the lock; UTC clock."""
        self._database = database
        self._store = store
        self._blocklist = blocklist
        self._rooms = rooms
        self._outlets = outlets
        self._lock = data / "forget.lock"
        self._clock = clock

    # --- Asking ---

    async def preview(self, handle: str) -> Receipt:
        """What forgetting this account would find now; nothing is changed."""
        _, handles = await self._store.same_people(_name(handle))
        subject = Subject(handles, await self._personas(handles), "")
        said = await self._said(subject, await self._of(handles))
        return Receipt(handles=handles, personas=subject.personas, found=await self._find(subject), said=said)

    async def require_means(self, found: Receipt) -> None:
        """Raise `ConfigError` where what was said in public could never be taken back for want of a key or a token."""
        platforms = {each.platform for each in found.said if each.id}
        for platform, outlet in self._outlets.items():
            if platform in platforms:
                try:
                    await outlet.require_means()
                except ConfigError as error:
                    raise ConfigError(f"Nothing was done. {error}") from error

    async def forget(self, handle: str, asked_by: str, reason: str = "", delete_posts: bool = False) -> Takedown:
        """Forget this account, and finish whatever was interrupted before; the finished takedown.

        What is not known is blocked all the same. Raises `ConfigError` before anything is done where it could not be
        finished, and `MockingbirdError` when something has to wait (see step 7); then it goes on later.
        """
        if delete_posts:
            await self.require_means(await self.preview(handle))
        number = await self._ask(_name(handle), asked_by, reason, delete_posts)
        async with self._alone():
            await self._carry_out_all(first=number)
        return await self.takedown(number)

    async def go_on(self) -> bool:
        """Carry out what was interrupted; False when another process is at it. Raises as `forget` does."""
        if not await self.unfinished():
            return True
        lock = FileLock(self._lock)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return False
        try:
            await self._carry_out_all()
        finally:
            lock.release()
        return True

    # --- Looking ---

    async def takedown(self, number: int) -> Takedown:
        """That takedown as it stands."""
        row = await self._database.one("SELECT * FROM takedowns WHERE id = ?", (number,))
        assert row is not None
        return _takedown(row)

    async def all(self, handle: str = "") -> list[Takedown]:
        """All of them, or those of one handle, the oldest first."""
        rows = await self._database.all("SELECT * FROM takedowns ORDER BY id")
        found = [_takedown(row) for row in rows]
        name = normalise_handle(handle)
        return [each for each in found if not name or name in each.receipt.handles]

    async def unfinished(self) -> list[Takedown]:
        """Those that have to go on, the oldest first."""
        rows = await self._database.all("SELECT * FROM takedowns WHERE finished_at IS NULL ORDER BY id")
        return [_takedown(row) for row in rows]

    # --- Doing ---

    async def _ask(self, handle: str, asked_by: str, reason: str, delete_posts: bool) -> int:
        """Step 1; the takedown's number.

        One of the same handle that is under way is that one, unless it has removed everything and there is something
        again, since somebody let the account be learned anew.
        """
        platform_id, handles = await self._store.same_people(handle)
        receipt = Receipt(handles=handles, personas=await self._personas(handles))
        now = self._clock().astimezone(UTC)
        why = reason or f"forgotten on request on {now:%Y-%m-%d}"
        async with self._database.transaction() as transaction:
            for name in handles:
                await self._blocklist.add_within(transaction, Blocked(name, platform_id, why))
            await transaction.run(
                "UPDATE takedowns SET delete_posts = max(delete_posts, ?) WHERE handle = ? AND finished_at IS NULL",
                (delete_posts, handle),
            )
            again = receipt.personas or await transaction.one("SELECT 1 FROM accounts WHERE handle = ?", (handle,))
            row = await transaction.one(
                "SELECT id FROM takedowns WHERE handle = ? AND finished_at IS NULL "
                "AND (? OR json_extract(receipt, '$.removed_at') IS NULL)",
                (handle, not again),
            )
            if row is not None:
                return int(row["id"])
            return await transaction.insert(
                "INSERT INTO takedowns (handle, asked_by, delete_posts, begun_at, receipt) VALUES (?, ?, ?, ?, ?)",
                (handle, asked_by, delete_posts, now.isoformat(), receipt.model_dump_json()),
            )

    async def _carry_out_all(self, first: int = 0) -> None:
        """The named one, then what else there is; trouble with one of the others is in the log."""
        if first:
            await self._carry_out(await self.takedown(first))
        trouble: MockingbirdError | None = None
        for takedown in await self.unfinished():
            try:
                await self._carry_out(takedown)
            except MockingbirdError as error:
                log.warning("a takedown has to wait", takedown=takedown.id, reason=str(error))
                trouble = error
        if trouble is not None and not first:
            raise trouble

    async def _carry_out(self, takedown: Takedown) -> None:
        """What is left to be done of steps 2 to 8."""
        if takedown.finished_at is not None:
            return
        if takedown.receipt.removed_at is None:
            takedown = await self._clear_out(takedown)
        if takedown.delete_posts:
            takedown = await self._take_back(takedown)
        await self._finish(takedown)

    async def _clear_out(self, takedown: Takedown) -> Takedown:
        """Steps 2 to 6: all that is in our own hands."""
        for room in self._rooms.values():
            await room.stop_learning(takedown.receipt.handles)
        takedown = await self._note(takedown, personas=await self._personas(takedown.receipt.handles))
        for room in self._rooms.values():
            await room.stop_speaking(takedown.subject)
        if takedown.receipt.found is None:
            earlier = [each for each in await self._of(takedown.receipt.handles) if each.finished_at is not None]
            said = await self._said(takedown.subject, earlier)  # one under way takes back its own
            takedown = await self._note(takedown, found=await self._find(takedown.subject), said=said)
        for room in self._rooms.values():
            await room.remove(takedown.subject)
        await self._database.wipe()
        return await self._note(takedown, removed_at=self._clock().astimezone(UTC).isoformat())

    async def _take_back(self, takedown: Takedown) -> Takedown:
        """Step 7 on every platform, noting how far it has come; raises the first trouble at its end."""
        outcomes = {(each.platform, each.channel, each.id): each for each in takedown.receipt.said}

        async def note() -> Takedown:
            return await self._note(takedown, said=tuple(outcomes.values()))

        trouble: MockingbirdError | None = None
        for platform, outlet in self._outlets.items():
            standing = [
                each for each in outcomes.values() if each.platform == platform and each.id and each.outcome is None
            ]
            if not standing:
                continue
            try:
                async with aclosing(outlet.take_back(standing, takedown.label)) as taken_back:
                    async for done in taken_back:
                        outcomes[done.platform, done.channel, done.id] = done
                        if sum(1 for each in outcomes.values() if each.outcome) % _NOTED_EVERY == 0:
                            await note()
            except MockingbirdError as error:  # the other platform has no part in it
                trouble = trouble or error
            finally:
                await asyncio.shield(note())
        if trouble is not None:
            raise trouble
        return await note()

    async def _note(
        self,
        takedown: Takedown,
        personas: tuple[str, ...] = (),
        found: dict[str, Any] | None = None,
        said: tuple[Said, ...] | None = None,
        removed_at: str | None = None,
    ) -> Takedown:
        """Write down what is known now."""
        receipt = takedown.receipt.model_copy(
            update={
                "personas": tuple(sorted({*takedown.receipt.personas, *personas})),
                "found": takedown.receipt.found if found is None else found,
                "said": takedown.receipt.said if said is None else said,
                "removed_at": takedown.receipt.removed_at or removed_at,
            }
        )
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE takedowns SET receipt = ? WHERE id = ?", (receipt.model_dump_json(), takedown.id)
            )
        return await self.takedown(takedown.id)

    async def _finish(self, takedown: Takedown) -> None:
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE takedowns SET finished_at = ? WHERE id = ?",
                (self._clock().astimezone(UTC).isoformat(), takedown.id),
            )
        log.info("an account was forgotten", takedown=takedown.id)

    async def _personas(self, handles: Sequence[str]) -> tuple[str, ...]:
        found = [await room.personas(handles) for room in self._rooms.values()]
        return tuple(sorted({name for names in found for name in names}))

    async def _find(self, subject: Subject) -> dict[str, Any]:
        return {name: dict(found) for name, room in self._rooms.items() if (found := await room.find(subject))}

    async def _of(self, handles: Sequence[str]) -> list[Takedown]:
        """All takedowns of these handles."""
        return [takedown for takedown in await self.all() if set(takedown.receipt.handles) & set(handles)]

    async def _said(self, subject: Subject, earlier: Iterable[Takedown]) -> tuple[Said, ...]:
        """What stands in public now, that of these earlier takedowns of the same account included."""
        said = [each for takedown in earlier for each in takedown.receipt.said if each.outcome != DELETED]
        for room in self._rooms.values():
            said += await room.said(subject)
        return tuple(
            {
                (each.platform, each.channel, each.id): each.model_copy(update={"outcome": None}) for each in said
            }.values()
        )

    def _alone(self) -> AsyncFileLock:
        """One takedown at a time, over all processes; the lock dies with its process."""
        return AsyncFileLock(self._lock, poll_interval=_LOOK_S, run_in_executor=False)


# --- For those who speak ---


async def forgotten_personas(where: Reads) -> frozenset[str]:
    """The names of all personas that ever went with an account that was forgotten; a name may have been used again."""
    rows = await where.all("SELECT DISTINCT value FROM takedowns, json_each(receipt, '$.personas')")
    return frozenset(row["value"] for row in rows)


async def require_remembered(transaction: Transaction, persona: str, since: str) -> None:
    """Return unless the persona is being removed or was since that moment (ISO 8601, UTC), else raise
    `UnknownPersona`. Asked in the transaction that writes down what is to be said.
    """
    row = await transaction.one(
        "SELECT 1 FROM takedowns, json_each(receipt, '$.personas') "
        "WHERE value = ? AND coalesce(json_extract(receipt, '$.removed_at'), finished_at, ?) >= ?",
        (persona, since, since),
    )
    if row is not None:
        raise UnknownPersona(taken_down(persona))


def taken_down(persona: str) -> str:
    """What somebody is told who asks for a persona that was forgotten."""
    return f"{persona} was taken down on request and is not imitated here any more. Ask somebody else."


def _name(handle: str) -> str:
    name = normalise_handle(handle)
    if not name or any(character.isspace() for character in name):
        raise UsageError("Name the account that is to be forgotten, for example nasa.")
    return name


def _takedown(row: Row) -> Takedown:
    return Takedown(
        id=row["id"],
        handle=row["handle"],
        asked_by=row["asked_by"],
        delete_posts=bool(row["delete_posts"]),
        begun_at=datetime.fromisoformat(row["begun_at"]),
        finished_at=datetime.fromisoformat(row["finished_at"]) if row["finished_at"] else None,
        receipt=Receipt.model_validate_json(row["receipt"]),
    )
