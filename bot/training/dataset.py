"""From kept tweets to what is learned and what is judged with. Pure: values in, values out.

Three rules. Texts are made unique before the split, near-duplicates included, since copies are what makes a model
recite (Lee et al. 2021, arXiv 2107.06499). The newest tenth of each account is kept aside, because the future is what
a voice must fit. And a held-out tweet that says the same or nearly the same as a learned one, whoever wrote it, is
left out, because it would flatter.

A reply comes with what it answers, its prompt, where that is stored (`bot.shelf.answering` has the format). A prompt is
read and not learned; still, what is judged with is no prompt of what is learned.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from tokenizers import Tokenizer

from bot.config import Training
from bot.errors import TooFewTweets
from bot.shelf.answering import LONGEST, asking_ids
from bot.training.hyperparameters import settled
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

    @property
    def prompt(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Split:
    """How the tweets of one account were dealt out; `kept` is the sum of the three that follow it."""

    handle: str
    kept: int  # tweets that came in
    repeated: int  # left out: the same words as another tweet, or nearly
    train: int
    held_out: int
    answers: int = 0  # of the training tweets, those that come with what they answer


@dataclass(frozen=True, slots=True)
class Dealt:
    """Where the kept tweets of one account went: each of them is in one of the five, the oldest first."""

    handle: str
    said_before: tuple[Kept, ...]  # left out before the split: the account has said it already, or nearly
    said_elsewhere: tuple[Kept, ...]  # left out of what is learned: an account before it in the alphabet says it
    known_already: tuple[Kept, ...]  # left out of what is judged with: it is learned, or was put aside before
    train: tuple[Kept, ...]
    held_out: tuple[Kept, ...]

    @property
    def split(self) -> Split:
        """The same in numbers."""
        repeated = len(self.said_before) + len(self.said_elsewhere) + len(self.known_already)
        train, held_out = len(self.train), len(self.held_out)
        return Split(self.handle, repeated + train + held_out, repeated, train, held_out)


@dataclass(frozen=True, slots=True)
class DataSet:
    """What a persona is made of."""

    train: tuple[str, ...]  # account by account, the oldest first
    held_out: tuple[str, ...]
    splits: tuple[Split, ...]  # one for each account
    fingerprint: str  # the same if and only if texts, order, split, prompts, base and settings are the same
    settings: Training  # with what the amount of data decides
    dealt: tuple[Dealt, ...] = ()  # where each tweet went, one for each account
    prompts: tuple[str | None, ...] = ()  # what each training tweet answers; None where that is not known
    held_out_prompts: tuple[str | None, ...] = ()  # likewise of each held-out tweet

    @property
    def answers(self) -> int:
        """Training tweets that come with what they answer."""
        return sum(split.answers for split in self.splits)


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
    prompts = {each.handle: _prompts(each.train, settings, judge) for each in dealt}
    asked = tuple(prompt for each in dealt for prompt in prompts[each.handle])
    asked_aside = tuple(prompt for each in dealt for prompt in _prompts(each.held_out, settings))
    splits = [replace(each.split, answers=_known(prompts[each.handle])) for each in dealt]
    settings = settled(settings, learn)
    fingerprint = _fingerprint([learn, judge], [asked, asked_aside], settings, base_sha256, len(dealt))
    return DataSet(learn, judge, tuple(splits), fingerprint, settings, tuple(dealt), asked, asked_aside)


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
            known_already=tuple(held_out[handle][1]),
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


def behind_prompts(
    tokenizer: Tokenizer, prompts: Sequence[str | None], rows: Sequence[Sequence[int]], limit: int = MAX_TOKENS
) -> dict[int, tuple[list[int], int]]:
    """Each tweet whose prompt is known, by its number: its ids behind the prompt, and how many of these are the prompt.

    `rows` are the tweets alone, as `tokenise` gives them; `prompts` is empty or as long. A prompt gives way to its
    reply: together they have `limit` tokens at most, and a reply that leaves no room for any has none.
    """
    found = {}
    for number, (prompt, row) in enumerate(zip(prompts, rows, strict=bool(prompts))):
        asked = asking_ids(tokenizer, prompt, limit - len(row)) if prompt else []
        if asked:
            found[number] = [row[0], *asked, *row[1:]], len(asked)
    return found


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


def _prompts(tweets: Sequence[Kept], settings: Training, judge: Sequence[str] = ()) -> list[str | None]:
    """What each tweet answers, unless it says the same as one of `judge` or prompts are not wanted."""
    aside = {words(text) for text in judge}
    prompts = [tweet.prompt if settings.prompted else None for tweet in tweets]
    return [prompt if prompt and words(prompt) not in aside else None for prompt in prompts]


def _known(prompts: Sequence[str | None]) -> int:
    return sum(prompt is not None for prompt in prompts)


def _fingerprint(
    texts: Sequence[Sequence[str]],
    prompts: Sequence[Sequence[str | None]],
    settings: Training,
    base_sha256: str,
    accounts: int,
) -> str:
    """Of everything that decides what comes out.

    Threads, device and the lower limit do not, nor for one account its weight, nor without any prompt how often it is
    given. The method is left out where it is the one that every version was made by before there were two.
    """
    is_asked = any(map(_known, prompts))
    without = {"threads", "device", "min_characters"}
    without |= {"method"} if settings.method == "lora" else set()
    without |= {"balance"} if accounts == 1 else set()
    without |= set() if is_asked else {"prompted"}
    relevant = settings.model_dump(mode="json", exclude=without)
    whole: list[object] = [*texts, relevant, base_sha256, MAX_TOKENS]
    whole += [*prompts, LONGEST] if is_asked else []
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
