"""When the next proposal is due: intervals, times of day over clock changes, jitter, quiet hours, a number per day."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import X
from bot.replies.schedule import LATE, Schedule, spaced_from

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 11, 1, 12, tzinfo=UTC)

moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))
clocks = st.times().map(lambda at: at.strftime("%H:%M"))
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
quiet = st.one_of(st.just(""), st.lists(clocks, min_size=2, max_size=2, unique=True).map("-".join))
settings = st.builds(
    X,
    post_every_minutes=st.sampled_from([0.0, 5.0, 60.0, 1440.0]),
    post_at=st.lists(clocks, max_size=4).map(tuple),
    time_zone=zones,
    jitter_minutes=st.sampled_from([0.0, 10.0, 720.0]),
    quiet_hours=quiet,
    posts_per_day=st.integers(0, 3),
)


def schedule(account: str = "main", **settings: Any) -> Schedule:
    return Schedule.of(account, X.model_validate(settings))


def due(plan: Schedule, last: datetime | None, now: datetime, today: int = 0) -> datetime | None:
    return plan.next_due(last, START, now, today)


def berlin(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=BERLIN).astimezone(UTC)  # type: ignore[arg-type,misc]


def walked(plan: Schedule, last: datetime, days: int) -> list[datetime]:
    """The turns that come after `last`, each taken as soon as it is due."""
    turns: list[datetime] = []
    end = last + timedelta(days=days)
    while True:
        day = plan.day_of(turns[-1] if turns else last)[0]
        today = sum(turn >= day for turn in turns)
        at = due(plan, turns[-1] if turns else last, turns[-1] if turns else last, today)
        if at is None or at > end:
            return turns
        turns.append(at)


# Intervals


def test_an_interval_counts_from_the_last_proposal_and_the_first_is_due_at_once() -> None:
    plan = schedule(post_every_minutes=60.0)
    assert due(plan, None, START) == START
    assert due(plan, START, START) == START + timedelta(hours=1)


def test_after_a_downtime_one_is_due_at_once_and_the_next_an_interval_later() -> None:
    plan = schedule(post_every_minutes=60.0)
    back = START + timedelta(days=3)
    assert due(plan, START, back) == back
    assert due(plan, back, back) == back + timedelta(hours=1)


def test_nothing_is_due_without_interval_and_times_or_in_a_pause() -> None:
    assert due(schedule(), None, START) is None
    assert due(schedule(post_every_minutes=60.0, paused=True), None, START) is None


# Times of day


def test_times_of_day_are_those_of_the_time_zone() -> None:
    plan = schedule(post_at=["18:30", "09:00"], time_zone="Europe/Berlin")
    turns = walked(plan, berlin(2026, 6, 1, 8, 0), 1)
    assert turns == [berlin(2026, 6, 1, 9, 0), berlin(2026, 6, 1, 18, 30)]


def test_an_account_that_begins_waits_for_its_first_time() -> None:
    plan = schedule(post_at=["09:00"])
    assert due(plan, None, START) == datetime(2026, 11, 2, 9, tzinfo=UTC)
    assert due(plan, None, datetime(2026, 11, 2, 9, 5, tzinfo=UTC)) == datetime(2026, 11, 2, 9, 5, tzinfo=UTC)


def test_a_time_that_a_clock_change_leaves_out_is_an_hour_later_and_comes_once() -> None:
    plan = schedule(post_at=["02:30"], time_zone="Europe/Berlin")
    turns = walked(plan, berlin(2026, 3, 28, 12, 0), 2)
    assert turns == [datetime(2026, 3, 29, 1, 30, tzinfo=UTC), berlin(2026, 3, 30, 2, 30)]


def test_a_time_that_comes_twice_is_taken_once() -> None:
    plan = schedule(post_at=["02:30"], time_zone="Europe/Berlin")
    turns = walked(plan, berlin(2026, 10, 24, 12, 0), 2)
    assert turns == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), berlin(2026, 10, 26, 2, 30)]


def test_a_missed_time_is_not_made_up_for_just_before_the_next() -> None:
    plan = schedule(post_at=["09:00", "18:00"])
    back = datetime(2026, 11, 5, 17, 50, tzinfo=UTC)
    assert due(plan, START, back) == datetime(2026, 11, 5, 18, tzinfo=UTC)
    assert due(plan, START, back - timedelta(hours=1)) == back - timedelta(hours=1)


def test_missed_times_are_made_up_for_by_one() -> None:
    plan = schedule(post_at=["09:00", "10:00", "11:00"])
    back = datetime(2026, 11, 5, 11, 30, tzinfo=UTC)
    assert due(plan, START, back) == back
    assert due(plan, back, back) == datetime(2026, 11, 6, 9, tzinfo=UTC)


# Jitter


def test_jitter_is_the_same_whenever_it_is_asked_for_and_another_for_each_account_and_turn() -> None:
    plans = [schedule(name, post_every_minutes=60.0, jitter_minutes=30.0) for name in ("main", "main", "ada")]
    first, again, other = [walked(plan, START, 1) for plan in plans]
    assert first == again
    assert first != other
    waits = {later - earlier for earlier, later in pairwise(first)}
    assert len(waits) == len(first) - 1
    assert all(timedelta(minutes=60) <= wait < timedelta(minutes=90) for wait in waits)


@given(moments, st.lists(clocks, min_size=1, max_size=5), zones)
def test_jitter_never_merges_or_drops_times_of_day(last: datetime, times: list[str], zone: str) -> None:
    bare = schedule(post_at=times, time_zone=zone)
    late = schedule(post_at=times, time_zone=zone, jitter_minutes=720.0)
    plain, jittered = walked(bare, last, 3), walked(late, last, 4)
    assert all(slot <= turn for slot, turn in zip(plain, jittered, strict=False))
    assert all(turn < following for turn, following in zip(jittered, plain[1:], strict=False))


# Quiet hours and the number per day


@pytest.mark.parametrize(
    ("hours", "at", "opens"),
    [
        ("23:00-07:00", (2026, 6, 1, 23, 0), (2026, 6, 2, 7, 0)),
        ("23:00-07:00", (2026, 6, 2, 3, 0), (2026, 6, 2, 7, 0)),
        ("23:00-07:00", (2026, 6, 2, 7, 0), (2026, 6, 2, 7, 0)),
        ("12:00-13:00", (2026, 6, 2, 12, 59), (2026, 6, 2, 13, 0)),
        ("12:00-13:00", (2026, 6, 2, 11, 59), (2026, 6, 2, 11, 59)),
    ],
)
def test_quiet_hours_put_a_turn_off_until_they_end(hours: str, at: tuple[int, ...], opens: tuple[int, ...]) -> None:
    plan = schedule(post_every_minutes=60.0, quiet_hours=hours, time_zone="Europe/Berlin")
    assert plan.open_from(berlin(*at), berlin(*at), 0) == berlin(*opens)


def test_after_a_quiet_night_there_is_one_turn() -> None:
    plan = schedule(post_every_minutes=60.0, quiet_hours="22:00-08:00")
    turns = walked(plan, datetime(2026, 11, 1, 20, 30, tzinfo=UTC), 1)
    assert [turn.strftime("%H:%M") for turn in turns[:3]] == ["21:30", "08:00", "09:00"]


def test_a_full_day_goes_on_with_the_next() -> None:
    plan = schedule(post_every_minutes=60.0, posts_per_day=2, time_zone="Europe/Berlin")
    now = berlin(2026, 6, 1, 15, 0)
    assert due(plan, now, now, 2) == berlin(2026, 6, 2, 0, 0)


@given(settings, moments, st.integers(0, 3))
def test_a_turn_is_never_in_the_past_nor_in_quiet_hours_nor_on_a_full_day(
    given_settings: X, now: datetime, today: int
) -> None:
    plan = Schedule.of("main", given_settings)
    at = plan.next_due(now - timedelta(hours=5), now, now, today)
    if at is None:
        assert not (given_settings.post_every_minutes or given_settings.post_at)
        return
    assert at >= now
    assert plan.quiet is None or at not in plan.quiet
    if plan.per_day and today >= plan.per_day:
        assert at >= plan.day_of(now)[1]


@given(settings, moments)
def test_however_long_it_was_down_there_is_one_turn_and_then_the_ordinary_wait(
    given_settings: X, now: datetime
) -> None:
    plan = Schedule.of("main", given_settings)
    missed = plan.next_due(now - timedelta(days=30), now, now, 0)
    if missed is not None:
        following = plan.next_due(missed, now, missed, 0)
        assert following is not None
        assert following > missed


@given(settings, moments)
def test_no_day_has_more_turns_than_it_may(given_settings: X, last: datetime) -> None:
    plan = Schedule.of("main", given_settings)
    days = [plan.day_of(turn)[0] for turn in walked(plan, last, 2)]
    assert not plan.per_day or all(days.count(day) <= plan.per_day for day in days)


def test_a_time_of_day_stands_for_itself() -> None:
    assert schedule(post_at=["09:00", "09:00"]).times == (time(9),)


def test_what_is_late_goes_out_some_time_after_the_last_post() -> None:
    before = START - timedelta(minutes=4)
    assert spaced_from(START - LATE, before, START) == START
    assert spaced_from(START - LATE - timedelta(seconds=1), before, START) == before + LATE
    assert spaced_from(START - timedelta(days=1), None, START) == START
