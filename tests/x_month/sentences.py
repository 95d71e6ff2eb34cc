"""Sentences of invented words, each unlike all others, and a speaker that says them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from bot.generation.draft import Draft, Drafts, OnPartial, Sampling

_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


def sentence(chance: random.Random, fewest: int = 9, most: int = 14) -> str:
    """So many words that nobody has said in that order."""
    words = ["".join(chance.choices(_SYLLABLES, k=chance.choice((2, 3)))) for _ in range(chance.randint(fewest, most))]
    return " ".join(words).capitalize() + "."


class EverNew:
    """Never says anything twice, over restarts, as long as each life of it has a name of its own."""

    def __init__(self, name: str) -> None:
        self._chance = random.Random(name)

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
        made = tuple(Draft(sentence(self._chance), seed or number, 0.9, "1") for number in range(count))
        return Drafts(persona, version or "v1", made)

    async def replay(self, persona: str, version: str, *, seed: int, sampling: Sampling, start: str = "") -> Drafts:
        return await self.drafts(persona, count=1, sampling=sampling, seed=seed, version=version)
