"""The filtered stream: rules of an app, and a connection over which every post that matches one is sent at once.

Source: X's pages on the filtered stream (one connection of an app, an empty line every 20 seconds, posts may come
twice, X may end a connection at any time) and its OpenAPI documents.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web

from bot.loopback.x.answers import Document, XRefusal, invalid_value
from bot.loopback.x.content import XContent
from bot.loopback.x.credentials import Credentials
from bot.loopback.x.posts import XPost, timestamp
from bot.loopback.x.reading import Reading
from bot.loopback.x.routes import Answer, Call, Caller, Handler, Refused
from bot.loopback.x.rules import Rule, is_valid

_END = b""
_HEARTBEAT = b"\r\n"


@dataclass(slots=True)
class _Connection:
    """An open stream."""

    call: Call
    caller: Caller
    lines: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)  # _END ends it
    cut: bool = False  # the end comes without a last chunk


class Stream:
    """Rules and connections of all apps."""

    def __init__(
        self,
        content: XContent,
        reading: Reading,
        credentials: Credentials,
        clock: Callable[[], datetime],
        sent: Callable[[Call, Document], Document],
        heartbeat_s: float,
    ) -> None:
        """`clock` gives UTC. `sent` sees each document before it goes out and gives it in the words of the request."""
        self._content = content
        self._reading = reading
        self._credentials = credentials
        self._clock = clock
        self._sent = sent
        self._heartbeat_s = heartbeat_s
        self._rules: defaultdict[str, dict[str, Rule]] = defaultdict(dict)  # by app id, then by rule id
        self._made = 0  # rules so far
        self._open: list[_Connection] = []

    def handlers(self) -> dict[str, Handler]:
        """What answers each route."""
        return {
            "GET /2/tweets/search/stream": self._connect,
            "GET /2/tweets/search/stream/rules": self._list,
            "POST /2/tweets/search/stream/rules": self._change,
        }

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def publish(self, post: XPost) -> None:
        """Send a post over every connection whose rules it matches."""
        for connection in self._open:
            rules = self._rules[connection.caller.app_id].values()
            matching = [rule for rule in rules if rule.matches(self._content, post)]
            if matching and self._content.visible(post.author_id, None):
                connection.lines.put_nowait(self._line(connection, post, matching))

    def end(self, *, cut: bool = False) -> None:
        """End every connection, in order or by breaking it."""
        for connection in self._open:
            connection.cut = cut
            connection.lines.put_nowait(_END)

    def _line(self, connection: _Connection, post: XPost, matching: list[Rule]) -> bytes:
        document = self._reading.posts_document(connection.call, connection.caller, [post])
        rules = [{"id": rule.id, "tag": rule.tag} for rule in matching]
        document = self._sent(connection.call, {**document, "data": document["data"][0], "matching_rules": rules})
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\r\n"

    # Connecting

    def _connect(self, call: Call, caller: Caller) -> Answer:
        self._require_access(caller)
        if any(connection.caller.app_id == caller.app_id for connection in self._open):
            raise Refused(Answer.of(XRefusal.TOO_MANY_STREAMS))
        connection = _Connection(call, caller)

        async def serve(request: web.Request, headers: Mapping[str, str]) -> web.StreamResponse:
            self._open.append(connection)
            try:
                return await self._serve(connection, request, headers)
            finally:
                self._open.remove(connection)

        return Answer(200, None, stream=serve)

    async def _serve(
        self, connection: _Connection, request: web.Request, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={**headers, "Content-Type": "application/json; charset=utf-8"})
        await response.prepare(request)
        while (line := await self._next(connection)) != _END:
            await response.write(line)
        if connection.cut and request.transport is not None:
            request.transport.abort()
        return response

    async def _next(self, connection: _Connection) -> bytes:
        try:
            async with asyncio.timeout(self._heartbeat_s):
                return await connection.lines.get()
        except TimeoutError:
            return _HEARTBEAT

    def _require_access(self, caller: Caller) -> None:
        if not self._credentials.app(caller.app_id).may_stream:
            raise Refused(Answer.of(XRefusal.CLIENT_NOT_ENROLLED))

    # Rules

    def _list(self, call: Call, caller: Caller) -> Answer:
        self._require_access(caller)
        ids = call.listed("ids")
        rules = [rule for rule in self._rules[caller.app_id].values() if not ids or rule.id in ids]
        meta = {"sent": timestamp(self._clock()), "result_count": len(rules)}
        return Answer(200, ({"data": [rule.document for rule in rules]} if rules else {}) | {"meta": meta})

    def _change(self, call: Call, caller: Caller) -> Answer:
        self._require_access(caller)
        body = call.body or {}
        dry = call.query.get("dry_run") == "true"
        if isinstance(body.get("add"), list):
            return self._add(body["add"], caller, dry=dry)
        if isinstance(body.get("delete"), dict):
            return self._delete(body["delete"], caller, dry=dry)
        raise Refused(Answer(400, invalid_value("add", "", "is missing")))

    def _add(self, asked: list[Document], caller: Caller, *, dry: bool) -> Answer:
        rules = self._rules[caller.app_id]
        made: list[Rule] = []
        errors: list[Document] = []
        for each in asked:
            value = str(each.get("value", ""))
            twin = next((rule for rule in rules.values() if rule.value == value), None)
            if twin is not None or not is_valid(value):
                errors.append(_rule_error(value, twin))
                continue
            self._made += 1
            made.append(Rule(str(1_700_000_000_000_000_000 + self._made), value, str(each.get("tag", ""))))
        if not dry:
            rules.update({rule.id: rule for rule in made})
        invalid = sum(error["title"] == "UnprocessableEntity" for error in errors)
        summary = {"created": len(made), "not_created": len(errors), "valid": len(asked) - invalid, "invalid": invalid}
        document: Document = {"data": [rule.document for rule in made]} if made else {}
        if errors:
            document["errors"] = errors
        meta = {"sent": timestamp(self._clock()), "summary": summary}
        return Answer(201 if made else 200, document | {"meta": meta})

    def _delete(self, asked: Document, caller: Caller, *, dry: bool) -> Answer:
        rules = self._rules[caller.app_id]
        named = {*asked.get("ids", ()), *asked.get("values", ())}
        gone = [rule for rule in rules.values() if {rule.id, rule.value} & named]
        if not dry:
            for rule in gone:
                del rules[rule.id]
        summary = {"deleted": len(gone), "not_deleted": len(named) - len(gone)}
        return Answer(200, {"meta": {"sent": timestamp(self._clock()), "summary": summary}})


def _rule_error(value: str, twin: Rule | None) -> Document:
    types = "https://api.twitter.com/2/problems/"
    if twin is not None:
        return {"value": value, "id": twin.id, "title": "DuplicateRule", "type": types + "duplicate-rules"}
    details = ["Reference to invalid operator or empty rule"]
    return {"value": value, "details": details, "title": "UnprocessableEntity", "type": types + "invalid-rules"}
