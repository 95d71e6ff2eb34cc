"""One record of a tweet, whatever the source calls its parts. Pure.

Column and key names are those of data sets in the wild: X archives of all generations, API v1.1 and v2 objects, tweepy,
rtweet, twarc-csv, snscrape, twint, Scweet and the dumps that people publish.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from bot.tweets.moments import is_numeric, moment
from bot.tweets.tweet import normalise_handle

LONGEST_TEXT = 30_000  # characters; the longest post that X takes has 25,000
EXACT_AS_FLOAT = 15  # digits of an id that a floating-point number holds exactly
LONGEST_NAME = 64  # characters of what can still be a handle, blanks around it included
DATE_ALONE = 10  # characters of a date without a time of day

# Names without case and punctuation, the best first.
_TEXT = (
    "fulltext",
    "text",
    "tweettext",
    "tweetfulltext",
    "tweet",
    "rawcontent",
    "content",
    "tweetcontent",
    "embeddedtext",
    "statustext",
    "posttext",
    "body",
)
_WHOLE = ("notetweet", "notepost", "extendedtweet")  # objects that hold the text where another field cuts it
_ID = ("idstr", "tweetidstr", "tweetid", "statusidstr", "statusid", "postid", "id")  # the last may number the rows
_MOMENT = (
    "createdat",
    "date",
    "timestamp",
    "datetime",
    "tweetcreatedat",
    "tweetcreated",
    "tweetdate",
    "tweettimestamp",
    "tweettime",
    "createdon",
    "createdtime",
    "createddate",
    "publishedat",
    "publishdate",
    "postedat",
    "postdate",
    "time",
    "at",
)
_CLOCK = ("time",)  # beside a date without one
_LINK = ("permalink", "tweetpermalink", "tweeturl", "tweetlink", "statusurl")
_HANDLE = (
    "screenname",
    "userscreenname",
    "userusername",
    "authorusername",
    "authorscreenname",
    "username",  # after those: `user.name`, beside `user.screen_name`, is the name that is displayed
    "handle",
    "userhandle",
    "twitterhandle",
    "fromuser",
    "user",
    "author",
    "account",
)
_RETWEET_FLAG = ("isretweet", "isrt", "retweet")
_RETWEET_OF = (
    "retweetedstatusid",
    "retweetedstatusidstr",
    "retweetedstatus",
    "retweetstatusid",
    "retweetedtweet",
    "retweetedid",
    "retweetid",
    "retweetof",
    "referencedtweetsretweetedid",
    "referencedpostsretweetedid",
)
_TYPE = ("posttype", "tweettype")
_REFERENCES = ("referencedtweets", "referencedposts")
_REPLY_TO = (
    "inreplytoscreenname",
    "inreplytousername",
    "replytoscreenname",
    "inreplytostatusidstr",
    "inreplytostatusid",
    "inreplytotweetid",
    "replytostatusid",
    "inreplytouseridstr",
    "inreplytouserid",
    "replytouserid",
    "inreplyto",
    "replyto",
    "referencedtweetsrepliedtoid",
    "referencedpostsrepliedtoid",
)
_REPLY_TO_ID = (
    "inreplytostatusidstr",
    "inreplytostatusid",
    "inreplytotweetidstr",
    "inreplytotweetid",
    "replytostatusid",
    "replytotweetid",
    "referencedtweetsrepliedtoid",
    "referencedpostsrepliedtoid",
)
_STATUS = re.compile(r"(?:twitter|x)\.com/(\w{1,20})/status(?:es)?/(\d{1,19})", re.ASCII)
_NAME = re.compile(r"\s*@?\w{1,20}\s*", re.ASCII)
_ADDRESS = re.compile(r"@(\w{1,20})", re.ASCII)
_HALVES = re.compile("[\ud800-\udfff]")
_NOTHING = frozenset(
    {"", "na", "n/a", "nan", "none", "null", "nat", "<na>", "false", "0", "0.0", "-1", r"\n", "[]", "{}"}
)


class Unreadable(StrEnum):
    """Why something is no tweet; the value ends the sentence "skipped, because ..."."""

    NO_TEXT = "it has no text"
    TOO_LONG = "its text is longer than any post"
    NO_RECORD = "it is no record of a tweet"
    NO_JSON = "it is no JSON"
    NO_ROW = "it is no row of a table"
    TOO_WIDE = "it has more fields than the first line names"
    NO_TABLE = "it has no column with the tweets' text"
    NO_ACCOUNT = "it does not say whose tweet it is"
    NOT_THERE = "manifest.js lists it, but it is not there"
    NO_TWIN = "it is a long post of which no tweet is left"


class Record(NamedTuple):
    """What one record says, before it is known whose file it stands in."""

    handle: str | None  # as the record has it; lower case, no @
    text: str
    id: str | None  # decimal digits
    created_at: datetime | None  # UTC
    is_retweet: bool
    reply_to: str | None
    reply_to_id: str | None = None  # id of the very tweet that it answers
    written: str | None = None  # the time where only the whole file tells whether its day or its month comes first


Row = tuple[int, Record | Unreadable]  # its number in the source, and what it says or why it says nothing


class Batch(NamedTuple):
    """Rows that were read together."""

    place: str  # where they stand, but for the row's number: "line ", "data/tweets.js, entry "
    rows: list[Row]


class Skipped(NamedTuple):
    """Something in the source that could not be read."""

    where: str  # such as "line 12" or "data/tweets.js, entry 3"
    reason: str  # ends the sentence "skipped, because ..."


class Skips:
    """All that could not be read: how often for each reason, and the first of it with its place."""

    SHOWN = 200

    def __init__(self) -> None:
        self.counts: Counter[Unreadable] = Counter()
        self.first: list[Skipped] = []

    def add(self, where: str, reason: Unreadable) -> None:
        """One more; `where` is kept of the first 200."""
        self.counts[reason] += 1
        if len(self.first) < self.SHOWN:
            self.first.append(Skipped(where, reason.value))


@dataclass(frozen=True, slots=True)
class Columns:
    """Which of a record's own names hold which part; each the best first."""

    whole: tuple[str, ...]
    text: tuple[str, ...]
    id: tuple[str, ...]
    created_at: tuple[str, ...]
    clock: tuple[str, ...]
    link: tuple[str, ...]
    handle: tuple[str, ...]
    retweet_flag: tuple[str, ...]
    retweet_of: tuple[str, ...]
    type: tuple[str, ...]
    references: tuple[str, ...]
    reply_to: tuple[str, ...]
    reply_to_id: tuple[str, ...]


