"""The figures on what a version says: what counts as a copy, as varied, as alike in shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.training.figures import (
    FEATURES,
    Words,
    copies,
    cut_to,
    distance,
    distinct,
    diversity,
    even_choice,
    near_copies,
    shapes,
)
from tests.training.material import sentences

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
FRESH = [f"fresh{number}" for number in range(40)]

short_words = st.sampled_from(["a", "b", "c", "d", "e", "f"])
texts = st.lists(st.lists(short_words, max_size=24).map(tuple), max_size=8)


# --- Copies ---


def test_case_punctuation_and_emoji_do_not_hide_an_exact_copy() -> None:
    found = copies(["the LAMP, was lit 🐶", "nothing alike here"], ["The lamp was lit!"], [])
    assert (found.exact, found.near) == (0.5, 0.5)
    assert found.real_near is None  # nothing was held out, so nothing is known


@pytest.mark.parametrize(
    ("text", "near"),
    [
        (" ".join([*FRESH, *LONG.split()[:16]]), True),  # a run of 16 words
        (" ".join([*FRESH, *LONG.split()[:15]]), False),  # one of 15, which is less than 70% of the text
        (" ".join([*FRESH[:3], *LONG.split()[:8]]), True),  # 8 of 11 words are 73%
        (" ".join([*FRESH[:3], *LONG.split()[:7]]), False),  # 7 of 10 are 70% and not more
        (" ".join(reversed(LONG.split())), True),  # the same words in another order
        (" ".join(reversed([*FRESH[:2], *LONG.split()])), True),  # 17 of 19 words are common
        (" ".join(reversed([*FRESH[:5], *LONG.split()])), False),  # 17 of 22
        ("", False),
    ],
)
def test_a_near_copy_shares_a_long_run_most_of_itself_or_most_words(text: str, near: bool) -> None:
    assert copies([text], [LONG, "another tweet of the person"], []).near == float(near)


@given(texts, texts)
def test_near_copies_are_those_that_a_plain_search_finds(said: list[Words], train: list[Words]) -> None:
    """The index leaves nothing out and adds nothing."""
    assert near_copies(said, train) == [any(plainly_near(text, tweet) for tweet in train) for text in said]


def plainly_near(text: Words, tweet: Words) -> bool:
    longest = max(
        (
            length
            for length in range(1, len(text) + 1)
            for start in range(len(text) - length + 1)
            for other in range(len(tweet) - length + 1)
            if text[start : start + length] == tweet[other : other + length]
        ),
        default=0,
    )
    one, two = set(text), set(tweet)
    overlap = len(one & two) / len(one | two) if one | two else 0.0
    return bool(text) and (longest > 15 or longest * 10 > len(text) * 7 or overlap >= 0.8)


def test_how_often_the_person_repeats_itself_stands_beside() -> None:
    found = copies(
        ["something else entirely"], ["The lamp was lit at six."], ["The lamp was lit at six!", "A gull sat."]
    )
    assert (found.near, found.real_near) == (0.0, 0.5)


# --- Diversity ---


def test_distinct_is_the_share_of_different_runs() -> None:
    said: list[Words] = [("a", "b", "a"), ("a", "b")]
    assert distinct(said, 1) == 2 / 5
    assert distinct(said, 2) == 2 / 3  # (a b) twice, (b a) once
    assert distinct([("a",)], 2) is None


def test_the_same_texts_are_as_varied_as_themselves_however_many_more_there_are() -> None:
    """Distinct-n falls with the amount of text, so both sides are cut to the same number of words."""
    real = sentences(400)
    found = diversity(real[:100], real, [])
    assert found is not None
    assert found.words == sum(len(text.split()) for text in real[:100])
    alone = distinct([tuple(text.lower().strip(".").split()) for text in real[:100]], 2)
    assert found.distinct_2 == alone
    assert found.real_distinct_2 == pytest.approx(found.distinct_2, abs=0.05)


def test_four_words_in_a_row_are_new_when_no_training_tweet_has_them() -> None:
    found = diversity(["the lamp was lit again"], ["The lamp was lit."], ["the gull sat on the roof"])
    assert found is not None
    assert found.new_4grams == 0.5  # "lamp was lit again" is new, "the lamp was lit" is not
    assert found.real_new_4grams == 1.0


def test_nothing_is_said_of_no_words() -> None:
    assert diversity([], ["The lamp was lit."], []) is None


@given(texts, st.integers(0, 200))
def test_texts_are_cut_to_exactly_so_many_words(given_texts: list[Words], size: int) -> None:
    total = sum(map(len, given_texts))
    assert sum(map(len, cut_to(given_texts, min(size, total)))) == min(size, total)


# --- Shape ---


@pytest.mark.parametrize(
    ("feature", "text", "value"),
    [
        ("characters", "lamp", 4),
        ("emoji", "🐶 and 👩‍👩‍👧 and 🇩🇪 and 1️⃣, not 1 or ©", 4),
        ("hashtags", "#gull #2026 a#b #Nebel26", 2),
        ("mentions", "@otis mail@example.org .@wren", 2),
        ("links", "see https://example.org and http://a.b", 2),
        ("capitals", "ABcd 12", 0.5),
        ("capitals", "12", 0.0),
    ],
)
def test_a_feature_counts_what_a_reader_would(feature: str, text: str, value: float) -> None:
    assert FEATURES[feature](text) == value


numbers = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


@given(numbers, numbers)
def test_the_distance_is_the_largest_difference_between_the_shares_at_or_below_a_value(
    some: list[float], others: list[float]
) -> None:
    """Kolmogorov and Smirnov's statistic, here by its definition."""

    def share(values: list[float], limit: float) -> float:
        return sum(value <= limit for value in values) / len(values)

    plainly = max(abs(share(some, limit) - share(others, limit)) for limit in range(-6, 7))
    assert distance(some, others) == pytest.approx(plainly)
    assert distance(some, some) == 0
    assert distance(some, [9.0]) == 1


def test_shapes_stand_beside_what_time_alone_does() -> None:
    loud = [text.upper() for text in sentences(50)]
    found = {shape.feature: shape for shape in shapes(loud, sentences(200)[100:], sentences(100)[50:])}
    assert set(found) == set(FEATURES)
    assert (found["capitals"].mean, found["capitals"].distance) == (1.0, 1.0)
    assert found["capitals"].real_distance < 0.5
    assert found["emoji"].distance == 0
    assert shapes([], ["a"], ["b"]) == ()


# --- An even choice ---


@given(st.lists(st.text(max_size=3)), st.integers(1, 20))
def test_a_choice_is_spread_evenly_and_keeps_the_order(given_texts: list[str], count: int) -> None:
    chosen = even_choice(given_texts, count)
    assert len(chosen) == min(count, len(given_texts))
    rest = iter(given_texts)
    assert all(text in rest for text in chosen)
