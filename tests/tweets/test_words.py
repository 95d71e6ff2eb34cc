"""Words where spaces stand between them and where none do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.tweets.words import has_fewer_words, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don’t STOP, it's 7:30!", ["don't", "stop", "it's", "7", "30"]),
        ("@ann_b & #Mars2020 😀", ["ann_b", "mars2020"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("हिन्दी में लिखा", ["हिन्दी", "में", "लिखा"]),
        ("今日は晴れ", ["今日", "日は", "は晴", "晴れ"]),
        ("NASA発表 2024年", ["nasa", "発表", "2024", "年"]),
        ("วันนี้", ["วั", "ัน", "นน", "นี", "ี้"]),
        ("😀 …", []),
    ],
)
def test_words_are_folded_and_unspaced_writing_is_taken_in_pairs(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 0),
        ("one two @ann #tag .@bob (#tag", 2),
        ("(one) — “two” & 3", 3),
        ("天气很好", 2),
        ("@ann天气很好", 2),
        ("天气很好 in Paris today", 5),
    ],
)
def test_mentions_hashtags_and_signs_are_no_words(text: str, number: int) -> None:
    assert not has_fewer_words(text, number)
    assert has_fewer_words(text, number + 1)


@given(st.lists(st.sampled_from(["word", "@ann", "#tag", "天气", "—", "a" * 70]), max_size=9), st.integers(0, 9))
def test_the_limit_is_the_same_wherever_the_words_stand(pieces: list[str], limit: int) -> None:
    assert has_fewer_words(" ".join(pieces), limit) == has_fewer_words(" ".join(reversed(pieces)), limit)


@given(st.text())
def test_words_of_folded_text_are_the_same(text: str) -> None:
    assert words(text.upper().lower()) == words(text.upper().lower().casefold())
