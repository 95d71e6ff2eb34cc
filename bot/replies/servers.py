"""What a server's own people have chosen for it: a row for each server, as JSON, and a set time after it removed the
bot none.

A server is what its platform calls so (on Discord a guild), by its id. State belongs to one server; nothing that one
chooses changes another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.database import Database


class Action(StrEnum):
    """What not everybody may do."""

    TRAIN = "train"  # /train, /cyborg
    ROLL_BACK = "roll back"  # /rollback
    POST = "post"  # decide about posts on X, and put drafts on their list
    FORGET = "forget"  # /forget; only the bot's owner can give this to a role


class ServerSettings(BaseModel):
    """Everything that can be chosen; None is the operator's default."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # what an older or newer version knows is no error

    in_costume: bool | None = None  # whether answers bear the persona's name and face
    log_channel: str = ""  # where the bot tells what it did; empty is nowhere
    requests_per_hour: int | None = None  # for one person
    server_requests_per_hour: int | None = None  # for all together
    cooldown_seconds: float | None = None  # between two requests of one person
    role_requests_per_hour: dict[str, int] = {}  # by role id: people with that role may ask more, or less
    roles: dict[Action, tuple[str, ...]] = {}  # ids of roles that may do this, beside those who manage the server


class Servers:
    """The table `servers`."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def settings(self, platform: str, server_id: str) -> ServerSettings:
        """What was chosen there; the defaults where nothing was, and in a direct message."""
        row = await self._database.one(
            "SELECT settings FROM servers WHERE platform = ? AND server_id = ?", (platform, server_id)
        )
        return ServerSettings.model_validate_json(row["settings"]) if row else ServerSettings()

    async def change(self, platform: str, server_id: str, **changes: Any) -> ServerSettings:
        """The settings with these changed, by name, as they hold from now on."""
        async with self._database.transaction() as transaction:
            row = await transaction.one(
                "SELECT settings FROM servers WHERE platform = ? AND server_id = ?", (platform, server_id)
            )
            before = ServerSettings.model_validate_json(row["settings"]) if row else ServerSettings()
            after = ServerSettings.model_validate(before.model_dump() | changes)
            await transaction.run(
                "INSERT INTO servers (platform, server_id, settings) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET settings = excluded.settings",
                (platform, server_id, after.model_dump_json()),
            )
        return after

    async def is_in(self, platform: str, server_ids: Collection[str]) -> None:
        """The bot is in these servers: none of them is about to be forgotten any more."""
        async with self._database.transaction() as transaction:
            await transaction.run_many(
                "UPDATE servers SET left_at = NULL WHERE platform = ? AND server_id = ? AND left_at IS NOT NULL",
                [(platform, each) for each in server_ids],
            )

    async def left(self, platform: str, server_id: str) -> None:
        """The server has removed the bot; what it chose is kept for a while, in case that was a slip."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "INSERT INTO servers (platform, server_id, left_at) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET left_at = coalesce(left_at, excluded.left_at)",
                (platform, server_id, self._clock().isoformat()),
            )

    async def forget_those_gone(self, platform: str, days: int) -> list[str]:
        """Delete all that is kept of servers which removed the bot so many days ago; their ids."""
        before = (self._clock() - timedelta(days=days)).isoformat()
        async with self._database.transaction() as transaction:
            rows = await transaction.all(
                "SELECT server_id FROM servers WHERE platform = ? AND left_at <= ?", (platform, before)
            )
            gone = [row["server_id"] for row in rows]
            for table in ("servers", "channels", "server_words", "answers", "guess_games", "duels"):
                await transaction.run_many(
                    f"DELETE FROM {table} WHERE platform = ? AND server_id = ?", [(platform, each) for each in gone]
                )
            await transaction.run_many(
                "UPDATE messages SET author_id = '', server_id = '' WHERE platform = ? AND server_id = ?",
                [(platform, each) for each in gone],
            )
        return gone
