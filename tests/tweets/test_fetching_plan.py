"""An account is fetched the more often the more it posts, and the less often the less the budget has left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import Prices, X
from bot.database import Database
from bot.tweets.costs import Ledger
from bot.tweets.fetching_plan import SPREAD, WORTH, affordable, interval, next_fetch
from bot.tweets.forecast import Forecast
from bot.tweets.store import TweetStore
from bot.tweets.tweet import Source, Tweet
from tests.fakes import FakeClock

rates = st.decimals(0, 5_000, places=2)
shares = st.decimals(0, 1, places=3)
leasts = st.integers(1, 20_000).map(lambda minutes: timedelta(minutes=minutes))
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@given(rates, shares, leasts)
def test_it_is_never_sooner_than_the_setting_nor_later_than_both_bounds(
    rate: Decimal, share: Decimal, least: timedelta
) -> None:
    assert least <= interval(rate, share, least) <= SPREAD * least


@given(rates, rates, shares, leasts)
def test_who_posts_more_never_waits_longer(one: Decimal, other: Decimal, share: Decimal, least: timedelta) -> None:
    assert interval(max(one, other), share, least) <= interval(min(one, other), share, least)


@given(rates, shares, shares, leasts)
def test_with_less_money_nobody_is_fetched_sooner(
    rate: Decimal, one: Decimal, other: Decimal, least: timedelta
) -> None:
    assert interval(rate, min(one, other), least) >= interval(rate, max(one, other), least)


@given(st.decimals(4, 40, places=2))
def test_between_the_bounds_about_so_many_posts_are_new_as_it_is_worth_looking_for(rate: Decimal) -> None:
    days = interval(rate, Decimal(1), timedelta(hours=6)) / timedelta(days=1)
    assert float(rate) * days == pytest.approx(WORTH, rel=1e-6)


@given(st.decimals(0, 100, places=2), st.decimals(0, 10, places=3), st.decimals(0, 31, places=2))
def test_what_can_be_afforded_is_never_more_than_what_is_left(left: Decimal, usd: Decimal, days: Decimal) -> None:
    share = affordable(left, usd, days)
    assert 0 <= share <= 1
    assert share * usd * days <= left + Decimal("1e-9")


@pytest.mark.parametrize(
    ("planned", "least_hours", "due_hours"),
    [(None, 6, 6), (24, 6, 24), (1, 6, 6), (24, 48, 48), (500, 6, 72), (24, 100, 100)],
)
def test_a_plan_keeps_to_the_settings_of_now(planned: int | None, least_hours: int, due_hours: int) -> None:
    at = NOON + timedelta(hours=planned) if planned is not None else None
    assert next_fetch(NOON, at, timedelta(hours=least_hours)) == NOON + timedelta(hours=due_hours)


async def test_each_account_has_a_plan_with_its_price(database: Database, clock: FakeClock) -> None:
    store = TweetStore(database, clock)
    for handle, posts in (("ada", 600), ("quiet", 3)):
        times = [clock.now - timedelta(minutes=60 * n) for n in range(posts)]
        tweets = [Tweet(handle, f"number {n}", str(n), at, False, None, Source.X_API) for n, at in enumerate(times)]
        await store.add(handle, tweets)
    async with database.transaction() as transaction:
        await transaction.run("UPDATE accounts SET platform_id = handle, fetched_at = ?", (clock.now.isoformat(),))
    settings, prices = X(enabled=True, i_have_permission_to_train=True), Prices()
    rich, poor = (
        Forecast(database, Ledger(database, prices, Decimal(cap), clock), settings, prices, clock)
        for cap in ("20.00", "1.50")
    )
    ada, quiet = await rich.plans()
    assert (ada.handle, ada.posts_a_day, ada.every, ada.usd_a_month) == (
        "ada",
        Decimal(20),
        timedelta(hours=12),
        Decimal("3.000"),
    )
    assert (quiet.every, quiet.usd_a_month) == (timedelta(days=3), Decimal("0.015"))
    assert ada.next_at == clock.now + timedelta(hours=6)  # nothing was noted yet: after the shortest time
    assert (await poor.plans())[0].every > timedelta(hours=20)  # half of what is wanted is left


@pytest.mark.parametrize(
    "off", [{"enabled": False}, {"i_have_permission_to_train": False}, {"fetch_interval_minutes": 0.0}], ids=str
)
async def test_nothing_is_said_to_be_fetched_where_a_setting_turns_it_off(
    database: Database, clock: FakeClock, off: dict[str, object]
) -> None:
    await TweetStore(database, clock).add("ada", [Tweet("ada", "one", "1", clock.now, False, None, Source.X_API)])
    async with database.transaction() as transaction:
        await transaction.run("UPDATE accounts SET platform_id = '17', fetched_at = ?", (clock.now.isoformat(),))
    ledger = Ledger(database, Prices(), Decimal(20), clock)
    on = {"enabled": True, "i_have_permission_to_train": True}
    planned = [
        await Forecast(database, ledger, X.model_validate(settings), Prices(), clock).plans()
        for settings in (on, on | off)
    ]
    assert [len(plans) for plans in planned] == [1, 0]
