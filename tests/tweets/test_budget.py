"""Reads stop before posts do, no account goes over its own cap, and each share is told once a month."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot.config import Prices, X, XAccount
from bot.database import Database
from bot.errors import BudgetExceeded, XKeysRefused
from bot.tweets.budget import PUBLISHING, Budget, Spent, budget_of
from bot.tweets.costs import Entry, Ledger
from bot.tweets.forecast import Forecast, days_left, posts_a_day
from tests.fakes import FakeClock

amounts = st.integers(0, 3_000).map(lambda thousandths: Decimal(thousandths) / 1_000)
lines = st.lists(st.tuples(st.sampled_from(["main", "second"]), st.sampled_from(["fetch", "post", "reply"]), amounts))


def ledger(database: Database, clock: FakeClock, budget: Budget) -> Ledger:
    return Ledger(database, Prices(), budget.cap, clock, budget)


async def paid(costs: Ledger, purpose: str, usd: str, account: str = "main", about: str = "nell") -> None:
    async with costs.hold(purpose, about, Decimal(usd), "A call", account=account) as call:
        await call.settle(1, Decimal(usd))


def test_only_an_account_that_names_a_cap_has_one_of_its_own() -> None:
    settings = X(
        monthly_budget_usd=Decimal(10),
        reserve_for_posting_usd=Decimal(2),
        accounts={"second": XAccount(monthly_budget_usd=Decimal(3)), "third": XAccount()},
    )
    assert budget_of(settings) == Budget(Decimal(10), {"second": Decimal(3)}, Decimal(2), (0.5, 0.8, 0.95))


@given(lines, amounts, st.sampled_from(["main", "second"]))
def test_whatever_may_be_read_may_be_posted_and_nothing_goes_over_a_cap(
    before: list[tuple[str, str, Decimal]], usd: Decimal, account: str
) -> None:
    budget = Budget(Decimal(5), {"second": Decimal(2)}, Decimal(1))
    spent = Spent.of(before)
    read, posted = (budget.over(usd, purpose, account, spent) is None for purpose in ("fetch", "post"))
    assert posted or not read
    if posted:
        assert spent.in_all + usd <= 5
        assert account == "main" or spent.accounts.get("second", Decimal(0)) + usd <= 2
    if read:
        assert spent.in_all + usd <= 5 - budget.reserve_left(spent)


async def test_reads_leave_the_reserve_to_posts_and_the_error_names_it(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock, Budget(Decimal(1), reserve=Decimal("0.300")))
    await paid(costs, "fetch", "0.700")
    with pytest.raises(BudgetExceeded, match=r"\$0.30 are kept for posting.*reserve_for_posting_usd"):
        await paid(costs, "look up", "0.001")
    with pytest.raises(BudgetExceeded):
        await costs.check(Decimal("0.001"), "Reading @ada")
    for purpose in sorted(PUBLISHING):
        await paid(costs, purpose, "0.075")
    month = await costs.month()
    assert (month.spent, month.left, month.left_for_reading) == (Decimal(1), Decimal(0), Decimal(0))
    with pytest.raises(BudgetExceeded):
        await paid(costs, "post", "0.001")


async def test_what_posting_has_cost_is_no_longer_kept_for_it(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock, Budget(Decimal(1), reserve=Decimal("0.300")))
    await paid(costs, "post", "0.200")
    assert (await costs.month()).reserved == Decimal("0.100")
    await paid(costs, "fetch", "0.700")
    with pytest.raises(BudgetExceeded):
        await paid(costs, "fetch", "0.001")


async def test_an_account_stops_at_its_own_cap_and_the_others_go_on(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock, Budget(Decimal(5), {"second": Decimal("0.030")}))
    await paid(costs, "post", "0.015", "second")
    await paid(costs, "post", "0.015", "second")
    with pytest.raises(BudgetExceeded, match=r"\[x.accounts.second\] monthly_budget_usd"):
        await paid(costs, "post", "0.015", "second")
    await paid(costs, "post", "0.015")
    month = await costs.month()
    assert month.by_own_account() == {"main": Decimal("0.015"), "second": Decimal("0.030")}
    assert Entry("post", "nell", 2, 2, Decimal("0.030"), "second") in month.entries


@pytest.fixture
async def second(database: Database) -> AsyncIterator[Database]:
    """Another process on the same database."""
    async with Database(database.path) as opened:
        yield opened


async def test_each_share_is_told_once_a_month_whatever_is_restarted(
    database: Database, second: Database, clock: FakeClock
) -> None:
    budget = Budget(Decimal(1), warn_at=(0.8, 0.5))
    with capture_logs() as log:
        for each in (database, second, database):  # as three services, one after the other
            costs = ledger(each, clock, budget)
            await paid(costs, "fetch", "0.200")
            await paid(costs, "fetch", "0.100")
    assert [line["share"] for line in log if line["log_level"] == "warning"] == [0.5, 0.8]
    assert await ledger(second, clock, budget).warnings() == [0.5, 0.8]
    clock.now = datetime(2026, 12, 1, tzinfo=UTC)
    costs = ledger(database, clock, budget)
    assert await costs.warnings() == []
    with capture_logs() as log:
        await paid(costs, "post", "0.600")
    assert [line["share"] for line in log if line["log_level"] == "warning"] == [0.5]


async def test_what_x_refused_is_no_share_of_anything(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock, Budget(Decimal(1), warn_at=(0.5,)))
    with pytest.raises(XKeysRefused):
        async with costs.hold("post", "nell", Decimal("0.900"), "A call"):
            raise XKeysRefused("No.")
    assert await costs.warnings() == []


async def test_a_month_is_shown_day_by_day(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock, Budget(Decimal(1)))
    await paid(costs, "fetch", "0.200")
    await paid(costs, "post", "0.015")
    clock.advance(days=2)
    await paid(costs, "post", "0.015")
    assert (await costs.month()).days == (("2026-11-01", Decimal("0.215")), ("2026-11-03", Decimal("0.015")))


async def test_a_month_ends_at_what_is_scheduled_and_what_else_there_was_lately(
    database: Database, clock: FakeClock
) -> None:
    clock.now = datetime(2026, 11, 21, tzinfo=UTC)
    settings = X(enabled=True, persona="nell", post_at=("09:00", "18:00"), check_interval_hours=0.0)
    costs = ledger(database, clock, Budget(Decimal(5)))
    await paid(costs, "reply", "0.070")
    await paid(costs, "fetch", "0.500")  # is scheduled, and so no part of the mean
    outlook = await Forecast(database, costs, settings, Prices(), clock).outlook()
    assert (outlook.scheduled_a_day, outlook.others_a_day) == (Decimal("0.030"), Decimal("0.010"))
    assert (outlook.month_end, outlook.runs_out) == (Decimal("0.570") + 10 * Decimal("0.040"), None)
    clock.advance(days=8)
    later = await Forecast(database, costs, settings, Prices(), clock).outlook()
    assert (later.others_a_day, later.month_end) == (Decimal(0), Decimal("0.570") + 2 * Decimal("0.030"))


async def test_no_month_is_said_to_end_above_the_cap(database: Database, clock: FakeClock) -> None:
    settings = X(enabled=True, persona="nell", post_every_minutes=60.0, check_interval_hours=0.0)
    costs = ledger(database, clock, Budget(Decimal(1)))
    outlook = await Forecast(database, costs, settings, Prices(), clock).outlook()
    assert outlook.month_end == 1
    assert outlook.runs_out is not None and outlook.runs_out.month == 11


@pytest.mark.parametrize(
    ("moment", "days"),
    [
        (datetime(2026, 11, 1, tzinfo=UTC), "30"),
        (datetime(2028, 2, 28, 12, tzinfo=UTC), "1.5"),  # of a leap year
        (datetime(2027, 2, 28, 12, tzinfo=UTC), "0.5"),
        (datetime(2026, 12, 31, 18, tzinfo=UTC), "0.25"),
    ],
    ids=str,
)
async def test_with_nothing_paid_a_month_ends_at_what_is_scheduled_for_the_days_that_are_left(
    database: Database, clock: FakeClock, moment: datetime, days: str
) -> None:
    clock.now = moment
    settings = X(enabled=True, persona="nell", post_at=("09:00", "18:00"), check_interval_hours=0.0)
    outlook = await Forecast(database, ledger(database, clock, Budget(Decimal(5))), settings, Prices(), clock).outlook()
    assert (outlook.month_end, outlook.runs_out) == (Decimal(days) * Decimal("0.030"), None)


@pytest.mark.parametrize(
    ("chosen", "posts"),
    [
        ({"post_every_minutes": 60.0}, 24),
        ({"post_every_minutes": 60.0, "posts_per_day": 5}, 5),
        ({"post_at": ("09:00",), "posts_per_day": 5}, 1),
        ({"post_every_minutes": 60.0, "post_at": ("09:00", "18:30", "09:00")}, 2),  # the times alone
        ({"post_every_minutes": 60.0, "quiet_hours": "22:00-08:00"}, 15),
        ({"post_every_minutes": 1440.0, "quiet_hours": "20:00-19:00"}, 1),
        ({"post_every_minutes": 60.0, "paused": True}, 0),
        ({"post_every_minutes": 60.0, "persona": ""}, 0),
    ],
)
def test_a_schedule_makes_so_many_posts_a_day(chosen: dict[str, object], posts: int) -> None:
    assert posts_a_day(X.model_validate({"persona": "nell", **chosen})) == posts


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)))
def test_so_many_days_are_left_that_the_month_ends_with_them(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    left = days_left(moment)
    assert 0 < left <= 31
    assert (moment + timedelta(days=float(left)) + timedelta(seconds=1)).day == 1
