"""One request to X's API v2: by whose credentials it is made, and what its answer means. Only here is tweepy known.

`ReroutedClient` is tweepy's `AsyncClient` with a session and an address of ours; `x_api` says what is asked with it.
An answer is parsed and freed of every key that came back in it; what refusals mean is told by `x_refusals`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import aiohttp
from oauthlib.oauth1 import Client as Signer
from tweepy.asynchronous import AsyncClient
from yarl import URL

from bot.errors import ConfigError
from bot.tweets.x_bodies import TWEET, Vocabulary
from bot.tweets.x_refusals import Answer, broken_connection, parsed, refusal
from bot.tweets.x_windows import Who, Windows

API_BASE = "https://api.x.com"


@dataclass(frozen=True, slots=True)
class XKeys:
    """Credentials from the environment. They are left out of `repr`, and so out of logs."""

    bearer_token: str | None = field(default=None, repr=False)  # of the app; reads
    consumer_key: str | None = field(default=None, repr=False)  # of the app, OAuth 1.0a
    consumer_secret: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)  # of the account that posts
    access_token_secret: str | None = field(default=None, repr=False)

    @property
    def can_post(self) -> bool:
        """Whether all four keys of a user are there."""
        return all((self.consumer_key, self.consumer_secret, self.access_token, self.access_token_secret))

    @property
    def own_id(self) -> str | None:
        """The id of the account that posts: X's access tokens begin with it. None when there is no such token."""
        digits = (self.access_token or "").partition("-")[0]
        return digits if digits.isdecimal() else None

    @property
    def values(self) -> tuple[str, ...]:
        """All that must never be shown."""
        keys = (self.bearer_token, self.consumer_key, self.consumer_secret, self.access_token, self.access_token_secret)
        return tuple(key for key in keys if key)


class UserToken(Protocol):
    """The access token of an account that was logged in by OAuth 2.0: see `x_logins`."""

    user_id: str  # X's
    seen: tuple[str, ...]  # tokens that must never be shown

    async def current(self) -> str:
        """One that is good for some minutes yet. Raises `XLoginEnded`, `XUnreachable`."""

    async def renewed(self, refused: str) -> str:
        """One other than `refused`, which X does not take."""


class ReroutedClient(AsyncClient):  # type: ignore[misc]  # tweepy publishes no types
    """tweepy's client with our session, our host, our errors, our vocabulary, and without its logging of headers.

    tweepy 4.17 keeps the host as a constant inside `request`, so that method is replaced as a whole; everything above
    it (routes, parameters, bodies) stays tweepy's. It knows no `post.fields`: its `tweet.fields` are renamed here.
    """

    def __init__(
        self,
        keys: XKeys,
        api_base: str,
        session: aiohttp.ClientSession,
        vocabulary: Vocabulary = TWEET,
        login: UserToken | None = None,
        windows: Windows | None = None,
    ) -> None:
        super().__init__(
            keys.bearer_token,
            keys.consumer_key,
            keys.consumer_secret,
            keys.access_token,
            keys.access_token_secret,
            return_type=dict,
            wait_on_rate_limit=False,
        )
        self.session = session
        self._keys = keys
        self._api_base = api_base
        self._vocabulary = vocabulary
        self._login = login
        self._windows = windows

    async def request(
        self,
        method: str,
        route: str,
        params: Mapping[str, object] | None = None,
        json: object = None,
        user_auth: bool = False,
    ) -> Answer:
        """Send one request and return X's answer, or raise what it means."""
        renamed = {TWEET.parameter: self._vocabulary.parameter}
        query = urlencode(
            sorted((renamed.get(name, name), value) for name, value in (params or {}).items()), quote_via=quote
        )
        address = self._api_base + route + (f"?{query}" if query else "")
        who: Who = "user" if user_auth else "bearer"
        if self._windows is not None:
            await self._windows.require(who, method, route)
        answer = await self._as(user_auth, method, address, json)
        if self._windows is not None:
            await self._windows.note(who, method, route, answer.headers)
        error = refusal(answer)
        if error is not None:
            raise error
        return answer

    async def _as(self, user_auth: bool, method: str, address: str, body: object) -> Answer:
        """The answer to a request of the app or of the user, who is logged in or has keys."""
        headers = {"User-Agent": self.user_agent}
        if not user_auth:
            return await self._send(method, address, headers | _bearer(self.bearer_token), body)
        if self._login is None:
            signer = Signer(self.consumer_key, self.consumer_secret, self.access_token, self.access_token_secret)
            address, headers, _ = signer.sign(address, method, headers=headers)
            return await self._send(method, address, headers, body)
        token = await self._login.current()
        answer = await self._send(method, address, headers | _bearer(token), body)
        if answer.status != HTTPStatus.UNAUTHORIZED:
            return answer
        token = await self._login.renewed(token)  # nothing was done: X did not know who asks
        return await self._send(method, address, headers | _bearer(token), body)

    async def transfer(self, method: str, address: str, body: bytes | None = None) -> str:
        """Send or fetch a file at an address that X gave out; its text.

        The bearer token goes along only where it belongs: X's guide asks for it at X's own addresses, while the
        addresses of a storage service, which X gave out before, are signed and must not see it.
        """
        headers = {"User-Agent": self.user_agent, "Content-Type": "text/plain"}
        if URL(address).origin() == URL(self._api_base).origin():
            headers["Authorization"] = f"Bearer {self.bearer_token}"
        answer, text = await self._exchange(method, address, headers, data=body)
        error = refusal(answer) if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES else None
        if error is not None:
            raise error
        return text

    async def _send(self, method: str, address: str, headers: Mapping[str, str], body: object) -> Answer:
        answer, _ = await self._exchange(method, address, headers, json=body)
        return answer

    async def _exchange(self, method: str, address: str, headers: Mapping[str, str], **body: Any) -> tuple[Answer, str]:
        """The answer and its text, without any key that came back in it."""
        writes = method != "GET"
        host = str(URL(address).host)
        try:
            # Redirections are not followed: they would carry the credentials to wherever they point.
            async with self.session.request(
                method, URL(address, encoded=True), headers=headers, allow_redirects=False, **body
            ) as response:
                text = (await response.read()).decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise broken_connection(error, host, writes) from error
        for key in (*self._keys.values, *(self._login.seen if self._login else ())):
            text = text.replace(key, "…")
        return Answer(response.status, response.headers, response.content_type, parsed(text), host, writes), text


def _bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def web_address(api_base: str) -> str:
    """The same without a slash at its end. Raises `ConfigError` when it is no address."""
    try:
        url = URL(api_base)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"{api_base!r} is not a web address; [x] api_base should look like {API_BASE}.")
    return api_base.rstrip("/")


def cap_logging() -> None:
    """Keep libraries from logging below INFO: tweepy logs bearer tokens at DEBUG, oauthlib what it signs."""
    for name in ("tweepy", "oauthlib"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.INFO))
