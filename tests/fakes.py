"""Small stand-ins, obvious at a glance. Wherever the real part can run it does: database, sockets, engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.generation.draft import Draft, Drafts, OnPartial, Partial, Sampling


class FakeClock:
    """A clock that moves only when it is told to."""

    def __init__(self, now: datetime = datetime(2026, 11, 1, 12, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class FakeSpeaker:
    """Says numbered sentences, or the texts it was given; can be held up and can be made to fail."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._texts = list(texts)
        self.asked: list[tuple[str, str]] = []  # persona and message to answer, of each request
        self.replayed: list[tuple[str, int, float]] = []  # version, seed and temperature of each draft said once more
        self.banned: tuple[str, ...] = ()  # words of the last request
        self.thread: tuple[str, ...] = ()  # of the last request
        self.urgent = True  # the last request
        self.partials: list[Partial] = []  # what whoever follows a request is told first
        self.followers: list[OnPartial] = []  # who followed a request
        self.failure: Exception | None = None
        self.asking = asyncio.Event()  # set by each request
        self.free = asyncio.Event()  # cleared, it holds every request until it is set
        self.free.set()
        self.holds_at = 0  # the number of the request that clears `free` by itself; 0: none does
        self.held = asyncio.Event()  # set by that request
        self._count = 0

    async def drafts(
        self,
        persona: str,
        *,
        count: int,
        sampling: Sampling,
        start: str = "",
        seed: int | None = None,
        about: str = "",
        thread: Sequence[str] = (),
        urgent: bool = True,
        version: str | None = None,
        on_partial: OnPartial | None = None,
    ) -> Drafts:
        self.asked.append((persona, about))
        self.banned = sampling.banned
        self.thread = tuple(thread)
        self.urgent = urgent
        if on_partial is not None:
            self.followers.append(on_partial)
            for partial in self.partials:
                on_partial(partial)
        self.asking.set()
        if len(self.asked) == self.holds_at:
            self.free.clear()
            self.held.set()
        await self.free.wait()
        if self.failure is not None:
            raise self.failure
        first = 1 if seed is None else seed
        return Drafts(persona, version or "v1", tuple(self._draft(start, first + number) for number in range(count)))

    async def replay(self, persona: str, version: str, *, seed: int, sampling: Sampling, start: str = "") -> Drafts:
        self.replayed.append((version, seed, sampling.temperature))
        return await self.drafts(persona, count=1, sampling=sampling, start=start, seed=seed, version=version)

    def _draft(self, start: str, seed: int) -> Draft:
        self._count += 1
        text = self._texts.pop(0) if self._texts else f"{start} tweet number {self._count}".strip()
        return Draft(text, seed, 0.9, "1")


class QuickAsyncio:
    """asyncio without its pauses."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        """None."""
