"""What X was paid this month, and the cap that no call goes beyond.

Outcome: every paid call stands between `hold`, which refuses it with `BudgetExceeded` before anything is sent, and
`record`, which writes down what it really cost. Money is `Decimal` in US dollars; months are calendar months in UTC.

What it does not know: a charge of X's that another process is about to cause. `hold` sees what this process has under
way and what any process has recorded, so a command beside the service may go over the cap by one call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

from bot.config import Prices
from bot.database import Database, Transaction
from bot.errors import BudgetExceeded


class Ledger:
    """The table of what was paid, and the gate in front of whatever costs something."""

    def __init__(
        self, database: Database, prices: Prices, monthly_budget: Decimal, clock: Callable[[], datetime]
    ) -> None:
        """`monthly_budget` in US dollars; `clock` gives UTC."""
        self.prices = prices
        self.monthly_budget = monthly_budget
        self._database = database
        self._clock = clock
        self._held = Decimal(0)  # what calls under way may cost at most

    async def month_total(self) -> Decimal:
        """US dollars recorded since the first of this month, UTC."""
        start = self._clock().astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        rows = await self._database.all("SELECT usd FROM costs WHERE at >= ?", (start.isoformat(),))
        return sum((Decimal(row["usd"]) for row in rows), Decimal(0))

    async def check(self, expected: Decimal, what: str) -> None:
        """Return when `expected` US dollars still fit under the cap, else raise `BudgetExceeded`.

        `what` begins the sentence: "Reading @nasa".
        """
        held = self._held  # a call that ends while the table is read is in neither of the two
        spent = await self.month_total() + max(held, self._held)
        if spent + expected > self.monthly_budget:
            raise BudgetExceeded(
                f"{what} may cost {dollars(expected)}, and {dollars(spent)} of this month's cap of "
                f"{dollars(self.monthly_budget)} are spent, so it was not done; "
                "raise [x] monthly_budget_usd or wait for the next month."
            )

    @asynccontextmanager
    async def hold(self, expected: Decimal, what: str) -> AsyncIterator[None]:
        """`check`, and keep the amount from everybody else while the body makes the call and records its cost."""
        await self.check(expected, what)
        self._held += expected
        try:
            yield
        finally:
            self._held -= expected

    async def record(
        self, purpose: str, about: str, units: int, usd: Decimal, transaction: Transaction | None = None
    ) -> int:
        """Write down what a call cost, within `transaction` when one is given; the number of the line.

        `purpose` is look up, fetch, post or delete, `about` a handle or persona, `units` how many resources X billed.
        """
        if transaction is None:
            async with self._database.transaction() as own:
                return await self.record(purpose, about, units, usd, own)
        return await transaction.insert(
            "INSERT INTO costs (at, purpose, about, units, usd) VALUES (?, ?, ?, ?, ?)",
            (self._clock().astimezone(UTC).isoformat(), purpose, about, units, str(usd)),
        )

    async def paid_today(self, purpose: str, about: str) -> bool:
        """Whether there is such a line of this UTC day; X charges for the same resource once a day."""
        start = self._clock().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        row = await self._database.one(
            "SELECT 1 FROM costs WHERE purpose = ? AND about = ? AND at >= ?", (purpose, about, start.isoformat())
        )
        return row is not None

    async def strike_out(self, line: int) -> None:
        """Take back a line: what it was written for was not billed after all."""
        async with self._database.transaction() as transaction:
            await transaction.run("DELETE FROM costs WHERE id = ?", (line,))


def dollars(usd: Decimal) -> str:
    """An amount as people read it, with tenths of a cent only where there are some: `$0.50`, `$0.015`."""
    text = f"{usd:,.3f}"
    return "$" + (text[:-1] if text.endswith("0") else text)
