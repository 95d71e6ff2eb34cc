"""What a retraining has changed: new tweets, figures before and after, and what both versions say with the same seeds.

Outcome: `Changes.after` tells it of a decision that a retraining led to, with samples that are kept beside the
decision, so that pages can show them later and a takedown removes them with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from bot.errors import MockingbirdError
from bot.generation.draft import Sampling
from bot.replies.drafting import Drafting
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from bot.training.decisions import Decision, Decisions, What

PAIRS = 3  # samples that are shown
_ASKED = 5  # of each version: not every seed passes the checks in both

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pair:
    """What two versions say with the same seed; generated, both."""

    seed: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """What there is to say of a retraining."""

    decision: Decision
    new_tweets: int  # learned from beyond those of the version before
    loss: float | None  # nats a token on the held-out tweets
    loss_before: float | None  # of the version before, on the same tweets
    pairs: tuple[Pair, ...]

    @property
    def is_adopted(self) -> bool:
        """Whether the persona speaks as the new version from now on."""
        return self.decision.what is What.USED

    @property
    def told(self) -> str:
        """The figures in a sentence or two."""
        tweets = "1 new tweet" if self.new_tweets == 1 else f"{self.new_tweets:,} new tweets"
        said = f"It learned from {tweets}."
        if self.loss is not None and self.loss_before is not None:
            said += f" Loss on held-out tweets: {self.loss_before:.3f} before, {self.loss:.3f} after."
        return said


class Changes:
    """Looks at what retrainings have changed."""

    def __init__(self, decisions: Decisions, shelf: Shelf, speaker: Drafting, sampling: Sampling) -> None:
        self._decisions = decisions
        self._shelf = shelf
        self._speaker = speaker
        self._sampling = sampling

    async def after(self, decision: Decision) -> Change | None:
        """What changed, with samples made now; None where no version was learned anew."""
        change = await self._known(decision)
        if change is None or change.pairs:
            return change
        try:
            pairs = await self._pairs(decision)
        except MockingbirdError as error:  # a version is gone, or nothing can speak now
            log.info("no samples after a retraining", persona=decision.persona, reason=type(error).__name__)
            return change
        await self._decisions.keep_samples(
            decision, json.dumps([[each.seed, each.before, each.after] for each in pairs])
        )
        return await self._known(decision)

    async def of_training(self, training: int) -> Change | None:
        """What that training changed, as far as it is known; None where it made no version anew."""
        decision = await self._decisions.of_training(training)
        return await self._known(decision) if decision is not None else None

    async def _known(self, decision: Decision) -> Change | None:
        if decision.what not in (What.USED, What.KEPT) or decision.from_version in (None, decision.to_version):
            return None
        after = self._manifest(decision.persona, decision.to_version)
        before = self._manifest(decision.persona, decision.from_version)
        metrics = after.metrics if after else None
        kept = json.loads(await self._decisions.samples(decision) or "[]")
        return Change(
            decision,
            max(0, _learned(after) - _learned(before)),
            metrics.held_out_loss if metrics else None,
            metrics.previous_held_out_loss if metrics else None,
            tuple(Pair(*each) for each in kept),
        )

    async def _pairs(self, decision: Decision) -> list[Pair]:
        before = await self._by_seed(decision, decision.from_version)
        after = await self._by_seed(decision, decision.to_version)
        return [Pair(seed, before[seed], after[seed]) for seed in sorted(before.keys() & after.keys())][:PAIRS]

    async def _by_seed(self, decision: Decision, version: str | None) -> Mapping[int, str]:
        made = await self._speaker.drafts(
            decision.persona, count=_ASKED, sampling=self._sampling, seed=decision.id, version=version, urgent=False
        )
        return {draft.seed: draft.text for draft in made.drafts}

    def _manifest(self, persona: str, version: str | None) -> Manifest | None:
        try:
            return self._shelf.version(persona, version) if version else None
        except MockingbirdError:  # it was deleted since
            return None


def _learned(manifest: Manifest | None) -> int:
    return sum(each.kept for each in manifest.counts) if manifest else 0
