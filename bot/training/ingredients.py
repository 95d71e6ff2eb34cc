"""What a version was made of, step by step: downloaded, left out and why, kept, learned from, kept aside. Pure.

Each step is either what remains or what was left out, and they add up: what remains, without what is left out after it,
is what remains next. Learning and judging are two shares of what remains last. Of older versions less is known: their
steps are fewer then, and still add up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict
from tokenizers import Tokenizer

from bot.shelf.manifest import HandleCounts, HandleSplit, Manifest
from bot.training.dataset import DataSet, Dealt, Kept, of_an_epoch, tokenise
from bot.tweets.cleaning import Verdict
from bot.tweets.portrait import Portrait, why

MOST_EXAMPLES = 3  # of each step of each account
LONGEST_EXAMPLE = 300  # characters


@dataclass(frozen=True, slots=True)
class Described:
    """A step in words."""

    title: str
    why: str
    is_left_out: bool = False  # else it is what remains


STEPS = {  # in their order
    "downloaded": Described("downloaded", "read from X, an archive or a table"),
    "retweets": Described("retweets", why(Verdict.RETWEET), True),
    "quotes": Described("quotes", why(Verdict.QUOTE), True),
    "short": Described("short", why(Verdict.SHORT), True),
    "duplicates": Described("duplicates", why(Verdict.DUPLICATE), True),
    "near_duplicates": Described("near-duplicates", why(Verdict.NEAR_DUPLICATE), True),
    "kept": Described("kept", "own words, each once"),
    "repeated": Described("said twice", "another tweet of the data set says it, or nearly", True),
    "said_before": Described("said before", "the account says it twice, or nearly", True),
    "said_elsewhere": Described("said elsewhere", "another account is learned saying it, or nearly", True),
    "known_already": Described("known already", "so new that it would be kept aside, but learned already", True),
    "train": Described("learned from", "all but the newest"),
    "held_out": Described("kept aside", "the newest, to judge with"),
}
OF_VERDICT = {
    Verdict.KEPT: "kept",
    Verdict.RETWEET: "retweets",
    Verdict.QUOTE: "quotes",
    Verdict.SHORT: "short",
    Verdict.DUPLICATE: "duplicates",
    Verdict.NEAR_DUPLICATE: "near_duplicates",
}


class Stored(StrEnum):
    """How the tweets that are stored compare with those that the version was made of."""

    SAME = "same"  # they are the same: training again would change nothing
    GROWN = "grown"  # they are all there, and more has come since
    CHANGED = "changed"  # they can't be put together again
    GONE = "gone"  # nothing of its accounts is stored
    NONE = "none"  # it was made elsewhere, of tweets that were never here
    BLENDED = "blended"  # it is the weighted sum of others, and nothing was learned for it


class Value(BaseModel):
    """Frozen, and with no room for a key that means nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(Value):
    """One step of one account, or of all together."""

    name: str  # a key of `STEPS`
    is_left_out: bool  # else it is what remains
    tweets: int
    examples: tuple[str, ...] = ()  # the newest first, cut to `LONGEST_EXAMPLE`; read from the database now


class Account(Value):
    """One account's way into the version, or that of all together."""

    handle: str | None  # None: all together
    steps: tuple[Step, ...]
    epoch: int | None  # training tweets that each epoch takes; None, as all below, where it is not known any more
    characters: int | None  # of the training tweets
    tokens: int | None  # of the training tweets, with one end token of each
    first: datetime | None  # UTC; of the oldest training tweet
    boundary: datetime | None  # UTC; of the oldest tweet that was kept aside
    last: datetime | None  # UTC; of the newest one
    new: int  # kept tweets that were stored since the version read them
    answers: int | None = None  # training tweets that are replies and came with what they answer


class Ingredients(Value):
    """What a version was made of."""

    persona: str
    version: str
    stored: Stored
    epochs: int | None
    accounts: tuple[Account, ...]
    together: Account
    portrait: Portrait | None  # of all accounts: of what it was made of, else of what is stored now; without examples


@dataclass(frozen=True, slots=True)
class Seen:
    """What the database holds of one account now."""

    counts: Counter[Verdict]
    examples: Mapping[str, Sequence[str]]  # by step
    new: int


