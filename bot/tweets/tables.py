"""CSV, TSV, JSON and JSONL files of tweets, each also gzipped, as data sets in the wild come.

Outcome: `read_table(path)` gives each account's tweets in file order and what had to be skipped, with its line.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from bot.errors import UnreadableSource
from bot.tweets.records import Columns, Reading, Record, Skipped, Unreadable, by_account, columns, record
from bot.tweets.textfile import open_text
from bot.tweets.tweet import Source

LARGEST_JSON = 1 << 30  # characters of one JSON document; JSONL has no limit
SHOWN_COLUMNS = 12  # how many column names a message quotes
_LISTS = ("data", "tweets", "statuses", "posts", "items", "results")  # where a JSON object keeps its tweets

Row = tuple[str, Record | Unreadable | str]  # where it stands, and what it says or why it says nothing


def read_table(path: Path, handle: str | None = None) -> Reading:
    """All tweets of the file by account. Raises `UnreadableSource`."""
    records: list[Record] = []
    skipped: list[Skipped] = []
    with open_text(path) as text:
        for where, found in _rows(path, text):
            if isinstance(found, Record):
                records.append(found)
            else:
                skipped.append(Skipped(where, found))
    if not records and skipped:
        first = skipped[0]
        raise UnreadableSource(
            f"Not one tweet could be read from {path.name}; {first.where} was skipped, because {first.reason}. "
            "Check that it is the file you mean."
        )
    if not records:
        raise UnreadableSource(f"{path.name} holds no tweets. Import a file that does.")
    reading = by_account(records, handle, Source.TABLE, path.name)
    return Reading(reading.tweets, [*skipped, *reading.skipped])


def _rows(path: Path, text: io.TextIOWrapper) -> Iterator[Row]:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    start = text.read(4096)
    text.seek(0)
    if ".json" in suffixes:
        return _json(path.name, text)
    if {".jsonl", ".ndjson", ".jsonlines"} & set(suffixes):
        return _json_lines(text)
    if not {".csv", ".tsv", ".tab"} & set(suffixes) and start.lstrip()[:1] in ("{", "["):
        return _json(path.name, text)
    return _delimited(path.name, text, start)


def _delimited(name: str, text: Iterable[str], start: str) -> Iterator[Row]:
    heading = start.partition("\n")[0]
    reader = csv.reader(text, delimiter=max(",;\t", key=heading.count))
    try:
        names = next(reader)
    except csv.Error as error:
        raise UnreadableSource(f"{name} does not begin with column names. Add a first line that names them.") from error
    known = columns(tuple(names))
    if not known.text:
        raise UnreadableSource(f"{name} has no column with the tweets' text; {_seen(names)}. Call that column text.")
    while True:
        where = f"line {reader.line_num + 1}"
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield where, f"it is no row of a table ({error})"
            continue
        if fields:
            yield where, _delimited_record(names, fields, where, known)


def _delimited_record(names: list[str], fields: list[str], where: str, known: Columns) -> Record | Unreadable | str:
    if any(field.strip() for field in fields[len(names) :]):
        return f"it has {len(fields)} fields where the first line names {len(names)}"
    padded = fields + [""] * (len(names) - len(fields))
    return record(dict(zip(names, padded, strict=False)), where, known)


def _json(name: str, text: io.TextIOWrapper) -> Iterator[Row]:
    """One document; or, as often happens under this suffix, one per line."""
    whole = text.read(LARGEST_JSON)
    if len(whole) == LARGEST_JSON:
        raise UnreadableSource(f"{name} is too large for one JSON document. Convert it to JSONL, one tweet per line.")
    try:
        document = json.loads(whole)
    except (ValueError, RecursionError):
        return _json_lines(io.StringIO(whole, newline=""))
    return _objects(name, document)


def _json_lines(lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            yield where, "it is no JSON"
            continue
        yield from _objects(where, document)


def _objects(name: str, document: object) -> Iterator[Row]:
    """The tweets of a list, of a page of API v2, of an object that holds a list of them, or the one tweet it is."""
    authors: dict[str, object] = {}
    if isinstance(document, dict):
        held = None if columns(tuple(document)).text else _held(document)
        if held is None:
            yield name, _object(document, name)
            return
        authors = _authors(document)
        document = held if isinstance(held, list) else [held]
    if not isinstance(document, list):
        yield name, Unreadable.NO_RECORD
        return
    for number, each in enumerate(document, start=1):
        where = f"{name}, entry {number}"
        author = each.get("author_id") if isinstance(each, dict) else None
        if isinstance(author, str) and author in authors:
            each = each | {"username": authors[author]}
        yield where, _object(each, where)


def _held(document: dict[str, object]) -> object:
    return next((document[key] for key in _LISTS if isinstance(document.get(key), list | dict)), None)


def _object(value: object, where: str) -> Record | Unreadable | str:
    if isinstance(value, dict) and isinstance(value.get("tweet"), dict):
        value = value["tweet"]  # as in archives
    if not isinstance(value, dict):
        return Unreadable.NO_RECORD
    if not columns(tuple(value)).text:
        return f"it has no text; {_seen(value)}"
    return record(value, where)


def _authors(page: dict[str, object]) -> dict[str, object]:
    """Author id to handle, from what a page of API v2 includes."""
    includes = page.get("includes")
    users = includes.get("users") if isinstance(includes, dict) else None
    known = [user for user in users if isinstance(user, dict)] if isinstance(users, list) else []
    return {user["id"]: user.get("username") for user in known if isinstance(user.get("id"), str)}


def _seen(names: Iterable[str]) -> str:
    shown = [name.strip()[:40] or "(no name)" for name in names]
    rest = f" and {len(shown) - SHOWN_COLUMNS} more" if len(shown) > SHOWN_COLUMNS else ""
    return f"it has {', '.join(shown[:SHOWN_COLUMNS])}{rest}" if shown else "it has none"
