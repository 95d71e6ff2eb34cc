"""OAuth 2.0 with PKCE on the loopback X, from consent to revocation."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from oauthlib.oauth2 import WebApplicationClient

from bot.loopback.x import LoopbackX, XApp, XConsentRefused
from tests.loopback.x_stage import Caller, Clock, Tweepy

AUTHORIZE = "https://x.com/i/oauth2/authorize"
CALLBACK = "http://127.0.0.1/callback"
EVERYTHING = ["tweet.read", "tweet.write", "users.read", "offline.access", "media.write"]
VERIFIER = "v" * 64


class Web:
    """An app of a developer: asks for consent and fetches tokens, by oauthlib's client."""

    def __init__(self, x: LoopbackX, session: aiohttp.ClientSession, app: XApp | None = None) -> None:
        self.x = x
        self.session = session
        self.app = app or x.app
        self.client = WebApplicationClient(self.app.client_id)

    def address(self, scopes: list[str], **changed: str) -> str:
        challenge = self.client.create_code_challenge(VERIFIER, "S256")
        asked = {"code_challenge": challenge, "code_challenge_method": "S256", "state": "s1", **changed}
        return str(self.client.prepare_request_uri(AUTHORIZE, CALLBACK, scopes, **asked))

    def code(self, handle: str, scopes: list[str]) -> str:
        target = self.x.consent(self.address(scopes), handle)
        return str(self.client.parse_request_uri_response(target.replace("http:", "https:"), state="s1")["code"])

    async def ask(self, path: str = "/2/oauth2/token", **form: str) -> tuple[int, Any]:
        """POST a form, with the secret when the app has one."""
        headers = {}
        if self.app.client_secret is None:
            form["client_id"] = self.app.client_id
        else:
            named = b64encode(f"{self.app.client_id}:{self.app.client_secret}".encode()).decode()
            headers["Authorization"] = f"Basic {named}"
        async with self.session.post(self.x.api_base + path, data=form, headers=headers) as answer:
            return answer.status, await answer.json()

    async def redeem(self, code: str, **changed: str) -> tuple[int, Any]:
        form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER, **changed}
        return await self.ask(code=code, **form)

    async def refresh(self, token: str) -> tuple[int, Any]:
        return await self.ask(grant_type="refresh_token", refresh_token=token)

    async def tokens(self, handle: str, scopes: list[str]) -> Any:
        status, document = await self.redeem(self.code(handle, scopes))
        assert status == 200, document
        return document


@pytest.fixture
async def app(x_server: LoopbackX) -> AsyncIterator[Web]:
    async with aiohttp.ClientSession() as session:
        yield Web(x_server, session)


async def test_consent_becomes_a_token_that_acts_for_the_account(x_server: LoopbackX, app: Web) -> None:
    """tweepy posts and reads as the account that has consented."""
    granted = await app.tokens("Nell", EVERYTHING)
    client = Tweepy(x_server, app.session, x_server.keys, granted["access_token"])
    created = await client.create_tweet(text="by a token", user_auth=False)
    assert (granted["token_type"], granted["expires_in"]) == ("bearer", 7200)
    assert set(granted["scope"].split()) == set(EVERYTHING)
    assert (await client.get_me(user_auth=False))["data"]["username"] == "Nell"
    assert x_server.timeline("Nell")[0].id == created["data"]["id"]


async def test_a_public_client_needs_no_secret(x_server: LoopbackX, app: Web) -> None:
    """Its id and the verifier are enough."""
    public = Web(x_server, app.session, x_server.add_app("Nell", confidential=False))
    granted = await public.tokens("Nell", EVERYTHING)
    assert (await public.refresh(granted["refresh_token"]))[0] == 200


async def test_a_confidential_client_needs_its_secret(x_server: LoopbackX, app: Web) -> None:
    """Without it, or with a wrong one, X answers that the header is missing."""
    code = app.code("Nell", EVERYTHING)
    form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER, "code": code}
    form["client_id"] = app.app.client_id
    wrong = {"error": "unauthorized_client", "error_description": "Missing valid authorization header"}
    bad = b64encode(f"{app.app.client_id}:guess".encode()).decode()
    for headers in ({}, {"Authorization": f"Basic {bad}"}):
        async with app.session.post(x_server.api_base + "/2/oauth2/token", data=form, headers=headers) as answer:
            assert (answer.status, await answer.json()) == (401, wrong)


@pytest.mark.parametrize(
    ("changed", "about"),
    [
        ({"code_verifier": "x" * 64}, "code verifier"),
        ({"redirect_uri": "http://elsewhere"}, "redirect uri"),
        ({"grant_type": "password"}, "grant type"),
        ({"code_verifier": ""}, "code_verifier"),
    ],
)
async def test_a_code_is_worth_nothing_with_anything_else(app: Web, changed: dict[str, str], about: str) -> None:
    """The verifier and the redirect address have to be those of the consent."""
    status, document = await app.redeem(app.code("Nell", EVERYTHING), **changed)
    assert status == 400
    assert about in document["error_description"]


