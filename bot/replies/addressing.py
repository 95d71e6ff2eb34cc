"""Whom a text is meant for, told from the text alone."""

from __future__ import annotations

import re
from collections.abc import Collection

_MENTION = re.compile(r"[@＠](?=\w)")  # X takes the full-width sign for a mention, too
_NAMED = re.compile(r"^\s*@?(?P<name>[\w-]{1,60})(?P<mark>\s*[:,]\s*|\s+|$)(?P<rest>.*)", re.DOTALL)


def addressed_persona(text: str, personas: Collection[str]) -> tuple[str | None, str]:
    """The persona that the text begins with, and the text without it.

    `nasa: what about Mars?`, `@NASA what about Mars?` and `nasa` name the persona nasa when there is one; otherwise
    the answer is None and the text as it was, stripped.
    """
    match = _NAMED.match(text)
    if match and match["name"].lower() in personas:
        return match["name"].lower(), match["rest"].strip()
    return None, text.strip()


def calling_nobody(text: str) -> str:
    """The text without the sign that makes a mention of a name: what a model wrote notifies no one on X."""
    return _MENTION.sub("", text)
