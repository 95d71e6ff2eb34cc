"""The data set of a version, put together again from the tweets as they are stored now. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.config import Training
from bot.errors import TooFewTweets
from bot.shelf.manifest import Manifest
from bot.training.dataset import DataSet, build
from bot.tweets.store import KeptTweet


class Match(StrEnum):
    """How what is stored compares with what the version was made of, by the fingerprint."""

    SAME = "same"  # training it again would change nothing
    GROWN = "grown"  # all of it is still there, and more has come since
    CHANGED = "changed"  # it can't be put together again: tweets were deleted, or rules or settings are others


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of it."""

    data_set: DataSet  # the version's own where it matches; else what is stored now, split as it was then
    match: Match

    @property
    def is_its_own(self) -> bool:
        """Whether the version was made of this very data set."""
        return self.match is not Match.CHANGED


def rebuilt(manifest: Manifest, kept: Mapping[str, Sequence[KeptTweet]], settings: Training) -> Rebuilt:
    """What the version was made of, if that can be put together again from `kept`; else what is stored now.

    In the second case tweets that it has learned may stand on the held-out side. `settings` are those of today, of
    which the version's own take the place as far as it tells them. Raises `TooFewTweets`.
    """
    as_it_was = _settings_of(manifest, settings)
    now = build(kept, as_it_was, manifest.base_sha256)
    if now.fingerprint == manifest.fingerprint:
        return Rebuilt(now, Match.SAME)
    before = {
        handle: [tweet for tweet in tweets if tweet.added_at <= manifest.tweets_read_at]
        for handle, tweets in kept.items()
    }
    try:
        then = build(before, as_it_was, manifest.base_sha256)
    except TooFewTweets:
        return Rebuilt(now, Match.CHANGED)
    if then.fingerprint == manifest.fingerprint:
        return Rebuilt(then, Match.GROWN)
    return Rebuilt(now, Match.CHANGED)


def _settings_of(manifest: Manifest, settings: Training) -> Training:
    """The settings with which the version was trained, as far as it tells them; however few its tweets."""
    told = {name: value for name, value in manifest.hyperparameters.items() if name in Training.model_fields}
    told.pop("threads", None)
    told.setdefault("prompted", 0.0)  # older versions learned every tweet alone
    return settings.model_copy(update={**told, "seed": manifest.seed, "min_characters": 0})
