"""The REST side: one place that reads requests, answers them as Discord does, and remembers them.

A route's handler gets a `Call` and returns the JSON of its answer, None for 204, or raises `DiscordError`. Everything
that is the same for all routes is here: the token, error bodies, rate limits, refusals that a test has planned, and the
check against the official document.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web

from bot.loopback.discord.errors import DiscordError, invalid_form, invalid_json, unauthorized
from bot.loopback.discord.journal import Journal, Kind, Request
from bot.loopback.discord.limits import Limits
from bot.loopback.discord.messages import UploadedFile
from bot.loopback.discord.weather import PlannedAnswer, RoughWeather
from bot.loopback.openapi import OpenAPIContract

BASE_PATH = "/api/v10"

_NOWHERE = "(unknown route)"
_ANY_TYPE = "application/octet-stream"

# No bot token is asked for here: the token in the path is all the permission needed, or there is nothing to protect.
_OPEN_ROUTES = ("/interactions/{", "/webhooks/{webhook_id}/{webhook_token}", _NOWHERE)

# What discord.py sends by itself and Discord takes, though its document doesn't know it: in every edit of a message,
# in every command that is registered, and of every file that stays at a message that is edited.
_LIBRARY_KEYS = {"PATCH": ("tts",), "PUT": ("nsfw",)}
_LIBRARY_KEYS_OF_FILES = ("size", "url", "proxy_url", "height", "width", "content_type", "spoiler", "ephemeral")
_VIA = {"Via": "1.1 google"}  # clients take a 429 without it for a ban by the proxy in front of Discord

_SUCCESS = {
    "POST /channels/{channel_id}/threads": HTTPStatus.CREATED,
    "POST /channels/{channel_id}/messages/{message_id}/threads": HTTPStatus.CREATED,
}
_UPDATE_BY_BUTTON = 7  # the type of a callback that is an edit of a message, too


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read."""

    values: Mapping[str, str]  # the path's parameters by name
    query: Mapping[str, list[str]]
    body: object | None  # parsed JSON; of a multipart request its payload_json
    files: tuple[UploadedFile, ...]  # sent with it

    @property
    def form(self) -> dict[str, Any]:
        """The body, which has to be a JSON object; no body is an empty one. Raises DiscordError."""
        if self.body is None:
            return {}
        if not isinstance(self.body, dict):
            raise DiscordError(400, 50035, "Invalid Form Body")
        return self.body

    def id(self, name: str) -> int:
        """The path parameter `name`, which has to be a snowflake. Raises DiscordError."""
        if not self.values[name].isdecimal():
            raise invalid_form(name, "NUMBER_TYPE_COERCE", f'Value "{self.values[name]}" is not snowflake.')
        return int(self.values[name])

    def flag(self, name: str) -> bool:
        """Whether the query parameter `name` is set to true, in one of Discord's ways of writing it."""
        return self.query.get(name, [""])[0] in ("true", "True", "1")


Handler = Callable[[Call], Awaitable[object | None]]


