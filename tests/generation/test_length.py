"""Lengths as X counts them, and cuts that leave words and characters whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.generation.length import LIMIT, fit, weighted_length, whole_sentences


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("hello", 5),
        ("cafe\u0301", 4),  # composed before counting
        ("“quoted” – yes…", 16),
        ("日本語", 6),
        ("👩‍👩‍👧", 2),  # one family, one emoji
        ("🇩🇪", 2),
        ("see https://example.org/a/very/long/path?with=query ok", 4 + 23 + 3),
        ("see example.org", 4 + 23),  # a bare domain is a link as well
        ("http://example.org/a?b=c.", 23 + 1),  # the stop behind it is none of it
        ("(example.org)", 1 + 23 + 1),
        ("x.com, example.co.uk.", 23 + 2 + 23 + 1),
        ("日本語example.comの", 6 + 23 + 2),
        ("http://例え.한국", 23),  # a top-level domain that is not Latin
        ("node.js and U.S. and 3.14", 25),  # nothing there ends in a top-level domain
        ("me@example.org #example.org", 27),  # an address and a hashtag
        ("http://localhost:80", 19),
    ],
)
def test_weights_are_those_of_the_published_configuration(text: str, length: int) -> None:
    assert weighted_length(text) == length


@given(st.text(max_size=600))
def test_what_was_fitted_fits(text: str) -> None:
    assert weighted_length(fit(text)) <= LIMIT


def test_a_cut_falls_between_words() -> None:
    fitted = fit("seagull " * 60)
    assert fitted.endswith("seagull…")
    assert weighted_length(fitted) > LIMIT - 10


def test_a_single_endless_word_is_cut_between_characters() -> None:
    assert fit("👩‍👩‍👧" * 200) == "👩‍👩‍👧" * 139 + "…"


def test_a_text_that_ran_out_ends_after_its_last_sentence_or_word() -> None:
    assert whole_sentences("It rained. The lamp held. And then the g") == "It rained. The lamp held."
    assert whole_sentences("no stop in sight and then the g") == "no stop in sight and then the…"
