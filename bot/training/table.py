"""The tables `trainings` and `training_points`: all SQL of this room."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from bot.database import Database, Row, Transaction
from bot.shelf.manifest import Tracked
from bot.training.line import Asked, Earlier, in_order
from bot.training.record import (
    Stage,
    Training,
    TrainingPoint,
    TrainingResult,
    TrainingState,
    latest,
    point_of,
    training_of,
)
from bot.tweets.blocked import require_free

_ACTIVE = "('queued', 'running')"
_REMEMBERED = 500  # trainings that were begun before; who has had none of them counts as never served
_MEASURED_BY = 10  # earlier trainings tell how fast this machine learns


def _with(handles: Sequence[str]) -> str:
    """The condition that a training has one of these accounts, which are its parameters."""
    marks = ", ".join("?" * len(handles))
    return f"EXISTS (SELECT 1 FROM json_each(trainings.handles) WHERE value IN ({marks}))"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training ended."""

    state: TrainingState
    reason: str  # in one sentence
    version: str | None = None
    result: TrainingResult | None = None


class TrainingTable:
    """Rows in, values out. Every write is safe to repeat."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def add(self, persona: str, handles: Sequence[str], cause: str, requested_by: str) -> int:
        """A new row at the end of the queue, or the one that already waits or runs with the same work; its id.

        Raises `NotPermitted` when one of the accounts is blocked.
        """
        names = json.dumps(sorted(handles))
        async with self._database.transaction() as transaction:
            await require_free(transaction, handles)  # again, since somebody may have been blocked meanwhile
            same = await transaction.one(
                f"SELECT id FROM trainings WHERE persona = ? AND handles = ? AND state IN {_ACTIVE}", (persona, names)
            )
            if same is not None:
                return int(same["id"])
            return await transaction.insert(
                "INSERT INTO trainings (persona, handles, cause, requested_by, state, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (persona, names, cause, requested_by, TrainingState.QUEUED, self._now()),
            )

    async def training(self, number: int) -> Training | None:
        """That training as it stands."""
        row = await self._database.one("SELECT * FROM trainings WHERE id = ?", (number,))
        return (await self._values([row]))[0] if row else None

    async def recent(self, limit: int) -> list[Training]:
        """The newest trainings, the newest first."""
        rows = await self._database.all("SELECT * FROM trainings ORDER BY id DESC LIMIT ?", (limit,))
        return await self._values(rows)

    async def active(self) -> list[Training]:
        """All that wait or run, the oldest first."""
        rows = await self._database.all(f"SELECT * FROM trainings WHERE state IN {_ACTIVE} ORDER BY id")
        return await self._values(rows)

    async def last_ended(self, persona: str) -> datetime | None:
        """When this persona's newest training that has ended did so."""
        row = await self._database.one("SELECT max(finished_at) FROM trainings WHERE persona = ?", (persona,))
        return datetime.fromisoformat(row[0]) if row and row[0] else None

    async def points(self, number: int) -> list[TrainingPoint]:
        """Everything measured so far, by step."""
        rows = await self._database.all(
            "SELECT step, point FROM training_points WHERE training_id = ? ORDER BY step", (number,)
        )
        return [point_of(row) for row in rows]

    async def points_of(self, persona: str, version: str) -> list[TrainingPoint]:
        """Everything that the training measured of which that version came; empty where nobody knows any more."""
        row = await self._database.one(
            "SELECT min(id) AS id FROM trainings WHERE persona = ? AND version = ?"
            " AND id IN (SELECT training_id FROM training_points)",
            (persona, version),
        )
        return await self.points(row["id"]) if row and row["id"] is not None else []

    async def take(self) -> Training | None:
        """The next to work on, running from now on; None when nothing waits.

        Only the one worker calls this, so a row that runs already was left behind by a worker that died.
        """
        line = await self._line(_ACTIVE)
        if not line:
            return None
        async with self._database.transaction() as transaction:
            taken = await transaction.run(
                "UPDATE trainings SET state = 'running', started_at = coalesce(started_at, ?1), stage = ?2,"
                f" stage_since = ?1 WHERE id = ?3 AND state IN {_ACTIVE}",
                (self._now(), Stage.READING, line[0]),
            )
        return await self.training(line[0]) if taken else None

    async def enter(self, number: int, stage: Stage) -> None:
        """That training is at this stage from now on."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE trainings SET stage = ?1, stage_since = ?2 WHERE id = ?3 AND stage IS NOT ?1",
                (stage, self._now(), number),
            )

    async def waiting(self) -> list[Training]:
        """All that wait, in the order in which they will be taken."""
        rows = await self._database.all("SELECT * FROM trainings WHERE state = 'queued'")
        return sorted((each for each in await self._values(rows) if each.position), key=lambda each: each.position or 0)

    async def running(self) -> tuple[Training, datetime, datetime] | None:
        """The training under way, since when it is at its stage, and when its newest point was measured."""
        row = await self._database.one(
            "SELECT *, (SELECT max(at) FROM training_points WHERE training_id = trainings.id) AS measured_at"
            " FROM trainings WHERE state = 'running' ORDER BY id LIMIT 1"
        )
        if row is None:
            return None
        since = datetime.fromisoformat(row["stage_since"] or row["started_at"])
        return (await self._values([row]))[0], since, datetime.fromisoformat(row["measured_at"] or row["started_at"])

    async def earlier(self) -> list[Earlier]:
        """How long the newest trainings took that learned something."""
        rows = await self._database.all(
            "SELECT started_at, finished_at, result FROM trainings WHERE result IS NOT NULL AND finished_at IS NOT NULL"
            " AND EXISTS (SELECT 1 FROM training_points WHERE training_id = trainings.id) ORDER BY id DESC LIMIT ?",
            (_MEASURED_BY,),
        )
        return [_earlier(row) for row in rows]

    async def measure(self, number: int, point: TrainingPoint) -> None:
        """Add what was measured; figures of the same step complete each other."""
        figures = {name: value for name, value in asdict(point).items() if name != "step" and value is not None}
        async with self._database.transaction() as transaction:
            await transaction.run(
                "INSERT INTO training_points (training_id, step, at, point) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET at = excluded.at, point = json_patch(point, excluded.point)",
                (number, point.step, self._now(), json.dumps(figures)),
            )

    async def put_back(self, number: int) -> None:
        """That training waits again, if it runs."""
        async with self._database.transaction() as transaction:
            await transaction.run("UPDATE trainings SET state = 'queued' WHERE state = 'running' AND id = ?", (number,))

    async def cancel(self, number: int, reason: str) -> bool:
        """End it without a version; whether it had not ended yet. See `let_go` for one that runs."""
        async with self._database.transaction() as transaction:
            return await self._cancel(transaction, number, reason)

    async def let_go(self, number: int | None = None) -> None:
        """No worker is at that cancelled training any more (at any, when None), so that it is finished now.

        Who cancels a running training, in this process or another, sees by this when its tweets and files are free.
        """
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE trainings SET finished_at = ?1 WHERE state = 'cancelled' AND finished_at IS NULL"
                " AND id = coalesce(?2, id)",
                (self._now(), number),
            )

    async def cancel_all(self, handles: Sequence[str], reason: str) -> None:
        """End every training with one of these accounts without a version."""
        async with self._database.transaction() as transaction:
            for row in await transaction.all(f"SELECT id FROM trainings WHERE {_with(handles)}", handles):
                await self._cancel(transaction, row["id"], reason)

    async def held(self, handles: Sequence[str]) -> list[Training]:
        """Cancelled trainings with one of these accounts which a worker may still be at."""
        rows = await self._database.all(
            f"SELECT * FROM trainings WHERE state = 'cancelled' AND finished_at IS NULL AND {_with(handles)}", handles
        )
        return await self._values(rows)

    async def about(self, handles: Sequence[str]) -> list[Training]:
        """Every training with one of these accounts, the oldest first."""
        rows = await self._database.all(f"SELECT * FROM trainings WHERE {_with(handles)} ORDER BY id", handles)
        return await self._values(rows)

    async def remove(self, numbers: Sequence[int]) -> None:
        """Delete these trainings with everything that was measured."""
        async with self._database.transaction() as transaction:
            await transaction.run_many("DELETE FROM trainings WHERE id = ?", [(number,) for number in numbers])

    async def _cancel(self, transaction: Transaction, number: int, reason: str) -> bool:
        changed = await transaction.run(
            "UPDATE trainings SET finished_at = iif(state = 'queued', ?, NULL), state = 'cancelled', reason = ?"
            f" WHERE id = ? AND state IN {_ACTIVE}",
            (self._now(), reason, number),
        )
        return changed > 0

    async def finish(self, number: int, outcome: Outcome) -> None:
        """Write down how it ended."""
        result = outcome.result.model_dump_json() if outcome.result else None
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE trainings SET state = ?, reason = ?, version = ?, result = ?, finished_at = ? WHERE id = ?",
                (outcome.state, outcome.reason, outcome.version, result, self._now(), number),
            )

    async def track(self, number: int, tracked: Tracked | None, remark: str | None) -> None:
        """Write down which run a tracker shows of that training, and what went wrong with that."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE trainings SET tracked = ?, tracking_remark = ? WHERE id = ?",
                (tracked.model_dump_json() if tracked else None, remark, number),
            )

    async def _values(self, rows: Sequence[Row]) -> list[Training]:
        waits = any(row["state"] == TrainingState.QUEUED for row in rows)
        line = await self._line("('queued')") if waits else []
        positions = {number: place for place, number in enumerate(line, start=1)}  # without what was taken meanwhile
        return [training_of(row, positions.get(row["id"]), await self._latest(row["id"])) for row in rows]

    async def _line(self, states: str) -> list[int]:
        """The ids of all in one of these states, in the order in which they are to be taken."""
        columns = "id, cause, requested_by, created_at, started_at"
        waiting = await self._database.all(f"SELECT {columns} FROM trainings WHERE state IN {states}")
        begun = await self._database.all(
            f"SELECT {columns} FROM trainings WHERE started_at IS NOT NULL ORDER BY id DESC LIMIT ?", (_REMEMBERED,)
        )
        return in_order(map(_asked, waiting), map(_asked, begun))

    async def _latest(self, number: int) -> TrainingPoint | None:
        """The newest point, completed by the newest points that have a loss and a held-out loss."""
        of_training = "FROM training_points WHERE training_id = :id"
        rows = await self._database.all(
            f"SELECT step, point {of_training} AND step IN ("
            f" (SELECT max(step) {of_training}),"
            f" (SELECT max(step) {of_training} AND point ->> 'loss' IS NOT NULL),"
            f" (SELECT max(step) {of_training} AND point ->> 'held_out_loss' IS NOT NULL)"
            ") ORDER BY step",
            {"id": number},
        )
        return latest([point_of(row) for row in rows])

    def _now(self) -> str:
        return self._clock().astimezone(UTC).isoformat()


def _asked(row: Row) -> Asked:
    started_at = datetime.fromisoformat(row["started_at"]) if row["started_at"] else None
    return Asked(row["id"], row["cause"], row["requested_by"], datetime.fromisoformat(row["created_at"]), started_at)


def _earlier(row: Row) -> Earlier:
    result = TrainingResult.model_validate_json(row["result"])
    seconds = (datetime.fromisoformat(row["finished_at"]) - datetime.fromisoformat(row["started_at"])).total_seconds()
    figures = result.metrics.figures
    return Earlier(seconds, sum(count.kept for count in result.counts), figures.seconds if figures else None)
