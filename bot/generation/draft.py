"""The values that go into and come out of speaking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from bot.config import Generation
from bot.errors import UsageError
from bot.shelf.manifest import Manifest

RANGES: dict[str, tuple[float, float]] = {  # what may be asked for, both ends included
    "temperature": (0.01, 5.0),
    "top_p": (0.01, 1.0),
    "top_k": (0, 1_000_000),
    "min_tokens": (0, 512),
    "max_tokens": (1, 512),
    "repetition_penalty": (1.0, 5.0),
}


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn; the field's usual names and meanings."""

    temperature: float  # logits are divided by it
    top_p: float  # nucleus: the smallest set of tokens with this probability mass; 1 is off
    top_k: int  # only the k likeliest tokens; 0 is off
    max_tokens: int  # a draft ends here at the latest
    min_tokens: int = 3  # a draft does not end before, unless max_tokens is less
    repetition_penalty: float = 1.0  # tokens of the draft so far become less likely: Keskar et al. 2019; 1 is off
    banned: tuple[str, ...] = ()  # words that are not spoken, in lower case
    asked: frozenset[str] = frozenset()  # fields that the request itself named: no version's own settings replace them

    def __post_init__(self) -> None:
        """Raises `UsageError` on what is out of its range."""
        for name, (least, most) in RANGES.items():
            if not least <= getattr(self, name) <= most:
                raise UsageError(f"{name} goes from {least:g} to {most:g}, not {getattr(self, name):g}.")

    @classmethod
    def from_settings(cls, settings: Generation, **asked: Any) -> Sampling:
        """The configured sampling, with what the request itself asked for, by the names of the fields; None is nothing.

        Raises `UsageError` on what is out of its range.
        """
        named = {name: value for name, value in asked.items() if value is not None}
        configured = {name: getattr(settings, name) for name in RANGES}
        return cls(**{**configured, **named, "asked": frozenset(named)})

    def as_made_for(self, version: Manifest) -> Sampling:
        """The settings that came with a model that was adopted, where there are any and the request named none."""
        own: dict[str, Any] = {**version.own_sampling}
        return replace(self, **{name: own[name] for name in own if name not in self.asked})


class Reason(StrEnum):
    """Why a row made no draft, or a message gets no answer; counted by persona."""

    EMPTY = "empty"  # fewer than two words, or nothing but the beginning
    LOOPING = "looping"  # the same three words come three times
    CUT_OFF = "cut off"  # it ran out of tokens before a sentence ended
    COPIED = "copied"  # too near to a real tweet of the persona
    UNSAFE = "unsafe"  # the classifier takes it for an offence
    BANNED_WORD = "with a banned word"  # of the settings, the server, or the request
    REPEATED = "repeated"  # the words of a draft that is there already
    UNSAFE_MESSAGE = "unsafe message"  # what was to be answered, or the beginning
    BANNED_WORD_IN_MESSAGE = "message with a banned word"


def in_words(refused: Mapping[Reason, int]) -> str:
    """`3 copied, 1 looping`: the commonest reason first; empty where nothing was refused."""
    return ", ".join(f"{number:,} {reason}" for reason, number in Counter(refused).most_common())


@dataclass(frozen=True, slots=True)
class Spoken:
    """One row that was generated."""

    text: str  # without the start
    seed: int
    ended: bool  # by the end token, not by running out of tokens
    likelihood: float = 0.0  # mean log-probability of its tokens under the voice, nats; 0 where it was not asked for
    base_likelihood: float | None = None  # the same under the bare base; None where that was not asked for


@dataclass(frozen=True, slots=True)
class Request:
    """Several rows from one start."""

    adapter: Path | None  # a version's folder; None speaks as the bare base
    start: str  # data: a control token written out in it stays text
    seeds: tuple[int, ...]  # one row for each
    sampling: Sampling
    asked: str = ""  # what the rows answer, one cleaned line, for a version that has learned to; data likewise
    scored: bool = False  # whether the likelihoods of each row are wanted
    urgent: bool = True  # somebody waits; what is scheduled comes after
    on_text: Callable[[int, str], None] | None = None  # told in the event loop how far row 0, 1, … has come


@dataclass(frozen=True, slots=True)
class Partial:
    """How far a row has come that is still being spoken.

    No filter for drafts has passed it, and another row may be the one that is sent. So it is for the command line and
    the web page, where who runs the service looks, and never for Discord or X.
    """

    row: int  # 0, 1, … of those that are spoken together
    seed: int
    text: str  # with the start; "…" where what was said so far is a copy or nothing that is said


OnPartial = Callable[[Partial], None]  # called in the event loop


@dataclass(frozen=True, slots=True)
class Draft:
    """One generated tweet."""

    text: str
    seed: int  # with version, start and sampling it gives this text again
    novelty: float  # 1 shares nothing with any real tweet of the persona, 0 is a copy
    nearest: str | None  # id of the real tweet it resembles most; None when nothing is shared
    similarity: float = 0.0  # to the nearest: the share of distinct words that both have
    likelihood_gain: float | None = None  # nats a token over the bare base; None where that was not asked
    score: float = 0.0  # from 0 to 1, by which the best is chosen: `bot.generation.choosing`


@dataclass(frozen=True, slots=True)
class Drafts:
    """What one request for drafts gave: the best first, the others for whoever wants more."""

    persona: str
    version: str
    drafts: tuple[Draft, ...]
    refused: Mapping[Reason, int] = field(default_factory=dict)  # rows that made no draft
