"""A text file, plain or gzipped, in whatever encoding, opened so that it can be read line by line.

Outcome: `with open_text(path) as lines`; whatever is wrong with the file is an `UnreadableSource` with one sentence,
also while its lines are read. The file is read once before, to know its encoding and that it does not blow up.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from charset_normalizer import from_bytes

from bot.errors import UnreadableSource

CHUNK = 1 << 20  # bytes read at once
SAMPLE = 1 << 18  # bytes that an encoding is guessed from when it is not Unicode
LARGEST = 8 << 30  # bytes of text that are still believed to be tweets
SUSPICIOUS = 64 << 20  # from so many bytes on, the ratio below is looked at
BOMB_RATIO = 200  # tweets shrink to a tenth; what shrinks to less than a two-hundredth is no text of people
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@contextmanager
def open_text(path: Path) -> Iterator[io.TextIOWrapper]:
    """The file's text, line ends untouched. Raises `UnreadableSource`."""
    with _in_a_sentence(path.name):
        encoding = _encoding(path)
        with _open_bytes(path) as raw, io.TextIOWrapper(raw, encoding, errors="replace", newline="") as text:
            yield text


@contextmanager
def _in_a_sentence(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableSource(f"{name} is cut off or damaged. Get it again and import it then.") from error
    except OSError as error:
        raise UnreadableSource(f"{name} can't be read: {error.strerror or error}. Check its permissions.") from error


def _open_bytes(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return io.BufferedReader(gzip.GzipFile(path)) if is_gzip else path.open("rb")


def _encoding(path: Path) -> str:
    size, on_disk, is_utf8 = 0, path.stat().st_size, True
    decoder = codecs.getincrementaldecoder("utf-8")()
    sample = b""
    with _open_bytes(path) as raw:
        while chunk := raw.read(CHUNK):
            sample = sample or chunk[:SAMPLE]
            size += len(chunk)
            if size > LARGEST or (size > SUSPICIOUS and size > BOMB_RATIO * on_disk):
                raise UnreadableSource(f"{path.name} unpacks to more than tweets ever take. Split or check it.")
            is_utf8 = is_utf8 and _decodes(decoder, chunk)
    if not sample.strip():
        raise UnreadableSource(f"{path.name} is empty. Import a file that holds tweets.")
    marked = next((name for mark, name in _MARKS.items() if sample.startswith(mark)), None)
    if marked:
        return marked
    if b"\0" not in sample:
        guess = "utf-8" if is_utf8 else _guess(sample)
        if guess:
            return guess
    raise UnreadableSource(f"{path.name} is not text. Import an X archive (zip), CSV, TSV, JSON or JSONL.")


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes) -> bool:
    try:
        decoder.decode(chunk)
    except UnicodeDecodeError:
        return False
    return True


def _guess(sample: bytes) -> str | None:
    best = from_bytes(sample).best()
    return best.encoding if best else None
