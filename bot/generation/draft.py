"""The values that go into and come out of speaking."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bot.config import Generation
from bot.shelf.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn; the field's usual names and meanings."""

    temperature: float  # logits are divided by it
    top_p: float  # nucleus: the smallest set of tokens with this probability mass; 1 is off
    top_k: int  # only the k likeliest tokens; 0 is off
    max_tokens: int  # a draft ends here at the latest
    asked: frozenset[str] = frozenset()  # fields that the request itself named: no version's own settings replace them

    @classmethod
    def from_settings(
        cls, settings: Generation, temperature: float | None = None, top_p: float | None = None
    ) -> Sampling:
        """The configured sampling, with what the request itself asked for."""
        return cls(
            settings.temperature if temperature is None else temperature,
            settings.top_p if top_p is None else top_p,
            settings.top_k,
            settings.max_tokens,
            frozenset(name for name, value in (("temperature", temperature), ("top_p", top_p)) if value is not None),
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
