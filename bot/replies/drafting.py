"""What is asked of whoever speaks, as a command wants it, and what is kept of the drafts that were shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.generation.draft import Drafts, OnPartial, Sampling
from bot.replies.answers import Said


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a command asks for."""

    persona: str | None = None  # the channel's own when None
    version: str | None = None  # the one in use when None
    start: str = ""  # how each draft begins
    about: str = ""  # a message to answer
    count: int = 1
    temperature: float | None = None  # the configured one when None
    top_p: float | None = None  # likewise
    seed: int | None = None  # drawn when None
    goes_on: bool = False  # a further part of a request that was let through: it counts, but is not refused


class Drafting(Protocol):
    """What is asked of whoever speaks; `bot.generation.speaker.Speaker` does."""

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
    ) -> Drafts: ...

    async def replay(self, persona: str, version: str, *, seed: int, sampling: Sampling, start: str = "") -> Drafts: ...


def said_of(drafts: Drafts, answer_ids: Sequence[str], wanted: Wanted | None = None) -> list[Said]:
    """The drafts as they stand in these messages, one in each."""
    asked = wanted or Wanted()
    return [
        Said(
            answer_id=answer_id,
            persona=drafts.persona,
            version=drafts.version,
            seed=draft.seed,
            text=draft.text,
            novelty=draft.novelty,
            nearest=draft.nearest,
            start=asked.start,
            temperature=asked.temperature,
            top_p=asked.top_p,
        )
        for answer_id, draft in zip(answer_ids, drafts.drafts, strict=False)
    ]
