"""Hours of the day in which nothing is done by itself, such as "23:00-07:00" in a time zone. Pure.

Outcome: `moment in QuietHours.of(hours, time_zone)`, for posting and for learning alike. Settings are checked when they
are read: there is such a time zone, and hours do not end when they begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import Self
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Hours of each day, over midnight where the start is later than the end."""

    start: time  # something may still be done up to here
    end: time  # and again from here on
    zone: ZoneInfo

    @classmethod
    def of(cls, hours: str, time_zone: str) -> Self | None:
        """The hours in a setting; None where none are named."""
        if not hours:
            return None
        start, end = (time.fromisoformat(each) for each in hours.split("-"))
        return cls(start, end, ZoneInfo(time_zone))

    def __contains__(self, moment: datetime) -> bool:
        at = moment.astimezone(self.zone).time()
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end

    @property
    def minutes(self) -> int:
        """How long they are, where no clock is changed."""
        begin, end = (each.hour * 60 + each.minute for each in (self.start, self.end))
        return (end - begin) % (24 * 60)
