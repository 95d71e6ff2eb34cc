"""What an account is like, from all its stored tweets at once: counts, times, lengths, languages, habits. Pure.

The tweets come one after the other and are not kept, so that an account of a million costs no more memory than one of
a thousand. Only the languages are told from a sample: every n-th of the kept tweets, at most `MOST_DETECTED`.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import regex
from pydantic import BaseModel, ConfigDict

from bot.tweets.cleaning import Verdict
from bot.tweets.tweet import Source

MOST_EXAMPLES = 5  # of each verdict
MOST_DETECTED = 4_000  # tweets whose language is detected; a share of them is right to within two percentage points
LENGTH_STEP = 20  # characters in each bar of the lengths
LONGEST_STEP = 280  # from there on one bar; X's own limit for most accounts

_WHY = {
    "kept": "learned",
    "retweet": "passed on, somebody else's words",
    "quote": "somebody else's words, quoted by hand",
    "short": "too few plain words",
    "duplicate": "the same words as a tweet before it",
    "near_duplicate": "nearly the same words as a tweet before it",
}


def why(verdict: Verdict) -> str:
    """What a verdict means, in a few words for a person."""
    return _WHY.get(verdict.value, verdict.value.replace("_", " "))


class Value(BaseModel):
    """Frozen, and with no room for a key that means nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class StoredTweet:
    """A row of the table `tweets`, as far as a portrait needs it."""

    key: str  # see `Tweet.key`
    text: str  # as the source gave it
    cleaned: str
    verdict: Verdict
    created_at: datetime | None  # UTC
    reply_to: str | None
    source: Source


class Month(Value):
    """The tweets of one month, UTC."""

    month: str  # such as 2018-07
    tweets: int
    kept: int  # of them


@dataclass(frozen=True, slots=True)
class Period:
    """The tweets of one or several months."""

    name: str  # such as 2018-07, 2018 Q3, 2018, 2010s
    tweets: int
    kept: int  # of them


class Lengths(Value):
    """How long the kept tweets are when they are cleaned, in characters (Unicode code points)."""

    median: int
    ninth_tenth: int  # nine of ten are not longer
    longest: int
    bars: tuple[int, ...]  # how many have 1 to 20 characters, 21 to 40, ..., 261 to 280, and more


class Languages(Value):
    """Languages of a sample of the kept tweets."""

    detected: int  # tweets in the sample
    every: int  # it is each first of so many kept tweets; 1 is all of them
    counts: dict[str, int]  # by ISO 639-1 code, `und` for unknown; the most frequent first


class Habits(Value):
    """How many of an account's own tweets (all that are no retweets) hold what, as they were written."""

    own: int  # all of them
    links: int
    mentions: int
    hashtags: int
    emoji: int
    replies: int  # known by the source's field, or begin with a mention
    capitals: int  # hold a word of three or more letters, all of them capitals


class Portrait(Value):
    """All that, of one account."""

    handle: str  # lower case, no @
    tweets: int
    verdicts: dict[Verdict, int]  # of every kind, in the order of `Verdict`; the sum is `tweets`
    examples: dict[Verdict, tuple[str, ...]]  # cleaned, on one line; the newest first
    first: datetime | None  # UTC; None where no tweet has a time
    last: datetime | None
    months: tuple[Month, ...]  # from the first to the last, quiet ones too
    undated: int  # tweets without a time
    lengths: Lengths | None  # None when nothing was kept
    languages: Languages
    habits: Habits
    sources: dict[Source, int]  # those that gave any


def portray(handle: str, tweets: Iterable[StoredTweet], language: Callable[[str], str]) -> Portrait:
    """The portrait of an account from its tweets in any order; `language` tells the code of a cleaned text."""
    drawing = _Drawing()
    for tweet in tweets:
        drawing.add(tweet)
    verdicts = {verdict: drawing.verdicts[verdict] for verdict in Verdict}
    return Portrait(
        handle=handle,
        tweets=sum(verdicts.values()),
        verdicts=verdicts,
        examples={verdict: drawing.newest.get(verdict, Newest()).texts() for verdict in Verdict},
        first=drawing.first,
        last=drawing.last,
        months=tuple(_months(drawing.months, drawing.months_kept)),
        undated=drawing.undated,
        lengths=_lengths(drawing.lengths),
        languages=_languages(drawing.sample, language),
        habits=Habits(own=sum(verdicts.values()) - verdicts[Verdict.RETWEET], **_habits(drawing.habits)),
        sources={source: drawing.sources[source] for source in Source if drawing.sources[source]},
    )


