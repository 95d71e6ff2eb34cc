"""Whether the month's cap lasts with the present settings."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from bot.config import Prices, X
from bot.database import Database
from bot.tweets.costs import Ledger
from bot.tweets.forecast import Coming, Followed, Forecast, a_day, followed, runs_out
from bot.tweets.store import TweetStore
from bot.tweets.tweet import Source, Tweet
from tests.fakes import FakeClock

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def test_followed_accounts_are_reckoned_by_the_last_thirty_days_that_are_stored(
    database: Database, clock: FakeClock
) -> None:
    store = TweetStore(database, clock)
    for handle in ("ada", "imported"):
        tweets = [
            Tweet(handle, f"number {n}", str(n), clock.now - timedelta(days=400 + n), False, None, Source.X_API)
            for n in range(90)
        ]
        await store.add(handle, tweets)
    async with database.transaction() as transaction:
        await transaction.run("UPDATE accounts SET platform_id = '17' WHERE handle = 'ada'")
    assert await followed(database) == Followed(1, Decimal(1), 90)


async def test_nobody_followed_costs_nothing(database: Database) -> None:
    assert a_day(await followed(database), X(i_have_permission_to_train=True), Prices()) == 0


@pytest.mark.parametrize(
    ("settings", "usd"),
    [
        ({}, "0"),
        ({"i_have_permission_to_train": True}, "0.20"),
        ({"i_have_permission_to_train": True, "fetch_interval_minutes": 0.0}, "0"),
        ({"check_interval_hours": 12.0}, "0.02"),
        ({"check_interval_hours": 48.0}, "0.01"),
        ({"check_interval_hours": 24.0, "check_posts": "lookup"}, "5.02"),
        ({"persona": "nell", "post_every_minutes": 60.0}, "0.36"),
        ({"post_every_minutes": 60.0}, "0"),
    ],
)
def test_a_day_costs_what_the_settings_have_done(settings: dict[str, object], usd: str) -> None:
    chosen = X.model_validate({"check_interval_hours": 0.0, **settings})
    assert a_day(Followed(2, Decimal(40), 1_000), chosen, Prices()) == Decimal(usd)


@pytest.mark.parametrize(
    ("left", "usd_a_day", "day"),
    [
        ("10", "0", None),
        ("10", "1", None),
        ("9.5", "1", None),
        ("9.4", "1", date(2026, 11, 30)),
        ("1", "1", date(2026, 11, 22)),
        ("0", "1", date(2026, 11, 21)),
        ("20", "0.000001", None),
    ],
)
def test_the_day_on_which_nothing_is_left(left: str, usd_a_day: str, day: date | None) -> None:
    assert runs_out(Decimal(left), Decimal(usd_a_day), NOON) == day


async def test_tweets_that_are_missing_have_a_day_and_a_price(database: Database, clock: FakeClock) -> None:
    """Half of what the account posts is kept, so all of it is paid for and half of it counts."""
    tweets = [
        Tweet("ada", f"wave {n} rolls in", str(n), clock.now - timedelta(hours=12 * n), n % 2 > 0, None, Source.X_API)
        for n in range(60)
    ]
    await TweetStore(database, clock).add("ada", tweets)
    ledger = Ledger(database, Prices(), Decimal(20), clock)
    settings = X(enabled=True, i_have_permission_to_train=True)
    ours = Forecast(database, ledger, settings, Prices(), clock)
    assert await ours.coming(["ada"], 10) is None  # nobody asked for it to be fetched
    async with database.transaction() as transaction:
        await transaction.run("UPDATE accounts SET platform_id = '17'")
    assert await ours.coming(["ada", "nobody"], 10) == Coming((clock.now + timedelta(days=10)).date(), Decimal("0.100"))
    assert await ours.coming(["ada"], 366) is None
    off = X(enabled=True, i_have_permission_to_train=False)
    assert await Forecast(database, ledger, off, Prices(), clock).coming(["ada"], 10) is None
