"""Both of X's OpenAPI documents: each exchange is held against the one whose words it speaks, and answered in them."""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import web

from bot.loopback.openapi import OpenAPIContract
from bot.loopback.x.answers import Document
from bot.loopback.x.routes import Answer, Call
from bot.loopback.x.vocabulary import POST, TWEET, in_post_words, is_neutral, spoken


class Contracts:
    """What exchanges did against the documents is collected in `violations`, one sentence each.

    A request that speaks neither vocabulary is right when either document allows it: much that posts have nothing to
    do with is described better in the newer one.
    """

    def __init__(
        self, tweet: OpenAPIContract | None, post: OpenAPIContract | None, vocabularies: Collection[str]
    ) -> None:
        self.violations: list[str] = []
        self.vocabularies = tuple(vocabularies)
        self._tweet = tweet
        self._post = post

    def in_its_words(self, call: Call, answer: Answer) -> Answer:
        """The answer in the words of the request, or in the others where those are not understood."""
        if answer.document is None or self._vocabulary(call) == TWEET:
            return answer
        return Answer(answer.status, in_post_words(answer.document), answer.headers, ours=answer.ours, lost=answer.lost)

    def check(self, request: web.Request, call: Call, answer: Answer) -> None:
        """Hold request and answer against what describes them, when that is at hand."""
        if not call.route.described:
            return
        query = {name: request.query.getall(name) for name in request.query}
        content_type = request.headers.get("Content-Type")
        body = call.body if call.text or call.files else None
        if body is not None and call.files:
            body = body | dict.fromkeys(call.files, "a file")
        method, path = request.method, request.path
        self._keep([c.request_violations(method, path, query, content_type, body) for c in self._describing(call)])
        if answer.ours and answer.document is not None and spoken(call.sent) in self.vocabularies:
            found = [
                c.response_violations(method, path, answer.status, answer.document) for c in self._describing(call)
            ]
            self._keep(found)

    def sent(self, call: Call, document: Document) -> Document:
        """One document of a stream, checked and in the words of the request."""
        if self._vocabulary(call) == POST:
            document = in_post_words(document)
        path = call.route.name.split()[1]
        self._keep([c.response_violations("GET", path, 200, document) for c in self._describing(call)])
        return document

    def _vocabulary(self, call: Call) -> str:
        vocabulary = spoken(call.sent)
        return vocabulary if vocabulary in self.vocabularies else self.vocabularies[0]

    def _describing(self, call: Call) -> list[OpenAPIContract]:
        """The documents that may describe a request, the one of its words first."""
        own = self._post if spoken(call.sent) == POST else self._tweet
        other = self._post if is_neutral(call.sent) else None
        return [contract for contract in (own, other) if contract is not None]

    def _keep(self, found: list[list[str]]) -> None:
        """Keep what is wrong by the document that has least against it; the first one of those."""
        self.violations += sorted(found, key=len)[0] if found else []
