"""The value that every source yields and every later room reads."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Source(StrEnum):
    """Through which door a tweet came in."""

    ARCHIVE = "archive"  # an X archive zip or folder
    TABLE = "table"  # CSV, TSV, JSON, JSONL
    X_API = "x_api"  # fetched from the API


@dataclass(frozen=True, slots=True)
class Tweet:
    """One post as its source gave it, nothing cleaned."""

    handle: str  # of the account whose file or timeline this is; lower case, no @
    text: str  # raw text, HTML entities and all
    id: str | None  # X's id in decimal digits; None when the source has none or has ruined it
    created_at: datetime | None  # UTC; None when the source does not say
    is_retweet: bool  # by the source's own flag or type; the prefix "RT @" is judged in cleaning
    reply_to: str | None  # handle (lower case, no @) or id of what it answers; None if it answers nothing
    source: Source
    reply_to_id: str | None = None  # X's id of the very tweet that it answers; None where the source does not tell

    @property
    def key(self) -> str:
        """What makes the tweet the same tweet: its id, else a digest of its text and time."""
        if self.id is not None:
            return self.id
        moment = self.created_at.isoformat() if self.created_at else ""
        return "t" + hashlib.sha256(f"{moment}\n{self.text}".encode()).hexdigest()[:24]


def normalise_handle(handle: str) -> str:
    """The handle in lower case without a leading @, as it is used for a key everywhere: `@NASA ` is `nasa`."""
    return handle.strip().removeprefix("@").lower()
