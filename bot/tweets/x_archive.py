"""X's own export of an account: the zip as downloaded, or its unpacked folder.

Three generations are known: Grailbird (2012 to 2018, `data/js/tweets/2015_04.js`), `data/tweet.js` (2019 to 2021) and
`data/tweets.js` with further parts, which `manifest.js` lists, and with long posts in `note-tweet.js` (since 2021).
Only the files with the tweets, the account's name and that list are opened, never direct messages, contacts or
addresses.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TextIO, TypedDict

import msgspec

from bot.errors import UnreadableSource
from bot.tweets.files import File, Files, Meter
from bot.tweets.json_pieces import JsonReader
from bot.tweets.moments import moment
from bot.tweets.notes import Notes
from bot.tweets.records import Batch, Record, Row, Skips, Unreadable, record
from bot.tweets.tweet import Source

SMALL = 8 << 20  # characters of account.js and manifest.js at most

_GRAILBIRD = re.compile(r"(?P<root>.*/)?data/js/tweets/\d{4}_\d{2}\.js")
_TWEETS = re.compile(r"(?P<root>.*/)?data/tweets?([-_]part(?P<part>\d+))?\.js")
_NOTES = re.compile(r"data/note-?tweets?([-_]part\d+)?\.js")
_LISTED = re.compile(r"data/[\w-]*tweets?[\w-]*\.js", re.IGNORECASE)  # whatever a list says, no messages are opened
_OWNERS = (
    ("data/account.js", (0, "account", "username")),
    ("data/js/user_details.js", ("screen_name",)),
    ("data/manifest.js", ("userInfo", "userName")),
)
_ASSIGNMENT = re.compile(r"[^=\[{]*=?\s*")  # window.YTD.tweets.part0 =


class _Tweet(TypedDict, total=False):
    """What of a tweet is decoded; the other three quarters of an entry are skipped over."""

    id: object
    id_str: object
    text: object
    full_text: object
    created_at: object
    user: object
    in_reply_to_screen_name: object
    in_reply_to_status_id: object
    in_reply_to_status_id_str: object
    in_reply_to_user_id: object
    in_reply_to_user_id_str: object
    retweeted_status: object


class _Entry(_Tweet, total=False):
    """An element of a file of tweets: wrapped as since 2021, or bare as before."""

    tweet: _Tweet


_TWEET_KINDS, _NOTE_KINDS = ("tweets", "tweet"), ("noteTweet", "noteTweets")  # as manifest.js calls them
_ENTRIES = msgspec.json.Decoder(list[_Entry])


class XArchive:
    """The archive's tweets in its files' order. Raises `UnreadableSource`, also while they are read."""

    source = Source.ARCHIVE

    def __init__(self, files: Files) -> None:
        self.name = files.name
        self._files = files
        names = files.names()
        self._parts, self._root = _parts(files.name, names)
        tweets, notes = (_listed(files, self._root, *kinds) for kinds in (_TWEET_KINDS, _NOTE_KINDS))
        self._missing = [name.removeprefix(self._root) for name in (*tweets, *notes) if name not in names]
        self._parts += [name for name in tweets if name in names and name not in self._parts]
        by_name = {name for name in names if _NOTES.fullmatch(name.removeprefix(self._root))}
        self._notes = sorted(by_name.union(notes).intersection(names))
        self.owner = _owner(files, names, self._root)
        self.size = sum(files.file(name).size for name in (*self._parts, *self._notes))

    def batches(self, meter: Meter, skips: Skips) -> Iterator[Batch]:
        """Everything from the first to the last entry; what the archive lacks goes to `skips`."""
        for missing in self._missing:
            skips.add(missing, Unreadable.NOT_THERE)
        with closing(Notes()) as notes:
            for name in self._notes:
                yield from self._take_notes(notes, name, meter, skips)
            notes.index()
            for name in self._parts:
                for batch in _batches(self._files.file(name), name, meter):
                    yield self._whole(batch, notes) if self._notes else batch
            for number in notes.left():
                skips.add(f"{self._notes[number >> 32]}, entry {number & 0xFFFFFFFF}", Unreadable.NO_TWIN)

    def _take_notes(self, notes: Notes, name: str, meter: Meter, skips: Skips) -> Iterator[Batch]:
        """Yields nothing but empty batches, so that whoever reads can stop in between."""
        file_number = self._notes.index(name) << 32
        count = 0
        for entries in _elements(self._files.file(name), meter, JsonReader):
            posts = []
            for number, entry in enumerate(entries, start=count + 1):
                text = at(entry, ("noteTweet", "core", "text"))
                if isinstance(text, str) and text.strip():
                    posts.append((file_number + number, _plain(text), moment(at(entry, ("noteTweet", "createdAt")))))
                else:
                    skips.add(f"{name}, entry {number}", Unreadable.NO_TEXT)
            count += len(entries)
            notes.add(posts)
            yield Batch("", [])

    @staticmethod
    def _whole(batch: Batch, notes: Notes) -> Batch:
        rows = [(number, notes.joined(each) if isinstance(each, Record) else each) for number, each in batch.rows]
        return Batch(batch.place, rows)


def is_archive(names: Sequence[str]) -> bool:
    """Whether files of these names are an archive with tweets."""
    return any(_TWEETS.fullmatch(name) or _GRAILBIRD.fullmatch(name) for name in names)


def has_private_files(names: Sequence[str]) -> bool:
    """Whether files of these names are X's, though none holds tweets: then none of them is a table to be tried."""
    return any(re.fullmatch(r"(?:.*/)?data/[\w-]+\.js", name) for name in names)


