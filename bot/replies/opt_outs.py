"""People who want nothing to do with the bot, and people who want an account not to be imitated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot.database import Database
from bot.errors import Refused
from bot.replies.incoming import Platform

MOST_WISHES = 20  # of one person that wait for the operator at once; the list is read by a person
WANTS_NO_ANSWERS = "its author wants no answers"  # why a mention is left alone


@dataclass(frozen=True, slots=True)
class RemovalRequest:
    """Somebody asks the operator that an account be forgotten; `mockingbird forget` does it."""

    handle: str  # lower case, no @
    platform: str
    asked_by: str  # an id on that platform
    at: datetime  # UTC


class OptOuts:
    """The tables `opt_outs` and `removal_requests`."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def has(self, platform: str, author_id: str) -> bool:
        """Whether this person is not to be answered."""
        row = await self._database.one(
            "SELECT 1 FROM opt_outs WHERE platform = ? AND author_id = ?", (platform, author_id)
        )
        return row is not None

    async def add(self, platform: str, author_id: str) -> None:
        """From now on this person is not answered; what was kept about them is forgotten."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "INSERT OR IGNORE INTO opt_outs (platform, author_id, at) VALUES (?, ?, ?)",
                (platform, author_id, self._clock().isoformat()),
            )
            await transaction.run(
                "UPDATE messages SET author_id = '' WHERE platform = ? AND author_id = ?", (platform, author_id)
            )
            if platform == Platform.X:
                await transaction.run(
                    "UPDATE x_mentions SET author_id = '', "
                    "state = CASE WHEN state = 'waiting' AND wants = 'answer' THEN 'left alone' ELSE state END, "
                    "reason = CASE WHEN state = 'waiting' AND wants = 'answer' THEN ? ELSE reason END "
                    "WHERE author_id = ?",
                    (WANTS_NO_ANSWERS, author_id),
                )
            await transaction.run("DELETE FROM votes WHERE platform = ? AND voter_id = ?", (platform, author_id))
            await transaction.run(
                "DELETE FROM guesses WHERE player_id = ? "
                "AND game_id IN (SELECT id FROM guess_games WHERE platform = ?)",
                (author_id, platform),
            )

            for table in ("guess_games", "duels"):
                await transaction.run(
                    f"UPDATE {table} SET started_by = '' WHERE platform = ? AND started_by = ?", (platform, author_id)
                )

    async def remove(self, platform: str, author_id: str) -> None:
        """This person is answered again."""
        async with self._database.transaction() as transaction:
            await transaction.run("DELETE FROM opt_outs WHERE platform = ? AND author_id = ?", (platform, author_id))

    async def kept_about(self, platform: str, author_id: str) -> dict[str, int]:
        """How many rows of which kind are kept about this person, by name."""
        counted = {
            "requests": "SELECT count(*) FROM messages WHERE platform = ? AND author_id = ?",
            "votes": "SELECT count(*) FROM votes WHERE platform = ? AND voter_id = ?",
            "wishes": "SELECT count(*) FROM removal_requests WHERE platform = ? AND asked_by = ?",
            "guesses": "SELECT count(*) FROM guesses JOIN guess_games ON guess_games.id = game_id "
            "WHERE platform = ? AND player_id = ?",
        }
        rows = {name: await self._database.one(sql, (platform, author_id)) for name, sql in counted.items()}
        return {name: int(row[0]) if row else 0 for name, row in rows.items()}

    async def request_removal(self, handle: str, platform: str, asked_by: str) -> None:
        """Put it on the operator's list that this person wants that account forgotten; once is enough.

        Raises `Refused` when too many of this person's wishes wait already.
        """
        async with self._database.transaction() as transaction:
            row = await transaction.one(
                "SELECT count(*) FROM removal_requests WHERE platform = ? AND asked_by = ? AND handle != ? "
                "AND handle NOT IN (SELECT handle FROM blocked)",
                (platform, asked_by, handle),
            )
            if row is not None and row[0] >= MOST_WISHES:
                raise Refused(f"{MOST_WISHES} wishes of yours wait for the operator. Ask again when they are done.")
            await transaction.run(
                "INSERT OR IGNORE INTO removal_requests (handle, platform, asked_by, at) VALUES (?, ?, ?, ?)",
                (handle, platform, asked_by, self._clock().isoformat()),
            )

    async def removal_requests(self) -> list[RemovalRequest]:
        """What waits for the operator: requests about accounts that were not blocked since, the oldest first."""
        rows = await self._database.all(
            "SELECT * FROM removal_requests WHERE handle NOT IN (SELECT handle FROM blocked) ORDER BY id"
        )
        return [
            RemovalRequest(row["handle"], row["platform"], row["asked_by"], datetime.fromisoformat(row["at"]))
            for row in rows
        ]
