"""Posts for X: drafted, looked at by a person unless the operator said otherwise, sent once.

drafted -> approved -> sending -> sent
        -> refused              -> unknown       we were cut off while sending; a person decides
                                -> approved      X said no for now; it is tried again
                                -> refused       X said no for good; the reason says why
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import structlog

from bot.database import Database, Row
from bot.errors import Refused
from bot.generation.draft import Sampling
from bot.personas.takedown import require_remembered
from bot.replies.addressing import calling_nobody
from bot.replies.conversation import LONGEST_SENDING, Drafting, until_arrived

log = structlog.get_logger(__name__)


class PostState(StrEnum):
    """Where a post is on its way."""

    DRAFTED = "drafted"  # waits for a person
    APPROVED = "approved"  # may be sent
    SENDING = "sending"  # handed to X, no answer yet
    SENT = "sent"  # X gave it an id
    REFUSED = "refused"  # a person said no
    UNKNOWN = "unknown"  # the service stopped or the answer was lost while it was being sent: it may be on X or not


@dataclass(frozen=True, slots=True)
class Post:
    """One post and where it stands."""

    id: int
    persona: str
    version: str
    seed: int
    text: str
    novelty: float  # 0 a copy, 1 shares nothing
    state: PostState
    created_at: datetime  # UTC
    decided_by: str | None
    sent_at: datetime | None  # UTC; until X took it, when it was handed over
    platform_id: str | None  # X's id
    reason: str | None


class Posts:
    """The approval list and the outbox."""

    def __init__(
        self,
        database: Database,
        speaker: Drafting,
        sampling: Sampling,
        drafts: int,
        approval: bool,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._speaker = speaker
        self._sampling = sampling
        self._drafts = drafts  # made for each proposal; the best one that was never proposed before is taken
        self._approval = approval
        self._clock = clock

    async def propose(self, persona: str, urgent: bool = True) -> Post:
        """A new post: waiting for approval, or approved at once where approval is off; `urgent` where somebody waits.

        Raises `Refused`, `Busy`, `UnknownPersona`.
        """
        began = self._clock().isoformat()
        made = await self._speaker.drafts(persona, count=self._drafts, sampling=self._sampling, urgent=urgent)
        state = PostState.DRAFTED if self._approval else PostState.APPROVED
        for draft in made.drafts:
            number = await self._insert(persona, made.version, draft.seed, draft.text, draft.novelty, state, began)
            if number is not None:
                return await self.post(number)
        raise Refused(f"{persona} only repeated earlier posts this time; the next turn may bring something new.")

    async def submit(self, persona: str, version: str, seed: int, text: str, novelty: float, by: str) -> Post:
        """Put on the approval list what was said already; a person decides also where posts go out without.

        `by` is whoever wants it. Raises `Refused` when it was proposed before, `UnknownPersona`.
        """
        began = self._clock().isoformat()
        number = await self._insert(persona, version, seed, text, novelty, PostState.DRAFTED, began)
        if number is None:
            raise Refused("This was proposed before, so it isn't proposed again. Nothing is said twice on X.")
        log.info("post submitted", post=number, persona=persona, version=version, by=by)
        return await self.post(number)

    async def _insert(
        self, persona: str, version: str, seed: int, text: str, novelty: float, state: PostState, since: str
    ) -> int | None:
        """The number of a new post in a voice that was there at `since`; None when the same was proposed before."""
        try:
            async with self._database.transaction() as transaction:
                await require_remembered(transaction, persona, since)
                return await transaction.insert(
                    "INSERT INTO posts (persona, version, seed, text, novelty, state, created_at) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (persona, version, seed, calling_nobody(text), novelty, state, self._clock().isoformat()),
                )
        except sqlite3.IntegrityError:
            return None

    async def post(self, number: int) -> Post:
        """One post. Raises `Refused` when there is none of that number."""
        row = await self._database.one("SELECT * FROM posts WHERE id = ?", (number,))
        if row is None:
            raise Refused(f"There is no post {number}. The list shows those that wait.")
        return _post(row)

    async def waiting(self) -> list[Post]:
        """Posts that wait for a decision, the oldest first."""
        return await self._in_state(PostState.DRAFTED)

    async def to_send(self) -> list[Post]:
        """Approved posts, the oldest first."""
        return await self._in_state(PostState.APPROVED)

    async def recent(self, limit: int = 20) -> list[Post]:
        """The newest posts in any state, the newest first."""
        return [
            _post(row) for row in await self._database.all("SELECT * FROM posts ORDER BY id DESC LIMIT ?", (limit,))
        ]

    async def last_created_at(self, persona: str) -> datetime | None:
        """When the newest post of that persona was made; None when there is none."""
        row = await self._database.one("SELECT max(created_at) AS at FROM posts WHERE persona = ?", (persona,))
        return datetime.fromisoformat(row["at"]) if row and row["at"] else None

    async def approve(self, number: int, by: str) -> Post:
        """The post may go out. Raises `Refused` when it no longer waits."""
        return await self._decide(number, PostState.APPROVED, by, None)

    async def refuse(self, number: int, by: str, reason: str | None = None) -> Post:
        """The post will not go out. Raises `Refused` when it no longer waits."""
        return await self._decide(number, PostState.REFUSED, by, reason)

    async def sending(self, number: int) -> bool:
        """Take an approved post for sending; False when somebody else has it."""
        async with self._database.transaction() as transaction:
            return (
                await transaction.run(
                    "UPDATE posts SET state = 'sending', sent_at = ? WHERE id = ? AND state = 'approved'",
                    (self._clock().isoformat(), number),
                )
                == 1
            )

    async def sent(self, number: int, platform_id: str) -> None:
        """X accepted it under this id."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE posts SET state = 'sent', platform_id = ?, sent_at = ?, reason = NULL WHERE id = ?",
                (platform_id, self._clock().isoformat(), number),
            )

    async def not_sent(self, number: int, reason: str, again: bool) -> None:
        """X said no: the post is tried again later, or is out with the reason."""
        state = PostState.APPROVED if again else PostState.REFUSED
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE posts SET state = ?, reason = ?, sent_at = NULL WHERE id = ?", (state, reason, number)
            )

    async def unknown(self, number: int, reason: str) -> None:
        """X's answer is missing: the post may be there or not, and is never sent again by itself."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE posts SET state = 'unknown', reason = ? WHERE id = ? AND state = 'sending'", (reason, number)
            )

    async def recover(self) -> int:
        """At start: what was cut off while sending is marked unknown and never sent again by itself; how many."""
        async with self._database.transaction() as transaction:
            return await transaction.run(
                "UPDATE posts SET state = 'unknown', reason = 'the service stopped while this was being sent; "
                "look at the account before sending it again' WHERE state = 'sending'"
            )

    # --- Forgetting, and handing over what is held ---

    async def made_by(self, personas: Sequence[str]) -> list[Post]:
        """Every post of these personas in any state, the oldest first."""
        rows = await self._database.all(f"SELECT * FROM posts WHERE {_one_of(personas)} ORDER BY id", personas)
        return [_post(row) for row in rows]

    async def withdraw(self, personas: Sequence[str]) -> None:
        """Let nothing of these personas go out, and return once what is on its way has arrived or was cut off.

        Raises `Busy` when it is on its way for long.
        """

        async def on_its_way() -> bool:
            since = (self._clock() - LONGEST_SENDING).isoformat()
            async with self._database.transaction() as transaction:
                await transaction.run(
                    "UPDATE posts SET state = 'refused', reason = 'it was taken down' "
                    f"WHERE state IN ('drafted', 'approved') AND {_one_of(personas)}",
                    personas,
                )
                sending = await transaction.one(
                    f"SELECT 1 FROM posts WHERE state = 'sending' AND sent_at > ? AND {_one_of(personas)}",
                    (since, *personas),
                )
            return sending is not None

        await until_arrived(on_its_way)

    async def remove(self, personas: Sequence[str]) -> None:
        """Delete every post of these personas, texts and all; on X they stay until they are deleted there."""
        async with self._database.transaction() as transaction:
            await transaction.run(f"DELETE FROM posts WHERE {_one_of(personas)}", personas)

    async def _in_state(self, state: PostState) -> list[Post]:
        return [
            _post(row) for row in await self._database.all("SELECT * FROM posts WHERE state = ? ORDER BY id", (state,))
        ]

    async def _decide(self, number: int, state: PostState, by: str, reason: str | None) -> Post:
        async with self._database.transaction() as transaction:
            changed = await transaction.run(
                "UPDATE posts SET state = ?, decided_by = ?, decided_at = ?, reason = ? "
                "WHERE id = ? AND state = 'drafted'",
                (state, by, self._clock().isoformat(), reason, number),
            )
        post = await self.post(number)
        if not changed:
            raise Refused(f"Post {number} is {post.state} already, so nothing was changed.")
        return post


def _one_of(personas: Sequence[str]) -> str:
    """The condition that a row is about one of these personas, which are its parameters."""
    return f"persona IN ({', '.join('?' * len(personas))})"


def _post(row: Row) -> Post:
    return Post(
        id=row["id"],
        persona=row["persona"],
        version=row["version"],
        seed=row["seed"],
        text=row["text"],
        novelty=row["novelty"],
        state=PostState(row["state"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        decided_by=row["decided_by"],
        sent_at=datetime.fromisoformat(row["sent_at"]) if row["sent_at"] else None,
        platform_id=row["platform_id"],
        reason=row["reason"],
    )
