"""Handles and links that a model made up, taken out of a text so that it still reads well. Pure.

Whoever is named in a draft did not ask for it, and a link leads nowhere. A handle in front, at the end or behind a
preposition goes with what tied it to the sentence; elsewhere it goes alone. In the middle of a clause that leaves a gap
("I met and left"), which no rule without a grammar can mend; `"plain"` keeps the name and loses only the sign.
"""

from __future__ import annotations

from typing import Literal

import regex

from bot.generation.length import urls

Handles = Literal["none", "plain"]

_HANDLE = regex.compile(r"(?<![\w@＠.])[@＠](?<name>[A-Za-z0-9_]{1,30})(?:['’]s\b)?")
_TIED = regex.compile(  # a handle with the word or sign that ties it to what is said
    r"(?:(?<=[\s(]|^)(?:\b(?:rt|via|cc|h/t|by|from|with|to|for|thanks to|thank you|hat tip to)\b:?\s+|[-–—/|+&]\s*))?"
    + _HANDLE.pattern
    + r"(?:\s*(?:,|&|\band\b)?\s*"
    + _HANDLE.pattern.replace("<name>", "<more>")
    + r")*",
    regex.IGNORECASE,
)
_IN_FRONT = regex.compile(rf"^(?:\s*{_HANDLE.pattern}[\s,:]*)+")
_EMPTY_BRACKETS = regex.compile(r"\(\s*\)|\[\s*\]|“\s*”|\"\s*\"")
_NOTHING_BEFORE_SIGN = regex.compile(r"\s+(?=[,.;!?](?:\s|$))|,\s*(?=[.!?](?:\s|$))")
_SENTENCES_THAT_TOUCH = regex.compile(r"(?<=\p{Ll})\.(?=\p{Lu}\p{Ll})")
_DANGLING_END = regex.compile(r"(?:\s+(?:via|cc|h/t|rt|at|on|see|read more|more)\b:?|\s*[:|→>–—-]|\s+👉)+\s*$", regex.I)
_DANGLING_FRONT = regex.compile(r"^\s*(?:rt\b:?|[,:;|–—-]+)\s*", regex.IGNORECASE)
_BLANKS = regex.compile(r"[ \t]{2,}")


def without_handles(text: str, handles: Handles) -> str:
    """The text without handles, or with their bare names; with neither `@` before a name."""
    if not _HANDLE.search(text):
        return text
    if handles == "plain":
        return _HANDLE.sub(lambda match: match[0][1:], text)
    text = _TIED.sub("", _IN_FRONT.sub("", text))
    return _tidy(text, ends_bare=False)


def without_links(text: str) -> str:
    """The text without what X would make a link of. Of sentences that merely touch ("done.Next") nothing is lost."""
    text = _SENTENCES_THAT_TOUCH.sub(". ", text)
    while found := urls(text):  # what closes up may make another link
        for start, end in reversed(found):
            text = text[:start] + text[end:]
        text = _tidy(text, ends_bare=found[-1][1] >= len(text.rstrip()))
    return text


def _tidy(text: str, ends_bare: bool) -> str:
    """Without brackets around nothing, doubled blanks, and signs that lead to what is no longer there."""
    text = _NOTHING_BEFORE_SIGN.sub("", _BLANKS.sub(" ", _EMPTY_BRACKETS.sub("", text)))
    return _DANGLING_FRONT.sub("", _DANGLING_END.sub("", text) if ends_bare else text).rstrip()