def splits_of(data_set: DataSet, tokenizer: Tokenizer | None, balance: float) -> tuple[HandleSplit, ...]:
    """What became of the kept tweets, account by account, as the manifest keeps it."""
    taken = of_an_epoch([len(each.train) for each in data_set.dealt], balance)
    return tuple(
        _split(each, split.answers, epoch, tokenizer)
        for each, split, epoch in zip(data_set.dealt, data_set.splits, taken, strict=True)
    )


def _split(dealt: Dealt, answers: int, epoch: int, tokenizer: Tokenizer | None) -> HandleSplit:
    texts = [tweet.cleaned for tweet in dealt.train]
    learned, aside = _times(dealt.train), _times(dealt.held_out)
    return HandleSplit(
        handle=dealt.handle,
        said_before=len(dealt.said_before),
        said_elsewhere=len(dealt.said_elsewhere),
        known_already=len(dealt.known_already),
        train=len(dealt.train),
        held_out=len(dealt.held_out),
        epoch=epoch,
        characters=sum(map(len, texts)),
        tokens=sum(len(ids) - 1 for ids in tokenise(tokenizer, texts, 0)) if tokenizer else None,
        first=min(learned, default=None),
        boundary=min(aside, default=None),
        last=max(aside, default=None),
        answers=answers,
    )


def _times(tweets: Iterable[Kept]) -> list[datetime]:
    return [tweet.created_at for tweet in tweets if tweet.created_at]


def ingredients(
    manifest: Manifest,
    stored: Stored,
    splits: Sequence[HandleSplit],
    seen: Mapping[str, Seen],
    portrait: Portrait | None,
) -> Ingredients:
    """All of it; `splits` are empty where nobody knows them, `seen` is what is stored of each account."""
    counts = refined(manifest.counts, seen)
    by_handle = {split.handle: split for split in splits}
    tallies = {each.handle: tally(each, by_handle.get(each.handle)) for each in counts}
    accounts = tuple(
        _account(handle, tallies[handle], by_handle.get(handle), seen.get(handle, Seen(Counter(), {}, 0)))
        for handle in tallies
    )
    return Ingredients(
        persona=manifest.persona,
        version=manifest.version,
        stored=stored,
        epochs=_number(manifest, "epochs"),
        accounts=accounts,
        together=_together(manifest, tallies.values(), splits, sum(account.new for account in accounts)),
        portrait=portrait,
    )


def refined(counts: Sequence[HandleCounts], seen: Mapping[str, Seen]) -> list[HandleCounts]:
    """The counts with what older versions lack, where the stored tweets are in all numbers those that were counted."""
    if all(each.quotes is not None and each.near_duplicates is not None for each in counts):
        return list(counts)
    known = [_of_stored(each.handle, seen[each.handle].counts) if each.handle in seen else each for each in counts]
    detail = {"quotes", "near_duplicates"}
    are_those = all(
        one.model_dump(exclude=detail) == other.model_dump(exclude=detail)
        for one, other in zip(counts, known, strict=True)
    )
    return known if are_those else list(counts)


def _of_stored(handle: str, counts: Counter[Verdict]) -> HandleCounts:
    return HandleCounts(
        handle=handle,
        downloaded=counts.total(),
        retweets=counts[Verdict.RETWEET] + counts[Verdict.QUOTE],
        short=counts[Verdict.SHORT],
        duplicates=counts[Verdict.DUPLICATE] + counts[Verdict.NEAR_DUPLICATE],
        kept=counts[Verdict.KEPT],
        quotes=counts[Verdict.QUOTE],
        near_duplicates=counts[Verdict.NEAR_DUPLICATE],
    )


def tally(counts: HandleCounts, split: HandleSplit | None) -> dict[str, int]:
    """How many tweets each known step has, in the order of `STEPS`."""
    quotes, near = counts.quotes or 0, counts.near_duplicates or 0
    found = {
        "downloaded": counts.downloaded,
        "retweets": counts.retweets - quotes,
        "quotes": quotes,
        "short": counts.short,
        "duplicates": counts.duplicates - near,
        "near_duplicates": near,
        "kept": counts.kept,
    }
    if split:
        parts = ("said_before", "said_elsewhere", "known_already", "train", "held_out")
        found |= {name: getattr(split, name) for name in parts}
    return found