async def test_a_code_works_once_and_for_half_a_minute(app: Web, x_clock: Clock) -> None:
    """By the clock of the server."""
    once, late = app.code("Nell", EVERYTHING), app.code("Nell", EVERYTHING)
    statuses = [(await app.redeem(once))[0], (await app.redeem(once))[0]]
    x_clock.move(seconds=30)
    statuses.append((await app.redeem(late))[0])
    assert statuses == [200, 400, 400]


async def test_an_access_token_lives_two_hours(app: Web, x_caller: Caller, x_clock: Clock) -> None:
    """Then it is a 401, and the refresh token brings another one."""
    granted = await app.tokens("Nell", EVERYTHING)
    x_clock.move(hours=1, minutes=59)
    assert (await x_caller.read("/2/users/me", granted["access_token"]))[0] == 200
    x_clock.move(minutes=1)
    assert (await x_caller.read("/2/users/me", granted["access_token"]))[0] == 401
    _, renewed = await app.refresh(granted["refresh_token"])
    assert (await x_caller.read("/2/users/me", renewed["access_token"]))[0] == 200


async def test_a_refresh_token_works_once(app: Web) -> None:
    """The next one comes with the new access token."""
    granted = await app.tokens("Nell", EVERYTHING)
    status, renewed = await app.refresh(granted["refresh_token"])
    again, refused = await app.refresh(granted["refresh_token"])
    assert (status, again) == (200, 400)
    assert refused == {"error": "invalid_request", "error_description": "Value passed for the token was invalid."}
    assert (await app.refresh(renewed["refresh_token"]))[0] == 200


async def test_there_is_no_refresh_token_without_offline_access(app: Web) -> None:
    """The scope decides."""
    assert "refresh_token" not in await app.tokens("Nell", ["tweet.read", "users.read"])


async def test_a_revoked_token_is_refused(app: Web, x_caller: Caller) -> None:
    """Access and refresh tokens alike."""
    granted = await app.tokens("Nell", EVERYTHING)
    for kind in ("access_token", "refresh_token"):
        assert await app.ask("/2/oauth2/revoke", token=granted[kind]) == (200, {"revoked": True})
    assert (await x_caller.read("/2/users/me", granted["access_token"]))[0] == 401
    assert (await app.refresh(granted["refresh_token"]))[0] == 400


@pytest.mark.parametrize("missing", ["tweet.read", "tweet.write", "users.read"])
async def test_a_scope_that_was_not_granted_is_a_403(app: Web, x_caller: Caller, missing: str) -> None:
    """Posting takes three of them."""
    granted = await app.tokens("Nell", [scope for scope in EVERYTHING if scope != missing])
    status, refused = await x_caller.write("/2/tweets", {"text": "hello"}, granted["access_token"])
    assert (status, refused["title"]) == (403, "Forbidden")


async def test_a_token_of_a_person_opens_no_route_of_the_app(app: Web, x_caller: Caller) -> None:
    """Nor the other way round."""
    granted = await app.tokens("Nell", EVERYTHING)
    assert (await x_caller.read("/2/usage/tweets", granted["access_token"]))[0] == 403
    assert (await x_caller.read("/2/users/me"))[0] == 403


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "nobody"},
        {"redirect_uri": "http://elsewhere"},
        {"scope": "everything"},
        {"code_challenge_method": "S512"},
        {"response_type": "token"},
    ],
)
async def test_a_wrong_request_is_not_shown_to_the_person(
    x_server: LoopbackX, app: Web, changed: dict[str, str]
) -> None:
    """X says that something went wrong and redirects nowhere."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(app.address(EVERYTHING)).query).items()}
    address = x_server.api_base + "/i/oauth2/authorize"
    with pytest.raises(XConsentRefused):
        x_server.consent(f"{address}?{urlencode({**query, **changed})}", "Nell")
    async with app.session.get(address, params={**query, **changed}) as answer:
        assert (answer.status, answer.content_type) == (400, "text/html")


async def test_a_person_may_say_no(x_server: LoopbackX, app: Web) -> None:
    """The app hears of it at its own address."""
    target = x_server.decline(app.address(EVERYTHING))
    assert parse_qs(urlsplit(target).query) == {"error": ["access_denied"], "state": ["s1"]}


async def test_a_browser_gets_a_page_with_a_button_for_each_account(x_server: LoopbackX, app: Web) -> None:
    """Pressing one leads back to the app with a code."""
    address = app.address(EVERYTHING).replace("https://x.com", x_server.api_base)
    async with app.session.get(address) as answer:
        page = await answer.text()
    asked = urlsplit(address).query
    form = {"asked": asked, "account": "Nell"}
    async with app.session.post(address.partition("?")[0], data=form, allow_redirects=False) as answer:
        target = answer.headers["Location"]
    assert 'value="Nell"' in page
    assert answer.status == 302
    code = parse_qs(urlsplit(target).query)["code"][0]
    assert (await app.redeem(code))[0] == 200


async def test_codes_and_tokens_are_not_kept_in_the_record_of_requests(x_server: LoopbackX, app: Web) -> None:
    """What was asked is there, the secrets are not."""
    granted = await app.tokens("Nell", EVERYTHING)
    kept = repr(x_server.requests)
    assert "POST /2/oauth2/token" in kept
    assert granted["access_token"] not in kept
    assert VERIFIER not in kept
