"""The long posts of an archive (`data/note-tweet.js`), joined to the tweets that X cut from them.

A long post has an id of its own, so it is found by the second in which it was sent and then by how it begins; where no
post of that second begins so, by its beginning alone. The posts wait in a temporary SQLite file rather than in memory.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime

from bot.tweets.cleaning import unescaped
from bot.tweets.records import Record

TELLING = 40  # characters of a beginning that are enough without the second
_CUT = re.compile(r"…\s*(?:https?://t\.co/\w*\s*)?\Z")
_BEGINS = re.compile(r"(?:@\w+\s+)*")  # whom a reply is to stands before some of the texts only
_ENDS = re.compile(r"https?://|…")  # from the first link on, both may differ


class Notes:
    """Long posts that still look for their tweets."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False)  # a private file, gone when it is closed
        self._database.execute(
            "CREATE TABLE notes (number INTEGER PRIMARY KEY, second INTEGER, telling TEXT, text TEXT, joined INTEGER)"
        )
        self._seconds: set[int] = set()

    def close(self) -> None:
        """Let the posts go."""
        self._database.close()

    def add(self, posts: Iterable[tuple[int, str, datetime | None]]) -> None:
        """Number in the file, text and time of more posts."""
        rows = []
        for number, text, created_at in posts:
            second = int(created_at.timestamp()) if created_at else None
            if second is not None:
                self._seconds.add(second)
            rows.append((number, second, _beginning(text)[:TELLING], text))
        self._database.executemany("INSERT INTO notes VALUES (?, ?, ?, ?, 0)", rows)

    def index(self) -> None:
        """To be called between adding and joining."""
        self._database.execute("CREATE INDEX by_second ON notes (second)")
        self._database.execute("CREATE INDEX by_beginning ON notes (telling)")

    def joined(self, record: Record) -> Record:
        """The record with the whole text of the post it was cut from, or as it is."""
        second = int(record.created_at.timestamp()) if record.created_at else None
        is_cut = _CUT.search(record.text) is not None
        if not is_cut and second not in self._seconds:
            return record
        beginning = _beginning(record.text)
        found = self._of_second(second, beginning, is_cut)
        if found is None and is_cut and len(beginning) >= TELLING:
            found = self._of_beginning(beginning)
        if found is None:
            return record
        number, text = found
        self._database.execute("UPDATE notes SET joined = 1 WHERE number = ?", (number,))
        return record._replace(text=text)

    def left(self) -> Iterator[int]:
        """Numbers of the posts that found no tweet."""
        for (number,) in self._database.execute("SELECT number FROM notes WHERE NOT joined ORDER BY number"):
            yield number

    def _of_second(self, second: int | None, beginning: str, is_cut: bool) -> tuple[int, str] | None:
        posts = self._database.execute(
            "SELECT number, text FROM notes WHERE second = ? AND NOT joined ORDER BY number", (second,)
        ).fetchall()
        for number, text in posts:
            begins = _beginning(text)
            both = min(len(begins), len(beginning))
            if both and begins[:both] == beginning[:both] and (is_cut or both < len(begins)):
                return number, text
        is_told_by_time = is_cut and len(posts) == 1 and not (beginning and _beginning(posts[0][1]))
        return posts[0] if is_told_by_time else None

    def _of_beginning(self, beginning: str) -> tuple[int, str] | None:
        posts = self._database.execute(
            "SELECT number, text FROM notes WHERE telling = ? AND NOT joined LIMIT 2", (beginning[:TELLING],)
        ).fetchall()
        return posts[0] if len(posts) == 1 else None


def _beginning(text: str) -> str:
    """What of the text both a post and the tweet cut from it have: no addressees, entities, line ends or links."""
    plain = " ".join(unescaped(text).split())
    begin = _BEGINS.match(plain)
    plain = plain[begin.end() :] if begin else plain
    end = _ENDS.search(plain)
    return (plain[: end.start()] if end else plain).strip()
