"""The table `purchases`: rows that take each step once, however often it is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from bot.database import Database, Row
from bot.training.purchase import PurchaseState, estimates_as_json
from bot.tweets.collecting import Estimate


class PurchaseTable:
    """Rows of purchases. Every write is safe to repeat but `add`."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def find(self, number: int) -> Row | None:
        """That row."""
        return await self._database.one("SELECT * FROM purchases WHERE id = ?", (number,))

    async def next_to_fetch(self) -> Row | None:
        """The oldest row that was agreed to and is not fetched yet."""
        return await self._database.one(
            "SELECT * FROM purchases WHERE state = ? ORDER BY id", (PurchaseState.FETCHING,)
        )

    async def ask_anew(self) -> None:
        """Whatever was being looked up when the process ended can be agreed to once more."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE purchases SET state = ? WHERE state = ?", (PurchaseState.ASKED, PurchaseState.LOOKING)
            )

    async def step(self, number: int, before: PurchaseState, after: PurchaseState, **columns: str | int) -> bool:
        """Take that step; False when somebody else has taken it."""
        names = ", ".join(f"{name} = ?" for name in ("state", *columns))
        async with self._database.transaction() as transaction:
            taken = await transaction.run(
                f"UPDATE purchases SET {names} WHERE id = ? AND state = ?", (after, *columns.values(), number, before)
            )
        return taken > 0

    async def add(
        self,
        names: Sequence[str],
        name: str | None,
        cause: str,
        requested_by: str,
        state: PurchaseState,
        estimates: Sequence[Estimate],
    ) -> int:
        """A new row; its id."""
        values = json.dumps(names), name, cause, requested_by, state
        async with self._database.transaction() as transaction:
            return await transaction.insert(
                "INSERT INTO purchases (handles, name, cause, requested_by, state, created_at, estimates)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*values, self._clock().astimezone(UTC).isoformat(), estimates_as_json(estimates)),
            )


async def forget_purchases(database: Database, handles: Sequence[str]) -> None:
    """Delete every purchase with one of these accounts."""
    marks = ", ".join("?" * len(handles))
    async with database.transaction() as transaction:
        await transaction.run(
            f"DELETE FROM purchases WHERE EXISTS (SELECT 1 FROM json_each(handles) WHERE value IN ({marks}))", handles
        )