class RestServer:
    """Answers requests by a table of routes, and keeps what there is to say about them."""

    def __init__(
        self,
        routes: Mapping[str, Handler],
        token: str,
        journal: Journal,
        limits: Limits,
        contract: OpenAPIContract | None,
    ) -> None:
        """`routes` maps "METHOD /path/{parameter}" to its handler; `token` is the bot's."""
        self._routes = routes
        self._token = token
        self._journal = journal
        self._limits = limits
        self._contract = contract
        self._planned: list[PlannedAnswer] = []
        self.weather: RoughWeather | None = None  # None: calm
        self.violations: list[str] = []  # what the document says against the client's requests
        self.own_violations: list[str] = []  # what it says against the answers given here: defects of this room

    def install(self, app: web.Application) -> None:
        """Add all routes to an application, and the answers for those that there aren't."""
        for route, handler in self._routes.items():
            method, path = route.split(" ")
            app.router.add_route(method, BASE_PATH + path, self._endpoint(path, handler), expect_handler=None)
        app.router.add_route("*", "/{path:.*}", self._endpoint(_NOWHERE, _no_such_route))

    def plan(self, answer: PlannedAnswer) -> None:
        """Let the next request to the answer's route be refused with it."""
        if answer.route not in self._routes:
            raise LookupError(f"there is no route {answer.route!r} here")
        self._planned.append(answer)

    def _endpoint(self, route: str, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def endpoint(request: web.Request) -> web.StreamResponse:
            return await self._answer(request, route, handler)

        return endpoint

    async def _answer(self, request: web.Request, route: str, handler: Handler) -> web.StreamResponse:
        name = f"{request.method} {route}"
        call = Call(dict(request.match_info), _query(request), None, ())
        refusal = self._refusal(name, call)
        headers = _VIA | self._limits.headers(name, call.values)
        body: object | None = None
        status: int = HTTPStatus.OK
        try:
            call = await _read(request, call)
            if refusal is None or refusal.afterwards:
                self._authorize(request, route)
                body = await handler(call)
                status = _SUCCESS.get(name, HTTPStatus.NO_CONTENT if body is None else HTTPStatus.OK)
        except DiscordError as error:
            status, body = error.status, error.payload()
        if refusal is not None:
            status, body, headers = refusal.status, refusal.payload(), headers | refusal.headers()
        self._remember(request, route, call, int(status), body)
        return _json_response(int(status), body, headers)

    def _refusal(self, name: str, call: Call) -> PlannedAnswer | None:
        """The refusal that a request gets whatever it asks for: a planned one, by chance, or for asking too often."""
        planned = next((answer for answer in self._planned if answer.route == name), None)
        if planned is not None:
            self._planned.remove(planned)
            return planned
        if name not in self._routes:
            return None
        excess = self._limits.take(name, call.values)
        if excess is not None:
            status = HTTPStatus.TOO_MANY_REQUESTS
            return PlannedAnswer(name, status, excess.retry_after, excess.everywhere)
        return None if self.weather is None else self.weather.strikes(name)

    def _authorize(self, request: web.Request, route: str) -> None:
        if not route.startswith(_OPEN_ROUTES) and request.headers.get("Authorization") != f"Bot {self._token}":
            raise unauthorized()

    def _remember(self, request: web.Request, route: str, call: Call, status: int, body: object | None) -> None:
        path = request.path.removeprefix(BASE_PATH)
        if self._contract is not None:
            sent = _without_library_keys(request.method, call.body)
            media = None if sent is None else "application/json"
            found = self._contract.request_violations(request.method, path, call.query, media, sent)
            self.violations += found
            if not found and status < HTTPStatus.INTERNAL_SERVER_ERROR:
                # The codes of a form's errors are words, says Discord's reference; its document says numbers.
                own = self._contract.response_violations(request.method, path, status, _without(body, "errors"))
                self.own_violations += own
        names = tuple(file.name for file in call.files)
        entry = Request(request.method, path, route, call.query, call.body, names, status)
        self._journal.record(Kind.REQUESTED, request=entry, detail=f"{request.method} {route} {status}")


def _without_library_keys(method: str, body: object | None) -> object | None:
    sent = _without(body, *_LIBRARY_KEYS.get(method, ()))
    if isinstance(sent, dict) and sent.get("type") == _UPDATE_BY_BUTTON and "data" in sent:
        sent["data"] = _without_library_keys("PATCH", sent["data"])
    if isinstance(sent, dict) and isinstance(sent.get("attachments"), list):
        sent["attachments"] = _without(sent["attachments"], *_LIBRARY_KEYS_OF_FILES)
    return sent


def _without(body: object | None, *keys: str) -> object | None:
    if isinstance(body, list):
        return [_without(item, *keys) for item in body]
    return {k: value for k, value in body.items() if k not in keys} if isinstance(body, dict) else body


async def _read(request: web.Request, call: Call) -> Call:
    """The call with the request's body. Files travel beside a part named payload_json."""
    try:
        if request.content_type.startswith("multipart/"):
            parts = await request.post()
            files = tuple(_uploaded(part) for part in parts.values() if isinstance(part, web.FileField))
            text = parts.get("payload_json")
            body = json.loads(text) if isinstance(text, str) else None
            return Call(call.values, call.query, body, files)
        raw = await request.read()
        return Call(call.values, call.query, json.loads(raw) if raw else None, ())
    except ValueError as error:
        raise invalid_json() from error


def _uploaded(part: web.FileField) -> UploadedFile:
    """A file as it came; Discord tells its type by its name where the client doesn't."""
    kind = part.content_type
    if kind == _ANY_TYPE:
        kind = mimetypes.guess_type(part.filename)[0] or _ANY_TYPE
    return UploadedFile(part.filename, part.file.read(), kind)


def _query(request: web.Request) -> dict[str, list[str]]:
    return {name: request.query.getall(name) for name in request.query}


def _json_response(status: int, body: object | None, headers: Mapping[str, str]) -> web.Response:
    """No charset in the content type: discord.py compares it as a whole and would hand back text otherwise."""
    if body is None:
        return web.Response(status=status, headers=headers)
    data = json.dumps(body).encode()
    return web.Response(status=status, body=data, content_type="application/json", headers=headers)


async def _no_such_route(call: Call) -> object | None:
    raise DiscordError(404, 0, "404: Not Found")
