"""Who answers in which channel, and whether anybody does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.database import Database, Row
from bot.replies.incoming import Incoming


@dataclass(frozen=True, slots=True)
class Channel:
    """What was chosen for one channel."""

    persona: str | None = None  # who answers when nobody is named; None: the default persona
    is_off: bool = False  # nobody is answered there
    in_costume: bool | None = None  # whether answers bear the persona's name and face; None: as the server says


class Channels:
    """The table `channels`. A channel is what its platform calls so, by its id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, platform: str, channel_id: str) -> Channel:
        """What was chosen there; the defaults where nothing was."""
        row = await self._database.one(
            "SELECT persona, is_off, in_costume FROM channels WHERE platform = ? AND channel_id = ?",
            (platform, channel_id),
        )
        return _channel(row) if row else Channel()

    async def here(self, incoming: Incoming) -> Channel:
        """What holds where that was said: in a thread, what was chosen for it, else for the channel that it is in."""
        own = await self.get(incoming.platform, incoming.channel_id)
        if not incoming.parent_id:
            return own
        around = await self.get(incoming.platform, incoming.parent_id)
        in_costume = around.in_costume if own.in_costume is None else own.in_costume
        return Channel(own.persona or around.persona, own.is_off or around.is_off, in_costume)

    async def set_persona(self, platform: str, channel_id: str, persona: str, server_id: str = "") -> None:
        """From now on that persona answers there, also where the channel was switched off."""
        await self._set(platform, channel_id, server_id, persona=persona, is_off=0)

    async def switch(self, platform: str, channel_id: str, server_id: str, *, on: bool) -> None:
        """From now on people are answered there, or nobody is."""
        await self._set(platform, channel_id, server_id, is_off=int(not on))

    async def set_costume(self, platform: str, channel_id: str, server_id: str, in_costume: bool | None) -> None:
        """From now on answers there bear the persona's name and face, or do not; None: as the server says."""
        value = None if in_costume is None else int(in_costume)
        await self._set(platform, channel_id, server_id, in_costume=value)

    async def remove(self, platform: str, channel_id: str) -> None:
        """Forget what was chosen there: the channel is gone."""
        async with self._database.transaction() as transaction:
            await transaction.run("DELETE FROM channels WHERE platform = ? AND channel_id = ?", (platform, channel_id))

    async def on_server(self, platform: str, server_id: str) -> dict[str, Channel]:
        """What was chosen on that server, by channel id."""
        rows = await self._database.all(
            "SELECT * FROM channels WHERE platform = ? AND server_id = ? ORDER BY channel_id", (platform, server_id)
        )
        return {row["channel_id"]: _channel(row) for row in rows}

    async def with_persona(self, platform: str, persona: str) -> list[str]:
        """The channels on that platform in which this persona was chosen."""
        rows = await self._database.all(
            "SELECT channel_id FROM channels WHERE platform = ? AND persona = ? ORDER BY channel_id",
            (platform, persona),
        )
        return [row["channel_id"] for row in rows]

    async def count_with(self, personas: Sequence[str]) -> int:
        """In how many channels one of these personas was chosen."""
        chosen = ", ".join("?" * len(personas))
        row = await self._database.one(f"SELECT count(*) FROM channels WHERE persona IN ({chosen})", personas)
        return int(row[0]) if row else 0

    async def _set(self, platform: str, channel_id: str, server_id: str, **values: object) -> None:
        changes = ", ".join(f"{name} = :{name}" for name in values)
        async with self._database.transaction() as transaction:
            await transaction.run(
                "INSERT OR IGNORE INTO channels (platform, channel_id, server_id) VALUES (?, ?, ?)",
                (platform, channel_id, server_id),
            )
            await transaction.run(
                f"UPDATE channels SET server_id = :server, {changes} WHERE platform = :platform AND channel_id = :id",
                {**values, "server": server_id, "platform": platform, "id": channel_id},
            )


def _channel(row: Row) -> Channel:
    in_costume = row["in_costume"]
    return Channel(row["persona"], bool(row["is_off"]), None if in_costume is None else bool(in_costume))
