"""What a persona may be called: the name is a folder on the shelf and a word in a chat."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.errors import UsageError

_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,59}")


def is_persona_name(name: str) -> bool:
    """Whether a persona could have this name."""
    return _NAME.fullmatch(name) is not None


def persona_name(handles: Sequence[str], name: str | None = None) -> str:
    """The given name, or the sorted handles joined by "-" as the ancestor did. Raises `UsageError` on a bad name."""
    chosen = (name or "-".join(sorted(handles))).strip().lower()
    if not is_persona_name(chosen):
        raise UsageError(f"{chosen!r} can't be a persona's name. Use up to 60 of a-z, 0-9, _ and -, for example nasa.")
    return chosen


def display_name(persona: str) -> str:
    """The name as people write it: `lighthouse_nell` is Lighthouse Nell."""
    words = re.split(r"[_-]+", persona)
    return " ".join(word[:1].upper() + word[1:] for word in words if word) or persona
