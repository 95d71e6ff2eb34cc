"""Mentions are read less often where limits and money ask for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bot.replies.pace import LONGEST, SHORTEST, pace

MIDDLE = datetime(2026, 11, 16, tzinfo=UTC)
FIVE = timedelta(minutes=5)
CAP = Decimal(20)


def test_while_money_lasts_the_settings_decide() -> None:
    assert pace(FIVE, Decimal(9), CAP, MIDDLE) == FIVE


def test_where_money_goes_faster_than_the_month_the_time_between_two_looks_grows() -> None:
    assert pace(FIVE, Decimal(15), CAP, MIDDLE) == FIVE * 1.5


def test_it_grows_to_an_hour_at_most_and_leaves_longer_ones_alone() -> None:
    assert pace(FIVE, CAP, CAP, datetime(2026, 11, 1, tzinfo=UTC)) == LONGEST
    assert pace(timedelta(hours=3), CAP, CAP, MIDDLE) == timedelta(hours=3)


def test_it_is_never_so_short_that_the_window_of_x_is_used_up() -> None:
    assert pace(timedelta(seconds=1), Decimal(0), CAP, MIDDLE) == SHORTEST
