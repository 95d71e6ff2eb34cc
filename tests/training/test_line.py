"""Whose turn it is, and when: what holds for every line of trainings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.training.line import PATIENCE, RETRAINING, Asked, Earlier, Pace, Running, beginnings, in_order, seconds_left

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
NIGHT = NOON - timedelta(hours=12)
PEOPLE = ("ada", "bo", "cy")


def asked(number: int, who: str, started: int | None = None) -> Asked:
    """A training that was asked for in the minute `number`, and begun in the minute `started`."""
    cause = RETRAINING if who == RETRAINING else "discord"
    begun = None if started is None else NOON + timedelta(minutes=started)
    return Asked(number, cause, "" if who == RETRAINING else who, NOON + timedelta(minutes=number), begun)


@st.composite
def lines(draw: st.DrawFn) -> tuple[list[Asked], list[Asked]]:
    """What waits, and what was begun before."""
    people = st.sampled_from((*PEOPLE, RETRAINING))
    before = [asked(number, who, number + 1) for number, who in enumerate(draw(st.lists(people, max_size=12)))]
    waiting = [asked(100 + number, who) for number, who in enumerate(draw(st.lists(people, max_size=15)))]
    return waiting, before


def gone_through(waiting: Sequence[Asked], before: Sequence[Asked]) -> list[Asked]:
    """What happens when the first in line is begun, and ends, and the line is looked at again, until nobody waits."""
    left, begun = list(waiting), list(before)
    while left:
        first = in_order(left, begun)[0]
        [taken] = [each for each in left if each.id == first]
        left.remove(taken)
        begun.append(replace(taken, started_at=NOON + timedelta(days=1, minutes=len(begun))))
    return begun[len(before) :]


@given(lines())
def test_everybody_who_waits_stands_in_line_once(line: tuple[list[Asked], list[Asked]]) -> None:
    waiting, before = line
    assert sorted(in_order(waiting, before)) == sorted(each.id for each in waiting)


@given(lines(), st.randoms())
def test_the_line_follows_from_the_rows_in_whatever_order_they_come(
    line: tuple[list[Asked], list[Asked]], dice: object
) -> None:
    waiting, before = line
    shuffled, begun = list(waiting), list(before)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    dice.shuffle(begun)  # type: ignore[attr-defined]
    assert in_order(shuffled, begun) == in_order(waiting, before)


@given(lines())
def test_the_line_that_is_shown_is_what_happens(line: tuple[list[Asked], list[Asked]]) -> None:
    waiting, before = line
    assert [each.id for each in gone_through(waiting, before)] == in_order(waiting, before)


@given(lines())
def test_nobody_has_a_second_turn_while_somebody_else_waits_for_a_first_one(
    line: tuple[list[Asked], list[Asked]],
) -> None:
    waiting, before = line
    order = [each for each in gone_through(waiting, before) if each.cause != RETRAINING]
    for place, each in enumerate(order):
        passed = Counter(other.who for other in order[:place])
        assert all(passed[who] <= passed[each.who] + 1 for who in passed)


@given(lines())
def test_a_persons_own_trainings_go_in_the_order_of_asking(line: tuple[list[Asked], list[Asked]]) -> None:
    waiting, before = line
    order = in_order(waiting, before)
    for who in {each.who for each in waiting}:
        own = [each.id for each in waiting if each.who == who]
        assert [number for number in order if number in own] == own


@given(lines())
def test_a_retraining_lets_people_go_first_and_never_more_than_a_few(line: tuple[list[Asked], list[Asked]]) -> None:
    waiting, before = line
    run = 0  # people's trainings in a row while one of ours waits
    ours_left = sum(each.cause == RETRAINING for each in waiting)
    people_left = len(waiting) - ours_left
    for each in gone_through(waiting, before):
        if each.cause == RETRAINING:
            assert run == PATIENCE or not people_left
            run, ours_left = 0, ours_left - 1
        else:
            people_left -= 1
            run += bool(ours_left)
        assert run <= PATIENCE


def test_ten_of_one_do_not_hold_up_the_one_of_another() -> None:
    waiting = [*(asked(number, "ada") for number in range(10)), asked(10, "bo")]
    assert in_order(waiting, [])[:3] == [0, 10, 1]


def test_who_comes_later_still_has_a_turn_before_those_who_had_one() -> None:
    """Ada's first has begun; bo asks when she still has nine."""
    waiting = [*(asked(number, "ada") for number in range(1, 10)), asked(20, "bo")]
    assert in_order(waiting, [asked(0, "ada", 1)])[:2] == [20, 1]


def test_the_same_id_on_two_platforms_is_two_people() -> None:
    one, other = asked(1, "7"), asked(2, "7")
    third = Asked(3, "web", "7", NOON, None)
    assert in_order([one, other, third], []) == [1, 3, 2]


def test_what_was_cut_off_goes_on_first() -> None:
    assert in_order([asked(1, "ada"), asked(2, "bo", started=3)], [asked(2, "bo", started=3)]) == [2, 1]


# --- When ---

EARLIER = [Earlier(seconds, 1_000, 60.0) for seconds in (290.0, 300.0, 310.0, 40_000.0)]  # the last stood still a night


def test_the_pace_is_what_is_usual_here() -> None:
    pace = Pace.by(EARLIER)
    assert pace.of(2_000) == pytest.approx(610)
    assert pace.judging == 60.0
    assert Pace.by([]) == Pace(None, None)


@pytest.mark.parametrize(
    ("running", "is_judged", "left"),
    [
        pytest.param(Running(1_000, NOON, None, None, None), True, 270.0, id="it has not said"),
        pytest.param(Running(1_000, NOON, None, 100.0, NIGHT), False, 70.0, id="it was cut off for a night"),
        pytest.param(Running(1_000, NOON, None, 100.0, NOON), True, 130.0, id="it learns, and will be judged"),
        pytest.param(Running(1_000, NOON, None, 100.0, NOON), False, 70.0, id="it learns"),
        pytest.param(Running(1_000, NOON, NOON, 0.0, NOON), True, 30.0, id="it is judged"),
        pytest.param(Running(10, NOON, None, 1.0, NOON), False, 0.0, id="it should have ended"),
    ],
)
def test_what_runs_has_so_many_seconds_left(running: Running, is_judged: bool, left: float) -> None:
    pace = Pace(0.3, 60.0)
    assert seconds_left(running, pace, is_judged, NOON + timedelta(seconds=30)) == pytest.approx(left)


def test_nothing_is_made_up_where_nothing_is_known() -> None:
    unknown = Pace.by([])
    running = Running(1_000, NOON, None, None, None)
    assert seconds_left(None, Pace(0.3, 60.0), True, NOON) is None
    assert seconds_left(running, unknown, True, NOON) is None
    assert seconds_left(replace(running, left=100.0, said_at=NOON), unknown, True, NOON) is None
    assert seconds_left(replace(running, left=100.0, said_at=NOON), unknown, False, NOON) == 100.0
    assert beginnings(NOON, None, [60.0, 60.0]) == [None, None]
    assert beginnings(NOON, 0.0, [None, 60.0]) == [NOON, None]


def test_each_begins_when_all_before_it_have_ended_to_the_minute() -> None:
    found = beginnings(NOON + timedelta(seconds=5), 30.0, [60.0, 300.0, 1.0])
    assert found == [NOON + timedelta(minutes=minutes) for minutes in (1, 2, 7)]
