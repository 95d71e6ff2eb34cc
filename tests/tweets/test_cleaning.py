"""The two profiles, the verdicts, and the counts."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.tweets.cleaning import RULES, Judge, Profile, Verdict, clean, is_retweet, is_short, judge
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
SERIES = "day 12 of my long walk along the coast"
RAW = (
    "one\r\ntwo",
    "caf&eacute; au lait today",
    "見てhttps://t.co/abcすごいですよね",
    "a cc @ann",
    "half \ud83d an emoji",
)
TALK = (
    *(SERIES, f"{SERIES}!", f"{SERIES} today", "day 13 of my long walk along the coast", "day 13 of rain"),
    *("RT @ann: his words", '"@ann: his words" Thanks!', "So very true RT @ann: his words", "hi", "one fine day"),
    *(
        "One fine day",
        "one fine day then",
        "今日はいい天気ですね",
        "今日はいい天気ですねえ",
        "@ann one fine day",
        "😀 😀 😀",
    ),
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
        ("see WWW.example.org now", "see now"),
        ("@ann @bob: you two", "you two"),
        ("@ann's hat", "@ann's hat"),
        (".@ann look", ".@ann look"),
        ("we met @ann there", "we met @ann there"),
        ("what a night with @ann @bob", "what a night with @ann @bob"),
        ("what a night! @ann @bob @eve", "what a night!"),
        ("what a night with @ann @bob @eve", "what a night with @ann @bob @eve"),
        ("what a night cc @ann", "what a night"),
        ("what a night CC: @ann @bob", "what a night"),
        ("@ann @bob @eve", ""),
        ("So true, all of it! RT @ann: his words", "So true, all of it!"),
        ("So true, all of it - MT @ann his words", "So true, all of it"),
        ("So true, all of it “@ann: his words”", "So true, all of it"),
        ('So true, all of it "@ann: his words"', "So true, all of it"),
        ("So true RT @ann: his words", "So true RT @ann: his words"),  # a quote: too little of it is one's own
        ('She said "yes" @ann: and so on', 'She said "yes" @ann: and so on'),
        ("left\u202eright\x07 a\u200bb \ufeffc", "leftright ab c"),
        ("👩\u200d🚀 and ❤\ufe0f stay", "👩\u200d🚀 and ❤\ufe0f stay"),
        ("an end <|endoftext|> and more", "an end and more"),
        ("an end <|endof<|im_end|>text|> and <|EOT_ID|>", "an end <|endof text|> and"),
        ("thrice &amp;#38;&#x26;amp &ampersand", "thrice && &ersand"),
        ("an end <｜end▁of▁sentence｜></s> and <end_of_turn>", "an end and"),
        ("less &lt;3 than <b>this</b>", "less <3 than <b>this</b>"),
        ("a\u2066b\u2069 \u061cc \ufff9d", "ab c d"),
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
@example("&am\x00p;lt;")
@example("ht\x00tps://t.co/x")
def test_cleaning_what_is_clean_changes_nothing(text: str) -> None:
    cleaned = clean(text, Profile.MOCKINGBIRD)
    assert clean(cleaned, Profile.MOCKINGBIRD) == cleaned


@given(UNTIDY)
@example("<|endof<|x|>text|>")
def test_no_link_no_control_character_and_no_loose_blank_is_left(text: str) -> None:
    cleaned = clean(text, Profile.MOCKINGBIRD)
    lower = cleaned.lower()
    assert "http://" not in lower and "https://" not in lower and "pic.twitter.com/" not in lower
    assert not lower.startswith(("t.co/", "www."))
    assert not [letter for letter in cleaned if unicodedata.category(letter) in ("Cc", "Cs")]
    assert cleaned == " ".join(cleaned.split())
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not re.search(r"<\|[^<>|\s]{1,40}\|>", cleaned)


@given(UNTIDY)
@example("\u0958")  # a letter that NFC writes as two
def test_cleaning_adds_nothing_but_what_composition_takes_apart(text: str) -> None:
    assert len(clean(text, Profile.MOCKINGBIRD)) <= len(unicodedata.normalize("NFC", text))


@given(UNTIDY)
def test_the_ancestors_cleaning_leaves_one_line_without_links(text: str) -> None:
    cleaned = clean(text, Profile.HUGGINGTWEETS)
    assert cleaned == " ".join(cleaned.split())


@pytest.mark.parametrize(
    "hostile",
    [
        *("http://", "https://t.co/a", "(http://t.co/a ", "http://a. ", "@a ", "x @a ", "&lt;", "&", "<|", "<|a", "…"),
        *('"@a ', '"', "“a” ", "via @a ", "RT @", ". ", "/ ", "cc @a "),
    ],
)
def test_a_long_hostile_text_is_cleaned_like_any_other(hostile: str) -> None:
    for profile in Profile:
        text = hostile * (25_000 // len(hostile))
        judge([a_tweet(text), a_tweet(f'"{text}'), a_tweet(f"{text}x")], profile)  # quadratic: the test's time limit


@pytest.mark.parametrize("hostile", ["&" + "amp;" * 6_000, "<|a" * 5_000 + "|>" * 5_000, "<|" * 6_000 + "|>" * 6_000])
def test_what_is_hidden_a_thousandfold_takes_no_thousand_rounds(hostile: str) -> None:
    cleaned = clean(hostile, Profile.MOCKINGBIRD)
    assert clean(cleaned, Profile.MOCKINGBIRD) == cleaned


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


@pytest.mark.parametrize(
    "text",
    [
        '"@ann: his own words" Thanks!',
        '"@ann his own words',
        "“@ann: his own words”",
        "&quot;@ann: his own words&quot;",
        '" @ann : his own words"',
        '@bob "@ann his own words" You never know!',
        '.@bob "@ann his own words" You never know!',
        "MT @ann: his own words",
        "RT: @ann his own words",
        '"RT @ann: his own words"',
        "rt @ann: his own words",
        "Nice! RT @ann: his own words",
        ".@bob RT @ann his own words",
        '"The headline of a paper" https://t.co/abc via @paper by @bob',
        "“Never give up, never.” - @ann",
        "Via @paper by Ann Bobson: “The headline of a paper” https://t.co/abc",
    ],
)
def test_somebody_elses_words_quoted_by_hand_are_a_quote(text: str) -> None:
    judged = judge([a_tweet(text)], Profile.MOCKINGBIRD)[0]
    assert judged.verdict is Verdict.QUOTE
    assert judge([a_tweet(text)], Profile.HUGGINGTWEETS)[0].verdict is not Verdict.QUOTE


@pytest.mark.parametrize(
    "text",
    [
        'I said "yes" to @ann and meant it',
        '"Never give up" is what I always say',
        "what a good read via @paper",
        "RT if you like this one",
        '.@ann said "never" and then did it',
        "two hours of ART @museum today",
        "“Never give up, never.” - Winston Churchill",
    ],
)
def test_a_mention_or_a_quotation_alone_makes_no_quote(text: str) -> None:
    assert judge([a_tweet(text)], Profile.MOCKINGBIRD)[0].verdict is Verdict.KEPT


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        ("今天天气很好", True),
        ("早上好", False),
        ("今日はいい天気ですね", True),
        ("ありがとう", False),
        ("วันนี้อากาศดีมาก", True),
        ("สวัสดีครับ", False),
        ("좋은 아침 여러분", True),
        ("@ann #今日は いい天気", False),
        ("C# or (maybe) C++", True),
        ("ok 😀 😀 😀 — …", False),
    ],
)
def test_short_is_judged_by_words_also_where_no_spaces_stand_between_them(text: str, is_kept: bool) -> None:
    verdict = judge([a_tweet(text)], Profile.MOCKINGBIRD)[0].verdict
    assert verdict is (Verdict.KEPT if is_kept else Verdict.SHORT)


def test_nearly_the_same_words_are_a_near_duplicate_of_what_was_kept() -> None:
    texts = [
        "Tune in as I deliver remarks on the response to the storm.",
        "Tune in as I deliver remarks on our response to the storm!",
        "Tune in as I deliver remarks on vaccines and jobs.",
        "TUNE IN as I deliver remarks on the response to the storm…",
    ]
    verdicts = [each.verdict for each in judge([a_tweet(text) for text in texts], Profile.MOCKINGBIRD)]
    assert verdicts == [Verdict.KEPT, Verdict.NEAR_DUPLICATE, Verdict.KEPT, Verdict.DUPLICATE]


@given(st.lists(st.sampled_from(TALK), max_size=30), st.integers(1, 10))
def test_the_verdicts_are_the_same_in_parts_and_at_once(texts: list[str], part: int) -> None:
    tweets = [a_tweet(text) for text in texts]
    for profile in Profile:
        judging = Judge(profile, len(tweets))
        parts = [judging.judge(tweets[start : start + part]) for start in range(0, len(tweets), part)]
        assert [each for judged in parts for each in judged] == judge(tweets, profile)


def test_whoever_changes_a_rule_raises_its_version() -> None:
    """What is stored is judged anew only when `RULES` is another: then write the new digest down here."""
    tweets = [a_tweet(text) for text in (*TALK, *LINKS, *MARKS, *RAW)]
    judged = "\n".join(f"{each.verdict} {each.cleaned}" for each in judge(tweets, Profile.MOCKINGBIRD))
    assert (RULES, hashlib.sha256(judged.encode()).hexdigest()[:16]) == (2, "31ed86d78eca6713")


def test_each_tweet_gets_the_first_reason_that_holds() -> None:
    texts = [
        "RT @bob: short",
        "Wow RT @bob: yes",
        "hi @bob",
        "one fine day",
        "One fine   DAY https://t.co/a",
        "another fine day",
    ]
    verdicts = [each.verdict for each in judge([a_tweet(text) for text in texts], Profile.MOCKINGBIRD)]
    expected = (Verdict.RETWEET, Verdict.QUOTE, Verdict.SHORT, Verdict.KEPT, Verdict.DUPLICATE, Verdict.KEPT)
    assert tuple(verdicts) == expected


def test_a_retweet_of_it_does_not_make_a_text_a_duplicate() -> None:
    judged = judge([a_tweet("one fine day", is_retweet=True), a_tweet("one fine day")], Profile.MOCKINGBIRD)
    assert [each.verdict for each in judged] == [Verdict.RETWEET, Verdict.KEPT]


def test_huggingtweets_knows_no_duplicates() -> None:
    judged = judge([a_tweet("one fine day")] * 2, Profile.HUGGINGTWEETS)
    assert [each.verdict for each in judged] == [Verdict.KEPT, Verdict.KEPT]


def test_counts_add_up_and_the_separator_counts_as_the_ancestor_has_it() -> None:
    texts = ["RT @bob: x", '"@bob: x"', "hi", SERIES, SERIES.upper(), f"{SERIES} too", "four more fine words"]
    tweets = [a_tweet(text, day=day) for day, text in enumerate(texts, start=1)]
    counts = count("ann", judge(tweets, Profile.MOCKINGBIRD))
    assert counts.as_json() == {
        "handle": "ann",
        "downloaded": 7,
        "retweets": 2,
        "short": 1,
        "duplicates": 2,
        "kept": 2,
        "characters": len(f"{SERIES}<|endoftext|>four more fine words"),
        "first": "2024-01-01T00:00:00Z",
        "last": "2024-01-07T00:00:00Z",
        "verdict": "too little",
        "quotes": 1,
        "near_duplicates": 1,
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


@pytest.mark.parametrize("entity", ["&#" + "3" * 4_301, "&#x" + "f" * 9_000 + ";", "&#99999999;"])
def test_an_entity_for_no_character_is_one_mark(entity: str) -> None:
    """Python reads no number of more than 4,300 digits."""
    assert clean(f"one two {entity} three", Profile.MOCKINGBIRD) == "one two \ufffd three"
