"""CSV, TSV, JSON and JSONL files of tweets, each also gzipped, alone or several in a zip, as data sets come.

Outcome: `Tables([file, ...])` gives the records of all of them in file order, as often as it is asked; memory stays
bounded, except that one JSON object or line of JSONL is held whole.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TextIO

import msgspec

from bot.errors import UnreadableSource
from bot.tweets.files import File, Meter
from bot.tweets.json_pieces import LONGEST_VALUE, JsonReader
from bot.tweets.records import Batch, Columns, Record, Row, Skips, Unreadable, columns, record
from bot.tweets.textfile import TextFile, lines
from bot.tweets.tweet import Source

ROWS = 2_000  # of one batch
LONGEST_LINE = 1 << 20  # characters of a line of CSV
SAMPLED_LINES = 20_000  # of a TSV, to know whether its quotation marks are its own
LONGEST_OBJECT = 64 << 20  # characters of a JSON document that is no array
SHOWN_COLUMNS = 12  # how many column names a message quotes
TABLES = (".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".jsonlines")

_LINES = (".jsonl", ".ndjson", ".jsonlines")
_LISTS = ("data", "tweets", "statuses", "posts", "items", "results")  # where a JSON object keeps its tweets
_DECODER = msgspec.json.Decoder()


class Tables:
    """The tweets of one table, or of several that belong together. Raises `UnreadableSource`, also when read."""

    source = Source.TABLE

    def __init__(self, name: str, files: Sequence[File], owner: str | None = None) -> None:
        self.name = name  # for messages
        self.owner = owner
        self._is_one = len(files) == 1
        self._texts = [TextFile(file) for file in files]
        self.size = sum(text.size for text in self._texts)  # bytes

    def batches(self, meter: Meter, skips: Skips) -> Iterator[Batch]:
        """Everything from the first to the last row. Of several tables, one without a column for text is skipped."""
        for text in self._texts:
            try:
                yield from self._batches(text, meter)
            except _NoTable as error:
                if self._is_one:
                    raise UnreadableSource(str(error)) from error
                skips.add(text.name, Unreadable.NO_TABLE)

    def _batches(self, text: TextFile, meter: Meter) -> Iterator[Batch]:
        for place, rows in _read(text, meter):
            yield Batch(place if self._is_one else f"{text.name}, {place}", rows)


class _NoTable(ValueError):
    """The file has no column with text; the message says so to a person."""


def is_table(name: str) -> bool:
    """Whether a file of this name in a zip or folder is taken for a table."""
    file = name.rpartition("/")[2].lower().removesuffix(".gz")
    return file.endswith(TABLES) and not file.startswith(".") and not name.startswith("__MACOSX/")


def _read(file: TextFile, meter: Meter) -> Iterator[Batch]:
    with file.opened() as text:
        start = text.read(4096)
    name = file.name.lower().removesuffix(".gz")
    mark = start.lstrip()[:1]
    is_lines, is_json = name.endswith(_LINES), name.endswith(".json")
    if not (is_lines or is_json) and (name.endswith(TABLES) or mark not in ("{", "[")):
        return _delimited(file, meter)
    if mark == "[" and (is_json or not _has_lines(file)):
        return _document(file, meter)
    return _json_lines(file, meter) if is_lines or _has_lines(file) else _document(file, meter)


def _has_lines(file: TextFile) -> bool:
    """Whether the first line that holds anything is JSON by itself, with another behind it."""
    with file.opened() as text:
        filled = (line for line in lines(text, LONGEST_VALUE) if line.strip())
        first = next(filled, "")
        if _decoded(first) is Unreadable.NO_JSON:
            return not first.lstrip().startswith(("{", "["))
        return next(filled, None) is not None


def _delimited(file: TextFile, meter: Meter) -> Iterator[Batch]:
    with file.opened() as text:
        heading = text.readline(LONGEST_LINE)
        delimiter = max(",;\t|", key=heading.count)
        is_bare = delimiter == "\t" and not _is_quoted(heading, text)
    with file.opened(meter) as text:
        reader = csv.reader(
            lines(text, LONGEST_LINE), delimiter=delimiter, quoting=csv.QUOTE_NONE if is_bare else csv.QUOTE_MINIMAL
        )
        try:
            names = next(reader)
        except (csv.Error, StopIteration) as error:
            raise _NoTable(f"{file.title} does not begin with column names. Add a first line with them.") from error
        known = columns(tuple(names))
        if not known.text:
            raise _NoTable(f"{file.title} has no column with the tweets' text; {_seen(names)}. Call that column text.")
        rows = _table_rows(reader, names, known)
        while batch := list(islice(rows, ROWS)):
            yield Batch("line ", batch)


def _is_quoted(heading: str, text: TextIO) -> bool:
    """Whether quotation marks around a field of a TSV are not part of it. Mostly they are: tabs need no quoting.

    Where every line has all fields as it stands, and one of them only begins with a mark, nothing is quoted.
    """
    is_torn = False  # a field begins with a mark that its line does not close
    for line in islice(lines(text, LONGEST_LINE), SAMPLED_LINES):
        fields = line.rstrip("\r\n").split("\t")
        if len(fields) != heading.count("\t") + 1 and line.strip():
            return True
        is_torn = is_torn or any(each.startswith('"') and (len(each) == 1 or each[-1] != '"') for each in fields)
    return not is_torn


def _table_rows(reader: csv._reader, names: list[str], known: Columns) -> Iterator[Row]:  # type: ignore[name-defined]
    width = len(names)
    while True:
        number = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield number, Unreadable.NO_ROW
            continue
        if len(fields) == width:
            yield number, record(dict(zip(names, fields, strict=True)), known)
        elif fields:
            yield number, _uneven(names, fields, known)


def _uneven(names: list[str], fields: list[str], known: Columns) -> Record | Unreadable:
    if any(field.strip() for field in fields[len(names) :]):
        return Unreadable.TOO_WIDE
    padded = fields + [""] * (len(names) - len(fields))
    return record(dict(zip(names, padded, strict=False)), known)


def _document(file: TextFile, meter: Meter) -> Iterator[Batch]:
    """An array, or an object that holds one; several of them one after the other as well."""
    with file.opened(meter) as text:
        values = JsonReader(text)
        count = 0
        try:
            while mark := values.peek():
                if mark == "[":
                    for entries in values.elements():
                        yield _entries("entry ", entries, count)
                        count += len(entries)
                else:
                    yield from _objects("", values.value(LONGEST_OBJECT))
        except ValueError as error:
            if isinstance(error, _NoTable):
                raise
            raise UnreadableSource(
                f"{file.title} is no JSON from some place on, or holds an object of more than 64 MB. "
                "Get it again, or convert it to JSONL, one tweet per line."
            ) from error


def _json_lines(file: TextFile, meter: Meter) -> Iterator[Batch]:
    with file.opened(meter) as text:
        rows: list[Row] = []
        for number, line in enumerate(lines(text, LONGEST_VALUE), start=1):
            if line.isspace():
                continue
            document = _decoded(line)
            if document is Unreadable.NO_JSON:
                rows.append((number, Unreadable.NO_JSON))
            elif not isinstance(document, dict | list):
                rows.append((number, Unreadable.NO_RECORD))
            elif isinstance(document, dict) and not _holds_others(document):
                rows.append((number, _object(document)))
            else:
                yield Batch("line ", rows)
                rows = []
                yield from _objects(f"line {number}, ", document)
            if len(rows) >= ROWS:
                yield Batch("line ", rows)
                rows = []
        yield Batch("line ", rows)


def _decoded(text: str) -> object:
    """The value that the text is; `NO_JSON` where it is none."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):  # stricter than the standard library, which is asked as well
        pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return Unreadable.NO_JSON


