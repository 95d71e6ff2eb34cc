"""A text file in whatever encoding, opened so that it can be read line by line, as often as needed.

Outcome: `with TextFile(file).opened() as lines`; whatever is wrong with the file is an `UnreadableSource` with one
sentence, also while its lines are read. The file is read once before, to know its encoding and its length.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from charset_normalizer import from_bytes

from bot.errors import UnreadableSource
from bot.tweets.files import File, Meter

CHUNK = 1 << 20  # bytes read at once
SAMPLE = 1 << 18  # bytes that an encoding is guessed from when it is not Unicode
SPOILT = 0.5  # share of broken ones among what is no ASCII; other encodings make hardly a whole letter of UTF-8
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class TextFile:
    """Text from `file`. Raises `UnreadableSource` where it is none."""

    def __init__(self, file: File) -> None:
        self.name = file.name
        self.title = file.title
        self._file = file
        self._encoding, self.size = _examined(file)  # the size in bytes, unpacked

    @contextmanager
    def opened(self, meter: Meter | None = None) -> Iterator[TextIO]:
        """The text from its beginning, line ends untouched."""
        with io.TextIOWrapper(self._file.open(meter), self._encoding, errors="replace", newline="") as text:
            yield text


def lines(text: TextIO, longest: int) -> Iterator[str]:
    """Its lines; what has no line end within `longest` characters comes in pieces, so that memory stays bounded."""
    while line := text.readline(longest):
        yield line


def _examined(file: File) -> tuple[str, int]:
    """Encoding, and length in bytes."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    size, sample, doubtful = 0, b"", b""
    with file.open() as raw:
        while chunk := raw.read(CHUNK):
            size += len(chunk)
            sample = sample if sample.strip() else chunk[:SAMPLE]
            if not doubtful and not _decodes(decoder, chunk):
                doubtful = chunk
    if not sample.strip():
        raise UnreadableSource(f"{file.title} is empty. Import a file that holds tweets.")
    marked = next((name for mark, name in _MARKS.items() if sample.startswith(mark)), None)
    if marked:
        return marked, size
    if b"\0" not in sample:
        guess = _guess(doubtful) if doubtful else "utf-8"
        if guess:
            return guess, size
    raise UnreadableSource(f"{file.title} is not text. Import an X archive (zip), CSV, TSV, JSON or JSONL.")


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes) -> bool:
    try:
        decoder.decode(chunk)
    except UnicodeDecodeError:
        return False
    return True


def _guess(chunk: bytes) -> str | None:
    """The encoding of bytes that are not UTF-8 throughout."""
    text = chunk.decode("utf-8", "replace")
    foreign = sum(not character.isascii() for character in text)
    if text.count("\N{REPLACEMENT CHARACTER}") <= SPOILT * foreign:
        return "utf-8"
    first = next(place for place, byte in enumerate(chunk) if byte > 127)
    best = from_bytes(chunk[max(0, first - SAMPLE // 2) :][:SAMPLE]).best()
    return best.encoding if best else None
