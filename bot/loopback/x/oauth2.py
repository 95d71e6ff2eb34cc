"""OAuth 2.0 with PKCE as X does it: a person consents, a code becomes an access token, a refresh token renews it.

Sources: X's page on the authorization code flow (codes last 30 seconds, access tokens two hours, a refresh token comes
with the scope offline.access), and error bodies that developers have quoted in public issues. A refresh token works
once. What is not published and decided here: an access token stays good to its own end when it is renewed.
"""

from __future__ import annotations

import html
import secrets
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from oauthlib.oauth2.rfc6749.grant_types.authorization_code import (
    code_challenge_method_plain,
    code_challenge_method_s256,
)

from bot.loopback.x.answers import Document
from bot.loopback.x.content import XContent
from bot.loopback.x.credentials import Credentials, XApp
from bot.loopback.x.routes import Answer, Call, Caller, Handler, Refused, Scope

ACCESS_LASTS = timedelta(hours=2)
CODE_LASTS = timedelta(seconds=30)
SCOPES = frozenset({"tweet.read", "tweet.write", "users.read", "offline.access", "media.write"})

_CHALLENGES = {"S256": code_challenge_method_s256, "plain": code_challenge_method_plain}
_WENT_WRONG = "Something went wrong. You weren't able to give access to the App. Go back and try logging in again."


class XConsentRefused(Exception):
    """X shows a page about what is wrong instead of asking the person."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an app asks a person for."""

    app: XApp
    redirect_uri: str
    state: str
    scopes: frozenset[str]
    challenge: str
    method: str


@dataclass(frozen=True, slots=True)
class _Code:
    asked: _Asked
    account_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Grant:
    app: XApp
    account_id: str
    scopes: frozenset[str]
    expires_at: datetime  # of the access token; a refresh token has no end here


