"""A longer text as posts that follow each other, each of a length that X takes. Pure.

Outcome: `split(text)` gives the parts in their order; their words are those of the text, and none is longer than X
allows. A part ends where the text does best: at the end of a paragraph, else of a sentence, else of a word, and only
where a single word is too long between two of its characters as people see them, never within one.

Parts bear no numbers. X shows posts that answer each other as one thread, in order, and says itself that there is more;
"1/3" would take up to six of the 280, and would be wrong as soon as one of them is deleted.
"""

from __future__ import annotations

import unicodedata

import regex

from bot.errors import Refused
from bot.generation.length import LIMIT, weighted_length

MOST_PARTS = 25  # as many as X's own editor takes
_FULL_ENOUGH = 0.5  # a part that ends at a paragraph or a sentence may be as short as this share of the limit
_PARAGRAPH = regex.compile(r"\s*\n\s*\n\s*")
_SENTENCE = regex.compile(r"(?<=[.!?…][\"'”’)\]]*)\s+|(?<=[。！？])|\n")
_WORD = regex.compile(r"\s+")
_GRAPHEME = regex.compile(r"\X")
_CASHTAG = regex.compile(r"(?<!\w)\$[A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?\b")


def split(text: str, limit: int = LIMIT) -> tuple[str, ...]:
    """The parts, one where the text fits into one post. Raises `Refused` where it is empty or far too long."""
    rest = unicodedata.normalize("NFC", text).strip()
    if not rest:
        raise Refused("There is no text in that. Write a few words.")
    parts: list[str] = []
    while rest:
        if len(parts) == MOST_PARTS:
            raise Refused(f"That is longer than {MOST_PARTS} posts, which is as long as a thread may be. Shorten it.")
        part = _first(rest, limit)
        parts.append(part.rstrip())
        rest = rest[len(part) :].lstrip()
    return tuple(parts)


def _first(text: str, limit: int) -> str:
    """The beginning of the text that makes the first part."""
    if weighted_length(text) <= limit:
        return text
    for ends, least in ((_PARAGRAPH, _FULL_ENOUGH), (_SENTENCE, _FULL_ENOUGH), (_WORD, 0.0)):
        end = _last_fitting([match.start() for match in ends.finditer(text)], text, limit)
        if end and weighted_length(text[:end].rstrip()) >= least * limit:
            return text[:end]
    return text[: _last_fitting([match.end() for match in _GRAPHEME.finditer(text)], text, limit) or 1]


def _last_fitting(ends: list[int], text: str, limit: int) -> int:
    """The last of these places up to which the text fits; 0 where it fits up to none."""
    low, high = 0, len(ends)
    while low < high:  # lengths rise, but for a link that ends in the middle of a word, which the last look settles
        middle = (low + high) // 2
        if weighted_length(text[: ends[middle]].rstrip()) <= limit:
            low = middle + 1
        else:
            high = middle
    fitting = (end for end in reversed(ends[:low]) if end and weighted_length(text[:end].rstrip()) <= limit)
    return next(fitting, 0)


def require_allowed(text: str) -> None:
    """Raises `Refused` where X would not take the text, not even in parts."""
    split(text)
    if len(_CASHTAG.findall(text)) > 1:
        raise Refused("X allows one cashtag ($NAME) in a post. Leave the others out.")
