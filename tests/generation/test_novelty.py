"""Copies are found however they are dressed up; new texts are not accused."""

from __future__ import annotations

from bot.generation.novelty import NoveltyIndex

TWEETS = [
    ("1", "The lamp was lit before the fog came in, and the gulls went quiet."),
    ("2", "Bread rises slowly when the harbour is cold and the oven is colder still today"),
    ("3", "Morning log: wind north west six, rain, visibility poor."),
]


def test_a_copy_is_found_whatever_its_case_and_punctuation() -> None:
    novelty = NoveltyIndex(TWEETS).check("the LAMP was lit, before the fog came in and the gulls went quiet!!")
    assert (novelty.score, novelty.nearest) == (0.0, "1")


def test_a_run_of_nine_words_is_a_copy() -> None:
    novelty = NoveltyIndex(TWEETS).check("I think bread rises slowly when the harbour is cold and so do I")
    assert (novelty.score, novelty.nearest) == (0.0, "2")


def test_a_shared_word_or_two_is_no_copy_but_has_a_nearest() -> None:
    novelty = NoveltyIndex(TWEETS).check("The fog has opinions about my lamp")
    assert novelty.nearest == "1"
    assert 0.5 < novelty.score < 1


def test_a_text_that_shares_nothing_is_new() -> None:
    novelty = NoveltyIndex(TWEETS).check("Zebras juggle pineapples")
    assert (novelty.score, novelty.nearest) == (1.0, None)


def test_without_tweets_everything_is_new() -> None:
    assert NoveltyIndex([]).check("anything at all").score == 1.0
