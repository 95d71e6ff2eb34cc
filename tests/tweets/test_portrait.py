"""What an account is like: counts, times, lengths, languages, habits, in one pass over its tweets."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.tweets.cleaning import Verdict
from bot.tweets.portrait import (
    MOST_DETECTED,
    MOST_EXAMPLES,
    Month,
    Period,
    Portrait,
    StoredTweet,
    periods,
    portray,
    why,
)
from bot.tweets.tweet import Source

NOON = datetime(2024, 1, 31, 12, tzinfo=UTC)


def tweet(
    number: int = 1,
    text: str = "",
    verdict: Verdict = Verdict.KEPT,
    *,
    cleaned: str | None = None,
    at: datetime | None = NOON,
    reply_to: str | None = None,
    source: Source = Source.TABLE,
) -> StoredTweet:
    text = text or f"this is tweet number {number}"
    return StoredTweet(str(1000 + number), text, text if cleaned is None else cleaned, verdict, at, reply_to, source)


def english(text: str) -> str:
    return "en"


def portrait(*tweets: StoredTweet) -> Portrait:
    return portray("ann", tweets, english)


def test_counts_are_by_verdict_and_source() -> None:
    drawn = portrait(
        tweet(1), tweet(2, verdict=Verdict.RETWEET, source=Source.ARCHIVE), tweet(3, verdict=Verdict.SHORT)
    )
    assert drawn.tweets == 3
    assert list(drawn.verdicts) == list(Verdict)
    assert {verdict: count for verdict, count in drawn.verdicts.items() if count} == {
        Verdict.KEPT: 1,
        Verdict.RETWEET: 1,
        Verdict.SHORT: 1,
    }
    assert drawn.sources == {Source.ARCHIVE: 1, Source.TABLE: 2}


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_is_explained(verdict: Verdict) -> None:
    assert why(verdict) != verdict.value.replace("_", " ")


def test_nothing_stored_is_a_portrait_too() -> None:
    drawn = portrait()
    assert (drawn.tweets, drawn.first, drawn.months, drawn.lengths, drawn.sources) == (0, None, (), None, {})
    assert drawn.languages.detected == drawn.habits.own == 0


def test_examples_are_the_newest_of_each_verdict() -> None:
    days = [tweet(n, at=NOON + timedelta(days=n)) for n in range(8)]
    undated = tweet(20, at=None)
    short = tweet(9, "wow", Verdict.SHORT)
    drawn = portrait(undated, *random.Random(1).sample(days, len(days)), short)
    assert drawn.examples[Verdict.KEPT] == tuple(f"this is tweet number {n}" for n in range(7, 7 - MOST_EXAMPLES, -1))
    assert drawn.examples[Verdict.SHORT] == ("wow",)
    assert drawn.examples[Verdict.DUPLICATE] == ()


def test_ids_decide_what_is_newer_at_the_same_time() -> None:
    same = [tweet(n, f"number {n}") for n in (5, 8999, 7)]  # 8999 makes an id of 9999, the others ones of 1005, 1007
    longer = StoredTweet("10000", "number ten thousand", "number ten thousand", Verdict.KEPT, NOON, None, Source.TABLE)
    drawn = portrait(longer, *same)
    assert drawn.examples[Verdict.KEPT] == ("number ten thousand", "number 8999", "number 7", "number 5")


def test_an_example_can_not_command_a_terminal() -> None:
    drawn = portrait(tweet(1, "\x1b[2Jgone\r\nand\x07 back\u2028", Verdict.SHORT, cleaned=""))
    assert drawn.examples[Verdict.SHORT] == ("[2Jgone and back",)


def test_months_follow_each_other_without_gaps() -> None:
    drawn = portrait(
        tweet(1, at=datetime(2023, 11, 30, 23, 59, tzinfo=UTC)),
        tweet(2, at=datetime(2024, 2, 1, tzinfo=UTC)),
        tweet(3, verdict=Verdict.SHORT, at=datetime(2024, 2, 29, tzinfo=UTC)),
        tweet(4, at=None),
    )
    assert [(each.month, each.tweets, each.kept) for each in drawn.months] == [
        ("2023-11", 1, 1),
        ("2023-12", 0, 0),
        ("2024-01", 0, 0),
        ("2024-02", 2, 1),
    ]
    assert drawn.undated == 1
    assert drawn.first == datetime(2023, 11, 30, 23, 59, tzinfo=UTC)
    assert drawn.last == datetime(2024, 2, 29, tzinfo=UTC)


def test_lengths_are_those_of_the_kept_tweets_as_they_are_cleaned() -> None:
    kept = [tweet(n, "https://t.co/long", cleaned="x" * n) for n in (*range(1, 10), 21, 280, 281, 4000)]
    drawn = portrait(*kept, tweet(99, "y" * 100, Verdict.SHORT))
    assert drawn.lengths is not None
    assert (drawn.lengths.median, drawn.lengths.ninth_tenth, drawn.lengths.longest) == (7, 281, 4000)
    assert drawn.lengths.bars == (9, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2)


@pytest.mark.parametrize(
    ("text", "habits"),
    [
        ("plain words, an e-mail@example.org and R&D", set()),
        ("see https://example.org/#part/@someone/ABC", {"links"}),
        ("it's &#39;quoted&#39; &amp; number #1", set()),
        ("hello @ann", {"mentions"}),
        ("@ann hello", {"mentions", "replies"}),
        ("https://t.co/abc @ann hello", {"links", "mentions"}),
        ("a #tag2 and ＃タグ", {"hashtags"}),
        ("so happy 😀", {"emoji"}),
        ("I ❤️ this ©", {"emoji"}),
        ("this is HUGE", {"capitals"}),
        ("OK, I AM in the US with iOS and ABCd", set()),
        ("ÜBER alles reden", {"capitals"}),
        ("by @NASA and #STEM", {"mentions", "hashtags"}),
    ],
)
def test_habits_are_seen_in_what_was_written(text: str, habits: set[str]) -> None:
    seen = portrait(tweet(1, text)).habits.model_dump()
    assert seen.pop("own") == 1
    assert {name for name, count in seen.items() if count} == habits


def test_a_reply_is_known_by_its_field_too() -> None:
    assert portrait(tweet(1, reply_to="ann")).habits.replies == 1


def test_retweets_say_nothing_about_habits() -> None:
    drawn = portrait(tweet(1, "RT @ann: LOOK 😀 https://t.co/abc", Verdict.RETWEET), tweet(2, "quiet", Verdict.SHORT))
    assert drawn.habits.model_dump() == dict.fromkeys(drawn.habits.model_dump(), 0) | {"own": 1}


def test_languages_are_those_of_all_kept_tweets_when_they_are_few() -> None:
    def by_length(text: str) -> str:
        return "de" if len(text) > 3 else "en"

    kept = [tweet(n, "x" * n) for n in (1, 5, 6, 7, 2)]
    drawn = portray("ann", [*kept, tweet(9, "RT @bob: nothing", Verdict.RETWEET)], by_length)
    assert (drawn.languages.detected, drawn.languages.every) == (5, 1)
    assert list(drawn.languages.counts.items()) == [("de", 3), ("en", 2)]


@given(st.integers(min_value=0, max_value=6 * MOST_DETECTED))
@settings(max_examples=20)
def test_the_languages_of_many_are_told_from_an_even_sample(count: int) -> None:
    asked: list[int] = []

    def remember(text: str) -> str:
        asked.append(int(text))
        return "en"

    drawn = portray("ann", (tweet(n, str(n)) for n in range(count)), remember).languages
    assert asked == list(range(0, count, drawn.every))
    assert drawn.detected == len(asked) <= MOST_DETECTED
    assert drawn.every == 1 or drawn.detected >= MOST_DETECTED // 2


tweets = st.builds(
    tweet,
    st.integers(min_value=0, max_value=10**19),
    st.text(max_size=60),
    st.sampled_from(Verdict),
    cleaned=st.text(max_size=320),
    at=st.none() | st.datetimes(datetime(2006, 3, 21), datetime(2030, 1, 1), timezones=st.just(UTC)),
    reply_to=st.none() | st.just("ann"),
    source=st.sampled_from(Source),
)


@given(st.lists(tweets, max_size=30, unique_by=lambda each: each.key), st.randoms())
def test_the_order_does_not_matter_and_all_sums_agree(given_tweets: list[StoredTweet], chance: random.Random) -> None:
    drawn = portrait(*given_tweets)
    shuffled = given_tweets[:]
    chance.shuffle(shuffled)
    assert portrait(*shuffled) == drawn
    kept = drawn.verdicts[Verdict.KEPT]
    assert drawn.tweets == len(given_tweets) == sum(drawn.sources.values())
    assert sum(each.tweets for each in drawn.months) + drawn.undated == drawn.tweets
    assert sum(drawn.lengths.bars if drawn.lengths else ()) == kept == drawn.languages.detected
    assert all(count <= drawn.habits.own for count in drawn.habits.model_dump().values())
    assert Portrait.model_validate_json(drawn.model_dump_json()) == drawn


@pytest.mark.slow
def test_a_large_account_takes_no_more_memory_than_a_small_one() -> None:
    def many(count: int) -> Iterator[StoredTweet]:
        for n in range(count):
            yield tweet(n, f"{n} " * 30, Verdict.KEPT if n % 3 else Verdict.SHORT, at=NOON - timedelta(minutes=n))

    peaks = []
    for count in (20_000, 80_000):
        tracemalloc.start()
        portray("ann", many(count), english)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2


def months(first: int, count: int) -> list[Month]:
    return [Month(month=f"{n // 12:04}-{n % 12 + 1:02}", tweets=2, kept=1) for n in range(first, first + count)]


def test_periods_are_as_short_as_their_number_allows() -> None:
    year = months(2023 * 12, 12)
    assert [period.name for period in periods(year, 12)] == [month.month for month in year]
    assert periods(year, 4) == [Period(f"2023 Q{quarter}", 6, 3) for quarter in (1, 2, 3, 4)]
    assert periods(year, 3) == [Period("2023", 24, 12)]
    assert periods(months(2008 * 12 + 6, 18 * 12), 3) == [
        Period("2000s", 36, 18),
        Period("2010s", 240, 120),
        Period("2020s", 156, 78),
    ]
    assert periods([], 3) == []


@given(st.integers(1, 2029), st.integers(1, 400), st.integers(1, 240))
def test_periods_lose_no_tweet(year: int, count: int, most: int) -> None:
    found = periods(months(year * 12, count), most)
    assert sum(period.tweets for period in found) == 2 * count
    assert len(found) <= max(most, 5)
