"""The rounds of a game of real or bot: which texts, in which order. Pure."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from bot.generation.mentions_and_links import without_handles, without_links

ROUNDS = 5
_SIMILAR = 30  # real tweets, those nearest in length to a draft, of which one is drawn


@dataclass(frozen=True, slots=True)
class Real:
    """A stored tweet, without its text."""

    handle: str
    key: str


@dataclass(frozen=True, slots=True)
class Round:
    """One text to guess about."""

    real: Real | None  # None: it was generated
    generated: str = ""


def how_many_drafts(chance: random.Random) -> int:
    """How many of the texts are to be generated: each with a chance of a half, at least one, and not all."""
    return min(max(sum(chance.random() < 0.5 for _ in range(ROUNDS)), 1), ROUNDS - 1)


def could_be_generated(text: str) -> bool:
    """Whether nothing gives a real tweet away: drafts have neither links nor handles."""
    return without_links(without_handles(text, "none")) == text


def mixed(drafts: Sequence[str], real: Mapping[Real, str], chance: random.Random) -> list[Round]:
    """The drafts among real tweets that are about as long, in a drawn order; there are enough of the latter."""
    left = dict(real)
    rounds = [Round(None, text) for text in drafts[: ROUNDS - 1]]
    while len(rounds) < ROUNDS:
        length = len(chance.choice(drafts))
        chosen = chance.choice(sorted(left, key=lambda each: abs(len(left[each]) - length))[:_SIMILAR])
        del left[chosen]
        rounds.append(Round(chosen))
    chance.shuffle(rounds)
    return rounds


def written(rounds: Sequence[Round]) -> str:
    """As they are stored."""
    return json.dumps([asdict(each) for each in rounds])


def read(stored: str) -> tuple[Round, ...]:
    """As they were stored."""
    return tuple(
        Round(Real(**each["real"]) if each["real"] else None, each["generated"]) for each in json.loads(stored)
    )