@lru_cache(maxsize=256)
def columns(names: tuple[str, ...]) -> Columns:
    """What the names of a record mean; `text` is empty when none of them can hold a tweet's text."""
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(names)}

    def found(known: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(plain[name] for name in known if name in plain)

    return Columns(
        whole=found(_WHOLE),
        text=found(_TEXT),
        id=found(_ID),
        created_at=found(_MOMENT),
        clock=found(_CLOCK),
        link=found(_LINK),
        handle=found(_HANDLE),
        retweet_flag=found(_RETWEET_FLAG),
        retweet_of=found(_RETWEET_OF),
        type=found(_TYPE),
        references=found(_REFERENCES),
        reply_to=found(_REPLY_TO),
        reply_to_id=found(_REPLY_TO_ID),
    )


def record(row: Mapping[str, object], known: Columns | None = None) -> Record | Unreadable:
    """What the row says, or why it says nothing. `known` spares looking the names up for each row of a table."""
    known = known or columns(tuple(row))
    text = _text(row, known)
    if not text or text.isspace():
        return Unreadable.NO_TEXT
    if len(text) > LONGEST_TEXT:
        return Unreadable.TOO_LONG
    handle, id_, created_at = _handle_of(row, known), _id_of(row, known), _moment_of(row, known)
    if known.link and (handle is None or id_ is None):
        link = _STATUS.search(str(row[known.link[0]]))
        if link:
            handle, id_ = handle or normalise_handle(link[1]), id_ or link[2]
    written = None
    if created_at is None and known.created_at:
        written = next((value for name in known.created_at if is_numeric(value := row[name])), None)
    return Record(
        handle,
        text,
        id_,
        created_at,
        _is_retweet(row, known),
        _reply_to(row, known, text) if known.reply_to or known.references else None,
        _reply_to_id(row, known) if known.reply_to_id or known.references else None,
        written if isinstance(written, str) else None,
    )


def _handle_of(row: Mapping[str, object], known: Columns) -> str | None:
    for name in known.handle:
        if handle := _handle(row[name]):
            return handle
    return None


def _id_of(row: Mapping[str, object], known: Columns) -> str | None:
    for name in known.id:
        if id_ := _id(row[name]):
            return id_
    return None


def _moment_of(row: Mapping[str, object], known: Columns) -> datetime | None:
    for name in known.created_at:
        value = row[name]
        if known.clock and isinstance(value, str) and len(value) <= DATE_ALONE:
            clock = row[known.clock[0]]
            found = moment(f"{value} {clock}") if isinstance(clock, str) and ":" in clock else None
            if found:
                return found
        if value and (found := moment(value)):
            return found
    return None


def _text(row: Mapping[str, object], known: Columns) -> str:
    for name in known.whole:
        note = row[name]
        whole = (note.get("text") or note.get("full_text")) if isinstance(note, dict) else None
        if isinstance(whole, str):
            return storable(whole)
    for name in known.text:
        value = row[name]
        if value and isinstance(value, str):
            return storable(value)
    return ""


def storable(text: str) -> str:
    """Without NUL and with lone surrogates replaced (JSON can hold half an emoji), which no database takes."""
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii() or not _HALVES.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _id(value: object) -> str | None:
    """Decimal digits, or None: for nothing, and for `8.2E+17`, which a spreadsheet left of an id."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value < 10**19:
            return None
        value = str(value)
    if not isinstance(value, str):
        return None
    digits = value if value.isdigit() else value.strip().removeprefix("=").strip("'\"")
    if digits.endswith(".0") and len(digits) <= EXACT_AS_FLOAT + 2:
        digits = digits[:-2]
    return digits if digits.isascii() and digits.isdigit() and len(digits) <= 19 else None


def _handle(value: object) -> str | None:
    if isinstance(value, dict):
        value = value.get("screen_name") or value.get("username") or value.get("userName")
    return _name(value) if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME else None


@lru_cache(maxsize=4096)
def _name(value: str) -> str | None:
    handle = normalise_handle(value) if _NAME.fullmatch(value) else ""
    return None if handle in _NOTHING else handle


def _is_something(value: object) -> bool:
    if isinstance(value, str):
        return value != "" and value.strip().lower() not in _NOTHING
    return bool(value) and not (isinstance(value, float) and math.isnan(value))


def _is_retweet(row: Mapping[str, object], known: Columns) -> bool:
    for name in known.retweet_flag:
        value = row[name]
        if not value or value == "False":
            continue
        word = str(value).strip().lower()
        # A column `retweet` may also hold a number of retweets, hence words only.
        if value is True or word in ("true", "t", "yes") or (word in ("1", "1.0") and name.lower() != "retweet"):
            return True
    for name in known.retweet_of:
        if row[name] and _is_something(row[name]):
            return True
    for name in known.type:
        if str(row[name]).strip().lower() in ("retweet", "retweeted"):
            return True
    return bool(known.references) and _reference(row, known, "retweeted") is not None


def _reference(row: Mapping[str, object], known: Columns, kind: str) -> str | None:
    """The id of the tweet that this one is a `kind` of, in the manner of API v2."""
    for name in known.references:
        references = row[name]
        for each in references if isinstance(references, list) else []:
            if isinstance(each, dict) and each.get("type") == kind:
                return storable(str(each.get("id")))[:40]
    return None


def _reply_to(row: Mapping[str, object], known: Columns, text: str) -> str | None:
    """Handle or id of what the tweet answers; where the id is ruined, the handle that the text begins with."""
    for name in known.reply_to:
        value = row[name]
        if value and _is_something(value):
            address = _ADDRESS.match(text)
            return _id(value) or _handle(value) or (address[1].lower() if address else storable(str(value))[:40])
    return _reference(row, known, "replied_to") if known.references else None


def _reply_to_id(row: Mapping[str, object], known: Columns) -> str | None:
    """The id of the very tweet that is answered; None for none, and for one that a spreadsheet has ruined."""
    for name in known.reply_to_id:
        value = row[name]
        if value and _is_something(value) and (id_ := _id(value)):
            return id_
    return _id(_reference(row, known, "replied_to")) if known.references else None
