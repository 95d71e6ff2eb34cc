"""JSON read a piece at a time, so that memory stays bounded however long a document is.

Outcome: `JsonReader(text).elements()` gives the elements of an array in lists of at most about a megabyte of text.
msgspec decodes many elements at once, several times faster than the standard library. It is stricter, too (half an
emoji, NaN), so where it refuses, the standard library reads that stretch element by element.

Why a cut is right: msgspec takes `[` + elements up to the cut + `]` only if every bracket and every string opened
before the cut is closed before it, which is to say between two elements of the outer array.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

import msgspec

PIECE = 1 << 19  # characters read at once
LONGEST_VALUE = 16 << 20  # characters of one element; a page of a hundred tweets has less than one of these millions
_TRIES = 3  # possible cuts that are tried before a stretch is read element by element
_BEHIND = 64  # characters kept before the place that was reached: the white space that leads to a closing brace

_ONE = json.JSONDecoder()
_MANY = msgspec.json.Decoder(list[object])
_SPACE = re.compile(r"[ \t\n\r]*")
_CLOSING = re.compile(r"\s*[}\]]\Z")
_APART = re.compile(r'\s*,\s*(?:\{\s*"[^"\\]{0,40}")?')


class JsonReader:
    """Values from `text`, one after the other. Everything raises `ValueError` where the text is no JSON."""

    def __init__(self, text: TextIO, many: Callable[[str], Sequence[object]] = _MANY.decode) -> None:
        self._text = text
        self._many = many  # decodes a whole array
        self._window = ""
        self._at = 0
        self._ended = False
        self._slow = 0  # characters from here on in which only the standard library is asked

    def skip(self, pattern: re.Pattern[str]) -> None:
        """Go on behind what the pattern matches here, as far as one piece shows it."""
        self._fill(PIECE)
        found = pattern.match(self._window, self._at)
        self._go(found.end() if found else self._at)

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            found = _SPACE.match(self._window, self._at)
            self._go(found.end() if found else self._at)
            if self._at < len(self._window) or self._ended:
                return self._window[self._at : self._at + 1]
            self._fill(PIECE)

    def value(self, longest: int = LONGEST_VALUE) -> object:
        """The next value, whole. Raises `ValueError` also where it has far more than `longest` characters."""
        self.peek()
        self._fill(PIECE)
        while True:
            try:
                value, end = _ONE.raw_decode(self._window, self._at)
                if end < len(self._window) or self._ended:  # otherwise a number may go on
                    self._go(end)
                    return value
            except RecursionError as error:
                raise ValueError("nested too deep") from error
            except ValueError:
                if self._ended or len(self._window) - self._at > longest:
                    raise
            self._fill(2 * (len(self._window) - self._at))

    def elements(self) -> Iterator[Sequence[object]]:
        """The elements of the array that begins here, in lists."""
        self._take("[")
        if self.peek() == "]":
            self._go(self._at + 1)
            return
        while True:
            yield [self.value()]  # for sure, and it shows how elements are set apart here
            while many := self._next_many():
                yield many
            if self.peek() == "]":
                self._go(self._at + 1)
                return
            self._take(",")

    def _next_many(self) -> Sequence[object]:
        """The elements up to the last cut in the window; empty where they have to be read one by one."""
        self._fill(PIECE)
        apart = _APART.match(self._window, self._at)
        if apart is None or self._slow > 0:
            return []
        closing = _CLOSING.search(self._window, max(0, self._at - _BEHIND), self._at)
        before = closing.start() if closing else self._at
        mark = self._window[before : apart.end()]
        begin = self._window.index(",", self._at) + 1
        found = len(self._window)
        for _ in range(_TRIES):
            found = self._window.rfind(mark, begin, found)
            if found < 0:
                break
            cut = found + self._at - before
            try:
                many = self._many(f"[{self._window[begin:cut]}]")
            except (ValueError, RecursionError):
                continue
            self._go(cut)
            return many
        self._slow = len(self._window) - self._at
        return []

    def _take(self, character: str) -> None:
        if self.peek() != character:
            raise ValueError(f"{character} expected")
        self._go(self._at + 1)

    def _go(self, at: int) -> None:
        self._slow -= at - self._at
        self._at = at

    def _fill(self, ahead: int) -> None:
        """Have at least so many characters ahead, unless the text ends before."""
        missing = ahead - (len(self._window) - self._at)
        if missing <= 0 or self._ended:
            return
        more = self._text.read(max(missing, PIECE))
        self._ended = not more
        behind = max(0, self._at - _BEHIND)
        self._window = self._window[behind:] + more
        self._at -= behind
