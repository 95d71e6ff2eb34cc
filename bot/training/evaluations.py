"""The table `evaluations`: figures that were found out about versions after they had been put on the shelf.

A version is never written to again, so its manifest keeps the figures by which it was judged when it was made, and what
an evaluation finds out later, by other tweets or settings, is a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from bot.database import Database
from bot.shelf.figures import Figures
from bot.shelf.manifest import Manifest
from bot.tweets.blocked import require_free


class Evaluations:
    """Rows in, values out."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def add(self, manifest: Manifest, figures: Figures) -> None:
        """Keep what was found out about that version now. Raises `NotPermitted` when one of its accounts is blocked."""
        now = self._clock().astimezone(UTC).isoformat()
        async with self._database.transaction() as transaction:
            await require_free(transaction, manifest.handles)
            await transaction.run(
                "INSERT INTO evaluations (persona, version, at, figures) VALUES (?, ?, ?, ?)",
                (manifest.persona, manifest.version, now, figures.model_dump_json()),
            )

    async def about(self, personas: Sequence[str]) -> list[dict[str, object]]:
        """Every row about these personas, by column, the oldest first."""
        rows = await self._database.all(
            f"SELECT * FROM evaluations WHERE persona IN ({', '.join('?' * len(personas))}) ORDER BY id", personas
        )
        return [dict(row) for row in rows]

    async def remove(self, personas: Sequence[str]) -> None:
        """Delete every row about these personas."""
        async with self._database.transaction() as transaction:
            await transaction.run_many("DELETE FROM evaluations WHERE persona = ?", [(name,) for name in personas])

    async def latest(self, manifest: Manifest) -> Figures | None:
        """The newest figures of that version: of its last evaluation, else of its manifest; None without any."""
        row = await self._database.one(
            "SELECT figures FROM evaluations WHERE persona = ? AND version = ? AND at >= ? ORDER BY id DESC LIMIT 1",
            (manifest.persona, manifest.version, manifest.created.astimezone(UTC).isoformat()),
        )
        if row:
            return Figures.model_validate_json(row["figures"])
        return manifest.metrics.figures if manifest.metrics else None
