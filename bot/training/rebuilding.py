"""The data set of a version, put together again from the tweets as they are stored now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from bot.config import Training
from bot.errors import TooFewTweets
from bot.shelf.manifest import Manifest, Part
from bot.training.dataset import DataSet, Dealt, Kept, build
from bot.tweets.repetition import Said
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


def learned_versions(manifest: Manifest) -> tuple[Manifest, ...]:
    """The versions that were trained for it: itself, or each part of a blend, as far as its data set is concerned."""
    return tuple(manifest.model_copy(update=_of_a_part(part)) for part in manifest.blended_from) or (manifest,)


def _of_a_part(part: Part) -> dict[str, object]:
    told = ("handles", "fingerprint", "tweets_read_at", "seed", "hyperparameters")
    return {"blended_from": (), **{name: getattr(part, name) for name in told}}


def together(found: Sequence[Rebuilt]) -> Rebuilt:
    """What all these were made of as one: learned is what any of them has learned, and judged is with the others.

    A tweet is kept aside that one of them kept aside and that none has learned, nor anything that says nearly the same.
    So nothing flatters, however the parts' splits lie to each other. Raises `TooFewTweets` when nothing remains.
    """
    if len(found) == 1:
        return found[0]
    handles = sorted({dealt.handle for each in found for dealt in each.data_set.dealt})
    learned = {handle: _once(dealt.train for dealt in _dealt(found, handle)) for handle in handles}
    said = Said(sum(map(len, learned.values())))
    said.remember([tweet.cleaned for tweets in learned.values() for tweet in tweets])
    dealt = [
        _without(handle, learned[handle], _once(each.held_out for each in _dealt(found, handle)), said)
        for handle in handles
    ]
    judge = tuple(tweet.cleaned for each in dealt for tweet in each.held_out)
    if not judge:
        raise TooFewTweets("Nothing is left to judge with: what one part kept aside another one has learned.")
    data_set = DataSet(
        train=tuple(tweet.cleaned for each in dealt for tweet in each.train),
        held_out=judge,
        splits=tuple(each.split for each in dealt),
        fingerprint="",
        settings=found[0].data_set.settings,
        dealt=tuple(dealt),
    )
    return Rebuilt(data_set, max((each.match for each in found), key=list(Match).index))


def _dealt(found: Sequence[Rebuilt], handle: str) -> list[Dealt]:
    return [dealt for each in found for dealt in each.data_set.dealt if dealt.handle == handle]


def _once(sides: Iterable[Sequence[Kept]]) -> list[Kept]:
    """The tweets of all these sides, each once."""
    return list({(tweet.cleaned, tweet.created_at): tweet for tweet in chain.from_iterable(sides)}.values())


def _without(handle: str, learned: Sequence[Kept], aside: Sequence[Kept], said: Said) -> Dealt:
    """What one account comes to; what `said` knows, and what it has heard twice, is not judged with."""
    repetitions = said.check([tweet.cleaned for tweet in aside]) if aside else []
    new = [tweet for tweet, repetition in zip(aside, repetitions, strict=True) if repetition is None]
    return Dealt(handle, (), (), (), tuple(learned), tuple(new))


def _settings_of(manifest: Manifest, settings: Training) -> Training:
    """The settings with which the version was trained, as far as it tells them; however few its tweets."""
    told = {name: value for name, value in manifest.hyperparameters.items() if name in Training.model_fields}
    told.pop("threads", None)
    told.setdefault("prompted", 0.0)  # older versions learned every tweet alone
    return settings.model_copy(update={**told, "seed": manifest.seed, "min_characters": 0})
