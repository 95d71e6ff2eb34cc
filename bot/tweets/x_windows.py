"""How many requests X takes yet: what the headers of its answers say, so that what it would refuse is not sent.

Outcome: `require` raises `XRateLimited` for a route of which X has said that nothing is left, until the time that it
named; `note` reads that from the headers of an answer. It is in memory only: after a restart one refusal says it anew.

X counts in windows of 15 minutes for each route, an app's and a user's apart, and some routes in 24 hours as well. A
clock that goes wrong here can't hold anything up for longer than such a span.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.errors import XRateLimited

# Prefixes of headers and the span that they speak of.
_SPANS = {
    "x-user-limit-24hour": timedelta(days=1),
    "x-app-limit-24hour": timedelta(days=1),
    "x-rate-limit": timedelta(minutes=15),
}
_NAMES = (("/:id", re.compile(r"/\d+(?=/|$)")), ("/username/:name", re.compile(r"/username/[^/]+")))


@dataclass(frozen=True, slots=True)
class Window:
    """What X has said about one kind of request."""

    remaining: int  # requests that it takes yet
    resets_at: datetime  # UTC; from then on it counts anew


def windows_of(headers: Mapping[str, str], now: datetime) -> list[Window]:
    """What the headers of an answer say; a time that is further away than the span is long is brought nearer."""
    found = []
    for prefix, span in _SPANS.items():
        remaining, reset = headers.get(f"{prefix}-remaining", ""), headers.get(f"{prefix}-reset", "")
        if remaining.isdecimal() and reset.isdecimal():
            at = min(datetime.fromtimestamp(int(reset), UTC), now + span)
            found.append(Window(int(remaining), at))
    return found


class Windows:
    """What X has said last, by who asks and by route."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """`clock` gives UTC."""
        self._clock = clock
        self._until: dict[tuple[str, str], datetime] = {}  # nothing is left of it until then

    def require(self, who: str, method: str, route: str) -> None:
        """Return when a request may be sent. `who` is app or user."""
        until = self._until.get((who, _name(method, route)))
        if until is not None and self._clock() < until:
            raise XRateLimited(
                "X takes no more requests of this kind for now, so none was sent; "
                f"try again after {until:%Y-%m-%d %H:%M:%S} UTC.",
                until,
            )

    def note(self, who: str, method: str, route: str, headers: Mapping[str, str]) -> None:
        """Remember what an answer said about what is left."""
        key = who, _name(method, route)
        used_up = [window.resets_at for window in windows_of(headers, self._clock()) if not window.remaining]
        if used_up:
            self._until[key] = max(used_up)
        else:
            self._until.pop(key, None)


def _name(method: str, route: str) -> str:
    for name, pattern in _NAMES:
        route = pattern.sub(name, route)
    return f"{method} {route}"
