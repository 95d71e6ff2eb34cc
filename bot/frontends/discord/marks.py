"""Facts that Discord's front end has to remember over a restart, in the table of marks."""

from __future__ import annotations

from bot.database import Database


class Marks:
    """Short texts by name; every name here begins with `discord-`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> str | None:
        """What was set under that name, or None."""
        row = await self._database.one("SELECT value FROM marks WHERE name = ?", (name,))
        return row["value"] if row else None

    async def beginning_with(self, prefix: str) -> dict[str, str]:
        """All that was set under names that begin so."""
        rows = await self._database.all(
            "SELECT name, value FROM marks WHERE substr(name, 1, ?) = ? ORDER BY name", (len(prefix), prefix)
        )
        return {row["name"]: row["value"] for row in rows}

    async def set(self, name: str, value: str) -> None:
        """Remember that, instead of what the name stood for before."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "INSERT INTO marks (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                (name, value),
            )

    async def remove(self, name: str) -> None:
        """Forget it."""
        async with self._database.transaction() as transaction:
            await transaction.run("DELETE FROM marks WHERE name = ?", (name,))
