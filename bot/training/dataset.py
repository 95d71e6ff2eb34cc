"""From kept tweets to what is learned and what is judged with. Pure: values in, values out.

Three rules. Texts are made unique before the split, near-duplicates included, since copies are what makes a model
recite (Lee et al. 2021, arXiv 2107.06499). The newest tenth of each account is kept aside, because the future is what
a voice must fit. And a held-out tweet that says the same or nearly the same as a learned one, whoever wrote it, is
left out, because it would flatter.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tokenizers import Tokenizer

from bot.config import Training
from bot.errors import TooFewTweets
from bot.tweets.counts import SEPARATOR
from bot.tweets.repetition import Said

MAX_TOKENS = 512  # of a tweet with its two end tokens; what is longer is cut (the longest posts of 25,000 characters)

_NO_WORD = re.compile(r"\W+")


class Kept(Protocol):
    """What is asked of a tweet; `bot.tweets.store.KeptTweet` has it."""

    @property
    def cleaned(self) -> str: ...

    @property
    def created_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Split:
    """How the tweets of one account were dealt out; `kept` is the sum of the three that follow it."""

    handle: str
    kept: int  # tweets that came in
    repeated: int  # left out: the same words as another tweet, or nearly
    train: int
    held_out: int


@dataclass(frozen=True, slots=True)
class Dealt:
    """Where the kept tweets of one account went: each of them is in one of the five, the oldest first."""

    handle: str
    said_before: tuple[Kept, ...]  # left out before the split: the account has said it already, or nearly
    said_elsewhere: tuple[Kept, ...]  # left out of what is learned: an account before it in the alphabet says it
    given_away: tuple[Kept, ...]  # left out of what is judged with: it is learned, or was put aside before
    train: tuple[Kept, ...]
    held_out: tuple[Kept, ...]

    @property
    def split(self) -> Split:
        """The same in numbers."""
        repeated = len(self.said_before) + len(self.said_elsewhere) + len(self.given_away)
        train, held_out = len(self.train), len(self.held_out)
        return Split(self.handle, repeated + train + held_out, repeated, train, held_out)


@dataclass(frozen=True, slots=True)
class DataSet:
    """What a persona is made of."""

    train: tuple[str, ...]  # account by account, the oldest first
    held_out: tuple[str, ...]
    splits: tuple[Split, ...]  # one for each account
    fingerprint: str  # the same if and only if texts, order, split, base and settings are the same
    dealt: tuple[Dealt, ...] = ()  # where each tweet went, one for each account


def build(kept: Mapping[str, Sequence[Kept]], settings: Training, base_sha256: str) -> DataSet:
    """The data set of these accounts, `kept` being their tweets, the oldest first. Raises `TooFewTweets`."""
    dealt = deal(kept, settings)
    learn = tuple(tweet.cleaned for each in dealt for tweet in each.train)
    judge = tuple(tweet.cleaned for each in dealt for tweet in each.held_out)
    if not judge:
        raise TooFewTweets(
            f"Nothing of @{', @'.join(each.handle for each in dealt)} is left to judge with. Import more tweets or "
            "raise [training] held_out."
        )
    fingerprint = _fingerprint(learn, judge, settings, base_sha256, len(dealt))
    return DataSet(learn, judge, tuple(each.split for each in dealt), fingerprint, tuple(dealt))


def deal(kept: Mapping[str, Sequence[Kept]], settings: Training) -> list[Dealt]:
    """Where each tweet goes, account by account in the order of the alphabet. Raises `TooFewTweets`."""
    own = {handle: _sifted(_in_time(kept[handle]), Said(len(kept[handle]))) for handle in sorted(kept)}
    texts = [tweet.cleaned for new, _ in own.values() for tweet in new]
    require_enough(list(own), len(texts), len(SEPARATOR.join(texts)), settings.min_characters)
    said = Said(len(texts))
    ends = {
        handle: len(new) - (max(1, round(len(new) * settings.held_out)) if len(new) > 1 else 0)
        for handle, (new, _) in own.items()
    }
    train = {handle: _sifted(new[: ends[handle]], said) for handle, (new, _) in own.items()}
    held_out = {handle: _sifted(new[ends[handle] :], said) for handle, (new, _) in own.items()}
    return [
        Dealt(
            handle,
            said_before=tuple(own[handle][1]),
            said_elsewhere=tuple(train[handle][1]),
            given_away=tuple(held_out[handle][1]),
            train=tuple(train[handle][0]),
            held_out=tuple(held_out[handle][0]),
        )
        for handle in own
    ]


def of_an_epoch(accounts: Sequence[int], balance: float) -> list[int]:
    """How many training tweets an epoch takes of each account, `accounts` being how many there are; none twice.

    Of an account with n tweets, the smallest having m: n ** balance * m ** (1 - balance), drawn anew in each epoch.
    Shares by a power of the size are usual where languages of unequal size are learned together (Conneau et al. 2020,
    arXiv 1911.02116); there what is small is repeated, which a persona would recite.
    """
    smallest = min((size for size in accounts if size), default=0)
    return [round(size**balance * smallest ** (1 - balance)) if size else 0 for size in accounts]


def require_enough(handles: Sequence[str], tweets: int, characters: int, min_characters: int) -> None:
    """Whether so much is enough to learn from; characters as `AccountCounts` has them. Raises `TooFewTweets`."""
    if characters < min_characters or tweets < 2:
        names = ", ".join(f"@{handle}" for handle in handles)
        raise TooFewTweets(
            f"{names} left {characters:,} characters in {tweets:,} tweets to learn from; {min_characters:,} are "
            "needed. Import more tweets, add another account, or lower [training] min_characters."
        )


def words(text: str) -> str:
    """The text's words alone: two tweets that differ only in case, punctuation or emoji have the same."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NO_WORD.sub(" ", folded).strip() or folded


