"""Refusals that a test plans, one by one or by chance, before a request took effect or after it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True, slots=True)
class PlannedAnswer:
    """A refusal that waits for the next request to a route."""

    route: str  # "POST /channels/{channel_id}/messages"
    status: int  # 429, or a server error
    retry_after: float  # seconds; for 429 only
    everywhere: bool  # whether a 429 claims to be about all routes
    afterwards: bool = False  # whether the request takes effect, and only its answer is lost

    def payload(self) -> dict[str, Any]:
        """The JSON body of the answer."""
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            message = "You are being rate limited."
            return {"message": message, "code": 0, "retry_after": self.retry_after, "global": self.everywhere}
        return {"message": f"{self.status}: {HTTPStatus(self.status).phrase}", "code": 0}

    def headers(self) -> dict[str, str]:
        """The headers that only a refusal has."""
        if self.status != HTTPStatus.TOO_MANY_REQUESTS:
            return {}
        scope = {"X-RateLimit-Global": "true"} if self.everywhere else {"X-RateLimit-Remaining": "0"}
        reset = {"X-RateLimit-Reset-After": str(self.retry_after)}
        kind = "global" if self.everywhere else "user"
        return {"Retry-After": str(math.ceil(self.retry_after)), "X-RateLimit-Scope": kind} | scope | reset


@dataclass(slots=True)
class RoughWeather:
    """Refuses a share of requests, chosen by chance."""

    share: float  # of all requests, from 0 to 1
    statuses: Sequence[int]
    lost: float  # the share of server errors that come after the request took effect
    callbacks: bool  # whether it is about the answers to interactions, too
    retry_after: float  # seconds; for 429
    chance: random.Random

    def strikes(self, route: str) -> PlannedAnswer | None:
        """The refusal that this request gets, if it gets one."""
        if route.startswith("POST /interactions/") and not self.callbacks:
            return None
        if self.chance.random() >= self.share:
            return None
        status = self.chance.choice(self.statuses)
        broken = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        afterwards = broken and self.chance.random() < self.lost
        return PlannedAnswer(route, status, self.retry_after, everywhere=False, afterwards=afterwards)
