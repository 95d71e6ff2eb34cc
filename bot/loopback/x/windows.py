"""How many requests are left until when: X's windows of 15 minutes and of a day, by the test's clock. No network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.loopback.x.answers import FIXED, XRefusal, invalid_value, unseen_user
from bot.loopback.x.routes import Answer, Call, Caller, Refused, Route, Scope

WINDOW_S = 15 * 60
DAY_S = 24 * 60 * 60


@dataclass(slots=True)
class Window:
    """How many requests are left until when."""

    limit: int
    used: int
    resets_at: int  # seconds since 1970

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    def headers(self, prefix: str) -> dict[str, str]:
        """What X writes about it at the head of an answer."""
        return {
            f"{prefix}-limit": str(self.limit),
            f"{prefix}-remaining": str(self.remaining),
            f"{prefix}-reset": str(self.resets_at),
        }


class Windows:
    """Counts requests by route and by whoever makes them: an app with its bearer token, or a user."""

    def __init__(self, clock: Callable[[], datetime], limits: Mapping[str, int]) -> None:
        """`limits` replaces the requests that a route allows in 15 minutes, by the route's name."""
        self._clock = clock
        self._limits = dict(limits)
        self._windows: dict[tuple[str, str], Window] = {}  # by route and by whom

    def count(self, route: Route, caller: Caller) -> dict[str, str]:
        """The headers about what is left, after counting this request; refused when nothing was left."""
        limit = route.app_limit if caller.scope is Scope.APP else route.user_limit
        whose = f"{caller.scope.value} {caller.account_id or caller.app_id}"
        window = self._window(route, whose, self._limits.get(route.name, limit), WINDOW_S)
        day = self._window(route, f"day {caller.app_id}", route.day_limit, DAY_S) if route.day_limit else None
        exhausted = not window.remaining or (day is not None and not day.remaining)
        for counted in (window, day):
            if counted is not None and not exhausted:
                counted.used += 1
        headers = window.headers("x-rate-limit")
        if day is not None:
            headers |= day.headers("x-app-limit-24hour")
        if exhausted:
            raise Refused(Answer.of(XRefusal.WINDOW).with_headers(headers))
        return headers

    def refusal(self, refusal: XRefusal, call: Call) -> Answer:
        """The answer of a refusal that a test has planned, with the headers that X would send."""
        now = int(self._clock().timestamp())
        answer = _body(refusal, call)
        if refusal is XRefusal.UNAUTHORIZED or answer.document is None:
            return answer  # recorded without any x-rate-limit header
        used_up = Window(100, 100 if refusal is XRefusal.WINDOW else 1, now + WINDOW_S)
        headers = used_up.headers("x-rate-limit")
        if refusal is XRefusal.DAY_OF_POSTS:
            headers |= Window(10_000, 10_000, now + DAY_S).headers("x-app-limit-24hour")
        return answer.with_headers(headers)

    def _window(self, route: Route, whose: str, limit: int, length_s: int) -> Window:
        now = int(self._clock().timestamp())
        window = self._windows.get((route.name, whose))
        if window is None or window.resets_at <= now:
            window = self._windows[route.name, whose] = Window(limit, 0, now + length_s)
        return window


def _body(refusal: XRefusal, call: Call) -> Answer:
    if refusal in FIXED:
        return Answer.of(refusal)
    if refusal is XRefusal.INVALID_REQUEST:
        return Answer(400, invalid_value("since_id", call.query.get("since_id", ""), "is not valid"))
    if refusal is XRefusal.UNKNOWN_FIELD:
        name = next((name for name in call.sent if name.endswith(("tweet.fields", "post.fields"))), "tweet.fields")
        return Answer(400, invalid_value(name, call.sent.get(name, ""), "is not one of [id,text]"))
    parameter, subject = next(iter(call.parameters.items()), ("id", "0"))
    return Answer(200, {"errors": [unseen_user(parameter, subject, refusal)]})
