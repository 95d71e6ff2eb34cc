"""The way of a request through the server: read, held up, let in, counted, answered, checked, sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web

from bot.loopback.x.answers import OVER_CAPACITY_PAGE, Document, XRefusal, invalid_value, problem
from bot.loopback.x.contracts import Contracts
from bot.loopback.x.door import Door, authorization
from bot.loopback.x.faults import Faults, Moment
from bot.loopback.x.routes import ROUTES, Answer, Call, Handler, Refused, Route
from bot.loopback.x.vocabulary import in_tweet_words
from bot.loopback.x.windows import Windows

_LARGEST_BODY = 32 * 1024 * 1024
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class XRequest:
    """A request that was answered."""

    route: str  # such as "GET /2/users/:id/tweets"; method and path when no such route is played
    path: str  # such as "/2/users/17/tweets"
    query: Mapping[str, str]
    body: Document | None
    authorization: str  # "bearer", "oauth1", "basic" or "none"; the credentials themselves are not kept
    status: int  # of the answer; 0 when the connection was cut off before anything was done


class Serving:
    """Answers the routes with their handlers, and keeps what was asked."""

    def __init__(
        self, handlers: Mapping[str, Handler], door: Door, windows: Windows, faults: Faults, contracts: Contracts
    ) -> None:
        """`handlers` has one for each route, by its name."""
        self.requests: list[XRequest] = []  # answered, in order
        self.changed = asyncio.Condition()  # notified after each answer
        self._handlers = handlers
        self._door = door
        self._windows = windows
        self._faults = faults
        self._contracts = contracts

    def application(self) -> web.Application:
        """What listens."""
        application = web.Application(client_max_size=_LARGEST_BODY)
        for route in ROUTES:
            application.router.add_route(route.method, route.pattern, self._served(route))
        application.router.add_route("*", "/{anything:.*}", self._unknown)
        return application

    async def notify(self) -> None:
        """Let whoever waits for something look again."""
        async with self.changed:
            self.changed.notify_all()

    def _served(self, route: Route) -> Callable[[web.Request], Any]:
        async def serve(request: web.Request) -> web.StreamResponse:
            call = await _read(route, request, self._contracts)
            await self._faults.held(route, Moment.BEFORE)
            try:
                answer = self._decide(request, call)
            except Refused as refused:
                answer = refused.answer
            answer = self._contracts.in_its_words(call, answer)
            self._contracts.check(request, call, answer)
            await self._faults.held(route, Moment.AFTER)
            return await self._send(request, call, answer)

        return serve

    async def _unknown(self, request: web.Request) -> web.Response:
        self._contracts.violations.append(f"{request.method} {request.path}: this route is not played")
        name = f"{request.method} {request.path}"
        self.requests.append(XRequest(name, request.path, dict(request.query), None, authorization(request), 404))
        return web.json_response(problem(404, "Not Found", "Not Found"), status=404)

    def _decide(self, request: web.Request, call: Call) -> Answer:
        planned = self._faults.next_for(call.route)
        if isinstance(planned, Answer):
            return planned
        if isinstance(planned, XRefusal):
            return self._windows.refusal(planned, call)
        if planned is Moment.BEFORE:
            return Answer(0, None, ours=False, lost=True)
        caller = self._door.caller(request, call)
        limits = self._windows.count(call.route, caller) if call.route.signed_in else {}
        try:
            _check_query(call)
            answer = self._handlers[call.route.name](call, caller)
        except Refused as refused:
            raise Refused(replace(refused.answer.with_headers(limits), lost=planned is Moment.AFTER)) from None
        return replace(answer.with_headers(limits), lost=planned is Moment.AFTER)

    async def _send(self, request: web.Request, call: Call, answer: Answer) -> web.StreamResponse:
        status = answer.status
        body = call.body if call.route.signed_in else None  # codes and tokens of OAuth 2.0 are not kept
        query = dict(call.sent) if call.route.signed_in else {}
        self.requests.append(XRequest(call.route.name, request.path, query, body, authorization(request), status))
        await self.notify()
        if answer.lost:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=status or 500)
        if answer.stream is not None:
            return await answer.stream(request, answer.headers)
        if answer.document is None:
            text = OVER_CAPACITY_PAGE if answer.text is None else answer.text
            media_type = "text/html" if answer.text is None else answer.media_type
            return web.Response(text=text, content_type=media_type, status=status, headers=answer.headers)
        content_type = "application/json; charset=utf-8" if status < 400 else "application/problem+json"
        written = json.dumps(answer.document, ensure_ascii=False, separators=(",", ":")).encode()
        return web.Response(body=written, status=status, headers={"Content-Type": content_type, **answer.headers})


def _check_query(call: Call) -> None:
    for name, value in call.query.items():
        if name not in call.route.query and call.route.signed_in:
            raise Refused(Answer(400, invalid_value(name, value, "is not one of the parameters of this endpoint")))


async def _read(route: Route, request: web.Request, contracts: Contracts) -> Call:
    text, files = "", dict[str, bytes]()
    body: Document | None
    if request.content_type.startswith("multipart/"):
        body, files = await _parts(request)
    else:
        text = await request.text()
        body = _form(text) if request.content_type == _FORM else _json(text)
    sent = dict(request.query)
    query = in_tweet_words(sent, contracts.vocabularies)
    given = request.headers.get("Authorization", "")
    return Call(route, dict(request.match_info), query, body, sent, text, files, given)


def _json(text: str) -> Document | None:
    try:
        body = json.loads(text) if text else None
    except json.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _form(text: str) -> Document:
    return dict(parse_qsl(text, keep_blank_values=True))


async def _parts(request: web.Request) -> tuple[Document, dict[str, bytes]]:
    """Fields and files of a multipart body; numbers are read as such, since a part has no type."""
    fields: Document = {}
    files: dict[str, bytes] = {}
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            continue
        if part.filename is not None or part.name == "media":
            files[part.name] = bytes(await part.read(decode=True))
        else:
            value = await part.text()
            fields[part.name] = int(value) if value.isdecimal() else value
    return fields, files
