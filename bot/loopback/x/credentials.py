"""Who may ask X: apps with their keys and bearer tokens, and the access tokens that accounts have given to them.

Signatures of OAuth 1.0a are verified by oauthlib. What X demands beyond that is played here: HMAC-SHA1, a timestamp
within five minutes of the server's clock, no nonce twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from oauthlib.oauth1 import RequestValidator, ResourceEndpoint

from bot.loopback.x.routes import Caller, Scope

_SKEW_S = 300  # X's developer documentation: a timestamp may be off by five minutes
_FOR_EVER_S = 1 << 40


@dataclass(frozen=True, slots=True)
class XKeys:
    """Credentials that the server accepts. They open nothing anywhere else."""

    bearer_token: str
    consumer_key: str
    consumer_secret: str
    access_token: str  # begins with the account's id and a hyphen, as X's do
    access_token_secret: str


@dataclass(frozen=True, slots=True)
class XApp:
    """An app of a developer."""

    id: str
    owner_id: str  # the account to which it belongs, and whose own reads are cheap
    bearer_token: str = field(repr=False)
    consumer_key: str = field(repr=False)  # OAuth 1.0a
    consumer_secret: str = field(repr=False)
    client_id: str  # OAuth 2.0
    client_secret: str | None = field(repr=False)  # None for a public client, which can keep no secret
    redirect_uris: tuple[str, ...]
    may_stream: bool  # whether its access level includes the filtered stream


class Credentials:
    """The apps, and the access tokens of OAuth 1.0a."""

    def __init__(self, signing_clock: Callable[[], datetime]) -> None:
        """`signing_clock` gives the time that timestamps of signatures are held against."""
        self.apps: list[XApp] = []
        self.tokens: dict[str, tuple[str, XKeys]] = {}  # account id and keys by access token
        self._endpoint = ResourceEndpoint(_Verifier(self, signing_clock))

    def add_app(self, owner_id: str, redirect_uris: tuple[str, ...], *, confidential: bool, may_stream: bool) -> XApp:
        """Register another app."""
        number = f"-{len(self.apps) + 1}" if self.apps else ""
        app = XApp(
            id=str(27_000_001 + len(self.apps)),
            owner_id=owner_id,
            bearer_token=f"loopback-bearer-token{number}",
            consumer_key=f"loopback-consumer-key{number}",
            consumer_secret=f"loopback-consumer-secret{number}",
            client_id=f"loopback-client-id{number}",
            client_secret=f"loopback-client-secret{number}" if confidential else None,
            redirect_uris=redirect_uris,
            may_stream=may_stream,
        )
        self.apps.append(app)
        return app

    def keys_of(self, account_id: str, app: XApp) -> XKeys:
        """All keys for this account in this app; it lets the app act for it from now on."""
        suffix = app.consumer_key.removeprefix("loopback-consumer-key")
        keys = XKeys(
            bearer_token=app.bearer_token,
            consumer_key=app.consumer_key,
            consumer_secret=app.consumer_secret,
            access_token=f"{account_id}-loopback-access-token{suffix}",
            access_token_secret=f"loopback-access-token-secret-{account_id}{suffix}",
        )
        self.tokens[keys.access_token] = (account_id, keys)
        return keys

    def withdraw(self, account_id: str) -> None:
        """Let no app act for the account any more."""
        self.tokens = {token: held for token, held in self.tokens.items() if held[0] != account_id}

    def app_of(self, bearer_token: str) -> Caller | None:
        """The app whose bearer token this is."""
        found = next((app for app in self.apps if app.bearer_token == bearer_token), None)
        return Caller(Scope.APP, None, found.id) if found else None

    def client(self, client_id: str) -> XApp | None:
        """The app with this id of OAuth 2.0."""
        return next((app for app in self.apps if app.client_id == client_id), None)

    def app(self, app_id: str) -> XApp:
        """The app with this id."""
        return next(app for app in self.apps if app.id == app_id)

    def signer(self, address: str, method: str, body: str, authorization: str, content_type: str) -> Caller | None:
        """Whose signature stands on the request; None when it is not valid. `address` is as it was sent."""
        headers = {"Authorization": authorization, "Content-Type": content_type}
        valid, request = self._endpoint.validate_protected_resource_request(address, method, body, headers, [])
        if not valid:
            return None
        account_id, keys = self.tokens[request.resource_owner_key]
        app = next(app for app in self.apps if app.consumer_key == keys.consumer_key)
        return Caller(Scope.USER, account_id, app.id)


class _Verifier(RequestValidator):  # type: ignore[misc]  # oauthlib publishes no types
    """OAuth 1.0a as X demands it."""

    enforce_ssl = False  # 127.0.0.1
    allowed_signature_methods = ("HMAC-SHA1",)
    client_key_length = access_token_length = nonce_length = (1, 200)
    safe_characters = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    dummy_client = dummy_access_token = "nobody"
    timestamp_lifetime = _FOR_EVER_S  # oauthlib would ask this machine's clock; ours is asked below

    def __init__(self, credentials: Credentials, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._credentials = credentials
        self._clock = clock
        self._nonces: set[tuple[str, str, str]] = set()

    def validate_timestamp_and_nonce(
        self,
        client_key: str,
        timestamp: str,
        nonce: str,
        request: Any,
        request_token: Any = None,
        access_token: Any = None,
    ) -> bool:
        if abs(self._clock().timestamp() - int(timestamp)) > _SKEW_S:
            return False
        fresh = (client_key, timestamp, nonce) not in self._nonces
        self._nonces.add((client_key, timestamp, nonce))
        return fresh

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        return any(app.consumer_key == client_key for app in self._credentials.apps)

    def validate_access_token(self, client_key: str, token: str, request: Any) -> bool:
        held = self._credentials.tokens.get(token)
        return held is not None and held[1].consumer_key == client_key

    def validate_realms(self, *_: Any, **__: Any) -> bool:
        return True

    def get_client_secret(self, client_key: str, request: Any) -> str:
        found = (app.consumer_secret for app in self._credentials.apps if app.consumer_key == client_key)
        return next(found, "nothing")

    def get_access_token_secret(self, client_key: str, token: str, request: Any) -> str:
        held = self._credentials.tokens.get(token)
        return held[1].access_token_secret if held else "nothing"
