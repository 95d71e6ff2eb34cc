"""How many requests X takes yet: what the headers of its answers say, so that what it would refuse is not sent.

Outcome: `require` raises `XRateLimited` for a route of which X has said that nothing is left, until the time that it
named; `note` reads that from the headers of an answer. It is kept in the database, so that every client and every
process that asks in the same name knows it, and a restart forgets nothing.

X counts in windows of 15 minutes for each route, an app's and a user's apart, and some routes in 24 hours as well; of
these there is one count for all accounts of an app. A clock that goes wrong here can't hold anything up for longer than
such a span.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import structlog

from bot.database import Database
from bot.errors import MockingbirdError, XRateLimited

# Prefixes of headers and the span that they speak of.
_SPANS = {
    "x-user-limit-24hour": timedelta(days=1),
    "x-app-limit-24hour": timedelta(days=1),
    "x-rate-limit": timedelta(minutes=15),
}
_OF_APP = "x-app-limit-24hour"
_LONGEST = max(_SPANS.values())
_NAMES = (("/:id", re.compile(r"/\d+(?=/|$)")), ("/username/:name", re.compile(r"/username/[^/]+")))

Who = Literal["bearer", "user"]  # asks: the app by itself, or in the name of an account

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Window:
    """What X has said about one kind of request."""

    remaining: int  # requests that it takes yet
    resets_at: datetime  # UTC; from then on it counts anew
    of_app: bool = False  # counted over all accounts of the app


@dataclass(frozen=True, slots=True)
class Names:
    """In whose name a client asks, without anything secret."""

    bearer: str  # for example the variable that holds the bearer token
    app: str  # likewise of the app by which the account asks
    user: str  # X's id of the account


def windows_of(headers: Mapping[str, str], now: datetime) -> list[Window]:
    """What the headers of an answer say; a time that is further away than the span is long is brought nearer."""
    found = []
    for prefix, span in _SPANS.items():
        remaining, reset = headers.get(f"{prefix}-remaining", ""), headers.get(f"{prefix}-reset", "")
        if remaining.isdecimal() and reset.isdecimal():
            at = min(datetime.fromtimestamp(int(reset), UTC), now + span)
            found.append(Window(int(remaining), at, prefix == _OF_APP))
    return found


class Windows:
    """The table `x_windows`: what X has said last, by who asks and by route."""

    def __init__(self, database: Database, names: Names, clock: Callable[[], datetime]) -> None:
        """`clock` gives UTC."""
        self._database = database
        self._names = names
        self._clock = clock

    async def require(self, who: Who, method: str, route: str) -> None:
        """Return when a request may be sent."""
        row = await self._database.one(
            "SELECT max(until) AS until FROM x_windows WHERE whose IN (?, ?) AND request = ?",
            (self._whose(who), f"app {self._names.app}", _name(method, route)),
        )
        now = self._clock()
        until = datetime.fromisoformat(row["until"]) if row and row["until"] else now
        if now < until <= now + _LONGEST:
            raise XRateLimited(
                "X takes no more requests of this kind for now, so none was sent; "
                f"try again after {until:%Y-%m-%d %H:%M:%S} UTC.",
                until,
            )

    async def note(self, who: Who, method: str, route: str, headers: Mapping[str, str]) -> None:
        """Remember what an answer said about what is left. Trouble with that is not the answer's."""
        said: dict[str, list[datetime]] = {}
        for window in windows_of(headers, self._clock()):
            used_up = said.setdefault(f"app {self._names.app}" if window.of_app else self._whose(who), [])
            if not window.remaining:
                used_up.append(window.resets_at)
        try:
            for whose, used_up in said.items():
                await self._keep(whose, _name(method, route), max(used_up, default=None))
        except MockingbirdError as error:
            log.warning("what X takes yet was not noted", reason=str(error))

    async def _keep(self, whose: str, request: str, until: datetime | None) -> None:
        """Written only where it is news: mostly something is left."""
        row = await self._database.one("SELECT until FROM x_windows WHERE whose = ? AND request = ?", (whose, request))
        if (row["until"] if row else None) == (until.isoformat() if until else None):
            return
        async with self._database.transaction() as transaction:
            await transaction.run("DELETE FROM x_windows WHERE whose = ? AND request = ?", (whose, request))
            if until is not None:
                await transaction.run("INSERT INTO x_windows VALUES (?, ?, ?)", (whose, request, until.isoformat()))

    def _whose(self, who: Who) -> str:
        return f"{who} {self._names.bearer if who == 'bearer' else self._names.user}"


def _name(method: str, route: str) -> str:
    for name, pattern in _NAMES:
        route = pattern.sub(name, route)
    return f"{method} {route}"
