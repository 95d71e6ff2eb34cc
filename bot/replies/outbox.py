"""What one account sends: exactly what was approved, each part once, over crashes, restarts and lost answers.

Outcome: a part is marked in the database before it is handed to X. Whatever ends the attempt without a clear answer
leaves the post `unknown`, and while there is such a post on the account nothing is taken for sending there. What is to
be believed then is decided by a look at the account's own timeline (`bot.frontends.x.timeline`), which ends here in
`arrived` (it stands there) or `not_there` (it surely does not, and is sent again). A thread goes on with the first part
that has no id of X.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from bot.database import Database, Row, Transaction
from bot.replies.post import Part, Post, PostState, read_parts, read_post
from bot.replies.published import Published
from bot.replies.recognising import id_at
from bot.replies.similar import SaidBefore

CUT_OFF = "this was cut off while it was being sent; the account's timeline is looked at before anything else is"

_STANDS = "EXISTS (SELECT 1 FROM post_parts WHERE post_id = posts.id AND platform_id IS NOT NULL)"  # some of it does


class Outbox:
    """The way out of one account."""

    def __init__(
        self, database: Database, account: str, clock: Callable[[], datetime], said: SaidBefore | None = None
    ) -> None:
        """`clock` gives UTC; `said` is what the process knows of texts that were said on X."""
        self.database = database
        self.account = account
        self._clock = clock
        self._said = said or SaidBefore()
        self.published = Published(database, account, clock)

    # --- Before sending ---

    async def recover(self) -> int:
        """What was cut off while it was sent is unknown, or approved where X can't have it; how many are unknown."""
        async with self.database.transaction() as transaction:
            unknown = await transaction.run(
                "UPDATE posts SET state = 'unknown', reason = ? WHERE state = 'sending' AND account = ? AND EXISTS "
                "(SELECT 1 FROM post_parts WHERE post_id = posts.id AND platform_id IS NULL "
                "AND sending_since IS NOT NULL)",
                (CUT_OFF, self.account),
            )
            await transaction.run(  # cut off between two parts of a thread
                "UPDATE posts SET state = 'approved' WHERE state = 'sending' AND account = ?", (self.account,)
            )
        return unknown

    async def last_turn(self) -> datetime | None:
        """When the schedule last had something proposed; None when it never had."""
        row = await self.database.one(
            "SELECT max(created_at) AS at FROM posts WHERE account = ? AND scheduled = 1", (self.account,)
        )
        return datetime.fromisoformat(row["at"]) if row and row["at"] else None

    async def turns_since(self, moment: datetime) -> int:
        """How often the schedule has had something proposed since then."""
        return await self._count("scheduled = 1 AND created_at >= ?", moment.isoformat())

    async def published_since(self, moment: datetime) -> int:
        """How many posts stand on X since then by X's own time: one may have been handed over on the day before."""
        return await self._count(
            "EXISTS (SELECT 1 FROM post_parts WHERE post_id = posts.id AND number = 1 "
            "AND CAST(post_parts.platform_id AS INTEGER) >= ?)",
            int(id_at(moment)),
        )

    async def last_beside(self, number: int) -> datetime | None:
        """When a post other than that one, or the first part of one, was last handed to X; None when none ever was."""
        row = await self.database.one(
            "SELECT max(tried_at) AS at FROM post_parts JOIN posts ON posts.id = post_id "
            "WHERE account = ? AND number = 1 AND post_id != ?",
            (self.account, number),
        )
        return datetime.fromisoformat(row["at"]) if row and row["at"] else None

    async def to_send(self) -> list[Post]:
        """Approved posts whose moment has come: threads that have begun, then the oldest first. None while one of the
        account's posts is unknown.
        """
        if await self.in_doubt():
            return []
        rows = await self.database.all(
            "SELECT * FROM posts WHERE state = 'approved' AND account = ? AND (not_before IS NULL OR not_before <= ?) "
            f"ORDER BY NOT {_STANDS}, id",
            (self.account, self._now()),
        )
        return [read_post(row) for row in rows]

    async def next_part(self, number: int) -> Part | None:
        """The first part of the post that X has not; None when X has all of them."""
        return _next(await self.database.all("SELECT * FROM post_parts WHERE post_id = ? ORDER BY number", (number,)))

    # --- Sending ---

    async def take(self, part: Part) -> bool:
        """Mark the part as handed to X; False when it is no longer to be sent: somebody else has it, it was taken
        down, or it is too much like what was said meanwhile, in which case the post is refused.
        """
        async with self.database.transaction() as transaction:
            row = await transaction.one(
                "SELECT * FROM posts WHERE id = ? AND account = ? "
                "AND (state = 'approved' OR (state = 'sending' AND ? > 1))",
                (part.post_id, self.account, part.number),
            )
            if row is None or await self._is_in_doubt(transaction):
                return False
            if part.number == 1 and await self._was_said(transaction, row):
                return False
            taken = await transaction.run(
                "UPDATE post_parts SET sending_since = coalesce(sending_since, ?), tried_at = ?, "
                "attempts = attempts + 1, said_duplicate = 0 "
                "WHERE post_id = ? AND number = ? AND platform_id IS NULL",
                (self._now(), self._now(), part.post_id, part.number),
            )
            if taken:
                await transaction.run(
                    "UPDATE posts SET state = 'sending', sent_at = ? WHERE id = ?", (self._now(), part.post_id)
                )
            return taken == 1

    async def arrived(self, part: Part, platform_id: str) -> None:
        """X has the part, under this id; with the last one the post is sent, before it is on its way."""
        is_last = part.number == part.of
        state = PostState.SENT if is_last else PostState.SENDING
        async with self.database.transaction() as transaction:
            await transaction.run(
                "UPDATE post_parts SET platform_id = ? WHERE post_id = ? AND number = ?",
                (platform_id, part.post_id, part.number),
            )
            await transaction.run(
                "UPDATE posts SET state = ?, sent_at = ?, reason = NULL, "
                "platform_id = CASE WHEN ? THEN ? ELSE platform_id END WHERE id = ?",
                (state, self._now(), int(part.number == 1), platform_id, part.post_id),
            )

    async def found(self, part: Part, platform_id: str) -> None:
        """A part of which nobody knew stands on X under this id; what is left of a thread may go out."""
        await self.arrived(part, platform_id)
        async with self.database.transaction() as transaction:
            await transaction.run(
                "UPDATE posts SET state = 'approved' WHERE id = ? AND state = 'sending'", (part.post_id,)
            )

    async def declined(self, part: Part, reason: str, again: bool) -> None:
        """X said no, so this attempt came to nothing: the post is tried again later, or is out with the reason."""
        state = PostState.APPROVED if again else PostState.REFUSED
        if not again and part.number > 1:
            reason = f"{reason} The {part.number - 1} of {part.of} parts before it stand on X."
        async with self.database.transaction() as transaction:
            await transaction.run(
                "UPDATE post_parts SET attempts = attempts - 1, tried_at = ?, "
                "sending_since = CASE WHEN attempts > 1 THEN sending_since END WHERE post_id = ? AND number = ?",
                (_text(part.tried_at), part.post_id, part.number),
            )
            await transaction.run(
                "UPDATE posts SET state = ?, reason = ?, sent_at = NULL WHERE id = ?", (state, reason, part.post_id)
            )

    async def held_up(self, part: Part, reason: str) -> None:
        """The cap does not let the part out for now; what X has of the post stands, and the rest goes on later."""
        async with self.database.transaction() as transaction:
            await transaction.run(
                "UPDATE posts SET state = 'approved', reason = ? WHERE id = ? AND state IN ('approved', 'sending')",
                (reason, part.post_id),
            )

    async def declined_before(self, part: Part, reason: str) -> None:
        """It was not even handed to X, and will not be."""
        async with self.database.transaction() as transaction:
            await transaction.run(
                "UPDATE posts SET state = 'refused', reason = ? WHERE id = ? AND state = 'approved'",
                (reason, part.post_id),
            )

    # --- In doubt ---

    async def doubtful(self, part: Part, reason: str, said_duplicate: bool = False) -> None:
        """X's answer is missing, or X says that it has the text already: the part may stand there or not."""
        async with self.database.transaction() as transaction:
            await transaction.run(
                "UPDATE posts SET state = 'unknown', reason = ? WHERE id = ? AND state = 'sending'",
                (reason, part.post_id),
            )
            await transaction.run(
                "UPDATE post_parts SET said_duplicate = ? WHERE post_id = ? AND number = ?",
                (int(said_duplicate), part.post_id, part.number),
            )

    async def in_doubt(self) -> list[Part]:
        """The parts of which it is unknown whether they stand on X, the oldest first."""
        parts = []
        for post in await self._posts("state = 'unknown'"):
            part = await self.next_part(post.id)
            if part is not None:
                parts.append(part)
        return parts

    async def not_there(self, part: Part, reason: str) -> None:
        """The part surely does not stand on X: it is sent again, or out where X takes it for a repetition all the
        same."""
        state = PostState.REFUSED if part.said_duplicate else PostState.APPROVED
        async with self.database.transaction() as transaction:
            await transaction.run(
                "UPDATE posts SET state = ?, reason = ? WHERE id = ? AND state = 'unknown'",
                (state, reason, part.post_id),
            )

    async def persona(self, part: Part) -> str:
        """Whose words the part is."""
        row = await self.database.one("SELECT persona FROM posts WHERE id = ?", (part.post_id,))
        return row["persona"] if row else ""

    async def has_picture(self, part: Part) -> bool:
        """Whether a picture goes with the part, as with the first one of a post that has one."""
        row = await self.database.one("SELECT picture FROM posts WHERE id = ?", (part.post_id,))
        return part.number == 1 and row is not None and row["picture"] is not None

    async def _posts(self, condition: str) -> list[Post]:
        rows = await self.database.all(
            f"SELECT * FROM posts WHERE account = ? AND {condition} ORDER BY id", (self.account,)
        )
        return [read_post(row) for row in rows]

    async def _count(self, condition: str, since: str | int) -> int:
        row = await self.database.one(
            f"SELECT count(*) AS n FROM posts WHERE account = ? AND {condition}", (self.account, since)
        )
        return int(row["n"]) if row else 0

    async def _is_in_doubt(self, transaction: Transaction) -> bool:
        row = await transaction.one("SELECT 1 FROM posts WHERE account = ? AND state = 'unknown'", (self.account,))
        return row is not None

    async def _was_said(self, transaction: Transaction, row: Row) -> bool:
        """Whether an account of ours said nearly the same by now; the post is refused then."""
        like = await self._said.like_what_was_said(transaction, row["text"], row["id"])
        if like is not None:
            await transaction.run(
                "UPDATE posts SET state = 'refused', reason = ? WHERE id = ?",
                (f"It is much like {like}, and X forbids saying the same again.", row["id"]),
            )
        return like is not None

    def _now(self) -> str:
        return self._clock().isoformat()


def _next(rows: list[Row]) -> Part | None:
    return next((part for part in read_parts(rows) if part.platform_id is None), None)


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def lag_is_over(part: Part, now: datetime, lag: timedelta) -> bool:
    """Whether a timeline shows by now what X took at the last attempt."""
    return part.tried_at is None or now - part.tried_at >= lag
