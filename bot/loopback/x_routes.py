"""The routes of X that are played, and what a request and an answer are. No network here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from bot.loopback.x_answers import FIXED, Document, XRefusal


class Scope(Enum):
    """Whose window a request is counted in."""

    APP = "app"  # a bearer token
    USER = "user"  # the keys of a user


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, once the credentials were checked."""

    scope: Scope
    account_id: str | None  # of the user whose keys were used; None for a bearer token


@dataclass(frozen=True, slots=True)
class Call:
    """A request of a played route, read and not yet answered."""

    route: Route
    parameters: Mapping[str, str]  # of the path
    query: Mapping[str, str]  # in the older of X's vocabularies
    body: Document | None
    sent: Mapping[str, str]  # the query as it came
    text: str  # the body as it came

    def listed(self, name: str) -> list[str]:
        """The values of a comma-separated parameter; none when it is absent."""
        return [value for value in self.query.get(name, "").split(",") if value]


@dataclass(frozen=True, slots=True)
class Route:
    """A route that is played."""

    name: str  # as X's documentation writes it: "GET /2/users/:id/tweets"
    handler: str  # the name of the method that answers
    app_limit: int  # requests in 15 minutes with a bearer token; 0 when such a token is not accepted
    user_limit: int  # requests in 15 minutes with a user's keys; 0 when such keys are not accepted
    query: frozenset[str] = frozenset()  # names of query parameters that it takes
    day_limit: int = 0  # requests of the app in 24 hours; 0 when there is no such limit
    described: bool = True  # whether X's OpenAPI documents know it

    @property
    def method(self) -> str:
        return self.name.split()[0]

    @property
    def pattern(self) -> str:
        return re.sub(r":(\w+)", r"{\1}", self.name.split()[1])


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int
    document: Document | None  # None when a web page is sent
    headers: Mapping[str, str] = field(default_factory=dict)
    ours: bool = True  # False for recorded bodies, which an OpenAPI document of another year doesn't describe
    lost: bool = False  # the connection breaks instead
    text: str | None = None  # a file is sent

    @classmethod
    def of(cls, refusal: XRefusal) -> Answer:
        """The answer of a refusal that does not depend on what was asked."""
        return cls(*FIXED[refusal])

    def with_headers(self, headers: Mapping[str, str]) -> Answer:
        return replace(self, headers={**headers, **self.headers})


class Refused(Exception):
    """Ends the handling of a request with an answer other than the one asked for."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(slots=True)
class Window:
    """How many requests are left until when."""

    limit: int
    used: int
    resets_at: int  # seconds since 1970

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)


_POST_QUERY = frozenset({"expansions", "tweet.fields", "user.fields", "media.fields", "poll.fields", "place.fields"})
_USER_QUERY = frozenset({"expansions", "tweet.fields", "user.fields"})
_PAGE_QUERY = _POST_QUERY | {
    "since_id", "until_id", "start_time", "end_time", "max_results", "pagination_token"
}  # fmt: skip

# Limits: X's page on rate limits, August 2026.
ROUTES = (
    Route("GET /2/users/by/username/:username", "_user_by_name", 300, 900, _USER_QUERY),
    Route("GET /2/users/by", "_users_by_name", 300, 900, _USER_QUERY | {"usernames"}),
    Route("GET /2/users", "_users_by_id", 300, 900, _USER_QUERY | {"ids"}),
    Route("GET /2/users/me", "_me", 0, 75, _USER_QUERY),
    Route("GET /2/users/:id", "_user_by_id", 300, 900, _USER_QUERY),
    Route("GET /2/users/:id/tweets", "_timeline_page", 10_000, 900, _PAGE_QUERY | {"exclude"}),
    Route("GET /2/users/:id/mentions", "_mentions_page", 450, 300, _PAGE_QUERY),
    Route("GET /2/tweets", "_posts_by_id", 3_500, 5_000, _POST_QUERY | {"ids"}),
    Route("POST /2/tweets", "_create_post", 0, 100, day_limit=10_000),
    Route("DELETE /2/tweets/:id", "_delete_post", 0, 50),
    Route("POST /2/compliance/jobs", "_create_job", 150, 0),
    Route("GET /2/compliance/jobs/:id", "_show_job", 150, 0),
    Route("PUT /2/compliance/jobs/:id/upload", "_upload_ids", 150, 0, frozenset({"token"}), described=False),
    Route("GET /2/compliance/jobs/:id/results", "_job_results", 150, 0, frozenset({"token"}), described=False),
)