def owner_of(files: Files) -> str | None:
    """Whose archive the files come from, where one of them tells."""
    return _owner(files, files.names(), "")


def _parts(name: str, names: Sequence[str]) -> tuple[list[str], str]:
    """The files that hold the tweets, in order, and the folder (with a slash, or empty) that the archive begins in."""
    for pattern in (_TWEETS, _GRAILBIRD):
        found = [match for each in names if (match := pattern.fullmatch(each))]
        if found:
            root = min((match["root"] or "" for match in found), key=len)
            here = [match for match in found if (match["root"] or "") == root]
            here.sort(key=lambda match: (int(match.groupdict().get("part") or 0), match[0]))
            return [match[0] for match in here], root
    raise UnreadableSource(f"{name} holds no data/tweets.js, so it is no X archive. Import the file with the tweets.")


def _batches(file: File, name: str, meter: Meter) -> Iterator[Batch]:
    place = f"{name}, entry "
    count = 0
    for entries in _elements(file, meter, lambda text: JsonReader(text, _ENTRIES.decode)):
        rows: list[Row] = []
        for number, entry in enumerate(entries, start=count + 1):
            tweet = entry.get("tweet", entry) if isinstance(entry, dict) else None
            rows.append((number, record(tweet) if isinstance(tweet, dict) else Unreadable.NO_RECORD))
        count += len(entries)
        yield Batch(place, rows)


def _elements(file: File, meter: Meter, reader: Callable[[TextIO], JsonReader]) -> Iterator[Sequence[object]]:
    with io.TextIOWrapper(file.open(meter), "utf-8-sig", errors="replace", newline="") as text:
        values = reader(text)
        pieces = values.elements()
        try:
            values.skip(_ASSIGNMENT)
            if values.peek() == "{":
                raise UnreadableSource(f"{file.title} is no list of tweets. Download the archive again.")
            while entries := next(pieces, None):
                yield entries
        except ValueError as error:
            raise UnreadableSource(f"{file.title} is damaged. Download the archive again.") from error


def _owner(files: Files, names: Sequence[str], root: str) -> str | None:
    """The account's name as `account.js`, `user_details.js` or `manifest.js` has it; None when none of them tells."""
    for file, keys in _OWNERS:
        if root + file in names:
            value = at(_small(files, root + file), keys)
            if isinstance(value, str) and re.fullmatch(r"@?\w{1,20}", value.strip(), re.ASCII):
                return value
    return None


def _listed(files: Files, root: str, *kinds: str) -> list[str]:
    """Files of these kinds by the archive's own list, there or not."""
    manifest = _small(files, f"{root}data/manifest.js") if f"{root}data/manifest.js" in files.names() else None
    listed = []
    for kind in kinds:
        found = at(manifest, ("dataTypes", kind, "files"))
        listed += [at(file, ("fileName",)) for file in found] if isinstance(found, list) else []
    return [root + file for file in listed if isinstance(file, str) and _LISTED.fullmatch(file)]


def at(document: object, keys: Sequence[str | int]) -> object:
    """What stands in the document under these keys, None if nothing."""
    for key in keys:
        if isinstance(key, int):
            document = document[key] if isinstance(document, list) and len(document) > key else None
        else:
            document = document.get(key) if isinstance(document, dict) else None
    return document


def _small(files: Files, name: str) -> object:
    """The content of a file that is not needed for the tweets; None when it holds no JSON."""
    try:
        with io.TextIOWrapper(files.file(name).open(), "utf-8-sig", errors="replace", newline="") as text:
            values = JsonReader(text)
            values.skip(_ASSIGNMENT)
            return values.value(SMALL)
    except (ValueError, UnreadableSource):
        return None


def _plain(text: str) -> str:
    """Without what no database takes."""
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