def tokenise(tokenizer: Tokenizer, texts: Sequence[str], end_id: int, limit: int = MAX_TOKENS) -> list[list[int]]:
    """Each text as token ids between two end tokens, cut off after `limit`.

    What looks like a special token inside a text is mere text.
    """
    tokenizer.encode_special_tokens = True
    encoded = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    return [[end_id, *encoding.ids, end_id][:limit] for encoding in encoded]


def text_bytes(tokenizer: Tokenizer, texts: Sequence[str], tokens: Sequence[Sequence[int]]) -> int:
    """Bytes in UTF-8 of what the tokens stand for; of a text that was cut off, of what is left of it."""
    return sum(
        min(len(text.encode()), len(tokenizer.decode(list(ids)).encode()))
        for text, ids in zip(texts, tokens, strict=True)
    )


def _in_time(tweets: Sequence[Kept]) -> list[Kept]:
    """The oldest first; tweets without a time stay in their order, before all others."""
    undated = [tweet for tweet in tweets if tweet.created_at is None]
    dated = [(tweet.created_at, place) for place, tweet in enumerate(tweets) if tweet.created_at is not None]
    return undated + [tweets[place] for _, place in sorted(dated)]


def _sifted(tweets: Sequence[Kept], said: Said) -> tuple[list[Kept], list[Kept]]:
    """Those that say something else than what was said so far, themselves included, and those that repeat it."""
    new: list[Kept] = []
    repeated: list[Kept] = []
    repetitions = said.check([tweet.cleaned for tweet in tweets]) if tweets else []
    for tweet, repetition in zip(tweets, repetitions, strict=True):
        (new if repetition is None else repeated).append(tweet)
    return new, repeated


def _fingerprint(
    train: Sequence[str], held_out: Sequence[str], settings: Training, base_sha256: str, accounts: int
) -> str:
    """Of everything that decides what comes out; threads and the lower limit do not, nor for one account its weight."""
    without = {"threads", "min_characters"} | ({"balance"} if accounts == 1 else set())
    relevant = settings.model_dump(mode="json", exclude=without)
    whole = json.dumps([train, held_out, relevant, base_sha256, MAX_TOKENS], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()
