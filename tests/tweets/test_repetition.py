"""Repetitions, near ones included, known in little memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.tweets.repetition import FEWEST_WORDS, OVERLAP, Repetition, Said, overlap
from bot.tweets.words import words

LONG = "we have seen the first light of a new day over the harbour"
WORDS = LONG.split()


def check(*texts: str) -> list[Repetition | None]:
    return Said(len(texts)).check(texts)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (LONG, LONG.upper() + "!", Repetition.SAME),
        (LONG, LONG + " again", Repetition.NEAR),
        (LONG, LONG.replace("first", "last"), Repetition.NEAR),
        (LONG, LONG + " and again and so it went on", None),
        (
            "day 12 of our long way around the wide world",
            "day 13 of our long way around the wide world",
            Repetition.NEAR,
        ),
        ("day 12 of our long way around", "day 13 of our long way around", None),
        ("day 12: 3 km, 17 degrees, 4 birds", "day 13: 8 km, 12 degrees, 9 birds", None),
        ("good morning everyone today", "good morning everyone here today", None),
        ("good morning everyone today", "Good morning, everyone, today! 🌞", Repetition.SAME),
        (
            "今日はとてもいい天気ですね、散歩に行きましょう",
            "今日はとてもいい天気ですね。散歩に行きましょうか",
            Repetition.NEAR,
        ),
        ("😀 😀 😀", "😀 😀 😀", Repetition.SAME),
        ("😀 😀 😀", "😀 😀 😁", None),
        ("", "", Repetition.SAME),
    ],
)
def test_a_text_repeats_another_in_the_same_words_or_nearly(one: str, other: str, expected: Repetition | None) -> None:
    assert check(one, other) == [None, expected]


def test_a_repetition_is_compared_with_what_was_kept_and_not_with_another_repetition() -> None:
    """So that a text cannot drift away step by step, each too near to the one before."""
    said = [" ".join(f"w{number}" for number in range(start, start + 20)) for start in range(6)]
    assert overlap(said[0], said[2]) > OVERLAP > overlap(said[0], said[3])
    assert check(*said) == [None, Repetition.NEAR, Repetition.NEAR, None, Repetition.NEAR, Repetition.NEAR]


TALK = st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join)


@given(st.lists(TALK, max_size=40), st.integers(1, 9))
def test_only_what_overlaps_is_near_and_the_same_words_are_never_missed(texts: list[str], part: int) -> None:
    said = Said(len(texts))
    found = [each for start in range(0, len(texts), part) for each in said.check(texts[start : start + part])]
    assert found == check(*texts)
    kept: list[str] = []
    for text, repetition in zip(texts, found, strict=True):
        is_same = words(text) in [words(each) for each in kept]
        assert (repetition is Repetition.SAME) == is_same
        if repetition is Repetition.NEAR:
            assert len(set(words(text))) >= FEWEST_WORDS
            assert max(overlap(text, each) for each in kept) >= OVERLAP
        elif repetition is None:
            kept.append(text)


def test_most_near_duplicates_are_found_among_many_texts() -> None:
    texts = [" ".join(f"w{number * 7 % 9973}x{at * at + number}" for at in range(20)) for number in range(3_000)]
    twins = [" ".join(["again", *text.split()[1:]]) for text in texts]  # an overlap of 19 in 21
    said = Said(len(texts) * 2)
    assert said.check(texts) == [None] * len(texts)
    assert said.check(twins).count(Repetition.NEAR) > 0.95 * len(twins)


def test_the_answer_is_the_same_in_every_process() -> None:
    program = (
        "from bot.tweets.repetition import Said\n"
        "texts = [' '.join(f'w{a * (n % 40) + n // 40 * (a < 2)}' for a in range(16)) for n in range(400)]\n"
        "print(Said(400).check(texts))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("0", "1", "2024")
    }
    assert len(answers) == 1
    assert b"NEAR" in answers.pop()
