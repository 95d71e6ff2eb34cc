"""Server-sent events: news to an open page for as long as it is open and the service runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import structlog
from aiohttp import web

QUIET_S = 15.0  # after so many quiet seconds a comment is sent, which finds out whether somebody still listens
RETRY_MS = 2_000  # a browser that lost the stream comes back after this long

News = TypeVar("News")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """One event as `EventSource` gets it."""

    name: str
    data: dict[str, str | int | bool]  # sent as JSON, hence on one line whatever is in it
    id: int | None = None  # a browser that comes back says which one it got last

    def encoded(self) -> bytes:
        """The event on the wire."""
        number = "" if self.id is None else f"id: {self.id}\n"
        return f"{number}event: {self.name}\ndata: {json.dumps(self.data)}\n\n".encode()


async def send_events(
    request: web.Request, closing: asyncio.Event, source: AsyncGenerator[Event]
) -> web.StreamResponse:
    """Send what `source` yields until it ends, the visitor leaves, or `closing` is set.

    An error of `source` ends the stream and is in the log; the browser comes back for more by itself.
    """
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    async with aclosing(source), aclosing(until(closing, source, QUIET_S)) as events:
        try:
            await response.write(f"retry: {RETRY_MS}\n\n".encode())
            async for event in events:
                await response.write(event.encoded() if event else b": still here\n\n")
        except ConnectionError:
            pass  # the visitor left
        except Exception:  # the edge: the head is sent, so there is no other way to tell
            log.exception("a stream failed", path=request.path)
    return response


async def until(closing: asyncio.Event, source: AsyncGenerator[News], quiet_s: float) -> AsyncGenerator[News | None]:
    """What `source` yields, and None after every `quiet_s` without news, until it ends or `closing` is set."""
    closed = asyncio.create_task(closing.wait(), name="web stream: closing")
    coming: asyncio.Task[News | None] | None = None
    try:
        while True:
            coming = coming or asyncio.create_task(_next(source), name="web stream: news")
            await asyncio.wait({coming, closed}, timeout=quiet_s, return_when=asyncio.FIRST_COMPLETED)
            if closed.done():
                return
            if not coming.done():
                yield None
                continue
            news, coming = coming.result(), None
            if news is None:
                return
            yield news
    finally:
        tasks = [task for task in (closed, coming) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _next(source: AsyncGenerator[News]) -> News | None:
    return await anext(source, None)
