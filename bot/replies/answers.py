"""What was said, message by message: so that a button under a message knows what it is about, a reply to it goes on
with the same persona and version, and people can vote.

Generated texts, and how a command told one to begin; nothing else that people write is stored. A row goes with its
persona, with its server, and after `[replies] keep_days`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.database import Database, Row, Transaction
from bot.replies.incoming import Incoming

UP = frozenset("👍❤😂🤣😆🔥⭐🌟💯👏🎉😍")
DOWN = frozenset("👎😠😡🤮💩😴")
_VARIATION = "\ufe0f"  # asks for the picture of an emoji rather than its outline


@dataclass(frozen=True, slots=True)
class Said:
    """One message of ours that says one thing in a persona's voice."""

    answer_id: str  # the platform's
    persona: str
    version: str
    seed: int
    text: str
    novelty: float  # 0 (a copy) to 1
    nearest: str | None = None  # id of the real tweet that it resembles most
    start: str = ""  # how it was told to begin
    temperature: float | None = None  # where it was asked for
    top_p: float | None = None  # likewise


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept about it."""

    said: Said
    message_id: str  # what it answers
    channel_id: str
    server_id: str
    said_at: datetime  # UTC
    votes: int = 0  # the sum of all


class Answers:
    """The tables `answers` and `votes`."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def keep(self, transaction: Transaction, incoming: Incoming, said: Sequence[Said]) -> None:
        """These messages answer that one."""
        at = self._clock().isoformat()
        await transaction.run_many(
            "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    incoming.platform,
                    each.answer_id,
                    incoming.message_id,
                    incoming.channel_id,
                    incoming.server_id,
                    each.persona,
                    each.version,
                    each.seed,
                    each.text,
                    each.start,
                    each.temperature,
                    each.top_p,
                    each.novelty,
                    each.nearest,
                    at,
                )
                for each in said
            ],
        )

    async def find(self, platform: str, answer_id: str) -> Kept | None:
        """What is known about that message; None when it says nothing in a persona's voice, or is forgotten."""
        row = await self._database.one(
            f"SELECT *, {_VOTES} FROM answers WHERE platform = ? AND answer_id = ?", (platform, answer_id)
        )
        return _kept(row) if row else None

    async def is_for(self, platform: str, answer_id: str, author_id: str) -> bool:
        """Whether that message answers this person."""
        row = await self._database.one(
            "SELECT 1 FROM answers JOIN messages USING (platform, message_id) "
            "WHERE platform = ? AND answers.answer_id = ? AND author_id = ? AND author_id != ''",
            (platform, answer_id, author_id),
        )
        return row is not None

    async def remove(self, platform: str, answer_id: str) -> None:
        """The message is gone."""
        async with self._database.transaction() as transaction:
            await transaction.run("DELETE FROM answers WHERE platform = ? AND answer_id = ?", (platform, answer_id))

    async def vote(self, platform: str, answer_id: str, voter_id: str, emoji: str) -> bool:
        """Count a reaction, once for each person and emoji; whether it was one more vote about one of our messages.

        Most messages with reactions aren't ours: looking first saves a write.
        """
        if await self.find(platform, answer_id) is None:
            return False
        async with self._database.transaction() as transaction:
            counted = await transaction.run(
                "INSERT OR IGNORE INTO votes (platform, answer_id, voter_id, reaction, vote) "
                "SELECT platform, answer_id, ?, ?, ? FROM answers WHERE platform = ? AND answer_id = ?",
                (voter_id, emoji, vote_of(emoji), platform, answer_id),
            )
        return counted > 0

    async def take_back(self, platform: str, answer_id: str, voter_id: str, emoji: str) -> None:
        """The reaction was taken away again."""
        if await self.find(platform, answer_id) is None:
            return
        async with self._database.transaction() as transaction:
            await transaction.run(
                "DELETE FROM votes WHERE platform = ? AND answer_id = ? AND voter_id = ? AND reaction = ?",
                (platform, answer_id, voter_id, emoji),
            )

    async def best(self, platform: str, server_id: str, days: int, limit: int) -> list[Kept]:
        """The digest: what people of that server liked best of the last days, the best first."""
        since = (self._clock() - timedelta(days=days)).isoformat()
        rows = await self._database.all(
            f"SELECT *, {_VOTES} FROM answers WHERE platform = ? AND server_id = ? AND said_at > ? AND votes > 0 "
            "ORDER BY votes DESC, said_at LIMIT ?",
            (platform, server_id, since, limit),
        )
        return [_kept(row) for row in rows]

    async def forget_old(self, days: int) -> None:
        """Forget what was said so long ago, and who had asked for it."""
        before = (self._clock() - timedelta(days=days)).isoformat()
        async with self._database.transaction() as transaction:
            await transaction.run("DELETE FROM answers WHERE said_at < ?", (before,))
            await transaction.run(
                "UPDATE messages SET author_id = '' WHERE received_at < ? AND author_id != ''", (before,)
            )


_VOTES = (
    "(SELECT coalesce(sum(vote), 0) FROM votes "
    "WHERE votes.platform = answers.platform AND votes.answer_id = answers.answer_id) AS votes"
)


def vote_of(emoji: str) -> int:
    """1, -1, or 0 for a reaction that is no vote. The tone of a skin does not matter."""
    first = emoji.replace(_VARIATION, "")[:1]
    return 1 if first in UP else -1 if first in DOWN else 0


def beginning_of(text: str) -> str:
    """The first few words, for more that begins like it: at most four, and at most half of them.

    Of a text without blanks, as in Japanese, a third of the letters.
    """
    words = text.split()
    if len(words) == 1:
        return text[: max(1, len(text) // 3)]
    return " ".join(words[: max(1, min(4, len(words) // 2))])


def _kept(row: Row) -> Kept:
    said = Said(
        answer_id=row["answer_id"],
        persona=row["persona"],
        version=row["version"],
        seed=row["seed"],
        text=row["text"],
        novelty=row["novelty"],
        nearest=row["nearest"],
        start=row["start"],
        temperature=row["temperature"],
        top_p=row["top_p"],
    )
    return Kept(
        said=said,
        message_id=row["message_id"],
        channel_id=row["channel_id"],
        server_id=row["server_id"],
        said_at=datetime.fromisoformat(row["said_at"]),
        votes=row["votes"],
    )
