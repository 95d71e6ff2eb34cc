"""What goes wrong, as a sentence for whoever asked; the edge of this front end."""

from __future__ import annotations

import math
import secrets
from http import HTTPStatus

import aiohttp_jinja2
import structlog
from aiohttp import web

from bot.errors import (
    Busy,
    MockingbirdError,
    NotPermitted,
    OutsideError,
    Refused,
    UnknownHandle,
    UnknownPersona,
    UnknownVersion,
    UsageError,
)
from bot.frontends.web.guard import Handler

_STATUSES: tuple[tuple[type[MockingbirdError], HTTPStatus], ...] = (  # the first that fits
    (NotPermitted, HTTPStatus.FORBIDDEN),
    (Refused, HTTPStatus.CONFLICT),
    (UnknownPersona, HTTPStatus.NOT_FOUND),
    (UnknownHandle, HTTPStatus.NOT_FOUND),
    (UnknownVersion, HTTPStatus.NOT_FOUND),
    (UsageError, HTTPStatus.BAD_REQUEST),
    (OutsideError, HTTPStatus.SERVICE_UNAVAILABLE),
)
_SENTENCES = {
    HTTPStatus.NOT_FOUND: "There is no page here. The names at the top lead to those there are.",
    HTTPStatus.METHOD_NOT_ALLOWED: "That can't be done here. The names at the top lead to what can.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "That is more than this page takes. Send less at once.",
}

log = structlog.get_logger(__name__)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a page raises into an answer."""
    try:
        return await handler(request)
    except web.HTTPException as answer:
        status = HTTPStatus(answer.status)
        if status < HTTPStatus.BAD_REQUEST:
            raise
        return _problem(request, status, _SENTENCES.get(status, f"{status.phrase}."))
    except MockingbirdError as error:
        response = _problem(request, _status(error), str(error))
        if isinstance(error, Busy):
            response.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
        return response
    except ConnectionError:  # the visitor left, nobody hears the answer
        raise
    except Exception:  # the edge: the visitor gets an id, the log the rest, the service goes on
        error_id = secrets.token_hex(4)
        log.exception("a page failed", error_id=error_id, method=request.method, path=request.path)
        sentence = f"Something went wrong here, and it is not your doing. The log has it under {error_id}."
        return _problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, sentence)


def _status(error: MockingbirdError) -> HTTPStatus:
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def _problem(request: web.Request, status: HTTPStatus, sentence: str) -> web.Response:
    """The sentence as a page, or as JSON for the script."""
    if "json" in request.headers.get("Accept", ""):
        return web.json_response({"problem": sentence}, status=status)
    return aiohttp_jinja2.render_template("problem.html", request, {"sentence": sentence}, status=status)