def _account(handle: str, tallied: Mapping[str, int], split: HandleSplit | None, seen: Seen) -> Account:
    return Account(
        handle=handle,
        steps=_steps(tallied, seen.examples),
        epoch=split.epoch if split else None,
        characters=split.characters if split else None,
        tokens=split.tokens if split else None,
        first=split.first if split else None,
        boundary=split.boundary if split else None,
        last=split.last if split else None,
        new=seen.new,
        answers=split.answers if split else None,
    )


def _together(
    manifest: Manifest, tallies: Iterable[Mapping[str, int]], splits: Sequence[HandleSplit], new: int
) -> Account:
    tallied: Counter[str] = Counter()
    for each in tallies:
        tallied.update(each)
    train = _number(manifest, "train_tweets")
    if tallied and not splits and train is not None and manifest.metrics is not None:
        held_out = manifest.metrics.held_out_tweets
        tallied.update(repeated=tallied["kept"] - train - held_out, train=train, held_out=held_out)
    tokens = [split.tokens for split in splits if split.tokens is not None]
    return Account(
        handle=None,
        steps=_steps(tallied, {}),
        epoch=sum(split.epoch for split in splits) if splits else None,
        characters=sum(split.characters for split in splits) if splits else None,
        tokens=sum(tokens) if tokens else _number(manifest, "train_tokens"),
        first=min((split.first for split in splits if split.first), default=None),
        boundary=min((split.boundary for split in splits if split.boundary), default=None),
        last=max((split.last for split in splits if split.last), default=None),
        new=new,
        answers=sum(split.answers for split in splits) if splits else None,
    )


def _steps(tallied: Mapping[str, int], examples: Mapping[str, Sequence[str]]) -> tuple[Step, ...]:
    return tuple(
        Step(
            name=name,
            is_left_out=STEPS[name].is_left_out,
            tweets=tallied[name],
            examples=tuple(text[:LONGEST_EXAMPLE] for text in examples.get(name, ())[:MOST_EXAMPLES]),
        )
        for name in STEPS
        if name in tallied
    )


def _number(manifest: Manifest, name: str) -> int | None:
    value = manifest.hyperparameters.get(name)
    return value if isinstance(value, int) else None


def waterfall(steps: Sequence[Step]) -> list[tuple[Step, int]]:
    """Each step with where its bar begins, in tweets: what is left out at the end of what remained before.

    What is kept aside begins where what is learned from ends.
    """
    placed, remaining, learned = [], 0, 0
    for step in steps:
        if step.is_left_out:
            remaining -= step.tweets
            placed.append((step, remaining))
        elif step.name == "held_out":
            placed.append((step, learned))
        else:
            remaining, learned = step.tweets, step.tweets
            placed.append((step, 0))
    return placed


# --- In words ---

_STORED = {
    Stored.SAME: "The tweets that are stored are those that it was made of: training again would change nothing.",
    Stored.GROWN: "All tweets that it was made of are still stored; {new} more to learn from have come since.",
    Stored.CHANGED: "What is stored now is not what it was made of: tweets were deleted or judged anew, or settings "
    "are others. Examples, languages and lengths are those of what is stored now.",
    Stored.GONE: "None of its tweets are stored here. The numbers are those that its manifest tells.",
    Stored.NONE: "It was adopted: somebody else trained it, on tweets that were never here.",
    Stored.BLENDED: "It is a blend: nothing was learned for it. `mockingbird card` names its parts, and `mockingbird "
    "explore PART --version VERSION` shows what each was made of.",
}


def told(made: Ingredients) -> tuple[str, ...]:
    """What has to be known to read the numbers, in sentences."""
    sentences = [_STORED[made.stored].format(new=f"{made.together.new:,}")]
    if made.accounts and all(account.epoch is None for account in made.accounts):
        sentences.append(
            "How the kept tweets of each account were split is not known any more: older versions do not tell."
        )
    return tuple(sentences)
