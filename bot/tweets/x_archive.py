"""X's own export of an account: the zip as downloaded, or its unpacked folder.

Three generations are known: Grailbird (2012 to 2018, `data/js/tweets/2015_04.js`), `data/tweet.js` (2019 to 2021) and
`data/tweets.js` with further parts, which `manifest.js` lists (since 2021). Only the files with the tweets, the
account's name and that list are opened, never direct messages or contacts, and nothing is unpacked to disk.
"""

from __future__ import annotations

import json
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from bot.errors import UnreadableSource
from bot.tweets.records import Reading, Record, Skipped, Unreadable, by_account, record
from bot.tweets.tweet import Source, normalise_handle

LARGEST_FILE = 1 << 30  # bytes of one file of tweets; X begins a new part long before
SUSPICIOUS = 16 << 20  # bytes from which on the ratio below is looked at
BOMB_RATIO = 200  # tweets as X writes them shrink to a tenth

# What zipfile and the decompressors below it raise on bytes that are no good zip.
_BAD_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,  # bz2, and seeks to nowhere
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
_GRAILBIRD = re.compile(r"(?P<root>.*/)?data/js/tweets/\d{4}_\d{2}\.js")
_TWEETS = re.compile(r"(?P<root>.*/)?data/tweets?(-part(?P<part>\d+))?\.js")


class _Members(Protocol):
    """The files of an archive, zipped or not."""

    name: str  # of the archive, for messages

    def names(self) -> list[str]: ...
    def read(self, member: str) -> bytes: ...


def read_archive(path: Path, handle: str | None = None) -> Reading:
    """The tweets of the archive's account, in its files' order. `handle` overrules the name that the archive gives.

    Raises `UnreadableSource`, also when the archive does not tell its account and no handle is given.
    """
    with _opened(path) as members:
        names = members.names()
        parts, root = _parts(members.name, names)
        owner = handle or _handle(members, names, root)
        skipped = [Skipped(missing, "manifest.js lists it, but it is not there") for missing in _missing(members, root)]
        records: list[Record] = []
        for part in parts:
            for where, found in _records(members, part):
                if isinstance(found, Record):
                    records.append(found)
                else:
                    skipped.append(Skipped(where, found))
    if not records:
        raise UnreadableSource(f"{path.name} holds no tweets. Request a new archive from X and import that.")
    if owner is None:
        reading = by_account(records, None, Source.ARCHIVE, path.name)
        return Reading(reading.tweets, [*skipped, *reading.skipped])
    account = normalise_handle(owner)
    return Reading({account: [each.tweet(account, Source.ARCHIVE) for each in records]}, skipped)


def _parts(name: str, names: Sequence[str]) -> tuple[list[str], str]:
    """The files that hold the tweets, in order, and the folder (with a slash, or empty) that the archive begins in."""
    for pattern in (_TWEETS, _GRAILBIRD):
        found = [match for each in names if (match := pattern.fullmatch(each))]
        if found:
            root = min((match["root"] or "" for match in found), key=len)
            here = [match for match in found if (match["root"] or "") == root]
            here.sort(key=lambda match: (int(match.groupdict().get("part") or 0), match[0]))
            return [match[0] for match in here], root
    if not names:
        raise UnreadableSource(f"{name} is an empty archive. Download it from X again.")
    if "[Content_Types].xml" in names:
        raise UnreadableSource(f"{name} is an office document. Save the sheet with the tweets as CSV and import that.")
    raise UnreadableSource(
        f"{name} holds no data/tweets.js, so it is no X archive. Unpack it and import the file with the tweets."
    )


def _records(members: _Members, part: str) -> Iterator[tuple[str, Record | Unreadable]]:
    entries = _document(members, part)
    if not isinstance(entries, list):
        raise UnreadableSource(f"{part} in {members.name} is no list of tweets. Download the archive again.")
    for number, entry in enumerate(entries, start=1):
        where = f"{part}, entry {number}"
        tweet = entry.get("tweet", entry) if isinstance(entry, dict) else None
        yield where, record(tweet, where) if isinstance(tweet, dict) else Unreadable.NO_RECORD


