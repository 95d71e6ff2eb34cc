"""One record of a tweet, whatever the source calls its parts, and which account it belongs to. Pure.

Column and key names are those of data sets in the wild: X archives of all generations, API v1.1 and v2 objects, tweepy,
rtweet, twarc-csv, snscrape and twint dumps. Not known here: dates with the day or month first (`03/04/2019`), which
are ambiguous and count as no date.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

from bot.errors import UnreadableSource
from bot.tweets.tweet import Source, Tweet, normalise_handle

T = TypeVar("T")

LONGEST_TEXT = 30_000  # characters; the longest post that X takes has 25,000

# Names without case and punctuation, the best first.
_TEXT = ("fulltext", "text", "tweettext", "tweet", "content", "rawcontent", "tweetcontent", "body")
_ID = ("idstr", "tweetidstr", "id", "tweetid", "statusidstr", "statusid", "postid")
_MOMENT = ("createdat", "date", "timestamp", "datetime", "tweetcreatedat", "createdon", "postedat", "time", "at")
_HANDLE = ("screenname", "username", "userscreenname", "userusername", "authorusername", "handle", "user", "author")
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
_NOTHING = frozenset({"", "na", "n/a", "nan", "none", "null", "nat", "<na>", "false", "0", "[]", "{}"})


class Unreadable(StrEnum):
    """Why a record is no tweet; the value ends the sentence "skipped, because ..."."""

    NO_TEXT = "it has no text"
    TOO_LONG = "its text is longer than any post"
    NO_RECORD = "it is no record of a tweet"
    NO_ACCOUNT = "it does not say whose tweet it is"


@dataclass(frozen=True, slots=True)
class Record:
    """What one record says, before it is known whose file it stands in."""

    where: str  # such as "line 12", for the person who looks it up
    handle: str | None  # as the record has it; lower case, no @
    text: str
    id: str | None  # decimal digits
    created_at: datetime | None  # UTC
    is_retweet: bool
    reply_to: str | None

    def tweet(self, handle: str, source: Source, *, with_id: bool = True) -> Tweet:
        """The record as a tweet of that account."""
        return Tweet(
            handle=handle,
            text=self.text,
            id=self.id if with_id else None,
            created_at=self.created_at,
            is_retweet=self.is_retweet,
            reply_to=self.reply_to,
            source=source,
        )


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in the source that could not be read."""

    where: str  # such as "line 12" or "data/tweets.js, entry 3"
    reason: str  # ends the sentence "skipped, because ..."


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a file or folder holds."""

    tweets: Mapping[str, Sequence[Tweet]]  # by handle, each in the order of the source
    skipped: Sequence[Skipped]


@dataclass(frozen=True, slots=True)
class Columns:
    """Which of a record's own names hold which part; each the best first."""

    text: tuple[str, ...]
    id: tuple[str, ...]
    created_at: tuple[str, ...]
    handle: tuple[str, ...]
    retweet_flag: tuple[str, ...]
    retweet_of: tuple[str, ...]
    type: tuple[str, ...]
    references: tuple[str, ...]
    reply_to: tuple[str, ...]


