"""A moment to come, as people write it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bot.errors import Refused
from bot.replies.later import moment_to_come

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)  # 13:00 in Berlin


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-30 18:05", "2026-11-30T17:05:00+00:00"),
        ("2026-11-30T18:05", "2026-11-30T17:05:00+00:00"),
        (" 18:05 ", "2026-11-30T17:05:00+00:00"),
        ("12:30", "2026-12-01T11:30:00+00:00"),  # it was half past twelve before
        ("2026-12-01T00:00Z", "2026-12-01T00:00:00+00:00"),
        ("2027-03-28 02:30", "2027-03-28T01:30:00+00:00"),  # left out by a clock change: an hour later
        ("2027-10-31 02:30", "2027-10-31T00:30:00+00:00"),  # comes twice: the first
    ],
)
def test_a_time_means_the_moment_of_the_time_zone(text: str, wanted: str) -> None:
    assert moment_to_come(text, BERLIN, NOW).isoformat() == wanted


@pytest.mark.parametrize("text", ["", "soon", "25:00", "2026-13-01 10:00", "2026-11-30 13:00", "2028-01-01 10:00"])
def test_what_is_no_moment_to_come_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        moment_to_come(text, BERLIN, NOW)


@pytest.mark.parametrize("text", ["0001-01-01 00:00", "9999-12-31T23:59-23:00"])
def test_a_year_that_no_clock_knows_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        moment_to_come(text, BERLIN, NOW)
