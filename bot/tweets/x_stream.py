"""X's filtered stream: posts that match a rule, as they are made. Only the app's bearer token opens it.

Outcome: `MentionStream.follow` has X look out for an account, `lines` gives what it sends, and ends or raises when the
connection does. X sends an empty line every 20 seconds; when nothing at all comes for longer, the connection is dead.
Nobody connects anew here: `reconnect_after` says when X wants that to be done.

What it does not know: what was said while nobody listened. Quotes that don't name the account match no rule.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Self

import aiohttp

from bot.errors import XError, XRateLimited, XUnreachable
from bot.tweets.x_bodies import Vocabulary
from bot.tweets.x_mentions import EXPANSIONS, FIELDS, MentionPage, read_streamed
from bot.tweets.x_refusals import Answer, broken_connection, parsed, refusal
from bot.tweets.x_windows import Windows

_ROUTE = "/2/tweets/search/stream"
_QUIET_S = 21.0  # X sends something every 20 s
_CONNECT_S = 10.0


def reconnect_after(error: XError | None, failures: int) -> timedelta:
    """How long to wait before connecting anew after so many failures in a row, as X's guide on streams asks.

    At once after a connection that stood; then slowly longer where the network fails (up to 16 s), twice as long each
    time where X does (from 5 s to 320 s), and from a minute on where X takes no more requests.
    """
    if error is None or failures == 0:
        return timedelta(0)
    doubled = 2.0 ** min(failures - 1, 6)
    if isinstance(error, XRateLimited):
        return min(timedelta(minutes=doubled), timedelta(minutes=16))
    if isinstance(error, XUnreachable) and isinstance(error.__cause__, (aiohttp.ClientError, TimeoutError)):
        return min(timedelta(milliseconds=250) * failures, timedelta(seconds=16))
    return min(timedelta(seconds=5 * doubled), timedelta(seconds=320))


class MentionStream:
    """A connection for one account; an async context manager that owns its HTTP session."""

    def __init__(
        self,
        bearer_token: str,
        api_base: str,
        vocabulary: Vocabulary,
        quiet_s: float = _QUIET_S,
        windows: Windows | None = None,
    ) -> None:
        """`quiet_s` are the seconds after which a connection without any line counts as dead; `windows` as with
        `XClient`.
        """
        self._windows = windows
        self._headers = {"Authorization": f"Bearer {bearer_token}"}
        self._token = bearer_token
        self._api_base = api_base.rstrip("/")
        self._vocabulary = vocabulary
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=quiet_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def follow(self, account: str, handle: str) -> None:
        """Have X send what mentions that handle; a rule for another handle of the same account goes.

        Raises `XKeysRefused` where the app's access does not cover streams.
        """
        tag, value = f"mockingbird {account}", f"@{handle} -is:retweet"
        rules = (await self._ask("GET", f"{_ROUTE}/rules")).get("data", ())
        ours = [rule for rule in rules if rule.get("tag") == tag]
        stale = [rule["id"] for rule in ours if rule.get("value") != value]
        if stale:
            await self._ask("POST", f"{_ROUTE}/rules", {"delete": {"ids": stale}})
        if len(stale) == len(ours):
            await self._ask("POST", f"{_ROUTE}/rules", {"add": [{"value": value, "tag": tag}]})

    async def lines(self) -> AsyncGenerator[MentionPage | None]:
        """None once the connection stands, then each post. Ends when X ends it; raises `XError` when it breaks."""
        assert self._session is not None
        words = self._vocabulary
        asked = {words.parameter: ",".join(FIELDS[words.name])}
        if EXPANSIONS[words.name]:
            asked["expansions"] = ",".join(EXPANSIONS[words.name])
        await self._require("GET", _ROUTE)
        try:
            async with self._session.get(self._api_base + _ROUTE, params=asked, allow_redirects=False) as response:
                await self._note("GET", _ROUTE, response)
                if response.status != HTTPStatus.OK:
                    refused = refusal(self._answer(response, await response.text()))
                    raise refused or XUnreachable("X sent no stream; it is tried again.", False)
                yield None
                async for line in response.content:
                    page = _page(line)
                    if page is not None:
                        yield page
        except (aiohttp.ClientError, TimeoutError) as error:
            raise broken_connection(error, self._host, writes=False) from error

    async def _ask(self, method: str, route: str, body: object = None) -> Mapping[str, Any]:
        assert self._session is not None
        await self._require(method, route)
        try:
            async with self._session.request(
                method, self._api_base + route, json=body, allow_redirects=False
            ) as response:
                text = await response.text()
                await self._note(method, route, response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise broken_connection(error, self._host, writes=False) from error
        answer = self._answer(response, text)
        refused = refusal(answer)
        if refused is not None:
            raise refused
        document: Mapping[str, Any] = answer.document
        return document

    def _answer(self, response: aiohttp.ClientResponse, text: str) -> Answer:
        document = parsed(text.replace(self._token, "…"))
        return Answer(response.status, response.headers, response.content_type, document, self._host, writes=False)

    async def _require(self, method: str, route: str) -> None:
        if self._windows is not None:
            await self._windows.require("bearer", method, route)

    async def _note(self, method: str, route: str, response: aiohttp.ClientResponse) -> None:
        if self._windows is not None:
            await self._windows.note("bearer", method, route, response.headers)

    @property
    def _host(self) -> str:
        return self._api_base.partition("://")[2]


def _page(line: bytes) -> MentionPage | None:
    """The mention in a line; None for an empty one, and where X says something else."""
    document = parsed(line.decode("utf-8", "replace"))
    page = read_streamed(document) if isinstance(document, dict) else None
    return page if page and page.mentions else None
