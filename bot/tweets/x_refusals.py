"""What a refusal of X means: every failure is one exception of our tree with one sentence that says what to do. Pure.

Sources: X's OpenAPI documents for the problem types, and bodies that developers have quoted in public from 2021 to
2026. No sentence holds a credential: they are built from the status, X's own words and names of settings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import aiohttp

from bot.errors import XCreditsDepleted, XError, XKeysRefused, XPostRefused, XRateLimited, XUnreachable

CONSOLE = "the developer console (console.x.com)"
USER_KEYS = "the four variables that [x] consumer_key_env, consumer_secret_env, access_token_env and " \
    "access_token_secret_env name"  # fmt: skip
_FIELDS = re.compile(r"\b(?:tweet|post)\.fields\b|\bexpansions\b")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of X as it came in."""

    status: int
    headers: Mapping[str, str]  # looked up in lower case
    content_type: str
    document: Any  # the parsed body; None when it is not JSON
    host: str  # that was asked
    writes: bool  # something was to be posted or deleted

    async def json(self) -> Any:
        """The body, under the name by which tweepy asks for it."""
        return self.document

    @property
    def detail(self) -> str:
        """X's own words about what is wrong, on one line; empty when it has none."""
        body = self.document if isinstance(self.document, dict) else {}
        errors = [error for error in body.get("errors", ()) if isinstance(error, dict)]
        messages = [str(error["message"]) for error in errors if "message" in error]
        words = "; ".join(messages) or body.get("detail") or body.get("title") or ""
        return " ".join(str(words).split())[:300]

    @property
    def title(self) -> str:
        """X's name for what is wrong, such as "SpendCapReached"; empty when it has none."""
        return str(self.document.get("title", "")) if isinstance(self.document, dict) else ""

    @property
    def kind(self) -> str:
        """The last part of X's problem type, such as "usage-capped"; empty when it has none."""
        body = self.document if isinstance(self.document, dict) else {}
        return str(body.get("type", "")).rpartition("/2/problems/")[2]


def parsed(text: str) -> Any:
    """The JSON of a body; None when it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def refusal(answer: Answer) -> XError | None:
    """What an answer means that is not what was asked for; None when it is a JSON object with a status of 2xx."""
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return None if isinstance(answer.document, dict) else _not_x(answer)
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return XKeysRefused(
            "X does not accept the keys (401); put valid ones into the variables that the [x] section names, "
            "and check that this machine's clock is right."
        )
    if answer.title == "SpendCapReached" or "spend cap" in answer.detail.lower():
        return _spending_limit(answer)
    if answer.status == HTTPStatus.PAYMENT_REQUIRED or answer.title == "CreditsDepleted":
        return XCreditsDepleted(
            f"The X app has no credits left ({answer.status}); buy some in {CONSOLE} and try again."
        )
    if answer.status == HTTPStatus.FORBIDDEN:
        return _forbidden(answer)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return _limited(answer)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return XUnreachable(
            f"X is overloaded or down ({answer.status}); try again in a few minutes{_doubt(answer.writes)}.",
            answer.writes,
        )
    return _misunderstood(answer)


def _not_x(answer: Answer) -> XError:
    return XUnreachable(
        f"What answers at {answer.host} is not X ({answer.status}, {answer.content_type}); "
        f"check [x] api_base and any proxy or sign-in page in between{_doubt(answer.writes)}.",
        answer.writes,
    )


def _doubt(writes: bool) -> str:
    """What has to be added when something may have been written."""
    return ", and look at the timeline first, since it may have been done" if writes else ""


# Problem types and words of a 403, the exception, and the sentence. The first that fits is taken.
_FORBIDDEN: tuple[tuple[str, str, type[XError], str], ...] = (
    (
        "client-forbidden", "", XKeysRefused,
        "The app of these X keys may not use this (403): it belongs to no project, or its access level does not cover "
        f"it; look at the app in {CONSOLE}, and create new keys after a change.",
    ),
    (
        "oauth1-permissions", "", XKeysRefused,
        f"The X app may only read (403); give it the permission to read and write in {CONSOLE}, "
        "then create a new access token and secret.",
    ),
    (
        "unsupported-authentication", "", XKeysRefused,
        f"X does not accept a bearer token for this (403); set {USER_KEYS}.",
    ),
    (
        "", "duplicate content", XPostRefused,
        "This account has posted this text before, so X did not publish it again (403); choose another draft.",
    ),
    (
        "", "too long", XPostRefused,
        "The text is longer than X allows, so it was not published (403); choose a shorter draft.",
    ),
    (
        "", "reply to this conversation is not allowed", XPostRefused,
        "X lets an app answer only somebody who mentioned or quoted its account, so the reply was not published (403); "
        "answer a mention instead.",
    ),
    (
        "", "deleted or not visible", XPostRefused,
        "The post to be answered is deleted or hidden, so the reply was not published (403); let it go.",
    ),
    (
        "", "suspended", XKeysRefused,
        "X has suspended the account of these keys (403); sign in with a browser and follow what X says there.",
    ),
    (
        "", "locked", XKeysRefused,
        "X has locked the account of these keys (403); sign in with a browser and follow what X says there.",
    ),
    (
        "", "not permitted", XError,
        "X did not permit this and does not say why (403): mostly its protection against spam; wait a few hours, "
        f"then look at the account in a browser and at the app in {CONSOLE}.",
    ),
)  # fmt: skip


def _forbidden(answer: Answer) -> XError:
    if answer.kind == "usage-capped":
        return _limited(answer)
    words = answer.detail.lower()
    for kind, phrase, exception, sentence in _FORBIDDEN:
        if (kind and kind == answer.kind) or (phrase and phrase in words):
            return exception(sentence)
    return XError(f"X refused this (403, {answer.detail or 'no reason given'}); look at the app in {CONSOLE}.")


def _spending_limit(answer: Answer) -> XRateLimited:
    """A limit that the app's owner has set. Quoted in public since 2026-03, with `reset_date` as in "2026-05-13"."""
    day = str(answer.document.get("reset_date") or "")
    try:
        resets_at = datetime.fromisoformat(day).replace(tzinfo=UTC) if day else None
    except ValueError:
        resets_at = None
    until = f"until {resets_at:%Y-%m-%d}" if resets_at else "for the next billing cycle"
    return XRateLimited(
        f"The spending limit of the X app is reached ({answer.status}); raise it in {CONSOLE} or wait {until}.",
        resets_at,
    )


