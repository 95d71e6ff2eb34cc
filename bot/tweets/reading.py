"""Tweets from a path: an X archive (zip or folder) or tables, told apart by what is there, not by their names.

Outcome: `with opened(path) as batches` gives the tweets in batches that memory never holds two of, however many there
are. A source that does not tell its account by itself is read twice: once to know whose its tweets are, whether its ids
are ids and how its dates are written, and once for the tweets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bot.errors import UnreadableSource
from bot.tweets.files import Files, Meter, file_on_disk, files_of
from bot.tweets.records import Batch, Record, Skipped, Skips, Unreadable
from bot.tweets.tables import Tables, is_table
from bot.tweets.tweet import Source, Tweet, normalise_handle
from bot.tweets.whose import Settled, Survey
from bot.tweets.x_archive import XArchive, has_private_files, is_archive, owner_of

__all__ = ["Batches", "Reading", "Skipped", "Skips", "opened", "read"]


class Records(Protocol):
    """What a reader of one kind of source offers; it can be read as often as needed."""

    name: str  # of the file or folder, for messages
    source: Source
    owner: str | None  # whose account it is, where the source tells
    size: int  # bytes

    def batches(self, meter: Meter, skips: Skips) -> Iterator[Batch]: ...


class Batches:
    """The tweets of one source, to be iterated once: lists of at most a few thousand, of any of its accounts.

    Empty lists come as well, while nothing but the source's nature is known: whoever reads can stop or show progress
    in between. Raises `UnreadableSource`, also in the middle.
    """

    def __init__(self, records: Records, handle: str | None) -> None:
        self._records = records
        self._handle = handle
        self._meter = Meter()
        self.skips = Skips()  # complete at the end

    @property
    def source(self) -> Source:
        """Through which door the tweets come."""
        return self._records.source

    @property
    def owner(self) -> str | None:
        """Whose account it is, where the source tells."""
        return self._records.owner

    @property
    def share(self) -> float:
        """How much of the source has been read, from 0 to 1."""
        return self._meter.share

    def __iter__(self) -> Iterator[list[Tweet]]:
        owner = self._handle or self._records.owner
        if self._records.source is Source.ARCHIVE and owner is not None:
            self._meter.total = self._records.size
            settled = Settled(Source.ARCHIVE, frozenset(), normalise_handle(owner))
        else:
            self._meter.total = 2 * self._records.size
            survey = Survey()
            yield from self._surveyed(survey)
            settled = survey.settled(owner, self._records.source, self._records.name)
        is_empty = True
        for batch in self._records.batches(self._meter, self.skips):
            tweets = self._tweets(batch, settled)
            is_empty = is_empty and not tweets
            yield tweets
        if is_empty:
            raise UnreadableSource(_nothing(self._records.name, self.skips))

    def _surveyed(self, survey: Survey) -> Iterator[list[Tweet]]:
        skips = Skips()
        for batch in self._records.batches(self._meter, skips):
            for number, found in batch.rows:
                if isinstance(found, Record):
                    survey.see(found)
                else:
                    skips.add(f"{batch.place}{number}", found)
            yield []
        if survey.is_empty:
            raise UnreadableSource(_nothing(self._records.name, skips))

    def _tweets(self, batch: Batch, settled: Settled) -> list[Tweet]:
        tweets = []
        for number, found in batch.rows:
            if isinstance(found, Unreadable):
                self.skips.add(f"{batch.place}{number}", found)
            elif (owner := settled.owner(found)) is not None:
                tweets.append(settled.tweet(found, owner))
            elif not settled.leaves_out:
                self.skips.add(f"{batch.place}{number}", Unreadable.NO_ACCOUNT)
        return tweets


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a file or folder holds, at once."""

    tweets: Mapping[str, Sequence[Tweet]]  # by handle, each in the order of the source
    skipped: Sequence[Skipped]  # the first of it


@contextmanager
def opened(path: Path, handle: str | None = None) -> Iterator[Batches]:
    """The tweets at `path`, in batches. Blocks while it reads: iterate in a thread. Raises `UnreadableSource`.

    `handle` names the account where the source does not, renames the only one, or picks one of several.
    """
    if path.suffix.lower() == ".js" and path.is_file():  # one file of an unpacked archive
        path = next((folder for folder in path.resolve().parents if folder.name == "data"), path.parent)
    if path.is_dir() or _is_zip(path):
        with files_of(path) as files:
            yield Batches(_of_several(files), handle)
    else:
        yield Batches(Tables(path.name, [file_on_disk(path)]), handle)


def read(path: Path, handle: str | None = None) -> Reading:
    """All tweets at `path` by account, for what fits into memory; as `opened` otherwise."""
    tweets: dict[str, list[Tweet]] = {}
    with opened(path, handle) as batches:
        for batch in batches:
            for tweet in batch:
                tweets.setdefault(tweet.handle, []).append(tweet)
        return Reading(tweets, batches.skips.first)


def _is_zip(path: Path) -> bool:
    if not path.exists():
        raise UnreadableSource(f"There is no file or folder {path}. Check the path.")
    if not path.is_file():
        raise UnreadableSource(f"{path} is neither a file nor a folder. Name an X archive or a table of tweets.")
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise UnreadableSource(f"{path.name} can't be read: {error.strerror}. Check its permissions.") from error
    if not start:
        raise UnreadableSource(f"{path.name} is empty. Import a file that holds tweets.")
    return start.startswith(b"PK") or path.suffix.lower() == ".zip"


def _of_several(files: Files) -> Records:
    """The reader for a zip or folder."""
    names = files.names()
    if is_archive(names):
        return XArchive(files)
    if not names:
        raise UnreadableSource(f"{files.name} is an empty archive. Download it from X again.")
    if "[Content_Types].xml" in names:
        raise UnreadableSource(
            f"{files.name} is an office document. Save the sheet with the tweets as CSV and import that."
        )
    tables = [] if has_private_files(names) else sorted(name for name in names if is_table(name))
    if tables:
        return Tables(files.name, [files.file(name) for name in tables], owner_of(files))
    if any(name.lower().endswith(".zip") for name in names):
        raise UnreadableSource(f"{files.name} holds another zip. Unpack it and import the one with the tweets.")
    raise UnreadableSource(
        f"{files.name} holds no data/tweets.js, so it is no X archive, and no table of tweets either. "
        "Name the file with the tweets."
    )


def _nothing(name: str, skips: Skips) -> str:
    if not skips.first:
        return f"{name} holds no tweets. Import a file that does."
    first = skips.first[0]
    return (
        f"Not one tweet could be read from {name}; {first.where} was skipped, because {first.reason}. "
        "Check that it is the file you mean."
    )
