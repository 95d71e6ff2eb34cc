"""Handles and links leave a draft without a trace, as far as grammar allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.generation.length import urls
from bot.generation.mentions_and_links import without_handles, without_links

PIECES = st.sampled_from(
    ["@nell", "＠crumb", "@a_b’s", "lamp",
     "fog.", ",", "(", ")", "via", "RT", ":", "https://x.com/a?b=1", "example.org", "日本",
     "me@example.org", "done.Next", "-", " ", "\n", "co", ".", "@"]
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("@a @b_c hello there", "hello there"),
        ("hello there @a", "hello there"),
        ("RT @a: hello", "hello"),
        ("a picture by @nasa of Mars", "a picture of Mars"),
        ("thanks @a and @b, it works", "thanks, it works"),
        ("the lamp (via @x) is out", "the lamp is out"),
        ("nice one, @x!", "nice one!"),
        ("Fog tonight — cc @a @b", "Fog tonight —"),
        ("mail me@example.org", "mail me@example.org"),
        ("no handle here , really", "no handle here , really"),
        ("@a", ""),
    ],
)
def test_a_handle_goes_with_what_ties_it_to_the_sentence(text: str, left: str) -> None:
    assert without_handles(text, "none") == left


def test_a_plain_handle_keeps_its_name() -> None:
    assert without_handles("I met @nasa and ＠crumb's cat", "plain") == "I met nasa and crumb's cat"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("look: https://t.co/abc", "look"),
        ("read https://t.co/abc now", "read now"),
        ("the fog (https://t.co/abc) is back", "the fog is back"),
        ("Fog via https://t.co/x", "Fog"),
        ("see example.org/a, it is new", "see, it is new"),
        ("It is done.Next comes rain", "It is done. Next comes rain"),
        ("node.js and U.S. and 3.14", "node.js and U.S. and 3.14"),
    ],
)
def test_a_link_goes_and_the_sentence_stays(text: str, left: str) -> None:
    assert without_links(text) == left


@given(st.lists(PIECES, max_size=12))
def test_no_handle_is_left(pieces: list[str]) -> None:
    """Whatever stands beside it; a lone sign and an address are none."""
    text = " ".join(pieces)
    for handles in ("none", "plain"):
        left = without_handles(text, handles)
        assert without_handles(left, handles) == left
        assert "@nell" not in left and "crumb" not in (left if handles == "none" else "")


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=80))
def test_no_link_is_left_and_a_second_time_changes_nothing(text: str) -> None:
    left = without_links(text)
    assert urls(left) == []
    assert without_links(left) == left


@given(st.text(alphabet="abc ,.!?", max_size=60))
def test_text_without_handles_and_links_is_left_alone(text: str) -> None:
    assert without_handles(text, "none") == text
    if not urls(text):
        assert without_links(text) == text