def _limited(answer: Answer) -> XRateLimited:
    if answer.kind == "usage-capped":
        period = "monthly" if "monthly" in answer.detail.lower() else "daily"
        return XRateLimited(
            f"The X app's {period} cap is used up ({answer.status}); raise it in {CONSOLE} or wait until it is over.",
            None,
        )
    for prefix, span in (
        ("x-user-limit-24hour", "today"), ("x-app-limit-24hour", "today"), ("x-rate-limit", "now")
    ):  # fmt: skip
        resets_at = _moment(answer.headers.get(f"{prefix}-reset"))
        if resets_at is not None and (span == "now" or answer.headers.get(f"{prefix}-remaining") == "0"):
            return XRateLimited(
                f"X takes no more requests of this kind for {span} ({answer.status}); "
                f"try again after {resets_at:%Y-%m-%d %H:%M:%S} UTC.",
                resets_at,
            )
    return XRateLimited(
        f"X takes no more requests of this kind for now ({answer.status}) and does not say until when; "
        "try again in a quarter of an hour.",
        None,
    )


def _moment(seconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds is not None and seconds.isdecimal() else None


def _misunderstood(answer: Answer) -> XError:
    if "too long" in answer.detail.lower():
        return XPostRefused(
            f"The text is longer than X allows, so it was not published ({answer.status}); choose a shorter draft."
        )
    if answer.status == HTTPStatus.CONFLICT:
        return XError(
            f"X is still at work on an earlier request of this kind ({answer.status}); "
            "try again in a quarter of an hour."
        )
    if answer.status == HTTPStatus.BAD_REQUEST and _FIELDS.search(answer.detail):
        return XError(
            f"X does not know what was asked for ({answer.status}, {answer.detail}); "
            "set [x] vocabulary to the other one of its two values."
        )
    if answer.status == HTTPStatus.NOT_FOUND or answer.status < HTTPStatus.BAD_REQUEST:
        return XError(f"{answer.host} has no such address ({answer.status}); check [x] api_base.")
    return XError(
        f"X did not understand the request ({answer.status}, {answer.detail or 'no reason given'}); "
        "if it happens again, it is a fault of this program: please report it."
    )


def broken_connection(error: aiohttp.ClientError | TimeoutError, host: str, writes: bool) -> XUnreachable:
    """What a failure of the network means. Before a connection stands nothing was sent, so nothing was written."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return XUnreachable(f"The name {host} can't be found; check [x] api_base and this machine's network.", False)
    if isinstance(error, aiohttp.ClientSSLError):
        return XUnreachable(
            f"The certificate of {host} can't be trusted; check this machine's clock and any proxy in between.", False
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return XUnreachable(f"{host} accepts no connection; check [x] api_base and this machine's network.", False)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return XUnreachable(f"{host} can't be reached in time; check this machine's network.", False)
    if isinstance(error, TimeoutError):
        return XUnreachable(f"{host} did not answer in time; try again in a few minutes{_doubt(writes)}.", writes, True)
    return XUnreachable(
        f"The connection to {host} broke before the answer came; try again in a few minutes{_doubt(writes)}.",
        writes,
        True,
    )
