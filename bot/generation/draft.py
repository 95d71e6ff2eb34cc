"""The values that go into and come out of speaking."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    def from_settings(
        cls, settings: Generation, temperature: float | None = None, top_p: float | None = None
    ) -> Sampling:
        """The configured sampling, with what the request itself asked for."""
        named = {name for name, value in (("temperature", temperature), ("top_p", top_p)) if value is not None}
        return cls(
            settings.temperature if temperature is None else temperature,
            settings.top_p if top_p is None else top_p,
            settings.top_k,
            settings.max_tokens,
            asked=frozenset(named),
        )

    def as_made_for(self, version: Manifest) -> Sampling:
        """The settings that came with a model that was adopted, where there are any and the request named none."""
        own: dict[str, Any] = {**version.own_sampling}
        return replace(self, **{name: own[name] for name in own if name not in self.asked})


@dataclass(frozen=True, slots=True)
class Draft:
    """One generated tweet."""

    text: str
    seed: int  # with version, start and sampling it gives this text again
    novelty: float  # 1 shares nothing with any real tweet of the persona, 0 is a copy
    nearest: str | None  # id of the real tweet it resembles most; None when nothing is shared


@dataclass(frozen=True, slots=True)
class Drafts:
    """What one request for drafts gave, the best first."""

    persona: str
    version: str
    drafts: tuple[Draft, ...]
