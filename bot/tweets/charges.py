"""What X has charged for today: a post or an account that is read twice on one UTC day is charged once.

Source: X's page on pricing, which calls that a soft guarantee. Only ids are kept, and those of one day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal

from bot.database import Database, Transaction
from bot.tweets.budget import PUBLISHING
from bot.tweets.costs import Call

_NEVER = "9999-12-31"  # a day that does not come


class Charges:
    """The table `charged`."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """`clock` gives UTC."""
        self._clock = clock

    async def posts(self, transaction: Transaction, ids: Iterable[str]) -> frozenset[str]:
        """Those of the posts for which X had not charged today; from now on it has."""
        return await self._new(transaction, "post", ids)

    async def users(self, transaction: Transaction, ids: Iterable[str]) -> frozenset[str]:
        """Those of the accounts for which X had not charged today; from now on it has."""
        return await self._new(transaction, "user", ids)

    async def settle_users(self, transaction: Transaction, call: Call, ids: Iterable[str], price: Decimal) -> Decimal:
        """Write down what X bills for a call that showed these accounts, `price` US dollars each; what it was."""
        billed = len(await self.users(transaction, ids))
        await call.settle(billed, billed * price, transaction)
        return billed * price

    async def _new(self, transaction: Transaction, kind: str, ids: Iterable[str]) -> frozenset[str]:
        day = self._clock().astimezone(UTC).date().isoformat()
        await transaction.run("DELETE FROM charged WHERE day != ?", (day,))
        insert = "INSERT INTO charged (resource, day) VALUES (?, ?) ON CONFLICT DO NOTHING"
        return frozenset([each for each in ids if await transaction.run(insert, (f"{kind} {each}", day))])


async def forget_charges(database: Database, now: datetime | None = None) -> None:
    """Forget which posts and accounts were read, of whomever they are, in the ledger's lines, too: the amounts stay.

    With `now` only those of earlier UTC days, which nothing needs any more; else at worst the ledger counts some twice.
    """
    before = now.astimezone(UTC).date().isoformat() if now else _NEVER
    marks = ", ".join("?" * len(PUBLISHING))
    async with database.transaction() as transaction:
        await transaction.run("DELETE FROM charged WHERE day < ?", (before,))
        await transaction.run(
            f"UPDATE costs SET resource = '' WHERE resource != '' AND at < ? AND purpose NOT IN ({marks})",
            (before, *sorted(PUBLISHING)),
        )
