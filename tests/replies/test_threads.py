"""A longer text is cut where it reads best, never inside a character, and every part fits into a post."""

from __future__ import annotations

import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import Refused
from bot.generation.length import LIMIT, weighted_length
from bot.replies.threads import MOST_PARTS, require_allowed, split

FAMILY = "👩‍👩‍👧‍👦"
pieces = st.sampled_from(
    ["word", "Sentence. ", "\n\n", "\n", " ", "日本語", FAMILY, "é", "e\u0301", "https://example.org/a", "🇩🇪", "x" * 40]
)
texts = st.lists(pieces, min_size=1, max_size=80).map("".join)


def test_what_fits_is_one_part() -> None:
    assert split(" The lamp is lit. ") == ("The lamp is lit.",)


def test_a_part_ends_at_a_paragraph_where_that_fills_half_of_it() -> None:
    paragraphs = ["One two three four. " * 9, "Five six seven. " * 9]
    assert split("\n\n".join(paragraphs)) == tuple(each.strip() for each in paragraphs)


def test_a_part_ends_at_a_sentence_otherwise() -> None:
    parts = split("This is a sentence of some forty letters. " * 12)
    assert len(parts) == 2
    assert all(part.endswith("letters.") for part in parts)


def test_without_sentences_a_part_ends_at_a_word() -> None:
    parts = split("word " * 100)
    assert set(" ".join(parts).split()) == {"word"}
    assert " ".join(parts) == ("word " * 100).strip()


def test_a_single_long_word_is_cut_between_characters() -> None:
    parts = split(FAMILY * 200)
    assert [weighted_length(part) for part in parts] == [280, 120]
    assert all(set(regex.findall(r"\X", part)) == {FAMILY} for part in parts)


@given(texts)
def test_each_part_fits_and_together_they_are_the_text(text: str) -> None:
    try:
        parts = split(text)
    except Refused:
        assert not text.strip()
        return
    assert all(0 < weighted_length(part) <= LIMIT for part in parts)
    whole = unicodedata.normalize("NFC", text)
    assert "".join("".join(parts).split()) == "".join(whole.split())
    characters = regex.findall(r"\X", "".join(whole.split()))
    assert [each for part in parts for each in regex.findall(r"\X", "".join(part.split()))] == characters


def test_nothing_and_too_much_are_sentences() -> None:
    with pytest.raises(Refused, match="no text"):
        split(" \n ")
    split("x" * LIMIT * MOST_PARTS)
    with pytest.raises(Refused, match="longer than 25 posts"):
        split("x" * (LIMIT * MOST_PARTS + 1))


@pytest.mark.parametrize("text", ["$GULL and $FOG", "buy $A. Or $B?"])
def test_more_than_one_cashtag_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="one cashtag"):
        require_allowed(text)


@pytest.mark.parametrize("text", ["$GULL costs $5 to $10", "fog"])
def test_one_cashtag_and_prices_are_fine(text: str) -> None:
    require_allowed(text)
