"""What a server's own people have chosen for it: a row for each server, as JSON, and a set time after it removed the
bot none.

A server is what its platform calls so (on Discord a guild), by its id. State belongs to one server; nothing that one
chooses changes another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.database import Database

# What is kept of a server stands in these.
_TABLES = ("servers", "channels", "server_words", "answers", "guess_games", "duels")


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
        return await self._update(platform, server_id, lambda before: changes)

    async def let(self, platform: str, server_id: str, action: Action, role_id: str, *, may: bool) -> ServerSettings:
        """The settings as they hold from now on: people with that role may do that, or may no longer."""

        def changes(before: ServerSettings) -> Mapping[str, Any]:
            others = tuple(each for each in before.roles.get(action, ()) if each != role_id)
            roles = before.roles | {action: (*others, role_id) if may else others}
            return {"roles": {which: who for which, who in roles.items() if who}}

        return await self._update(platform, server_id, changes)

    async def limit_role(self, platform: str, server_id: str, role_id: str, limit: int | None) -> ServerSettings:
        """The settings as they hold from now on: people with that role may ask so often an hour; None: as all may."""

        def changes(before: ServerSettings) -> Mapping[str, Any]:
            others = {role: each for role, each in before.role_requests_per_hour.items() if role != role_id}
            return {"role_requests_per_hour": others if limit is None else others | {role_id: limit}}

        return await self._update(platform, server_id, changes)

    async def log_channels(self, platform: str) -> dict[str, str]:
        """Where the bot tells what it did: the channel of each server that has chosen one and has the bot."""
        rows = await self._database.all(
            "SELECT server_id, settings FROM servers WHERE platform = ? AND left_at IS NULL ORDER BY server_id",
            (platform,),
        )
        chosen = {row["server_id"]: ServerSettings.model_validate_json(row["settings"]).log_channel for row in rows}
        return {server: channel for server, channel in chosen.items() if channel}

    async def known(self, platform: str) -> set[str]:
        """Every server of which something is kept and that has not removed the bot, as far as is known."""
        found = set[str]()
        for table in _TABLES:
            rows = await self._database.all(
                f"SELECT DISTINCT server_id FROM {table} WHERE platform = ? AND server_id != ''", (platform,)
            )
            found |= {row["server_id"] for row in rows}
        gone = await self._database.all(
            "SELECT server_id FROM servers WHERE platform = ? AND left_at IS NOT NULL", (platform,)
        )
        return found - {row["server_id"] for row in gone}

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
            for table in _TABLES:
                await transaction.run_many(
                    f"DELETE FROM {table} WHERE platform = ? AND server_id = ?", [(platform, each) for each in gone]
                )
            await transaction.run_many(
                "UPDATE messages SET author_id = '', server_id = '' WHERE platform = ? AND server_id = ?",
                [(platform, each) for each in gone],
            )
        return gone

    async def _update(
        self, platform: str, server_id: str, changes: Callable[[ServerSettings], Mapping[str, Any]]
    ) -> ServerSettings:
        """Change what `changes` says of the settings as they are; two at once do not undo each other."""
        async with self._database.transaction() as transaction:
            row = await transaction.one(
                "SELECT settings FROM servers WHERE platform = ? AND server_id = ?", (platform, server_id)
            )
            before = ServerSettings.model_validate_json(row["settings"]) if row else ServerSettings()
            after = ServerSettings.model_validate({**before.model_dump(), **changes(before)})
            await transaction.run(
                "INSERT INTO servers (platform, server_id, settings) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET settings = excluded.settings",
                (platform, server_id, after.model_dump_json()),
            )
        return after
