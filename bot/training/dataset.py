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
from collections.abc import Iterable, Mapping, Sequence
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
class DataSet:
    """What a persona is made of."""

    train: tuple[str, ...]  # account by account, the oldest first
    held_out: tuple[str, ...]
    splits: tuple[Split, ...]  # one for each account
    fingerprint: str  # the same if and only if texts, order, split, base and settings are the same


def build(kept: Mapping[str, Sequence[Kept]], settings: Training, base_sha256: str) -> DataSet:
    """The data set of these accounts, `kept` being their tweets, the oldest first. Raises `TooFewTweets`."""
    ordered = {handle: [tweet.cleaned for tweet in _in_time(kept[handle])] for handle in sorted(kept)}
    unique = {handle: _new(texts, Said(len(texts))) for handle, texts in ordered.items()}
    texts_in_all = [text for texts in unique.values() for text in texts]
    require_enough(list(unique), len(texts_in_all), len(SEPARATOR.join(texts_in_all)), settings.min_characters)
    said = Said(len(texts_in_all))
    train: dict[str, list[str]] = {}
    held_out: dict[str, list[str]] = {}
    for handle, texts in unique.items():
        aside = max(1, round(len(texts) * settings.held_out)) if len(texts) > 1 else 0
        train[handle] = _new(texts[: len(texts) - aside], said)
        held_out[handle] = texts[len(texts) - aside :]
    for handle, texts in held_out.items():
        held_out[handle] = _new(texts, said)
    splits = tuple(_split(handle, kept[handle], train[handle], held_out[handle]) for handle in unique)
    learn, judge = tuple(_joined(train.values())), tuple(_joined(held_out.values()))
    if not judge:
        raise TooFewTweets(
            f"Nothing of @{', @'.join(unique)} is left to judge with. Import more tweets or raise [training] held_out."
        )
    return DataSet(learn, judge, splits, _fingerprint(learn, judge, settings, base_sha256, len(unique)))


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


def _new(texts: Sequence[str], said: Said) -> list[str]:
    """Those that say something else than what was said so far, themselves included."""
    if not texts:
        return []
    return [text for text, repetition in zip(texts, said.check(texts), strict=True) if repetition is None]


def _split(handle: str, kept: Sequence[Kept], train: Sequence[str], held_out: Sequence[str]) -> Split:
    repeated = len(kept) - len(train) - len(held_out)
    return Split(handle, len(kept), repeated, len(train), len(held_out))


def _joined(parts: Iterable[Sequence[str]]) -> Iterable[str]:
    return (text for part in parts for text in part)


def _fingerprint(
    train: Sequence[str], held_out: Sequence[str], settings: Training, base_sha256: str, accounts: int
) -> str:
    """Of everything that decides what comes out; threads and the lower limit do not, nor for one account its weight."""
    without = {"threads", "min_characters"} | ({"balance"} if accounts == 1 else set())
    relevant = settings.model_dump(mode="json", exclude=without)
    whole = json.dumps([train, held_out, relevant, base_sha256, MAX_TOKENS], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()