class OAuth2:
    """Codes and tokens."""

    def __init__(self, content: XContent, credentials: Credentials, clock: Callable[[], datetime]) -> None:
        """`clock` gives UTC and lets codes and tokens expire."""
        self._content = content
        self._credentials = credentials
        self._clock = clock
        self._codes: dict[str, _Code] = {}
        self._access: dict[str, _Grant] = {}
        self._refresh: dict[str, _Grant] = {}

    def handlers(self) -> dict[str, Handler]:
        """What answers each route."""
        return {
            "GET /i/oauth2/authorize": self._page,
            "POST /i/oauth2/authorize": self._decided,
            "POST /2/oauth2/token": self._token,
            "POST /2/oauth2/revoke": self._revoke,
        }

    def consent(self, query: Mapping[str, str], account_id: str) -> str:
        """The person agrees: the address to which X sends the browser, with a code in it."""
        asked = self._asked(query)
        code = secrets.token_urlsafe(32)
        self._codes[code] = _Code(asked, account_id, self._clock() + CODE_LASTS)
        return _redirect(asked, {"state": asked.state, "code": code})

    def decline(self, query: Mapping[str, str]) -> str:
        """The person says no: the address to which X sends the browser."""
        asked = self._asked(query)
        return _redirect(asked, {"error": "access_denied", "state": asked.state})

    def caller(self, token: str) -> Caller | None:
        """Who acts with this access token; None when it is unknown or has expired."""
        grant = self._access.get(token)
        if grant is None or self._clock() >= grant.expires_at:
            return None
        return Caller(Scope.USER, grant.account_id, grant.app.id, grant.scopes)

    def withdraw(self, account_id: str) -> None:
        """Let every token of the account end."""
        for kept in (self._access, self._refresh):
            for token in [token for token, grant in kept.items() if grant.account_id == account_id]:
                del kept[token]

    # The page

    def _asked(self, query: Mapping[str, str]) -> _Asked:
        app = self._credentials.client(query.get("client_id", ""))
        scopes = frozenset(query.get("scope", "").split())
        right = (
            app is not None
            and query.get("response_type") == "code"
            and query.get("redirect_uri") in app.redirect_uris
            and scopes
            and scopes <= SCOPES
            and query.get("state")
            and query.get("code_challenge")
            and query.get("code_challenge_method", "plain") in _CHALLENGES
        )
        if not right or app is None:
            raise XConsentRefused(_WENT_WRONG)
        method = query.get("code_challenge_method", "plain")
        return _Asked(app, query["redirect_uri"], query["state"], scopes, query["code_challenge"], method)

    def _page(self, call: Call, _: Caller) -> Answer:
        try:
            asked = self._asked(call.sent)
        except XConsentRefused as refused:
            return _web_page(400, f"<p>{html.escape(str(refused))}</p>")
        scopes = "".join(f"<li>{html.escape(scope)}</li>" for scope in sorted(asked.scopes))
        names = [a.handle for a in self._content.accounts.values() if not a.suspended]
        buttons = "".join(f'<button name="account" value="{html.escape(n)}">Authorize as @{n}</button>' for n in names)
        hidden = html.escape(urlencode(dict(call.sent)))
        form = (
            f'<form method="post"><input type="hidden" name="asked" value="{hidden}">{buttons}'
            '<button name="account" value="">Cancel</button></form>'
        )
        return _web_page(200, f"<h1>An app wants to access your X account.</h1><ul>{scopes}</ul>{form}")

    def _decided(self, call: Call, _: Caller) -> Answer:
        form = call.body or {}
        query = dict(parse_qsl(form.get("asked", "")))
        account = self._content.find_account(form.get("account", ""))
        try:
            target = self.consent(query, account.id) if account else self.decline(query)
        except XConsentRefused as refused:
            return _web_page(400, f"<p>{html.escape(str(refused))}</p>")
        return Answer(302, None, {"Location": target}, text="")

    # Tokens

    def _token(self, call: Call, _: Caller) -> Answer:
        form = call.body or {}
        app = self._client(call, form)
        kinds = {"authorization_code": self._by_code, "refresh_token": self._by_refresh_token}
        by_kind = kinds.get(_needed(form, "grant_type"))
        if by_kind is None:
            raise _refused("unsupported_grant_type", "Value passed for the grant type was invalid.")
        return self._granted(by_kind(form, app))

    def _by_code(self, form: Document, app: XApp) -> _Grant:
        code = self._codes.pop(_needed(form, "code"), None)
        if code is None or code.asked.app != app or self._clock() >= code.expires_at:
            raise _refused("invalid_request", "Value passed for the authorization code was invalid.")
        if _needed(form, "redirect_uri") != code.asked.redirect_uri:
            wrong = "Value passed for the redirect uri did not match the uri of the authorization code."
            raise _refused("invalid_request", wrong)
        if not _CHALLENGES[code.asked.method](_needed(form, "code_verifier"), code.asked.challenge):
            raise _refused("invalid_request", "Value passed for the code verifier did not match the code challenge.")
        return _Grant(app, code.account_id, code.asked.scopes, self._clock() + ACCESS_LASTS)

    def _by_refresh_token(self, form: Document, app: XApp) -> _Grant:
        token = _needed(form, "refresh_token")
        old = self._refresh.get(token)
        if old is None or old.app != app:
            raise _refused("invalid_request", "Value passed for the token was invalid.")
        del self._refresh[token]
        return _Grant(app, old.account_id, old.scopes, self._clock() + ACCESS_LASTS)

    def _granted(self, grant: _Grant) -> Answer:
        access = f"loopback-access-{secrets.token_urlsafe(32)}"
        self._access[access] = grant
        document: Document = {
            "token_type": "bearer",
            "expires_in": int(ACCESS_LASTS.total_seconds()),
            "access_token": access,
            "scope": " ".join(sorted(grant.scopes)),
        }
        if "offline.access" in grant.scopes:
            document["refresh_token"] = f"loopback-refresh-{secrets.token_urlsafe(32)}"
            self._refresh[document["refresh_token"]] = grant
        return Answer(200, document)

    def _revoke(self, call: Call, _: Caller) -> Answer:
        form = call.body or {}
        app = self._client(call, form)
        token = _needed(form, "token")
        for kept in (self._access, self._refresh):
            if token in kept and kept[token].app == app:
                del kept[token]
        return Answer(200, {"revoked": True})

    def _client(self, call: Call, form: Document) -> XApp:
        """The app that asks: a confidential one shows its secret, a public one only its id."""
        scheme, _, given = call.authorization.partition(" ")
        if scheme.lower() == "basic":
            client_id, _, secret = _decoded(given).partition(":")
            app = self._credentials.client(client_id)
            if app is None or app.client_secret != secret:
                raise _refused("unauthorized_client", "Missing valid authorization header", 401)
            return app
        app = self._credentials.client(_needed(form, "client_id"))
        if app is None or app.client_secret is not None:
            raise _refused("unauthorized_client", "Missing valid authorization header", 401)
        return app


def query_of(url: str) -> dict[str, str]:
    """The parameters of an address."""
    return dict(parse_qsl(urlsplit(url).query))


def _decoded(given: str) -> str:
    try:
        return b64decode(given, validate=True).decode()
    except ValueError:
        return ""


def _needed(form: Document, name: str) -> str:
    value = form.get(name)
    if not isinstance(value, str) or not value:
        raise _refused("invalid_request", f"Missing required parameter [{name}].")
    return value


def _refused(error: str, description: str, status: int = 400) -> Refused:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return Refused(Answer(status, {"error": error, "error_description": description}, headers))


def _redirect(asked: _Asked, parameters: Mapping[str, str]) -> str:
    joint = "&" if urlsplit(asked.redirect_uri).query else "?"
    return f"{asked.redirect_uri}{joint}{urlencode(parameters)}"


def _web_page(status: int, body: str) -> Answer:
    page = f'<!DOCTYPE html>\n<html lang="en">\n<head><title>X</title></head>\n<body>{body}</body>\n</html>\n'
    return Answer(status, None, text=page, media_type="text/html")
