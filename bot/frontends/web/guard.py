"""Who may do what: every request passes here before a page sees it.

On loopback nobody logs in, so the browser itself is what must be guarded against: a page of another site that posts
a form here (`Origin`, the form's token, SameSite cookies) or that gave its own name our address (DNS rebinding: the
`Host` header). Behind a password any `Host` will do, since a rebound name has no cookie of ours. Not defended:
other programs of the same machine, and eavesdroppers on plain HTTP; put TLS in front where that matters.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from aiohttp import web

from bot.errors import Busy, NotPermitted
from bot.frontends.web.sessions import Sessions, Visitor

COOKIE = "mockingbird"
OPEN_PATHS = ("/healthz", "/static/")  # no visitor, no password
MOST_FAILED_LOGINS = 10  # in `LOGIN_WINDOW`, whoever they come from
LOGIN_WINDOW = timedelta(minutes=1)
OWN_SITE = ("same-origin", "none")  # Sec-Fetch-Site of a form on our own page
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # "no-referrer" would make browsers send Origin: null with our own forms
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

VISITOR = web.RequestKey("visitor", Visitor)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to that host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Guard:
    """Lets requests through or answers in the page's stead."""

    def __init__(self, password: str | None, sessions: Sessions, clock: Callable[[], datetime]) -> None:
        self._password = password
        self._sessions = sessions
        self._clock = clock
        self._failed_logins: deque[datetime] = deque(maxlen=MOST_FAILED_LOGINS)

    @property
    def asks_for_password(self) -> bool:
        """Whether there is anything to log in to."""
        return self._password is not None

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Hand the request on with its `VISITOR`, or refuse it with a sentence."""
        self._check_host(request)
        if request.path.startswith(OPEN_PATHS):
            return await handler(request)
        known = Visitor.from_cookie(request.cookies.get(COOKIE))
        if known is None and _came_from_elsewhere(request):
            return _knock_again()
        visitor = request[VISITOR] = known or Visitor.fresh()
        if request.method not in ("GET", "HEAD"):
            await self._check_form(request, visitor)
        if self._must_log_in(request, visitor):
            response: web.StreamResponse = _to_login(request)
        else:
            response = await handler(request)
        if known is None and not response.prepared:
            remember(response, visitor)
        return response

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """What every answer tells the browser about itself."""
        response.headers.update(HEADERS)
        cache = "no-cache" if request.path.startswith("/static/") else "no-store"
        response.headers.setdefault("Cache-Control", cache)

    def log_in(self, password: str) -> Visitor | None:
        """A new visitor who may see everything, or None when the password is wrong. Raises `Busy` after many tries."""
        now = self._clock()
        while self._failed_logins and now - self._failed_logins[0] >= LOGIN_WINDOW:
            self._failed_logins.popleft()
        if len(self._failed_logins) >= MOST_FAILED_LOGINS:
            wait_s = (self._failed_logins[0] + LOGIN_WINDOW - now).total_seconds()
            raise Busy("Too many wrong passwords were tried. Wait a minute, then try again.", wait_s)
        given, wanted = (hashlib.sha256(each.encode()).digest() for each in (password, self._password or ""))
        if self._password is None or not hmac.compare_digest(given, wanted):
            self._failed_logins.append(now)
            return None
        visitor = Visitor.fresh()  # never the key from before: somebody else may have planted it
        self._sessions.of(visitor)
        return visitor

    def _check_host(self, request: web.Request) -> None:
        name = _host_name(request.host)
        if self._password is None and not is_loopback(name):
            raise NotPermitted(
                "This page is for this machine only: open it as http://127.0.0.1 or http://localhost with its port."
            )

    async def _check_form(self, request: web.Request, visitor: Visitor) -> None:
        scheme, _, origin = request.headers.get("Origin", f"http://{request.host}").partition("://")
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        # Schemes are not compared: behind a proxy with TLS the browser says https and we are asked over http.
        if not scheme.startswith("http") or origin.lower() != request.host.lower() or site not in OWN_SITE:
            raise NotPermitted("This was sent by another site, so nothing was done.")
        token = (await request.post()).get("token", "")
        if not isinstance(token, str) or not hmac.compare_digest(token.encode(), visitor.token.encode()):
            raise NotPermitted("This form is not from your own page, so nothing was done. Reload it and try again.")

    def _must_log_in(self, request: web.Request, visitor: Visitor) -> bool:
        return self.asks_for_password and request.path != "/login" and not self._sessions.has(visitor)


def remember(response: web.StreamResponse, visitor: Visitor) -> None:
    """Have the browser come back as this visitor, until it is closed."""
    response.set_cookie(COOKIE, visitor.key, httponly=True, samesite="Strict", path="/")


def _host_name(host: str) -> str:
    """`[::1]:8000` -> `::1`; empty when it can't be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _came_from_elsewhere(request: web.Request) -> bool:
    return request.method == "GET" and request.headers.get("Sec-Fetch-Site") == "cross-site"


def _knock_again() -> web.Response:
    """A link on another site brings no cookie along (SameSite=Strict); a reload by ourselves does. So nobody who
    follows a link here loses the channel.
    """
    return web.Response(
        text='<!doctype html><meta http-equiv="refresh" content="0"><title>Mockingbird</title><a href="">Go on</a>',
        content_type="text/html",
    )


def _to_login(request: web.Request) -> web.Response:
    wants_data = any(kind in request.headers.get("Accept", "") for kind in ("json", "event-stream"))
    if request.method == "GET" and not wants_data:
        return web.Response(status=303, headers={"Location": "/login"})
    raise NotPermitted("Log in first: reload the page.")
