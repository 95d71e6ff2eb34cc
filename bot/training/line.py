"""Whose turn it is: the line of trainings that wait, in order, and when each will probably begin. Pure.

Both follow from the rows alone, so a restart changes nothing and every process says the same.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

RETRAINING = "retraining"  # cause of what nobody asked for
PATIENCE = 3  # people's trainings that a retraining lets go first; then it is its turn


@dataclass(frozen=True, slots=True)
class Asked:
    """A training, as far as its turn depends on it."""

    id: int
    cause: str  # command, discord, web, retraining
    requested_by: str  # an id on its platform, or empty
    created_at: datetime  # UTC
    started_at: datetime | None  # UTC; of one that waits: it was cut off

    @property
    def who(self) -> tuple[str, str]:
        """For whom it is, as far as that is known."""
        return self.cause, self.requested_by


def in_order(waiting: Iterable[Asked], begun: Iterable[Asked]) -> list[int]:
    """The ids of what waits, the next one first; `begun` is whatever was begun before, ended or not.

    What was cut off goes on first. Then whoever asked takes turns: next is the one whose last training began longest
    ago, so that ten requests of one person do not hold up the one of another; a person's own go in the order of asking.
    A retraining lets people go first, but no more than `PATIENCE` trainings of theirs.
    """
    waiting = sorted(waiting, key=lambda each: each.id)
    cut_off = sorted((each for each in waiting if each.started_at), key=_began)
    theirs: dict[tuple[str, str], deque[int]] = defaultdict(deque)
    for each in waiting:
        if each.started_at is None and each.cause != RETRAINING:
            theirs[each.who].append(each.id)
    ours = deque(each for each in waiting if each.started_at is None and each.cause == RETRAINING)
    last_turn: dict[tuple[str, str], int] = {}
    let_go = 0  # people's trainings since the first of ours waits, or since the last of ours began
    past = sorted({*begun, *cut_off}, key=_began)
    for turn, each in enumerate(past, start=1):
        last_turn[each.who] = turn
        if each.cause == RETRAINING:
            let_go = 0
        elif ours and each.started_at and each.started_at >= ours[0].created_at:
            let_go += 1
    line = [each.id for each in cut_off]
    turn = len(past)
    while theirs or ours:
        if ours and (not theirs or let_go >= PATIENCE):
            line.append(ours.popleft().id)
            let_go = 0
            continue
        who = min(theirs, key=lambda who: (last_turn.get(who, 0), theirs[who][0]))
        line.append(theirs[who].popleft())
        if not theirs[who]:
            del theirs[who]
        turn += 1
        last_turn[who] = turn
        let_go += 1
    return line


def _began(each: Asked) -> tuple[datetime, int]:
    return each.started_at or each.created_at, each.id


# --- When it will be its turn ---


@dataclass(frozen=True, slots=True)
class Earlier:
    """How long a training took on this machine that made a version."""

    seconds: float  # from its beginning to its end
    tweets: int  # kept ones, of all its accounts
    judging: float | None  # seconds of it that went into judging; None when it was not judged


@dataclass(frozen=True, slots=True)
class Running:
    """The training under way, as far as its end depends on it."""

    tweets: int
    since: datetime  # UTC; when it came to its present stage, which it does anew after it was cut off
    judging_since: datetime | None  # UTC; None before
    left: float | None  # seconds that it said it would still learn; None when it has not said
    said_at: datetime | None  # UTC, when


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast this machine learns, by what it did before; None is unknown yet."""

    seconds_per_tweet: float | None
    judging: float | None  # seconds

    @staticmethod
    def by(earlier: Sequence[Earlier]) -> Pace:
        """The medians: one that was stopped for a night does not count."""
        rates = [each.seconds / each.tweets for each in earlier if each.tweets]
        judged = [each.judging for each in earlier if each.judging is not None]
        return Pace(median(rates) if rates else None, median(judged) if judged else None)

    def of(self, tweets: int) -> float | None:
        """Seconds that a training of so many tweets takes, from beginning to end."""
        return None if self.seconds_per_tweet is None else self.seconds_per_tweet * tweets


def seconds_left(running: Running | None, pace: Pace, is_judged: bool, now: datetime) -> float | None:
    """Until what runs has ended, its judging included if it `is_judged`; None when nobody can tell yet.

    Nobody can where nothing runs, either: no process may be at work, or it still sends its last one to a tracker.
    """
    if running is None:
        return None
    judging = pace.judging if is_judged else 0.0
    if running.judging_since is not None:
        return None if judging is None else max(0.0, judging - (now - running.judging_since).total_seconds())
    if running.left is None or running.said_at is None:
        whole = pace.of(running.tweets)
        return None if whole is None else max(0.0, whole - (now - running.since).total_seconds())
    if judging is None:
        return None
    return max(0.0, running.left - (now - max(running.said_at, running.since)).total_seconds()) + judging


def beginnings(now: datetime, left: float | None, lengths: Sequence[float | None]) -> list[datetime | None]:
    """When each that waits will begin, to the minute; `lengths` are their seconds, in the order of the line."""
    moments: list[datetime | None] = []
    passed = left
    for length in lengths:
        moments.append(None if passed is None else _minute(now + timedelta(seconds=passed)))
        passed = None if passed is None or length is None else passed + length
    return moments


def _minute(moment: datetime) -> datetime:
    """The next full minute: it stays the same while nothing changes."""
    seconds = moment.second + moment.microsecond / 1e6
    return moment + timedelta(seconds=math.ceil(seconds / 60) * 60 - seconds)
