"""What is neither said nor answered, and what may be said all the same."""

from __future__ import annotations

import pytest
from profanity_check import predict_prob

from bot.config import SafetySettings
from bot.errors import Refused
from bot.generation.draft import Reason
from bot.generation.safety import Safety, holds, offence, slurs, words_of
from tests.training.material import sentences

INSULTS = ["you are a fucking idiot", "shut up bitch", "die in a fire, moron", "eat shit and die"]
HARMLESS = [
    "The lamp was lit before the fog came in.",
    "Proud to be queer, and the parade was lovely",
    "We killed it on stage last night, damn",
    "Kill the process with ctrl-c",
    "",
    "霧が出ています",
]


def test_the_table_says_what_the_package_says() -> None:
    texts = [*INSULTS, *HARMLESS, *sentences(200), "A a I", "stupid " * 50, "Dick's dick's"]
    for text, probability in zip(texts, predict_prob(texts), strict=True):
        assert offence().probability(text) == pytest.approx(probability, abs=0.005), text


@pytest.mark.parametrize("text", INSULTS)
def test_an_insult_is_not_said_and_not_answered(text: str) -> None:
    assert Safety(SafetySettings()).in_draft(text) is Reason.UNSAFE
    assert Safety(SafetySettings()).in_message(text) is Reason.UNSAFE


@pytest.mark.parametrize("slur", sorted(slurs()))
def test_a_slur_is_enough_however_harmless_the_rest(slur: str) -> None:
    text = f"BEHOLD. My {slur.upper()} has risen in the oven with the bread today, and you will love its crust."
    assert Safety(SafetySettings()).in_draft(text) is Reason.UNSAFE
    assert Safety(SafetySettings()).in_message(text) is Reason.UNSAFE
    assert Safety(SafetySettings(most_offence_said=1)).in_draft(text) is None


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_is_said(text: str) -> None:
    assert Safety(SafetySettings()).in_draft(text) is None


def test_more_is_answered_than_is_said() -> None:
    text = "stupid of me, I forgot the milk"
    assert Safety(SafetySettings()).in_draft(text) is Reason.UNSAFE
    assert Safety(SafetySettings()).in_message(text) is None


def test_a_limit_of_1_lets_everything_through_and_lists_hold_all_the_same() -> None:
    safety = Safety(SafetySettings(most_offence_said=1, most_offence_heard=1, never_said=("Fudge",)))
    assert safety.in_draft(INSULTS[0]) is None
    assert safety.in_message("oh fudge!") is Reason.BANNED_WORD


def test_switched_off_nothing_is_refused() -> None:
    safety = Safety(SafetySettings(enabled=False, never_said=("fudge",)))
    assert safety.in_draft("you fucking fudge", ["you"]) is None


def test_a_word_is_found_whatever_its_case_and_width_and_only_whole() -> None:
    assert holds("Oh FUDGE!", ["fudge"])
    assert holds("say “don’t”", ["don't"])
    assert not holds("a judgement in Scunthorpe", ["judge", "cunt"])


def test_a_word_is_found_where_words_have_no_spaces() -> None:
    assert holds("この馬鹿野郎が", ["馬鹿"])
    assert not holds("この野郎が", ["馬鹿"])


@pytest.mark.parametrize("text", ["two words", "", "…", "  "])
def test_what_is_no_word_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="not one word"):
        words_of([text])


def test_words_of_a_list_are_folded_and_stand_once() -> None:
    assert words_of(["Fudge", "darn", "FUDGE"]) == ("fudge", "darn")
