"""What X says when it does not do what it was asked, as values.

Sources: error bodies that developers have quoted in public issues from 2021 to 2026, `errors` beside `data` in recorded
answers, and X's OpenAPI document 2.159 for the rest. The words of the details are X's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

Document = dict[str, Any]  # a parsed JSON object

OVER_CAPACITY_PAGE = (
    '<!DOCTYPE html>\n<html lang="en">\n<head><title>X / Over capacity</title></head>\n'
    "<body><h1>Over capacity</h1><p>Please wait a moment and try again.</p></body>\n</html>\n"
)

_TYPES = "https://api.twitter.com/2/problems/"


class XRefusal(StrEnum):
    """Ways in which a request can fail; `LoopbackX.fail_next` plays any of them."""

    INVALID_REQUEST = "400 invalid request"
    UNKNOWN_FIELD = "400 unknown field"
    UNAUTHORIZED = "401 unauthorized"
    CREDITS_DEPLETED = "402 credits depleted"
    SPENDING_LIMIT = "403 spending limit"
    CLIENT_NOT_ENROLLED = "403 client not enrolled"
    APP_ONLY_FORBIDDEN = "403 a bearer token is not accepted here"
    READ_ONLY_APP = "403 the app may not write"
    SCOPE_MISSING = "403 scope missing"
    ACCOUNT_SUSPENDED = "403 the account of these keys is suspended"
    ACCOUNT_LOCKED = "403 the account of these keys is locked"
    DUPLICATE = "403 duplicate content"
    REPLY_NOT_ALLOWED = "403 reply not allowed"
    NOT_PERMITTED = "403 not permitted"
    NO_SUCH_ADDRESS = "404 not found"
    NOT_FOUND = "200 with errors: not found"
    SUSPENDED = "200 with errors: suspended"
    PROTECTED = "200 with errors: protected"
    WINDOW = "429 window"
    DAY_OF_POSTS = "429 posts of a day"
    DAILY_CAP = "429 daily cap"
    MONTHLY_CAP = "429 monthly cap"
    TOO_MANY_STREAMS = "429 too many streams"
    INTERNAL_ERROR = "500 internal error"
    BAD_GATEWAY = "502 as a web page"
    OVER_CAPACITY = "503 as a web page"
    UNAVAILABLE = "503 as JSON"
    GATEWAY_TIMEOUT = "504 as a web page"
    WEB_PAGE = "200 as a web page"  # what a captive portal or a proxy sends
    ANSWER_LOST = "done, then the connection breaks"


def problem(status: int, title: str, detail: str, kind: str = "about:blank") -> Document:
    """A problem body as X sends it for errors without anything particular."""
    return {"title": title, "type": kind, "status": status, "detail": detail}


def _capped(period: str) -> Document:
    return {
        "account_id": "1",
        "product_name": "pay-per-use",
        "title": "UsageCapExceeded",
        "period": period,
        "scope": "Product",
        "detail": f"Usage cap exceeded: {period} product cap",
        "type": _TYPES + "usage-capped",
    }


# Status and body of every refusal that does not depend on what was asked; None stands for a web page.
FIXED: Mapping[XRefusal, tuple[int, Document | None]] = {
    XRefusal.UNAUTHORIZED: (401, problem(401, "Unauthorized", "Unauthorized")),
    XRefusal.CREDITS_DEPLETED: (
        402,
        {
            "title": "Payment Required",
            "detail": "credits depleted",
            "type": "https://api.x.com/2/problems/credits-depleted",
        },
    ),
    XRefusal.SPENDING_LIMIT: (
        403,
        {
            "account_id": 10000001,
            "title": "SpendCapReached",
            "detail": "Your enrolled account [10000001] has reached its billing cycle spend cap. API requests will be "
            "blocked until the next cycle begins on 2026-03-14.",
            "reset_date": "2026-03-14",
            "type": _TYPES + "credits",
        },
    ),
    XRefusal.CLIENT_NOT_ENROLLED: (
        403,
        {
            "client_id": "10000001",
            "detail": "When authenticating requests to the Twitter API v2 endpoints, you must use keys and tokens from "
            "a Twitter developer App that is attached to a Project. You can create a project via the developer portal.",
            "registration_url": "https://developer.twitter.com/en/docs/projects/overview",
            "title": "Client Forbidden",
            "required_enrollment": "Appropriate Level of API Access",
            "reason": "client-not-enrolled",
            "type": _TYPES + "client-forbidden",
        },
    ),
    XRefusal.APP_ONLY_FORBIDDEN: (
        403,
        problem(
            403,
            "Unsupported Authentication",
            "Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint.  Supported authentication "
            "types are [OAuth 1.0a User Context, OAuth 2.0 User Context].",
            _TYPES + "unsupported-authentication",
        ),
    ),
    XRefusal.READ_ONLY_APP: (
        403,
        problem(
            403,
            "Forbidden",
            "Your client app is not configured with the appropriate oauth1 app permissions for this endpoint.",
            _TYPES + "oauth1-permissions",
        ),
    ),
    XRefusal.SCOPE_MISSING: (403, problem(403, "Forbidden", "Forbidden")),
    XRefusal.ACCOUNT_SUSPENDED: (
        403,
        problem(403, "Forbidden", "Your account is suspended and is not permitted to access this feature."),
    ),
    XRefusal.ACCOUNT_LOCKED: (
        403,
        problem(
            403,
            "Forbidden",
            "To protect our users from spam and other malicious activity, this account is temporarily locked. Please "
            "log in to https://x.com to unlock your account.",
        ),
    ),
    XRefusal.DUPLICATE: (
        403,
        problem(403, "Forbidden", "You are not allowed to create a Tweet with duplicate content."),
    ),
    XRefusal.REPLY_NOT_ALLOWED: (
        403,
        problem(
            403,
            "Forbidden",
            "Reply to this conversation is not allowed because you have not been mentioned or otherwise engaged by the "
            "author of the post you are replying to.",
        ),
    ),
    XRefusal.NOT_PERMITTED: (403, problem(403, "Forbidden", "You are not permitted to perform this action.")),
    XRefusal.NO_SUCH_ADDRESS: (404, problem(404, "Not Found", "Not Found")),
    XRefusal.WINDOW: (429, problem(429, "Too Many Requests", "Too Many Requests")),
    XRefusal.DAY_OF_POSTS: (429, problem(429, "Too Many Requests", "Too Many Requests")),
    XRefusal.DAILY_CAP: (429, _capped("Daily")),
    XRefusal.MONTHLY_CAP: (429, _capped("Monthly")),
    XRefusal.TOO_MANY_STREAMS: (
        429,
        {
            "title": "ConnectionException",
            "detail": "This stream is currently at the maximum allowed connection limit.",
            "connection_issue": "TooManyConnections",
            "type": _TYPES + "streaming-connection",
        },
    ),
    XRefusal.INTERNAL_ERROR: (500, problem(500, "Internal Server Error", "Internal Server Error")),
    XRefusal.BAD_GATEWAY: (502, None),
    XRefusal.UNAVAILABLE: (503, problem(503, "Service Unavailable", "Service Unavailable")),
    XRefusal.OVER_CAPACITY: (503, None),
    XRefusal.GATEWAY_TIMEOUT: (504, None),
    XRefusal.WEB_PAGE: (200, None),
}


def invalid_request(message: str, parameters: Mapping[str, str] | None = None) -> Document:
    """The body of a 400: what is wrong, and with which values of which parameters."""
    named = {"parameters": {name: [value] for name, value in parameters.items()}} if parameters else {}
    return {
        "errors": [{**named, "message": message}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": _TYPES + "invalid-request",
    }


def invalid_value(parameter: str, value: str, why: str) -> Document:
    """The body of a 400 for one query parameter."""
    return invalid_request(f"The `{parameter}` query parameter value [{value}] {why}", {parameter: value})


def unseen_user(parameter: str, subject: str, why: XRefusal) -> Document:
    """One item of `errors`: an account that is not there, is suspended or is protected, as `why` says."""
    common = {"value": subject, "resource_id": subject, "resource_type": "user", "parameter": parameter}
    if why is XRefusal.PROTECTED:
        detail = f"Sorry, you are not authorized to see the user with {parameter}: [{subject}]."
        kind = {"title": "Authorization Error", "section": "data", "type": _TYPES + "not-authorized-for-resource"}
    elif why is XRefusal.SUSPENDED:
        detail = f"User has been suspended: [{subject}]."
        kind = {"title": "Forbidden", "type": _TYPES + "resource-not-found"}
    else:
        detail = f"Could not find user with {parameter}: [{subject}]."
        kind = {"title": "Not Found Error", "type": _TYPES + "resource-not-found"}
    return {**common, "detail": detail, **kind}


def missing_post(parameter: str, post_id: str) -> Document:
    """One item of `errors`: a post that is not there, or no more."""
    return {
        "value": post_id,
        "detail": f"Could not find tweet with {parameter}: [{post_id}].",
        "title": "Not Found Error",
        "resource_type": "tweet",
        "parameter": parameter,
        "resource_id": post_id,
        "type": _TYPES + "resource-not-found",
    }


def hidden_post(parameter: str, post_id: str, section: str) -> Document:
    """One item of `errors`: a post whose author is protected or suspended."""
    return {
        "value": post_id,
        "detail": f"Sorry, you are not authorized to see the Tweet with {parameter}: [{post_id}].",
        "title": "Authorization Error",
        "resource_type": "tweet",
        "parameter": parameter,
        "resource_id": post_id,
        "section": section,
        "type": _TYPES + "not-authorized-for-resource",
    }


def without_empty(document: Document) -> Document:
    """The document without keys whose value is empty: X leaves them out."""
    return {key: value for key, value in document.items() if value}
