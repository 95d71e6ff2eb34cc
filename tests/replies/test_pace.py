"""Mentions are read less often where limits and money ask for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.replies.pace import LONGEST, SHORTEST, pace

MIDDLE = datetime(2026, 11, 16, tzinfo=UTC)
FIVE = timedelta(minutes=5)


def test_while_money_lasts_the_settings_decide() -> None:
    assert pace(FIVE, 0.45, MIDDLE) == FIVE


def test_where_money_goes_faster_than_the_month_the_time_between_two_looks_grows() -> None:
    assert pace(FIVE, 0.75, MIDDLE) == FIVE * 1.5


def test_it_grows_to_an_hour_at_most_and_leaves_longer_ones_alone() -> None:
    assert pace(FIVE, 1.0, datetime(2026, 11, 1, tzinfo=UTC)) == LONGEST
    assert pace(timedelta(hours=3), 1.0, MIDDLE) == timedelta(hours=3)


def test_it_is_never_so_short_that_the_window_of_x_is_used_up() -> None:
    assert pace(timedelta(seconds=1), 0.0, MIDDLE) == SHORTEST
