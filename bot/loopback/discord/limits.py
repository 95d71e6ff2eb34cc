"""Rate limits that are counted, as Discord counts them: for each route and each channel, guild or webhook by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice

_MAJOR = ("channel_id", "guild_id", "webhook_id", "webhook_token")
_UNCOUNTED = "POST /interactions/"  # callbacks are not bound by the global limit
_SECOND = 1.0


@dataclass(slots=True)
class Window:
    """How many requests are left until when."""

    limit: int
    resets_at: float  # seconds since the epoch
    used: int = 0


@dataclass(frozen=True, slots=True)
class Excess:
    """A request too many."""

    retry_after: float  # seconds
    everywhere: bool  # whether it is the limit over all routes


class Limits:
    """Counts requests in windows; a route without a limit is counted by the global one only."""

    def __init__(
        self,
        limits: Mapping[str, tuple[int, float]],
        global_limit: int | None,
        clock: Callable[[], float],
    ) -> None:
        """`limits` says how many requests a route such as "POST /channels/{channel_id}/messages" takes in how many
        seconds, `global_limit` how many all routes together take in one second; None counts nothing.
        """
        self._limits = limits
        self._global_limit = global_limit
        self._clock = clock
        self._windows: dict[tuple[str, ...], Window] = {}

    def take(self, route: str, values: Mapping[str, str]) -> Excess | None:
        """Count one request; what to tell the client if it was one too many."""
        if self._global_limit is not None and not route.startswith(_UNCOUNTED):
            window = self._window((), self._global_limit, _SECOND)
            if window.used >= window.limit:
                return Excess(self._left(window), everywhere=True)
            window.used += 1
        if route not in self._limits:
            return None
        window = self._window(self._key(route, values), *self._limits[route])
        if window.used >= window.limit:
            return Excess(self._left(window), everywhere=False)
        window.used += 1
        return None

    def headers(self, route: str, values: Mapping[str, str]) -> dict[str, str]:
        """What an answer says about its route's limit."""
        bucket = {"X-RateLimit-Bucket": hashlib.sha256(route.encode()).hexdigest()[:32]}
        if route not in self._limits:
            plenty = {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "999"}
            return plenty | {"X-RateLimit-Reset": "0.0", "X-RateLimit-Reset-After": "0.0"} | bucket
        window = self._window(self._key(route, values), *self._limits[route])
        return bucket | {
            "X-RateLimit-Limit": str(window.limit),
            "X-RateLimit-Remaining": str(window.limit - window.used),
            "X-RateLimit-Reset": f"{window.resets_at:.3f}",
            "X-RateLimit-Reset-After": f"{self._left(window):.3f}",
        }

    def _key(self, route: str, values: Mapping[str, str]) -> tuple[str, ...]:
        return (route, *(values[name] for name in _MAJOR if name in values))

    def _window(self, key: tuple[str, ...], limit: int, seconds: float) -> Window:
        """The window that is open now; those that have closed are forgotten as new ones open."""
        now = self._clock()
        window = self._windows.get(key)
        if window is None or window.resets_at <= now:
            self._windows.pop(key, None)
            for old in [k for k, w in list(islice(self._windows.items(), 2)) if w.resets_at <= now]:
                del self._windows[old]
            window = self._windows[key] = Window(limit, now + seconds)
        return window

    def _left(self, window: Window) -> float:
        return max(0.001, round(window.resets_at - self._clock(), 3))