def _holds_others(document: dict[str, object]) -> bool:
    return not columns(tuple(document)).text and _held(document) is not None


def _objects(place: str, document: object) -> Iterator[Batch]:
    """The tweets of a list, of a page of API v2, of an object that holds a list of them, or the one tweet it is."""
    authors: dict[str, object] = {}
    if isinstance(document, dict):
        if not _holds_others(document):
            yield Batch(f"{place}entry ", [(1, _object(document))])
            return
        authors = _authors(document)
        held = _held(document)
        document = held if isinstance(held, list) else [held]
    if not isinstance(document, list):
        yield Batch(f"{place}entry ", [(1, Unreadable.NO_RECORD)])
        return
    place = f"{place}entry "
    for begin in range(0, len(document), ROWS):
        entries = [_with_author(each, authors) for each in document[begin : begin + ROWS]]
        yield _entries(place, entries, begin)


def _entries(place: str, entries: Iterable[object], before: int) -> Batch:
    return Batch(place, [(number, _object(each)) for number, each in enumerate(entries, start=before + 1)])


def _with_author(entry: object, authors: dict[str, object]) -> object:
    author = entry.get("author_id") if isinstance(entry, dict) else None
    return entry | {"username": authors[author]} if isinstance(author, str) and author in authors else entry  # type: ignore[operator]


def _held(document: dict[str, object]) -> object:
    return next((document[key] for key in _LISTS if isinstance(document.get(key), list | dict)), None)


def _object(value: object) -> Record | Unreadable:
    if isinstance(value, dict) and isinstance(value.get("tweet"), dict):
        value = value["tweet"]  # as in archives
    return record(value) if isinstance(value, dict) else Unreadable.NO_RECORD


def _authors(page: dict[str, object]) -> dict[str, object]:
    """Author id to handle, from what a page of API v2 includes."""
    includes = page.get("includes")
    users = includes.get("users") if isinstance(includes, dict) else None
    known = [user for user in users if isinstance(user, dict)] if isinstance(users, list) else []
    return {user["id"]: user.get("username") for user in known if isinstance(user.get("id"), str)}


def _seen(names: Iterable[str]) -> str:
    plain = ("".join(mark if mark.isprintable() else " " for mark in name[:80]) for name in names)
    shown = [" ".join(name.split())[:40] or "(no name)" for name in plain]
    rest = f" and {len(shown) - SHOWN_COLUMNS} more" if len(shown) > SHOWN_COLUMNS else ""
    return f"it has {', '.join(shown[:SHOWN_COLUMNS])}{rest}" if shown else "it has none"
