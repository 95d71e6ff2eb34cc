"""Waking whoever waits for a change, in this process at once and for other processes' changes soon."""

from __future__ import annotations

import asyncio
from contextlib import suppress

POLL_S = 1.0  # how often rows are looked at that another process may have changed


class News:
    """`latest()` before looking, `after(it)` when there was nothing to see: no change is missed between the two."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def latest(self) -> asyncio.Event:
        """What `after` needs to know from when on a change counts."""
        return self._next

    def tell(self) -> None:
        """Something has changed."""
        self._next.set()
        self._next = asyncio.Event()

    async def after(self, latest: asyncio.Event, limit_s: float = POLL_S) -> None:
        """Return once something has changed since `latest`, or after `limit_s` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await latest.wait()
