"""Dates as data sets write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.tweets.moments import Order, is_numeric, moment, moment_in, order_of

TEN = datetime(2018, 7, 1, 10, 0, tzinfo=UTC)
EVENING = datetime(2018, 7, 1, 22, 5, tzinfo=UTC)
DAY = datetime(2018, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "when"),
    [
        ("2018/07/01 10:00:00", TEN),
        ("2018/7/1", DAY),
        ("01.07.2018 10:00", TEN),
        ("1.7.2018", DAY),
        ("Jul 1, 2018", DAY),
        ("July 1, 2018 at 10:05 PM", EVENING),
        ("Jul 1, 2018 · 10:05 PM UTC", EVENING),
        ("1 Jul 2018 22:05", EVENING),
        ("10:05 PM - 1 Jul 2018", EVENING),
        ("2018-07-01 22:05", EVENING),
        ("20180701", DAY),
        ("31.02.2018", None),
        ("Foo 1, 2018", None),
        ("1 Jul 2018 25:00", None),
    ],
)
def test_dates_that_tell_their_order(written: str, when: datetime | None) -> None:
    assert moment(written) == when


@pytest.mark.parametrize(
    ("written", "order", "when"),
    [
        ("13/04/2019", Order.DAY, datetime(2019, 4, 13, tzinfo=UTC)),
        ("04/13/2019 22:05:07", Order.MONTH, datetime(2019, 4, 13, 22, 5, 7, tzinfo=UTC)),
        ("4/13/19 12:30 AM", Order.MONTH, datetime(2019, 4, 13, 0, 30, tzinfo=UTC)),
        ("12-31-2017 23:21:36", Order.MONTH, datetime(2017, 12, 31, 23, 21, 36, tzinfo=UTC)),
    ],
)
def test_a_number_above_twelve_tells_the_order(written: str, order: Order, when: datetime) -> None:
    assert moment(written) is None
    assert is_numeric(written)
    assert order_of(written) is order
    assert moment_in(order, written) == when


@pytest.mark.parametrize("written", ["03/04/2019", "3/4/19", "12-12-2012 10:00"])
def test_without_one_a_date_tells_nothing(written: str) -> None:
    assert is_numeric(written)
    assert order_of(written) is None
    assert moment_in(Order.DAY, written) != datetime(2019, 3, 4, tzinfo=UTC)


@given(st.text(max_size=40) | st.from_regex(r"[0-9/.:\- APMTZ+]{0,30}", fullmatch=True))
def test_anything_else_is_no_date_and_no_failure(written: str) -> None:
    found = moment(written)
    assert found is None or found.tzinfo is UTC
    for order in Order:
        moment_in(order, written)
    order_of(written)


@given(st.datetimes(datetime(2006, 3, 21), datetime(2030, 1, 1)))
def test_a_time_in_every_form_is_the_same_time(when: datetime) -> None:
    when = when.replace(microsecond=0, tzinfo=UTC)
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    v1 = f"Mon {months[when.month - 1]} {when:%d %H:%M:%S} +0000 {when.year}"
    for form in (v1, when.isoformat(), f"{when:%Y-%m-%d %H:%M:%S} +0000", f"{when:%Y-%m-%dT%H:%M:%S.000Z}"):
        assert moment(form) == when
    assert moment(int(when.timestamp())) == moment(int(when.timestamp()) * 1000) == when
