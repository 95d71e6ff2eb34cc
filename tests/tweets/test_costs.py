"""Nothing is paid beyond the cap, and every amount is written down once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bot.config import Prices
from bot.database import Database
from bot.errors import BudgetExceeded
from bot.tweets.costs import Ledger, dollars
from tests.fakes import FakeClock


def ledger(database: Database, clock: FakeClock, cap: str = "1.00") -> Ledger:
    return Ledger(database, Prices(), Decimal(cap), clock)


async def test_a_month_is_what_was_recorded_in_it(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock)
    clock.now = datetime(2026, 10, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    await costs.record("fetch", "ada", 100, Decimal("0.500"))
    assert await costs.month_total() == Decimal("0.500")
    clock.now = datetime(2026, 11, 1, tzinfo=UTC)
    assert await costs.month_total() == 0
    await costs.record("post", "nell", 1, Decimal("0.015"))
    await costs.record("fetch", "ada", 2, Decimal("0.010"))
    assert await costs.month_total() == Decimal("0.025")


async def test_a_call_that_would_go_over_the_cap_is_refused_with_all_three_numbers(
    database: Database, clock: FakeClock
) -> None:
    costs = ledger(database, clock)
    await costs.record("fetch", "ada", 100, Decimal("0.500"))
    await costs.check(Decimal("0.500"), "Reading @ada")
    with pytest.raises(BudgetExceeded) as caught:
        await costs.check(Decimal("0.501"), "Reading @ada")
    assert str(caught.value) == (
        "Reading @ada may cost $0.501, and $0.50 of this month's cap of $1.00 are spent, so it was not done; "
        "raise [x] monthly_budget_usd or wait for the next month."
    )


async def test_two_calls_at_once_do_not_share_the_same_rest(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock)
    inside, go = asyncio.Event(), asyncio.Event()

    async def call() -> None:
        async with costs.hold(Decimal("0.60"), "A call"):
            inside.set()
            await go.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(call())
        await inside.wait()
        with pytest.raises(BudgetExceeded, match=r"\$0\.60 of this month's cap"):
            await costs.check(Decimal("0.60"), "Another call")
        go.set()
    await costs.check(Decimal("0.60"), "Another call")


async def test_what_failed_is_held_no_longer(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock)
    with pytest.raises(LookupError):
        async with costs.hold(Decimal("1.00"), "A call"):
            raise LookupError
    await costs.check(Decimal("1.00"), "Another call")


async def test_a_line_belongs_to_the_transaction_that_it_is_written_in(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock)
    with pytest.raises(LookupError):
        async with database.transaction() as transaction:
            await costs.record("fetch", "ada", 1, Decimal("0.005"), transaction)
            raise LookupError
    assert await costs.month_total() == 0


async def test_a_line_can_be_struck_out(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock)
    await costs.record("post", "nell", 1, Decimal("0.015"))
    line = await costs.record("post", "nell", 1, Decimal("0.200"))
    await costs.strike_out(line)
    assert await costs.month_total() == Decimal("0.015")


async def test_what_was_paid_today_is_known_until_midnight(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock)
    clock.now = datetime(2026, 11, 1, 23, 59, tzinfo=UTC)
    await costs.record("look up", "ada", 1, Decimal("0.010"))
    assert await costs.paid_today("look up", "ada")
    assert not await costs.paid_today("look up", "ben")
    clock.advance(minutes=1)
    assert not await costs.paid_today("look up", "ada")


@pytest.mark.parametrize(
    ("usd", "text"), [("0", "$0.00"), ("0.5", "$0.50"), ("0.015", "$0.015"), ("1234.5", "$1,234.50")]
)
def test_amounts_are_written_as_people_read_them(usd: str, text: str) -> None:
    assert dollars(Decimal(usd)) == text
