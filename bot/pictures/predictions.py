"""What stands in `predictions.png`, the social picture of a version. Pure: a version in, its template's scene out."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import regex

from bot.pictures.bird import bird_svg
from bot.shelf.manifest import Manifest, Metrics, Prediction

LONGEST_PEOPLE = 60  # characters of the line that says whom it was learned from
LONGEST_WORD = 16  # graphemes; a longer one may be broken after any of them, where a line ends
UNPROMPTED = "The first thing it said"  # stands where a prompt would

_OWN_RULES = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}"  # scripts in which lines break without blanks
_WORD = regex.compile(rf"[^\s{_OWN_RULES}]+")
_GRAPHEME = regex.compile(r"\X")
_JOINED = regex.compile(r"\p{Arabic}\u200b(?=\p{Arabic})")
_MAY_BREAK = "\u200b"
_JAPANESE = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
_KOREAN = regex.compile(r"\p{Hangul}")
_HAN = {"ja": "JP", "ko": "KR", "zh": "SC"}  # one ideograph has another form in each; Unicode leaves that to the font


def scene(manifest: Manifest, prediction: Prediction) -> dict[str, Any]:
    """The scene that `predictions.typ` draws."""
    language = _language(prediction.text)
    start = prediction.prompt if prediction.text.startswith(prediction.prompt) else ""
    return {
        "name": manifest.persona,
        "people": people(manifest.handles),
        "kind": manifest.kind,
        "version": manifest.version,
        "bird": bird_svg(manifest.persona),
        "asked": prediction.prompt or UNPROMPTED,
        "start": start,
        "rest": breakable(prediction.text[len(start) :]),
        "lang": language,
        "rtl": is_right_to_left(prediction.text),
        "han": f"Noto Sans CJK {_HAN.get(language, 'SC')}",
        "figure": _figure(manifest.metrics),
        "mark": "Written by Mockingbird",
    }


def _figure(metrics: Metrics | None) -> str:
    """How good it is; nothing where nobody could judge it."""
    if metrics is None:
        return ""
    return f"Held-out loss {metrics.held_out_loss:.2f}, the base's {metrics.base_held_out_loss:.2f}"


def people(handles: Sequence[str], most: int = LONGEST_PEOPLE) -> str:
    """`@a, @b and @c`; where that is too long for a line, `@a, @b and 3 others`. Nothing of nobody."""
    text = ""
    names = [f"@{handle}" for handle in handles]
    for shown in range(len(names), 0, -1):
        others = len(names) - shown
        *first, last = [*names[:shown], f"{others} other{'s' if others > 1 else ''}"] if others else names
        text = f"{', '.join(first)} and {last}" if first else last
        if len(text) <= most:
            break
    return text


def breakable(text: str) -> str:
    """The text with places to break a line in words that are longer than a line may be. Emoji are never divided."""
    return _WORD.sub(lambda word: _broken(word[0]), text)


def _broken(word: str) -> str:
    graphemes = _GRAPHEME.findall(word)
    if len(graphemes) <= LONGEST_WORD:
        return word
    return _JOINED.sub(lambda pair: pair[0][0], _MAY_BREAK.join(graphemes))  # Arabic letters are written as one


def is_right_to_left(text: str) -> bool:
    """The direction of a paragraph by its first letter that has one (UAX 9, rules P2 and P3)."""
    kinds = (unicodedata.bidirectional(character) for character in text)
    return next((kind != "L" for kind in kinds if kind in ("L", "R", "AL")), False)


def _language(text: str) -> str:
    """As far as fonts and line breaks depend on it."""
    if _JAPANESE.search(text):
        return "ja"
    if _KOREAN.search(text):
        return "ko"
    if regex.search(r"\p{Han}", text):
        return "zh"
    if is_right_to_left(text):
        return "he" if regex.search(r"\p{Hebrew}", text) else "ar"
    return "en"