def _handle(members: _Members, names: Sequence[str], root: str) -> str | None:
    """The account's name as `account.js`, `user_details.js` or `manifest.js` has it; None when none of them tells."""
    for file, keys in (
        ("data/account.js", (0, "account", "username")),
        ("data/js/user_details.js", ("screen_name",)),
        ("data/manifest.js", ("userInfo", "userName")),
    ):
        if root + file in names:
            value = _at(_document_or_none(members, root + file), keys)
            if isinstance(value, str) and re.fullmatch(r"@?\w{1,20}", value.strip(), re.ASCII):
                return value
    return None


def _missing(members: _Members, root: str) -> list[str]:
    """Files of tweets that the manifest lists and the archive lacks."""
    manifest = _document_or_none(members, f"{root}data/manifest.js")
    names = set(members.names())
    listed = []
    for kind in ("tweets", "tweet"):
        files = _at(manifest, ("dataTypes", kind, "files"))
        listed += [_at(file, ("fileName",)) for file in files] if isinstance(files, list) else []
    return [file for file in listed if isinstance(file, str) and root + file not in names]


def _at(document: object, keys: Sequence[str | int]) -> object:
    for key in keys:
        if isinstance(key, int):
            document = document[key] if isinstance(document, list) and len(document) > key else None
        else:
            document = document.get(key) if isinstance(document, dict) else None
    return document


def _document_or_none(members: _Members, member: str) -> object:
    """The member's content, None when it is absent or holds no JSON: it is not needed for the tweets."""
    try:
        return _document(members, member) if member in members.names() else None
    except UnreadableSource:
        return None


def _document(members: _Members, member: str) -> object:
    """The JSON that stands behind `window.YTD.tweets.part0 =`, `Grailbird.data.tweets_2015_04 =` and the like."""
    try:
        script = members.read(member).decode("utf-8-sig")
        begin = re.match(r"[^=\[{]*=?\s*", script)
        document, _ = json.JSONDecoder().raw_decode(script, begin.end() if begin else 0)
    except (ValueError, RecursionError) as error:
        raise UnreadableSource(f"{member} in {members.name} is damaged. Download the archive again.") from error
    return document


class _Zip:
    """A zip, of which nothing is trusted."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.name = path.name
        self._archive = archive
        self._infos = {info.filename: info for info in archive.infolist()}
        for member in self._infos:
            if member.startswith("/") or ".." in member.split("/"):
                raise UnreadableSource(f"{self.name} holds a file that climbs out of it. X makes no such archive.")

    def names(self) -> list[str]:
        return list(self._infos)

    def read(self, member: str) -> bytes:
        info = self._infos[member]
        if info.flag_bits & 0x1:
            raise UnreadableSource(f"{self.name} is encrypted. Unpack it with its password and import the folder.")
        if info.file_size > LARGEST_FILE or (
            info.file_size > SUSPICIOUS and info.file_size > BOMB_RATIO * info.compress_size
        ):
            raise UnreadableSource(f"{member} in {self.name} unpacks to more than X ever writes. Check the archive.")
        with _in_a_sentence(self.name):
            return self._archive.read(info)


class _Folder:
    """An unpacked archive; only the places where files of interest stand are listed."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._root = (path.parent if path.name == "data" else path).resolve()

    def names(self) -> list[str]:
        found = (path for below in ("data", "data/js", "data/js/tweets") for path in (self._root / below).glob("*.js"))
        return sorted(path.relative_to(self._root).as_posix() for path in found)

    def read(self, member: str) -> bytes:
        path = (self._root / member).resolve()
        if not path.is_relative_to(self._root):
            raise UnreadableSource(f"{member} in {self.name} leads out of the folder. Import the archive as X made it.")
        with _in_a_sentence(f"{member} in {self.name}"):
            if path.stat().st_size > LARGEST_FILE:
                raise UnreadableSource(f"{member} in {self.name} is larger than X ever writes. Check the archive.")
            return path.read_bytes()


@contextmanager
def _opened(path: Path) -> Iterator[_Members]:
    if path.is_dir():
        yield _Folder(path)
        return
    with _in_a_sentence(path.name):
        archive = zipfile.ZipFile(path)
    with archive:
        yield _Zip(path, archive)


@contextmanager
def _in_a_sentence(name: str) -> Iterator[None]:
    """Whatever the standard library says of a bad archive, said to a person. Only ever around its own calls."""
    try:
        yield
    except PermissionError as error:
        raise UnreadableSource(f"{name} can't be read. Check its permissions.") from error
    except _BAD_ZIP as error:
        raise UnreadableSource(f"{name} is cut off or damaged. Download the archive from X again.") from error
