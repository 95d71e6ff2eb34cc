"""Whom a text is meant for, told from the text alone."""

from __future__ import annotations

import re
from collections.abc import Collection

from bot.personas.name import display_name

_MENTION = re.compile(r"[@＠](?=\w)")  # X takes the full-width sign for a mention, too
_BEHIND_A_NAME = re.compile(r"(?:\s*[:,]\s*|\s+|$)")


def addressed_persona(text: str, personas: Collection[str]) -> tuple[str | None, str]:
    """The persona that the text begins with, and the text without it.

    `nasa: what about Mars?`, `@NASA what about Mars?` and `nasa` name the persona nasa when there is one, and so does
    the name as people write it (`Lighthouse Nell, how are you?`); the longest name wins. Otherwise the answer is None
    and the text as it was, stripped.
    """
    stripped = text.strip()
    said = stripped.removeprefix("@")
    for name, persona in _names(personas):
        if said[: len(name)].casefold() == name and (behind := _BEHIND_A_NAME.match(said, len(name))):
            return persona, said[behind.end() :].strip()
    return None, stripped


def _names(personas: Collection[str]) -> list[tuple[str, str]]:
    """Every name that somebody may be called by, folded, with the persona; the longest first."""
    called = {display_name(persona).casefold(): persona for persona in personas} | {each: each for each in personas}
    return sorted(called.items(), key=lambda entry: len(entry[0]), reverse=True)


def calling_nobody(text: str) -> str:
    """The text without the sign that makes a mention of a name: what a model wrote notifies no one on X."""
    return _MENTION.sub("", text)
