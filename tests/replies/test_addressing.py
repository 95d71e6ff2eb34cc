"""Whom a message names."""

from __future__ import annotations

import pytest

from bot.replies.addressing import addressed_persona


@pytest.mark.parametrize(
    ("text", "persona", "rest"),
    [
        ("nasa: what about Mars?", "nasa", "what about Mars?"),
        ("  @NASA, what about Mars?", "nasa", "what about Mars?"),
        ("nasa what about Mars?", "nasa", "what about Mars?"),
        ("nasa", "nasa", ""),
        ("captain-crumb hello", "captain-crumb", "hello"),
        ("nasal sprays?", None, "nasal sprays?"),
        ("what about nasa?", None, "what about nasa?"),
        ("  ", None, ""),
    ],
)
def test_a_message_names_a_persona_at_its_beginning(text: str, persona: str | None, rest: str) -> None:
    assert addressed_persona(text, {"nasa", "captain-crumb"}) == (persona, rest)
