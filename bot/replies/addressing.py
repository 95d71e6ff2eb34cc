"""Whom a message is meant for, told from its text alone."""

from __future__ import annotations

import re
from collections.abc import Collection

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
