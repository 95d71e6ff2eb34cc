"""OAuth 2.0 with PKCE as X does it: the address where a person agrees, and tokens for a code or a refresh token.

Outcome: a person who agrees is sent back with a code; the code becomes `Tokens`; a refresh token becomes new ones and
is worth nothing from then on. What requests and answers hold is oauthlib's; sending them is aiohttp's.

Sources: X's page on the authorization code flow (a code lasts 30 seconds, an access token two hours, a refresh token
comes with the scope offline.access and works once) and error bodies that developers have quoted in public.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient
from yarl import URL

from bot.errors import XError, XKeysRefused, XLoginEnded, XUnreachable
from bot.tweets.x_refusals import Answer, broken_connection, parsed, refusal

SCOPES = ("tweet.read", "tweet.write", "users.read", "offline.access", "media.write")

_LASTS_S = 7_200  # where X does not say how long an access token is good: its documentation does
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login is worth. The tokens are left out of `repr`, and so out of logs."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)  # works once
    scopes: tuple[str, ...]  # what X lets these tokens do
    expires_at: datetime  # of the access token, UTC


@dataclass(frozen=True, slots=True)
class OAuth2App:
    """An app as X's console knows it, and where X is."""

    client_id: str = field(repr=False)
    client_secret: str | None = field(repr=False)  # None for a public client, which can keep no secret
    api_base: str  # where tokens are given out
    login_base: str  # where a person agrees


def new_verifier() -> str:
    """A secret that proves later that whoever brings a code is whoever asked for it."""
    return str(WebApplicationClient("").create_code_verifier(64))


def consent_address(app: OAuth2App, redirect_uri: str, state: str, verifier: str) -> str:
    """Where a person agrees that the app acts for the account. It holds nothing secret."""
    challenge = WebApplicationClient("").create_code_challenge(verifier, "S256")
    query = {
        "response_type": "code",
        "client_id": app.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(SCOPES),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return str(URL(app.login_base) / "i/oauth2/authorize" % query)


async def tokens_for_code(
    app: OAuth2App, code: str, redirect_uri: str, verifier: str, clock: Callable[[], datetime]
) -> Tokens:
    """The first tokens. Raises `XKeysRefused` when X does not take the code or the app, and `XUnreachable`."""
    body = WebApplicationClient(app.client_id).prepare_request_body(
        code, redirect_uri, include_client_id=app.client_secret is None, code_verifier=verifier
    )
    try:
        return await _granted(app, body, clock)
    except XLoginEnded as error:
        raise XKeysRefused(
            "X did not take the code of this login (400), perhaps because it came too late; log in once more."
        ) from error


async def renewed(app: OAuth2App, refresh_token: str, clock: Callable[[], datetime]) -> Tokens:
    """New tokens; the refresh token is worth nothing from then on. `XLoginEnded` when X does not take it."""
    client = WebApplicationClient(app.client_id)
    body = client.prepare_refresh_body(refresh_token=refresh_token, **_public(app))
    return await _granted(app, body, clock, refresh_token)


async def revoke(app: OAuth2App, token: str) -> None:
    """Let a token end at once. Raises what X answers otherwise."""
    body = urlencode({"token": token, **_public(app)})
    error = refusal(await _post(app, URL(f"{app.api_base}/2/oauth2/revoke"), body))
    if error is not None:
        raise error


def _public(app: OAuth2App) -> dict[str, str]:
    """A public client names itself in the body; a confidential one in the header, together with its secret."""
    return {} if app.client_secret else {"client_id": app.client_id}


async def _granted(app: OAuth2App, body: str, clock: Callable[[], datetime], refresh_token: str = "") -> Tokens:
    asked_at = clock()
    answer = await _post(app, URL(f"{app.api_base}/2/oauth2/token"), body)
    if answer.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED) and isinstance(answer.document, dict):
        raise _refused(answer)
    error = refusal(answer)
    if error is not None:
        raise error
    return _read(answer.document, asked_at, refresh_token)


def _read(document: dict[str, Any], asked_at: datetime, refresh_token: str) -> Tokens:
    try:
        token = WebApplicationClient("").parse_request_body_response(json.dumps(document))
    except OAuth2Error as error:
        raise XUnreachable("X's answer holds no token; try again in a few minutes.", False) from error
    lasts = timedelta(seconds=float(token.get("expires_in") or _LASTS_S))
    return Tokens(
        access_token=str(token["access_token"]),
        refresh_token=str(token.get("refresh_token") or refresh_token),
        scopes=tuple(sorted(token.get("scope") or SCOPES)),  # oauthlib has split it
        expires_at=(asked_at + lasts).astimezone(UTC),
    )


def _refused(answer: Answer) -> XError:
    if str(answer.document.get("error")) in ("unauthorized_client", "invalid_client"):
        return XKeysRefused(
            f"X does not accept the app's client id or secret ({answer.status}); put those of the app into the "
            "variables that [x] oauth2_client_id_env and oauth2_client_secret_env name."
        )
    return XLoginEnded(f"X does not accept this login any more ({answer.status}); log in again.")


async def _post(app: OAuth2App, address: URL, body: str) -> Answer:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if app.client_secret:
        headers["Authorization"] = aiohttp.encode_basic_auth(quote(app.client_id), quote(app.client_secret))
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    host = str(address.host)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(address, data=body, headers=headers, allow_redirects=False) as response,
        ):
            text = (await response.read()).decode("utf-8", "replace")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise broken_connection(error, host, writes=False) from error
    return Answer(response.status, response.headers, response.content_type, parsed(text), host, False)
