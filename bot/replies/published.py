"""What of an account's posts stands on X, and what does no more: taken back by us, or gone from there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime

from bot.database import Database
from bot.replies.post import Part, Post, read_parts, read_post

GONE_FROM_X = "gone from X"


class Published:
    """The posts of one account that X has."""

    def __init__(self, database: Database, account: str, clock: Callable[[], datetime]) -> None:
        """`clock` gives UTC."""
        self._database = database
        self._account = account
        self._clock = clock

    async def known_ids(self, ids: Iterable[str]) -> frozenset[str]:
        """Those of these ids of X that belong to a part already."""
        wanted = list(ids)
        marks = ", ".join("?" * len(wanted))
        rows = await self._database.all(f"SELECT platform_id FROM post_parts WHERE platform_id IN ({marks})", wanted)
        return frozenset(row["platform_id"] for row in rows)

    async def standing(self, since: datetime, until: datetime) -> list[str]:
        """X's ids of what was sent between these two moments and is not known to be gone."""
        rows = await self._database.all(
            "SELECT post_parts.platform_id FROM post_parts JOIN posts ON posts.id = post_id WHERE account = ? "
            "AND post_parts.platform_id IS NOT NULL AND post_parts.deleted_at IS NULL "
            "AND tried_at >= ? AND tried_at <= ? ORDER BY tried_at",
            (self._account, since.isoformat(), until.isoformat()),
        )
        return [row["platform_id"] for row in rows]

    async def gone(self, ids: Collection[str]) -> int:
        """These are gone from X; a post of which nothing is left there is deleted. How many posts that are."""
        count = 0
        for platform_id in ids:
            row = await self._database.one("SELECT * FROM post_parts WHERE platform_id = ?", (platform_id,))
            if row is not None:
                count += await self.taken_back(row["post_id"], row["number"], GONE_FROM_X)
        return count

    async def to_take_back(self) -> list[tuple[Post, Part]]:
        """Parts that somebody wants deleted from X, of a thread the last one first."""
        found = []
        wanted = await self._database.all(
            "SELECT * FROM posts WHERE account = ? AND delete_wanted_by IS NOT NULL AND state IN ('sent', 'refused') "
            "ORDER BY id",
            (self._account,),
        )
        for post in map(read_post, wanted):
            rows = await self._database.all("SELECT * FROM post_parts WHERE post_id = ? ORDER BY number", (post.id,))
            standing = [part for part in read_parts(rows) if part.platform_id and part.deleted_at is None]
            found += [(post, part) for part in reversed(standing)]
        return found

    async def taken_back(self, number: int, place: int, reason: str | None = None) -> bool:
        """A part stands on X no more; whether that was the last of its post, which is deleted then."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE post_parts SET deleted_at = ? WHERE post_id = ? AND number = ?", (self._now(), number, place)
            )
            left = await transaction.one(
                "SELECT 1 FROM post_parts WHERE post_id = ? AND platform_id IS NOT NULL AND deleted_at IS NULL",
                (number,),
            )
            if left is not None:
                return False
            changed = await transaction.run(
                "UPDATE posts SET state = 'deleted', deleted_at = ?, reason = coalesce(?, reason) "
                "WHERE id = ? AND state IN ('sent', 'refused')",
                (self._now(), reason, number),
            )
            return changed == 1

    async def not_taken_back(self, number: int, reason: str) -> None:
        """X will not delete it; the post stays as it is, with the reason."""
        async with self._database.transaction() as transaction:
            await transaction.run("UPDATE posts SET delete_wanted_by = NULL, reason = ? WHERE id = ?", (reason, number))

    async def looked_at(self) -> datetime | None:
        """When it was last looked for what is gone."""
        row = await self._database.one("SELECT at FROM x_looks WHERE account = ?", (self._account,))
        return datetime.fromisoformat(row["at"]) if row else None

    async def note_look(self) -> None:
        """It was looked for what is gone just now."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "INSERT INTO x_looks (account, at) VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET at = excluded.at",
                (self._account, self._now()),
            )

    def _now(self) -> str:
        return self._clock().isoformat()
