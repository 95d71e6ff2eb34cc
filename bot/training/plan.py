"""What a training would read, before anybody agrees to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.tweets.counts import AccountCounts


@dataclass(frozen=True, slots=True)
class Plan:
    """A training that nobody has asked for yet."""

    persona: str
    accounts: tuple[AccountCounts, ...]  # by handle
    bases: Mapping[str, str]  # handle -> why it may be learned
    ahead: int  # trainings that wait or run
    seconds: float | None  # that it takes, as earlier ones tell; None: unknown yet

    @property
    def kept(self) -> int:
        """Tweets that it would learn from."""
        return sum(each.kept for each in self.accounts)
