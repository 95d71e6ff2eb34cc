"""The routes of X that are played, and what a request and an answer are. No network here."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from aiohttp import web

from bot.loopback.x.answers import FIXED, Document, XRefusal


class Scope(Enum):
    """Whose window a request is counted in."""

    APP = "app"  # a bearer token of the app
    USER = "user"  # the keys or the token of a user


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, once the credentials were checked."""

    scope: Scope
    account_id: str | None  # of the user whose keys were used; None for a bearer token of the app
    app_id: str = ""
    permissions: frozenset[str] | None = None  # scopes of OAuth 2.0; None where the keys are without any


@dataclass(frozen=True, slots=True)
class Call:
    """A request of a played route, read and not yet answered."""

    route: Route
    parameters: Mapping[str, str]  # of the path
    query: Mapping[str, str]  # in the older of X's vocabularies
    body: Document | None  # of JSON; of a form or of multipart its fields
    sent: Mapping[str, str]  # the query as it came
    text: str  # the body as it came; empty for multipart
    files: Mapping[str, bytes] = field(default_factory=dict)  # parts of multipart that are files
    authorization: str = field(default="", repr=False)

    def listed(self, name: str) -> list[str]:
        """The values of a comma-separated parameter; none when it is absent."""
        return [value for value in self.query.get(name, "").split(",") if value]


@dataclass(frozen=True, slots=True)
class Route:
    """A route that is played."""

    name: str  # as X's documentation writes it: "GET /2/users/:id/tweets"
    app_limit: int  # requests in 15 minutes with a bearer token of the app; 0 when such a token is not accepted
    user_limit: int  # requests in 15 minutes for a user; 0 when a user's keys are not accepted
    query: frozenset[str] = frozenset()  # names of query parameters that it takes
    day_limit: int = 0  # requests of the app in 24 hours; 0 when there is no such limit
    described: bool = True  # whether X's OpenAPI documents know it
    scopes: frozenset[str] = frozenset()  # what a token of OAuth 2.0 must be allowed
    signed_in: bool = True  # False when no credentials are asked for in the ordinary way

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
    document: Document | None  # None when a text or the page about a fault is sent
    headers: Mapping[str, str] = field(default_factory=dict)
    ours: bool = True  # False for recorded bodies, which an OpenAPI document of another year doesn't describe
    lost: bool = False  # the connection breaks instead
    text: str | None = None  # is sent as it is
    media_type: str = "text/plain"  # of the text
    stream: Callable[[web.Request, Mapping[str, str]], Awaitable[web.StreamResponse]] | None = None

    @classmethod
    def of(cls, refusal: XRefusal) -> Answer:
        """The answer of a refusal that does not depend on what was asked."""
        return cls(*FIXED[refusal])

    def with_headers(self, headers: Mapping[str, str]) -> Answer:
        return replace(self, headers={**headers, **self.headers})


Handler = Callable[[Call, Caller], Answer]


class Refused(Exception):
    """Ends the handling of a request with an answer other than the one asked for."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


_READ = frozenset({"tweet.read", "users.read"})
_WRITE = _READ | {"tweet.write"}
_MEDIA = frozenset({"media.write"})

_POST_QUERY = frozenset({"expansions", "tweet.fields", "user.fields", "media.fields", "poll.fields", "place.fields"})
_USER_QUERY = frozenset({"expansions", "tweet.fields", "user.fields"})
_PAGE_QUERY = _POST_QUERY | {
    "since_id", "until_id", "start_time", "end_time", "max_results", "pagination_token"
}  # fmt: skip
_TOKEN = frozenset({"token"})

# Limits: X's page on rate limits, August 2026. Scopes: X's OpenAPI documents.
ROUTES = (
    Route("GET /2/users/by/username/:username", 300, 900, _USER_QUERY, scopes=_READ),
    Route("GET /2/users/by", 300, 900, _USER_QUERY | {"usernames"}, scopes=_READ),
    Route("GET /2/users", 300, 900, _USER_QUERY | {"ids"}, scopes=_READ),
    Route("GET /2/users/me", 0, 75, _USER_QUERY, scopes=_READ),
    Route("GET /2/users/:id", 300, 900, _USER_QUERY, scopes=_READ),
    Route("GET /2/users/:id/tweets", 10_000, 900, _PAGE_QUERY | {"exclude"}, scopes=_READ),
    Route("GET /2/users/:id/mentions", 450, 300, _PAGE_QUERY, scopes=_READ),
    Route("GET /2/tweets/search/stream", 50, 0, _POST_QUERY | {"backfill_minutes", "start_time", "end_time"}),
    Route("GET /2/tweets/search/stream/rules", 450, 0, frozenset({"ids", "max_results", "pagination_token"})),
    Route("POST /2/tweets/search/stream/rules", 100, 0, frozenset({"dry_run", "delete_all"})),
    Route("GET /2/tweets", 3_500, 5_000, _POST_QUERY | {"ids"}, scopes=_READ),
    Route("POST /2/tweets", 0, 100, day_limit=10_000, scopes=_WRITE),
    Route("GET /2/tweets/:id", 450, 900, _POST_QUERY, scopes=_READ),
    Route("DELETE /2/tweets/:id", 0, 50, scopes=_WRITE),
    Route("POST /2/media/upload", 0, 500, scopes=_MEDIA),
    Route("GET /2/media/upload", 0, 1_000, frozenset({"media_id", "command"}), scopes=_MEDIA),
    Route("POST /2/media/upload/initialize", 0, 1_875, scopes=_MEDIA),
    Route("POST /2/media/upload/:id/append", 0, 1_875, scopes=_MEDIA),
    Route("POST /2/media/upload/:id/finalize", 0, 1_875, scopes=_MEDIA),
    Route("POST /2/media/metadata", 0, 500, scopes=_MEDIA),
    Route("GET /2/usage/tweets", 50, 0, frozenset({"days", "usage.fields"})),
    Route("POST /2/compliance/jobs", 150, 0),
    Route("GET /2/compliance/jobs/:id", 150, 0),
    Route("PUT /2/compliance/jobs/:id/upload", 150, 0, _TOKEN, described=False),
    Route("GET /2/compliance/jobs/:id/results", 150, 0, _TOKEN, described=False),
    Route("GET /i/oauth2/authorize", 0, 0, described=False, signed_in=False),
    Route("POST /i/oauth2/authorize", 0, 0, described=False, signed_in=False),
    Route("POST /2/oauth2/token", 0, 0, described=False, signed_in=False),
    Route("POST /2/oauth2/revoke", 0, 0, described=False, signed_in=False),
)
