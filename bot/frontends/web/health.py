"""`/healthz`: whether the service runs, for whatever watches it. No password, so nothing about anybody."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from itertools import chain

from aiohttp import web

from bot.generation.draft import Reason

Refusals = Mapping[str, Mapping[Reason, int]]  # since the start: persona, why, how often


class Health:
    """Says that the page is up, and how much was refused since the service started."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals

    def route(self) -> web.AbstractRouteDef:
        """Where it is found."""
        return web.get("/healthz", self.show)

    async def show(self, request: web.Request) -> web.Response:
        """`{"status": "ok", "tasks": number, "refused": {reason: count}}`: asyncio's tasks, in which what leaks can be
        seen, and the refusals of all personas together, whose names are not told.
        """
        pairs = chain.from_iterable(counts.items() for counts in self._refusals.values())
        refused: Counter[str] = Counter()
        for reason, number in pairs:
            refused[reason.value] += number
        return web.json_response({"status": "ok", "tasks": len(asyncio.all_tasks()), "refused": refused})