def periods(months: Sequence[Month], most: int) -> list[Period]:
    """At most so many periods, all as long as each other: months, quarters, years or decades, whatever fits first.

    Of decades there may be more.
    """
    for name in _PERIODS:
        found: dict[str, Period] = {}
        for each in months:
            year, month = map(int, each.month.split("-"))
            title = name.format(year=year, month=month, quarter=(month + 2) // 3, decade=year // 10 * 10)
            past = found.get(title, Period(title, 0, 0))
            found[title] = Period(title, past.tweets + each.tweets, past.kept + each.kept)
        if len(found) <= most:
            break
    return list(found.values())


_PERIODS = ("{year:04}-{month:02}", "{year:04} Q{quarter}", "{year:04}", "{decade:04}s")

_LINK = regex.compile(r"(?:https?://|(?<![\w.-])(?:t\.co|pic\.twitter\.com)/)\S*")
_HABITS = {
    "mentions": regex.compile(r"(?<![\w@/])@\w"),
    "hashtags": regex.compile(r"(?<![\w&#/])[#＃]\d*[^\W\d]"),
    "emoji": regex.compile(r"\p{Emoji_Presentation}|\p{Emoji}\uFE0F"),
    "capitals": regex.compile(r"(?<![\w@#&])\p{Lu}{3,}(?!\w)"),
}
_CONTROL = regex.compile(r"[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+")  # would move a terminal's cursor, or more


class _Drawing:
    """What is known after some of the tweets."""

    def __init__(self) -> None:
        self.verdicts: Counter[Verdict] = Counter()
        self.newest: dict[Verdict, Newest] = {}
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.months: Counter[int] = Counter()  # by months since the year 0
        self.months_kept: Counter[int] = Counter()
        self.undated = 0
        self.lengths: Counter[int] = Counter()
        self.sample = _Sample()
        self.habits: Counter[str] = Counter()
        self.sources: Counter[Source] = Counter()

    def add(self, tweet: StoredTweet) -> None:
        is_kept = tweet.verdict is Verdict.KEPT
        self.verdicts[tweet.verdict] += 1
        self.sources[tweet.source] += 1
        self.newest.setdefault(tweet.verdict, Newest()).add(tweet)
        self._add_time(tweet.created_at, is_kept)
        if tweet.verdict is not Verdict.RETWEET:
            self._add_habits(tweet)
        if is_kept:
            self.lengths[len(tweet.cleaned)] += 1
            self.sample.add(tweet.cleaned)

    def _add_time(self, at: datetime | None, is_kept: bool) -> None:
        if at is None:
            self.undated += 1
            return
        self.first = at if self.first is None or at < self.first else self.first
        self.last = at if self.last is None or at > self.last else self.last
        month = at.year * 12 + at.month - 1
        self.months[month] += 1
        self.months_kept[month] += is_kept

    def _add_habits(self, tweet: StoredTweet) -> None:
        words, links = _LINK.subn(" ", tweet.text)
        self.habits["links"] += links > 0
        self.habits["replies"] += tweet.reply_to is not None or tweet.text.startswith("@")
        for habit, pattern in _HABITS.items():
            self.habits[habit] += pattern.search(words) is not None


class Newest:
    """The newest few tweets of all that came."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str, str]] = []  # time, then X's ids, which grow; then the text to show

    def add(self, tweet: StoredTweet) -> None:
        """One more, which may be among them."""
        at = tweet.created_at.timestamp() if tweet.created_at else -math.inf
        place = (at, len(tweet.key), tweet.key, tweet.cleaned or tweet.text)
        if len(self._heap) < MOST_EXAMPLES:
            heapq.heappush(self._heap, place)
        elif place > self._heap[0]:
            heapq.heapreplace(self._heap, place)

    def texts(self) -> tuple[str, ...]:
        """The newest first, each on one line and with nothing in it that a terminal would obey."""
        return tuple(" ".join(_CONTROL.sub(" ", text).split()) for *_, text in sorted(self._heap, reverse=True))


class _Sample:
    """Every n-th of the texts that came, n doubling so that no more than `MOST_DETECTED` are held."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.every = 1
        self._seen = 0

    def add(self, text: str) -> None:
        if self._seen % self.every == 0:
            if len(self.texts) == MOST_DETECTED:
                self.texts = self.texts[::2]
                self.every *= 2
            if self._seen % self.every == 0:
                self.texts.append(text)
        self._seen += 1


def _months(tweets: Counter[int], kept: Counter[int]) -> Iterable[Month]:
    if not tweets:
        return
    for month in range(min(tweets), max(tweets) + 1):
        yield Month(month=f"{month // 12:04}-{month % 12 + 1:02}", tweets=tweets[month], kept=kept[month])


def _lengths(counts: Counter[int]) -> Lengths | None:
    if not counts:
        return None
    bars = [0] * (LONGEST_STEP // LENGTH_STEP + 1)
    for length, tweets in counts.items():
        bars[min(max(length - 1, 0) // LENGTH_STEP, len(bars) - 1)] += tweets
    return Lengths(
        median=_not_longer(counts, 0.5),
        ninth_tenth=_not_longer(counts, 0.9),
        longest=max(counts),
        bars=tuple(bars),
    )


def _not_longer(counts: Counter[int], share: float) -> int:
    """The smallest length that this share of all does not exceed (the nearest rank)."""
    wanted = math.ceil(counts.total() * share)
    for length in sorted(counts):
        wanted -= counts[length]
        if wanted <= 0:
            return length
    raise AssertionError("a share above 1 was asked for")


def _languages(sample: _Sample, language: Callable[[str], str]) -> Languages:
    counts = Counter(language(text) for text in sample.texts)
    by_size = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Languages(detected=len(sample.texts), every=sample.every, counts=dict(by_size))


def _habits(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in Habits.model_fields if name != "own"}
