"""Who a request comes from: keys and tokens are checked, and whether they open this route."""

from __future__ import annotations

from aiohttp import web

from bot.loopback.x.answers import XRefusal, problem
from bot.loopback.x.content import XContent
from bot.loopback.x.credentials import Credentials
from bot.loopback.x.oauth2 import OAuth2
from bot.loopback.x.routes import Answer, Call, Caller, Refused, Route, Scope

_FORM = "application/x-www-form-urlencoded"


def authorization(request: web.Request) -> str:
    """How a request names itself: "bearer", "oauth1", "basic" or "none"."""
    scheme = request.headers.get("Authorization", "").split(maxsplit=1)[:1]
    known = {"bearer": "bearer", "oauth": "oauth1", "basic": "basic"}
    return known.get(scheme[0].lower() if scheme else "", "none")


class Door:
    """Lets in whoever has valid credentials for the route."""

    def __init__(self, content: XContent, credentials: Credentials, oauth2: OAuth2) -> None:
        self._content = content
        self._credentials = credentials
        self._oauth2 = oauth2

    def caller(self, request: web.Request, call: Call) -> Caller:
        """Who asks; refused as X refuses."""
        if not call.route.signed_in:
            return Caller(Scope.APP, None)
        given = authorization(request)
        caller = None
        if given == "bearer":
            token = " ".join(request.headers["Authorization"].split(maxsplit=1)[1:])
            caller = self._credentials.app_of(token) or self._oauth2.caller(token)
        elif given == "oauth1":
            caller = self._signer(request, call)
        if caller is None or (caller.account_id is not None and caller.account_id not in self._content.accounts):
            raise Refused(Answer.of(XRefusal.UNAUTHORIZED))
        self._require_open(call.route, caller)
        return caller

    def _signer(self, request: web.Request, call: Call) -> Caller | None:
        # X signs and checks the address as it was sent, percent signs and all.
        address = f"{request.scheme}://{request.host}{request.raw_path}"
        content_type = request.headers.get("Content-Type", "")
        body = call.text if content_type.startswith(_FORM) else ""
        return self._credentials.signer(address, request.method, body, request.headers["Authorization"], content_type)

    def _require_open(self, route: Route, caller: Caller) -> None:
        if caller.account_id is None:
            if not route.app_limit:
                raise Refused(Answer.of(XRefusal.APP_ONLY_FORBIDDEN))
            return
        if not route.user_limit:
            raise Refused(Answer(403, _unsupported(caller)))
        if caller.permissions is not None and not route.scopes <= caller.permissions:
            raise Refused(Answer.of(XRefusal.SCOPE_MISSING))
        if self._content.accounts[caller.account_id].suspended:
            raise Refused(Answer.of(XRefusal.ACCOUNT_SUSPENDED))


def _unsupported(caller: Caller) -> dict[str, object]:
    way = "OAuth 1.0a User Context" if caller.permissions is None else "OAuth 2.0 User Context"
    wrong = f"Authenticating with {way} is forbidden for this endpoint."
    kind = "https://api.twitter.com/2/problems/unsupported-authentication"
    return problem(403, "Unsupported Authentication", wrong, kind)
