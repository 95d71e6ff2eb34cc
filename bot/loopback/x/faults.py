"""What a test plans to go wrong: answers that replace X's own, connections that break, requests that are held up."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bot.loopback.x.answers import Document, XRefusal
from bot.loopback.x.routes import ROUTES, Answer, Route


class Moment(Enum):
    """When a request is held up or cut off."""

    BEFORE = "before"  # nothing was looked at yet
    AFTER = "after"  # it was done and charged, and the answer is under way


@dataclass(slots=True)
class Hold:
    """A request that is held up."""

    route: str
    moment: Moment
    skip: int
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)


Planned = XRefusal | Answer | Moment  # a moment: the connection breaks then


class Faults:
    """The plans, by route."""

    def __init__(self) -> None:
        self._planned: defaultdict[str, deque[Planned]] = defaultdict(deque)
        self._holds: list[Hold] = []

    def plan(self, route: str, planned: Planned, times: int) -> None:
        """Let the next `times` requests to the route end so."""
        require_route(route)
        lost = planned is XRefusal.ANSWER_LOST
        self._planned[route].extend([Moment.AFTER if lost else planned] * times)

    def next_for(self, route: Route) -> Planned | None:
        """What is planned for this request; it is used up by that."""
        planned = self._planned[route.name]
        return planned.popleft() if planned else None

    def hold(self, route: str, moment: Moment, skip: int) -> Hold:
        """Hold up a request to the route, after `skip` others, until the hold is released."""
        hold = Hold(route, moment, skip)
        self._holds.append(hold)
        return hold

    def forget_holds(self) -> None:
        """Let every further request pass."""
        self._holds.clear()

    async def held(self, route: Route, moment: Moment) -> None:
        """Return at once, or when the hold that meets this request is released."""
        hold = next((h for h in self._holds if (h.route, h.moment) == (route.name, moment)), None)
        if hold is None:
            return
        if hold.skip:
            hold.skip -= 1
            return
        self._holds.remove(hold)
        hold.arrived.set()
        await hold.release.wait()


def require_route(route: str) -> None:
    """Raises LookupError when no such route is played."""
    names = [known.name for known in ROUTES]
    if route not in names:
        raise LookupError(f"{route} is not played; played are {', '.join(names)}")


def written(status: int, body: Document | str, headers: Mapping[str, str] | None) -> Answer:
    """An answer as a test has written it: a JSON object, or a text that is sent as a web page."""
    if isinstance(body, str):
        return Answer(status, None, headers or {}, ours=False, text=body, media_type="text/html")
    return Answer(status, body, headers or {}, ours=False)