@lru_cache(maxsize=256)
def columns(names: tuple[str, ...]) -> Columns:
    """What the names of a record mean; `text` is empty when none of them can hold a tweet's text."""
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(names)}

    def found(known: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(plain[name] for name in known if name in plain)

    return Columns(
        text=found(_TEXT),
        id=found(_ID),
        created_at=found(_MOMENT),
        handle=found(_HANDLE),
        retweet_flag=found(_RETWEET_FLAG),
        retweet_of=found(_RETWEET_OF),
        type=found(_TYPE),
        references=found(_REFERENCES),
        reply_to=found(_REPLY_TO),
    )


def record(row: Mapping[str, object], where: str, known: Columns | None = None) -> Record | Unreadable:
    """What the row says, or why it says nothing. `known` spares looking the names up for each row of a table."""
    known = known or columns(tuple(row))
    text = _text(row, known)
    if not text.strip():
        return Unreadable.NO_TEXT
    if len(text) > LONGEST_TEXT:
        return Unreadable.TOO_LONG
    return Record(
        where=where,
        handle=_first(_handle(row[name]) for name in known.handle),
        text=text,
        id=_first(_id(row[name]) for name in known.id),
        created_at=_first(moment(row[name]) for name in known.created_at),
        is_retweet=_is_retweet(row, known),
        reply_to=_reply_to(row, known, text),
    )


def by_account(records: Sequence[Record], handle: str | None, source: Source, name: str) -> Reading:
    """The records as tweets of the accounts they belong to. `name` is the file's, for messages.

    `handle`, when given, renames the only account of the file, or picks one of several. A retweet whose record names
    the retweeted author (as rtweet writes some) belongs to the account whose file it is. Raises `UnreadableSource`
    when the records do not say whose they are, or `handle` is none of several.
    """
    accounts = _accounts(records)
    sole = accounts[0] if len(accounts) == 1 else None
    if handle is not None:
        wanted = normalise_handle(handle)
        if len(accounts) > 1 and wanted not in accounts:
            raise UnreadableSource(f"{name} holds no tweets of @{wanted}, but of {', '.join(accounts)}.")
        if len(accounts) > 1:
            records = [each for each in records if each.handle == wanted]
        accounts, sole = [], wanted
    elif not accounts:
        raise UnreadableSource(f"{name} does not say whose tweets it holds. Name the account with --handle.")
    with_id = _ids_are_ids([each.id for each in records if each.id])
    tweets: dict[str, list[Tweet]] = {}
    skipped = []
    for each in records:
        owner = each.handle if each.handle in accounts else sole
        if owner is None:
            skipped.append(Skipped(each.where, Unreadable.NO_ACCOUNT))
        else:
            tweets.setdefault(owner, []).append(each.tweet(owner, source, with_id=with_id))
    return Reading(tweets, skipped)


def _accounts(records: Iterable[Record]) -> list[str]:
    """Handles in order of appearance, without authors who appear only because they were retweeted."""
    own: dict[str, bool] = {}  # handle: whether one of its records is its own doing
    for each in records:
        if each.handle:
            is_theirs = each.is_retweet and not each.text.startswith("RT @")
            own[each.handle] = own.get(each.handle, False) or not is_theirs
    return [handle for handle, is_own in own.items() if is_own] or list(own)


def _ids_are_ids(ids: Sequence[str]) -> bool:
    """False where a spreadsheet has rounded the ids to 15 digits, or where they merely number the rows."""
    long = [each for each in ids if len(each) > 15]
    rounded = sum(not each[15:].strip("0") for each in long)
    if rounded * 2 > len(long):
        return False
    numbers = {int(each) for each in ids}
    return len(numbers) < 3 or max(numbers) > 10_000_000 or max(numbers) - min(numbers) >= len(numbers)


def moment(value: object) -> datetime | None:
    """The time in any of the forms in use (API v1.1, ISO 8601, Unix seconds or milliseconds), in UTC; None if in none.

    A time without an offset is taken for UTC.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdigit() and len(text) in (10, 13):
            value = int(text)
        else:
            return _written_moment(text)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    seconds = value / 1000 if value > 1e11 else value
    return datetime.fromtimestamp(seconds, UTC) if 1.1e9 < seconds < 1e11 else None


_V1 = re.compile(r"\w{3} (\w{3}) (\d\d) (\d\d:\d\d:\d\d) ([+-]\d{4}) (\d{4})", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _written_moment(text: str) -> datetime | None:
    v1 = _V1.fullmatch(text)
    if v1 and v1[1] in _MONTHS:  # strptime would depend on the locale
        text = f"{v1[5]}-{_MONTHS.index(v1[1]) + 1:02}-{v1[2]}T{v1[3]}{v1[4]}"
    text = re.sub(r"\s+(?=[+-]\d\d:?\d\d$)", "", re.sub(r"\s*(UTC|GMT)$", "+00:00", text))
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _text(row: Mapping[str, object], known: Columns) -> str:
    for note in (row.get("note_tweet"), row.get("note_post"), row.get("extended_tweet")):
        whole = (note.get("text") or note.get("full_text")) if isinstance(note, dict) else None
        if isinstance(whole, str):
            return _storable(whole)
    return _first(_storable(value) for name in known.text if isinstance(value := row[name], str)) or ""


def _storable(text: str) -> str:
    """Without NUL and with lone surrogates replaced (JSON can hold half an emoji), which no database takes."""
    if text.isascii():
        return text.replace("\0", "")
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _id(value: object) -> str | None:
    """Decimal digits, or None: for nothing, and for `8.2E+17`, which a spreadsheet left of an id."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    digits = value.strip().strip("'\"") if isinstance(value, str) else ""
    return digits if digits.isascii() and digits.isdigit() and len(digits) <= 19 else None


def _handle(value: object) -> str | None:
    if isinstance(value, dict):
        value = value.get("screen_name") or value.get("username") or value.get("userName")
    if not isinstance(value, str) or not re.fullmatch(r"\s*@?\w{1,20}\s*", value, re.ASCII):
        return None
    handle = normalise_handle(value)
    return None if handle in _NOTHING else handle


def _is_something(value: object) -> bool:
    if isinstance(value, float) and math.isnan(value):
        return False
    return value.strip().lower() not in _NOTHING if isinstance(value, str) else bool(value)


def _is_retweet(row: Mapping[str, object], known: Columns) -> bool:
    # A column `retweet` may also hold a number of retweets, hence words only.
    flags = [row[name] for name in known.retweet_flag]
    if any(flag is True or str(flag).strip().lower() in ("true", "t", "yes") for flag in flags):
        return True
    if any(str(row[name]).strip() in ("1", "1.0") for name in known.retweet_flag if name.lower() != "retweet"):
        return True
    if any(_is_something(row[name]) for name in known.retweet_of):
        return True
    if any(str(row[name]).strip().lower() in ("retweet", "retweeted") for name in known.type):
        return True
    return _reference(row, known, "retweeted") is not None


def _reference(row: Mapping[str, object], known: Columns, kind: str) -> str | None:
    """The id of the tweet that this one is a `kind` of, in the manner of API v2."""
    for name in known.references:
        references = row[name]
        for each in references if isinstance(references, list) else []:
            if isinstance(each, dict) and each.get("type") == kind:
                return str(each.get("id"))
    return None


def _reply_to(row: Mapping[str, object], known: Columns, text: str) -> str | None:
    """Handle or id of what the tweet answers; where the id is ruined, the handle that the text begins with."""
    for name in known.reply_to:
        value = row[name]
        if _is_something(value):
            address = re.match(r"@(\w{1,20})", text, re.ASCII)
            return _id(value) or _handle(value) or (address[1].lower() if address else str(value)[:40])
    return _reference(row, known, "replied_to")


def _first(values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value), None)
