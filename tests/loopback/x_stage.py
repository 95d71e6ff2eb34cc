"""What tests of the loopback X stand on: a clock, a client without any knowledge of X, and tweepy pointed at it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from oauthlib.oauth1 import Client as Signer
from tweepy.asynchronous import AsyncClient
from yarl import URL

from bot.loopback.openapi import OpenAPIContract
from bot.loopback.x import LoopbackX, XKeys

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def move(self, **span: float) -> None:
        """Move on by so many days, hours, minutes or seconds."""
        self.now += timedelta(**span)


class Caller:
    """A client without any knowledge of X: signed or bearer requests, the status and the parsed body."""

    def __init__(self, x: LoopbackX, session: aiohttp.ClientSession) -> None:
        self.x = x
        self.session = session
        self.headers: Any = {}  # of the last answer

    async def read(self, path: str, token: str | None = None, **query: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token or self.x.keys.bearer_token}"}
        async with self.session.get(self.x.api_base + path, params=query, headers=headers) as answer:
            self.headers = answer.headers
            return answer.status, await answer.json()

    async def write(self, path: str, body: object, token: str | None = None) -> tuple[int, Any]:
        """A POST with a bearer token."""
        headers = {"Authorization": f"Bearer {token or self.x.keys.bearer_token}"}
        async with self.session.post(self.x.api_base + path, json=body, headers=headers) as answer:
            self.headers = answer.headers
            return answer.status, await answer.json()

    async def act(
        self, method: str, path: str, body: object = None, keys: XKeys | None = None, **query: str
    ) -> tuple[int, Any]:
        """A request with a signature of OAuth 1.0a."""
        address = path + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")
        url, headers = self.signed(method, address, keys)
        async with self.session.request(method, url, json=body, headers=headers) as answer:
            self.headers = answer.headers
            return answer.status, await answer.json()

    async def post(self, text: str, reply_to: str | None = None, **body: object) -> tuple[int, Any]:
        reply = {} if reply_to is None else {"reply": {"in_reply_to_tweet_id": reply_to}}
        return await self.act("POST", "/2/tweets", {"text": text, **reply, **body})

    def signed(
        self, method: str, path: str, keys: XKeys | None = None, at: datetime | None = None
    ) -> tuple[str, dict[str, str]]:
        """Address and headers of a signed request; `at` is its timestamp, now when None."""
        keys = keys or self.x.keys
        timestamp = str(int(at.timestamp())) if at else None
        signer = Signer(
            keys.consumer_key,
            keys.consumer_secret,
            keys.access_token,
            keys.access_token_secret,
            timestamp=timestamp,
        )
        url, headers, _ = signer.sign(self.x.api_base + path, method)
        return url, headers


@dataclass(frozen=True)
class Answer:
    """What tweepy gets for an answer."""

    status: int
    document: Any

    async def json(self) -> Any:
        return self.document


class Tweepy(AsyncClient):  # type: ignore[misc]  # tweepy publishes no types
    """tweepy's own client with the host replaced, which it keeps inside `request`; refusals are answers too."""

    def __init__(self, x: LoopbackX, session: aiohttp.ClientSession, keys: XKeys, bearer: str | None = None) -> None:
        """`bearer` is an access token of OAuth 2.0; the app's own token when None."""
        super().__init__(
            bearer or keys.bearer_token,
            keys.consumer_key,
            keys.consumer_secret,
            keys.access_token,
            keys.access_token_secret,
            return_type=dict,
        )
        self.session = session
        self._x = x
        self.status = 0  # of the last answer

    async def request(
        self,
        method: str,
        route: str,
        params: Mapping[str, object] | None = None,
        json: object = None,
        user_auth: bool = False,
    ) -> Answer:
        query = urlencode(sorted((params or {}).items()), quote_via=quote)
        address = self._x.api_base + route + (f"?{query}" if query else "")
        headers = {"Authorization": f"Bearer {self.bearer_token}"}
        if user_auth:
            signer = Signer(self.consumer_key, self.consumer_secret, self.access_token, self.access_token_secret)
            address, headers, _ = signer.sign(address, method)
        async with self.session.request(method, URL(address, encoded=True), headers=headers, json=json) as answer:
            self.status = answer.status
            return Answer(answer.status, await answer.json())


def described_in(name: str) -> OpenAPIContract | None:
    """X's own document of this name, when it is at hand."""
    folder = os.environ.get("MOCKINGBIRD_TEST_SPECS")
    return OpenAPIContract.load(Path(folder) / name) if folder else None


def recorded(name: str) -> list[Any]:
    """The recorded answers whose path in the folder matches; none when they are not at hand."""
    folder = os.environ.get("MOCKINGBIRD_TEST_TWEETS")
    if not folder:
        return []
    paths = sorted((Path(folder) / "api_v2").glob(name))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def ids(document: Any) -> list[str]:
    """The ids of the posts in an answer."""
    return [post["id"] for post in document.get("data", [])]
