"""Where in an account's timeline the next fetch begins, and how many posts are to be expected there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot.database import Database
from bot.tweets.forecast import ON_SCHEDULE
from bot.tweets.tweet import Source

DEPTH = 3_200  # posts; a timeline reaches no further back (X's documentation)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a timeline a fetch is."""

    user_id: str
    since_id: str | None  # posts up to this one are known
    token: str | None  # of the page to read next; None for the newest one
    newest_id: str | None  # of the pages that are stored


class Places:
    """The places of all accounts, as the database has them."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def find(self, handle: str) -> Place | None:
        """Where the next fetch begins; None when the account was never fetched, or was closed since."""
        row = await self._database.one(f"SELECT * FROM accounts WHERE handle = ? AND {ON_SCHEDULE}", (handle,))
        if row is None:
            return None
        since_id = row["since_id"]
        if row["page_token"] is None:  # between two pages the question must stay the same
            since_id = newest(since_id, await self.newest_in_archive(handle))
        return Place(row["platform_id"], since_id, row["page_token"], row["page_newest_id"])

    async def newest_in_archive(self, handle: str) -> str | None:
        """The newest post of an imported archive, which holds all that came before; a table may be a mere sample."""
        row = await self._database.one(
            "SELECT key FROM tweets WHERE handle = ? AND source = ? AND key NOT LIKE 't%' "
            "ORDER BY length(key) DESC, key DESC LIMIT 1",
            (handle, Source.ARCHIVE),
        )
        return row["key"] if row else None

    async def fetched_before(self, handle: str) -> int:
        """How many of its stored posts came from X."""
        row = await self._database.one(
            "SELECT count(*) AS tweets FROM tweets WHERE handle = ? AND source = ?", (handle, Source.X_API)
        )
        return row["tweets"] if row else 0

    async def usual(self, handle: str) -> int:
        """How many posts to expect since the last fetch, or else since the newest post that is stored."""
        row = await self._database.one(
            "SELECT coalesce(max(fetched_at), max(created_at)) AS last "
            "FROM accounts LEFT JOIN tweets USING (handle) WHERE handle = ?",
            (handle,),
        )
        if row is None or row["last"] is None:
            return 0
        last = datetime.fromisoformat(row["last"])
        first = last - (self._clock() - last)
        found = await self._database.one(
            "SELECT count(*) AS tweets FROM tweets WHERE handle = ? AND created_at > ? AND created_at <= ?",
            (handle, first.isoformat(), last.isoformat()),
        )
        return min(found["tweets"], DEPTH) if found else 0


def newest(*ids: str | None) -> str | None:
    """The largest of X's ids, which grow with time."""
    return max((each for each in ids if each), key=int, default=None)
