"""The two profiles, the verdicts, and the counts."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.tweets.cleaning import Profile, Verdict, clean, is_retweet, is_short, judge
from bot.tweets.counts import Enough, count
from bot.tweets.tweet import Source, Tweet

LINKS = ("https://t.co/aB1", "http://", "HTTPS://x.y/z(1)", "www.x.org", "pic.twitter.com/Q", "t.co/", "&#104;ttps://x")
MARKS = (
    "&amp;",
    "&lt;",
    "amp;",
    "@ann",
    "@bob:",
    "#tag",
    "RT ",
    "(",
    ")",
    "<",
    ">",
    '"',
    "…",
    ".",
    "?",
    "<|endoftext|>",
)
LETTERS = (
    " ",
    "\n",
    "\t",
    "\u200d",
    "\x00",
    "\x9f",
    "\u202e",
    "\u200b",
    "\ufeff",
    "e\u0301",
    "👩\u200d🚀",
    "見て",
    "a",
    "I",
)
PIECES = st.sampled_from(LINKS + MARKS + LETTERS)
UNTIDY = st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=80))


def a_tweet(text: str, *, is_retweet: bool = False, day: int = 1) -> Tweet:
    return Tweet("ann", text, None, datetime(2024, 1, day, tzinfo=UTC), is_retweet, None, Source.TABLE)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("caf\u00e9 &amp; bar", "caf\u00e9 & bar"),
        ("cafe\u0301 &quot;x&quot; &#39;y&#39; &nbsp;z", "caf\u00e9 \"x\" 'y' z"),
        ("twice &amp;amp; escaped", "twice & escaped"),
        ("one\r\ntwo\t three\u2028four", "one two three four"),
        ("look https://t.co/abc https://t.co/def", "look"),
        ("look (https://t.co/abc) here", "look here"),
        ("look (via https://example.org/a) here", "look (via) here"),
        ('he said "look https://t.co/abc"', 'he said "look"'),
        ("only at https://t.co/abc. Be careful", "only at. Be careful"),
        ("join us: https://t.co/abc. Be there", "join us: Be there"),
        ("見てhttps://t.co/abcすごい", "見て すごい"),
        ("glued pic.twitter.com/AbC123", "glued"),
        ("see www.example.org/a?b=c now", "see now"),
        ("cut off https://t…", "cut off"),
        ("cut off http…", "cut off"),
        ("no link: reddit.com/r/x", "no link: reddit.com/r/x"),
        ("@ann @bob: you two", "you two"),
        ("@ann's hat", "@ann's hat"),
        (".@ann look", ".@ann look"),
        ("we met @ann there", "we met @ann there"),
        ("left\u202eright\x07 a\u200bb \ufeffc", "leftright ab c"),
        ("👩\u200d🚀 and ❤\ufe0f stay", "👩\u200d🚀 and ❤\ufe0f stay"),
        ("an end <|endoftext|> and more", "an end and more"),
        ("half an emoji \ud83d here", "half an emoji here"),
        ("https://t.co/abc", ""),
        ("", ""),
    ],
)
def test_mockingbird_leaves_what_a_person_wrote(raw: str, cleaned: str) -> None:
    assert clean(raw, Profile.MOCKINGBIRD) == cleaned


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("a &amp; b &lt;c&gt; &quot;d&quot;", "a & b <c> &quot;d&quot;"),
        ("look https://t.co/abc\nnext", "look next"),
        ("https://t.co/abc look", "look"),
        ("look\nhttp://x.y/z\nnext", "look next"),
        ("look (https://t.co/abc) here", "look (here"),
        ("https://x.y/?u=http://a.b c d", "d"),  # the inner link goes first, and its blank with it
        ("@ann  hi\u3000there", "@ann hi there"),
        ("see www.example.org", "see www.example.org"),
    ],
)
def test_huggingtweets_keeps_the_ancestors_quirks(raw: str, cleaned: str) -> None:
    assert clean(raw, Profile.HUGGINGTWEETS) == cleaned


@given(UNTIDY)
@settings(deadline=None)
@example("&am\x00p;lt;")
@example("ht\x00tps://t.co/x")
def test_cleaning_what_is_clean_changes_nothing(text: str) -> None:
    cleaned = clean(text, Profile.MOCKINGBIRD)
    assert clean(cleaned, Profile.MOCKINGBIRD) == cleaned


@given(UNTIDY)
@settings(deadline=None)
def test_no_link_no_control_character_and_no_loose_blank_is_left(text: str) -> None:
    cleaned = clean(text, Profile.MOCKINGBIRD)
    lower = cleaned.lower()
    assert "http://" not in lower and "https://" not in lower and "pic.twitter.com/" not in lower
    assert not lower.startswith(("t.co/", "www."))
    assert not [letter for letter in cleaned if unicodedata.category(letter) in ("Cc", "Cs")]
    assert cleaned == " ".join(cleaned.split())
    assert unicodedata.is_normalized("NFC", cleaned)
    assert "<|endoftext|>" not in cleaned


@given(UNTIDY)
@settings(deadline=None)
def test_the_ancestors_cleaning_leaves_one_line_without_links(text: str) -> None:
    cleaned = clean(text, Profile.HUGGINGTWEETS)
    assert cleaned == " ".join(cleaned.split())


@pytest.mark.parametrize(
    "hostile", ["http://", "https://t.co/a", "(http://t.co/a ", "http://a. ", "@a ", "&lt;", "<|", "…"]
)
def test_a_long_hostile_text_is_cleaned_like_any_other(hostile: str) -> None:
    for profile in Profile:
        clean(hostile * (25_000 // len(hostile)), profile)  # quadratic patterns would meet the test's time limit


@pytest.mark.parametrize(
    ("text", "flag", "expected"),
    [
        ("RT @ann: hello there you", False, True),
        ("hello there you", True, True),
        ("RT this if you agree", False, False),
        ("I said RT @ann once", False, False),
    ],
)
def test_a_retweet_is_known_by_flag_or_prefix(text: str, flag: bool, expected: bool) -> None:
    assert is_retweet(a_tweet(text, is_retweet=flag)) is expected


@pytest.mark.parametrize(
    ("cleaned", "expected"), [("one two three", False), ("one two @ann #x HTTPx", True), ("", True), ("one two", True)]
)
def test_short_is_fewer_than_three_plain_words(cleaned: str, expected: bool) -> None:
    assert is_short(cleaned) is expected


def test_each_tweet_gets_the_first_reason_that_holds() -> None:
    texts = ["RT @bob: short", "hi @bob", "one fine day", "One fine   DAY https://t.co/a", "another fine day"]
    verdicts = [each.verdict for each in judge([a_tweet(text) for text in texts], Profile.MOCKINGBIRD)]
    assert verdicts == [Verdict.RETWEET, Verdict.SHORT, Verdict.KEPT, Verdict.DUPLICATE, Verdict.KEPT]


def test_a_retweet_of_it_does_not_make_a_text_a_duplicate() -> None:
    judged = judge([a_tweet("one fine day", is_retweet=True), a_tweet("one fine day")], Profile.MOCKINGBIRD)
    assert [each.verdict for each in judged] == [Verdict.RETWEET, Verdict.KEPT]


def test_huggingtweets_knows_no_duplicates() -> None:
    judged = judge([a_tweet("one fine day")] * 2, Profile.HUGGINGTWEETS)
    assert [each.verdict for each in judged] == [Verdict.KEPT, Verdict.KEPT]


def test_counts_add_up_and_the_separator_counts_as_the_ancestor_has_it() -> None:
    texts = ["RT @bob: x", "hi", "one fine day", "one fine day", "four more fine words"]
    tweets = [a_tweet(text, day=day) for day, text in enumerate(texts, start=1)]
    counts = count("ann", judge(tweets, Profile.MOCKINGBIRD))
    assert counts.as_json() == {
        "handle": "ann",
        "downloaded": 5,
        "retweets": 1,
        "short": 1,
        "duplicates": 1,
        "kept": 2,
        "characters": len("one fine day<|endoftext|>four more fine words"),
        "first": "2024-01-01T00:00:00Z",
        "last": "2024-01-05T00:00:00Z",
        "verdict": "too little",
    }


def test_nothing_counts_as_nothing() -> None:
    counts = count("ann", [])
    assert (counts.downloaded, counts.kept, counts.characters, counts.first, counts.last) == (0, 0, 0, None, None)


@pytest.mark.parametrize(
    ("characters", "verdict"),
    [(5_999, Enough.TOO_LITTLE), (6_000, Enough.LITTLE), (39_999, Enough.LITTLE), (40_000, Enough.OK)],
)
def test_the_ancestors_limits_say_what_is_enough(characters: int, verdict: Enough) -> None:
    text = "a b " + "c" * (characters - 4)
    counts = count("ann", judge([a_tweet(text)], Profile.MOCKINGBIRD))
    assert (counts.characters, counts.verdict) == (characters, verdict)
