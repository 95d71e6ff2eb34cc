"""What came in, what was left out and why, and whether what remains is enough to learn from. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum

from bot.tweets.cleaning import JudgedTweet, Verdict

SEPARATOR = "<|endoftext|>"  # stands between two tweets where the ancestor counts characters
TOO_LITTLE_CHARACTERS = 6_000  # huggingtweets refuses below this
LITTLE_CHARACTERS = 40_000  # huggingtweets warns below this


class Enough(StrEnum):
    """Whether what was kept is enough to learn from, by the ancestor's limits."""

    OK = "ok"
    LITTLE = "little"  # under 40,000 characters: it learns, and repeats itself
    TOO_LITTLE = "too little"  # under 6,000 characters: not to be trained


@dataclass(frozen=True, slots=True)
class AccountCounts:
    """One account's tweets in numbers; `downloaded` is the sum of the four that follow it.

    As the ancestor's card has four, `retweets` are somebody else's words in every form and `duplicates` are repetitions
    of both kinds; how many of them are which is said at the end.
    """

    handle: str  # lower case, no @
    downloaded: int  # tweets that the source gave
    retweets: int  # quotes by hand included
    short: int
    duplicates: int  # near-duplicates included
    kept: int
    characters: int  # length of the kept tweets joined by `SEPARATOR`
    first: datetime | None  # time of the oldest tweet, kept or not; UTC, None when no tweet has a time
    last: datetime | None  # time of the newest
    verdict: Enough
    quotes: int = 0  # of the retweets, those quoted by hand
    near_duplicates: int = 0  # of the duplicates, those that are not the very words

    def as_json(self) -> dict[str, object]:
        """The account as `mockingbird import --json` shows it; times as `2018-07-01T23:04:00Z`."""
        return asdict(self) | {"first": _in_words(self.first), "last": _in_words(self.last)}


def count(handle: str, judged: Sequence[JudgedTweet]) -> AccountCounts:
    """The counts of one account's judged tweets."""
    verdicts = Counter(each.verdict for each in judged)
    kept = [len(each.cleaned) for each in judged if each.verdict is Verdict.KEPT]
    moments = [each.tweet.created_at for each in judged if each.tweet.created_at]
    return counts_of(handle, verdicts, sum(kept), min(moments, default=None), max(moments, default=None))


def counts_of(
    handle: str, verdicts: Counter[Verdict], letters: int, first: datetime | None, last: datetime | None
) -> AccountCounts:
    """The counts from the number of tweets with each verdict and the summed length of the kept texts."""
    characters = letters + len(SEPARATOR) * max(verdicts[Verdict.KEPT] - 1, 0)
    return AccountCounts(
        handle=handle,
        downloaded=verdicts.total(),
        retweets=verdicts[Verdict.RETWEET] + verdicts[Verdict.QUOTE],
        short=verdicts[Verdict.SHORT],
        duplicates=verdicts[Verdict.DUPLICATE] + verdicts[Verdict.NEAR_DUPLICATE],
        kept=verdicts[Verdict.KEPT],
        characters=characters,
        first=first,
        last=last,
        verdict=_enough(characters),
        quotes=verdicts[Verdict.QUOTE],
        near_duplicates=verdicts[Verdict.NEAR_DUPLICATE],
    )


def _enough(characters: int) -> Enough:
    if characters < TOO_LITTLE_CHARACTERS:
        return Enough.TOO_LITTLE
    return Enough.LITTLE if characters < LITTLE_CHARACTERS else Enough.OK


def _in_words(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
