"""When an account on X proposes its next post, and when what was approved may go out. Pure.

Outcome: from an account's settings, the last proposal's moment and now, `Schedule.next_due` says when the next proposal
is to be made. What was missed is made up for by one, however long the service was down, and by none where the next
time of day is near.

- *Every N minutes* counts from the last proposal. An account that never had one is due at once.
- *Times of day* are those of the time zone. A time that a clock change leaves out is an hour later that day; one that
  comes twice is the first of the two. An account that never had a proposal waits for the first time after its start.
- *Jitter* makes each turn later by an amount of its own, the same in every process: it is drawn from a digest of the
  account's name and the turn. It never reaches into the next time of day.
- *What is late*, because X was out of reach, hours were quiet or a day was full, goes out one by one, `LATE` apart.
- *Quiet hours* and *a number per day* move a turn to the first moment at which they allow it. Days are the time zone's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from itertools import pairwise
from zoneinfo import ZoneInfo

from bot.config import X
from bot.quiet_hours import QuietHours

_DAY = timedelta(days=1)
_BITS = 64  # of the digest that jitter is drawn from


LATE = timedelta(minutes=15)  # what could not go out for longer than that is late


def spaced_from(since: datetime, last: datetime | None, now: datetime) -> datetime:
    """From when on a post may go out that might have since `since`; `last` is when the account's last one went out."""
    return now if last is None or now - since <= LATE else last + LATE


@dataclass(frozen=True, slots=True)
class Schedule:
    """When an account speaks."""

    account: str
    interval: timedelta  # between two proposals; 0 for none
    times: tuple[time, ...]  # of day, in order; these come in the place of the interval
    zone: ZoneInfo  # of the times, the quiet hours and the days
    jitter: timedelta  # a turn is later by less than this
    quiet: QuietHours | None
    per_day: int  # 0 for no limit
    paused: bool

    @classmethod
    def of(cls, account: str, settings: X) -> Schedule:
        """The schedule in an account's settings."""
        return cls(
            account=account,
            interval=timedelta(minutes=settings.post_every_minutes),
            times=tuple(sorted({time.fromisoformat(each) for each in settings.post_at})),
            zone=ZoneInfo(settings.time_zone),
            jitter=timedelta(minutes=settings.jitter_minutes),
            quiet=QuietHours.of(settings.quiet_hours, settings.time_zone),
            per_day=settings.posts_per_day,
            paused=settings.paused,
        )

    def next_due(self, last: datetime | None, since: datetime, now: datetime, today: int) -> datetime | None:
        """When the next proposal is to be made (UTC); at once where that is past, None where none is wanted.

        `last` is the last turn's moment, `since` when the service began to wait for the first one, `today` how many
        turns there were on the present day.
        """
        if self.paused or not (self.interval or self.times):
            return None
        due = self._due_by_time(last or since, now) if self.times else self._due_by_interval(last, now)
        return self.open_from(max(due, now), now, today)

    def open_from(self, moment: datetime, now: datetime, today: int) -> datetime:
        """The first moment (UTC), `moment` or later, at which one more may go out; `today` had so many already."""
        if self.per_day and today >= self.per_day:
            moment = max(moment, self.day_of(now)[1])
        if self.quiet is None or moment not in self.quiet:
            return moment.astimezone(UTC)
        return self._end_of_quiet(self.quiet, moment)

    def day_of(self, moment: datetime) -> tuple[datetime, datetime]:
        """When the moment's day in the time zone begins and ends (UTC)."""
        day = moment.astimezone(self.zone).date()
        return self._at(day, time()), self._at(day + _DAY, time())

    def _due_by_interval(self, last: datetime | None, now: datetime) -> datetime:
        return now if last is None else last + self.interval + self.jitter * self._drawn(last)

    def _due_by_time(self, last: datetime, now: datetime) -> datetime:
        """When the first turn after `last` is due; of those that were missed the newest, or the one that comes soon."""
        last = max(last, now - _DAY)
        day = last.astimezone(self.zone).date()
        slots = sorted({self._at(day + _DAY * n, each) for n in range(-1, 4) for each in self.times})
        turns = (
            (slot + min(self.jitter, following - slot) * self._drawn(slot), following)
            for slot, following in pairwise(slot for slot in slots if slot > last)
        )
        return next(due for due, following in turns if now - due <= LATE or following - now > LATE)

    def _end_of_quiet(self, quiet: QuietHours, moment: datetime) -> datetime:
        day = moment.astimezone(self.zone).date()
        ends = [self._at(day + _DAY * n, quiet.end, fold) for n in range(3) for fold in (0, 1)]
        return min(end for end in ends if end > moment and end not in quiet)

    def _at(self, day: date, moment: time, fold: int = 0) -> datetime:
        return datetime.combine(day, moment.replace(fold=fold), self.zone).astimezone(UTC)

    def _drawn(self, turn: datetime) -> float:
        """From 0 to less than 1, the same for this account and turn whenever it is asked for."""
        name = f"{self.account} {turn.astimezone(UTC).isoformat()}".encode()
        return (int.from_bytes(blake2b(name, digest_size=_BITS // 8).digest()) >> 11) / (1 << (_BITS - 11))
