"""What goes wrong on X: whole outages, and single requests that fail."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.loopback.x import LoopbackX, Moment, XRefusal

POST = "POST /2/tweets"
DELETE = "DELETE /2/tweets/:id"
MENTIONS = "GET /2/users/:id/mentions"
TIMELINE = "GET /2/users/:id/tweets"
PEOPLE = "GET /2/users"
POSTS = "GET /2/tweets"
ALL = (POST, DELETE, MENTIONS, TIMELINE, PEOPLE, POSTS)
READS = (MENTIONS, TIMELINE, PEOPLE, POSTS)
_WRITES = (POST, DELETE)

# What an outage does to which routes.
OUTAGES: Sequence[tuple[XRefusal | Moment, Sequence[str]]] = (
    (Moment.BEFORE, ALL),
    (Moment.AFTER, (POST,)),
    (XRefusal.OVER_CAPACITY, ALL),
    (XRefusal.INTERNAL_ERROR, ALL),
    (XRefusal.GATEWAY_TIMEOUT, _WRITES),
    (XRefusal.BAD_GATEWAY, READS),
    (XRefusal.WEB_PAGE, ALL),
    (XRefusal.WINDOW, (POST,)),
    (XRefusal.WINDOW, (MENTIONS, TIMELINE)),
    (XRefusal.DAY_OF_POSTS, (POST,)),
    (XRefusal.DAILY_CAP, READS),
    (XRefusal.MONTHLY_CAP, ALL),
    (XRefusal.CREDITS_DEPLETED, ALL),
    (XRefusal.SPENDING_LIMIT, ALL),
    (XRefusal.UNAUTHORIZED, ALL),
    (XRefusal.ACCOUNT_LOCKED, _WRITES),
)
# What happens to a single request.
_MISHAPS: Sequence[tuple[XRefusal | Moment, str]] = (
    (XRefusal.ANSWER_LOST, POST),
    (XRefusal.ANSWER_LOST, POST),
    (XRefusal.ANSWER_LOST, DELETE),
    (XRefusal.ANSWER_LOST, MENTIONS),
    (XRefusal.ANSWER_LOST, TIMELINE),
    (XRefusal.ANSWER_LOST, PEOPLE),
    (XRefusal.INTERNAL_ERROR, POST),
    (XRefusal.GATEWAY_TIMEOUT, POST),
    (XRefusal.UNAVAILABLE, TIMELINE),
    (XRefusal.WINDOW, POST),
    (XRefusal.NOT_PERMITTED, POST),
    (Moment.BEFORE, POST),
    (Moment.BEFORE, MENTIONS),
)
_LATELY = timedelta(hours=2)
EVENING = 22  # from this hour (UTC) on nothing goes wrong: what is read then may not be read again on that day


def evening_of(now: datetime) -> datetime:
    """When the present day becomes calm."""
    return now.replace(hour=EVENING, minute=0, second=0, microsecond=0)


class Weather:
    """Goes wrong as planned."""

    def __init__(
        self, x: LoopbackX, begin: datetime, end: datetime, outages: int, mishaps: int, chance: random.Random
    ) -> None:
        self._x = x
        self._chance = chance
        length = (end - begin).total_seconds()
        starts = sorted(begin + timedelta(seconds=chance.uniform(0, length)) for _ in range(outages))
        self._outages = [(start, start + timedelta(minutes=chance.choice((15, 40, 90, 200, 360)))) for start in starts]
        self._mishaps = sorted(begin + timedelta(seconds=chance.uniform(0, length)) for _ in range(mishaps))
        self._kinds = [OUTAGES[number % len(OUTAGES)] for number in range(outages)]
        chance.shuffle(self._kinds)
        self._over_at: datetime | None = None
        self._last: datetime | None = None  # when something went wrong
        self.is_fine = True  # nothing goes wrong, nor did lately
        self.seen: Counter[str] = Counter()

    def change(self, now: datetime) -> None:
        """The weather of now."""
        self.is_fine = self._over_at is None and (self._last is None or now - self._last > _LATELY)
        if (self._over_at is not None and now >= self._over_at) or now >= evening_of(now):
            self.clear()
        if now >= evening_of(now):
            return
        if self._over_at is None and self._outages and self._outages[0][0] <= now:
            _, self._over_at = self._outages.pop(0)
            self._last = self._over_at
            what, routes = self._kinds.pop()
            for route in routes:
                self._plan(what, route, 400)
        while self._mishaps and self._mishaps[0] <= now:
            self._mishaps.pop(0)
            what, route = self._chance.choice(_MISHAPS)
            self._last = now
            self._plan(what, route, 1)

    def clear(self) -> None:
        """Nothing goes wrong."""
        self._over_at = None
        self._x.forget_plans()

    def _plan(self, what: XRefusal | Moment, route: str, times: int) -> None:
        self.seen[f"{what.value}, {route}"] += 1
        if isinstance(what, Moment):
            self._x.cut_next(route, what, times)
        else:
            self._x.fail_next(route, what, times)
