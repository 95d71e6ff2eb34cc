"""Words that are neither said nor answered on one server: a list for each, kept by whoever runs that server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bot.database import Database
from bot.errors import Refused
from bot.generation.safety import words_of

MOST = 500  # words of one server; each is looked for in every draft


class ServerWords:
    """The lists of all servers; a server is what its platform calls so (on Discord a guild), by its id."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def add(self, platform: str, server_id: str, word: str, by: str) -> None:
        """From now on the word is not said there; `by` is the id of whoever asked. Adding it again changes nothing.

        Raises `Refused` on what is not one word, and when the list is full.
        """
        (folded,) = words_of([word])
        async with self._database.transaction() as transaction:
            row = await transaction.one(
                "SELECT count(*) FROM server_words WHERE platform = ? AND server_id = ?", (platform, server_id)
            )
            if row is not None and row[0] >= MOST:
                raise Refused(f"The list of this server is full: {MOST} words. Remove one first.")
            await transaction.run(
                "INSERT OR IGNORE INTO server_words (platform, server_id, word, added_by, added_at) "
                "VALUES (?, ?, ?, ?, ?)",
                (platform, server_id, folded, by, self._clock().isoformat()),
            )

    async def remove(self, platform: str, server_id: str, word: str) -> None:
        """The word may be said there again. Raises `Refused` when it was not on the list, or is not one word."""
        (folded,) = words_of([word])
        async with self._database.transaction() as transaction:
            removed = await transaction.run(
                "DELETE FROM server_words WHERE platform = ? AND server_id = ? AND word = ?",
                (platform, server_id, folded),
            )
        if not removed:
            raise Refused("That word is not on the list of this server.")

    async def of(self, platform: str, server_id: str) -> tuple[str, ...]:
        """The server's words, in the order of the alphabet."""
        rows = await self._database.all(
            "SELECT word FROM server_words WHERE platform = ? AND server_id = ? ORDER BY word", (platform, server_id)
        )
        return tuple(row["word"] for row in rows)
