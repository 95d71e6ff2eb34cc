"""Routes about who the bot is, how it connects, and which commands it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.loopback.discord.errors import unknown
from bot.loopback.discord.gateway import IDENTIFIES_A_DAY
from bot.loopback.discord.journal import Kind
from bot.loopback.discord.rest import Call, Handler
from bot.loopback.discord.sessions import Intent
from bot.loopback.discord.stage import Stage

# The application's flags for privileged intents that a bot in fewer than 100 guilds has switched on.
_LIMITED_INTENT_FLAGS = {
    Intent.GUILD_PRESENCES: 1 << 13,
    Intent.GUILD_MEMBERS: 1 << 15,
    Intent.MESSAGE_CONTENT: 1 << 19,
}


class ApplicationRoutes:
    """Reading the bot's own account and other users; writing its commands."""

    def __init__(self, stage: Stage, privileged: Intent, shards: int, max_concurrency: int) -> None:
        """`privileged` are the privileged intents switched on for the application.

        `shards` and `max_concurrency` are what a bot is told to connect with.
        """
        self._shards = shards
        self._max_concurrency = max_concurrency
        self._stage = stage
        self._world = stage.world
        self._flags = sum(flag for intent, flag in _LIMITED_INTENT_FLAGS.items() if intent in privileged)

    def routes(self) -> Mapping[str, Handler]:
        """The table of routes."""
        return {
            "GET /users/@me": self.get_me,
            "GET /users/{user_id}": self.get_user,
            "POST /users/@me/channels": self.open_direct_channel,
            "GET /applications/@me": self.get_application,
            "GET /oauth2/applications/@me": self.get_application,
            "GET /gateway": self.get_gateway,
            "GET /gateway/bot": self.get_gateway_for_bots,
            "GET /applications/{application_id}/commands": self.list_commands,
            "PUT /applications/{application_id}/commands": self.overwrite_commands,
            "GET /applications/{application_id}/guilds/{guild_id}/commands": self.list_commands,
            "PUT /applications/{application_id}/guilds/{guild_id}/commands": self.overwrite_commands,
        }

    async def get_me(self, call: Call) -> object | None:
        account = {"mfa_enabled": False, "locale": "en-US", "verified": True, "email": None}
        return self._world.bot.payload() | account

    async def get_user(self, call: Call) -> object | None:
        user = self._world.users.get(call.id("user_id"))
        if user is None:
            raise unknown("User")
        return user.payload()

    async def open_direct_channel(self, call: Call) -> object | None:
        user = self._world.users.get(int(call.form.get("recipient_id", 0)))
        if user is None or user.bot:
            raise unknown("User")
        return self._world.direct(user).payload(self._world.bot)

    async def get_application(self, call: Call) -> object | None:
        bot = self._world.bot
        absent = (
            "icon interactions_endpoint_url role_connections_verification_url team approximate_user_authorization_count"
        )
        return dict.fromkeys(absent.split()) | {
            "id": str(bot.id),
            "name": bot.display_name,
            "description": "",
            "type": None,
            "verify_key": "0" * 64,
            "flags": self._flags,
            "flags_new": str(self._flags),
            "redirect_uris": [],
            "rpc_origins": [],
            "owner": next(iter(self._world.people)).payload(),
            "bot": bot.payload(),
            "bot_public": True,
            "bot_require_code_grant": False,
            "approximate_guild_count": len(self._world.bot_guilds),
            "approximate_user_install_count": 0,
            "approximate_user_authorization_count": 0,
            "explicit_content_filter": 0,
            "eligible_oauth2_scopes": [],
        }

    async def get_gateway(self, call: Call) -> object | None:
        return {"url": self._stage.gateway.url}

    async def get_gateway_for_bots(self, call: Call) -> object | None:
        limit = {
            "total": IDENTIFIES_A_DAY,
            "remaining": max(0, self._stage.gateway.identifies_left),
            "reset_after": 86_400_000,
            "max_concurrency": self._max_concurrency,
        }
        return {"url": self._stage.gateway.url, "shards": self._shards, "session_start_limit": limit}

    async def list_commands(self, call: Call) -> object | None:
        return self._world.commands.get(self._scope(call), [])

    async def overwrite_commands(self, call: Call) -> object | None:
        """What isn't named is deleted; a command of the same name and type keeps its id."""
        scope = self._scope(call)
        before = {(old["type"], old["name"]): old["id"] for old in self._world.commands.get(scope, [])}
        wanted = call.body if isinstance(call.body, list) else []
        commands = [self._registered(command, scope, before) for command in wanted]
        self._world.commands[scope] = commands
        self._stage.journal.record(Kind.COMMANDS_WRITTEN, detail=", ".join(command["name"] for command in commands))
        return commands

    def _registered(
        self, command: dict[str, Any], scope: int | None, before: Mapping[tuple[int, str], str]
    ) -> dict[str, Any]:
        kind = command.get("type") or 1
        permissions = command.get("default_member_permissions")
        registered: dict[str, Any] = {"description": "", "nsfw": False} | command
        registered |= {
            "id": before.get((kind, command["name"])) or str(self._world.snowflakes.next()),
            "application_id": str(self._world.bot.id),
            "version": str(self._world.snowflakes.next()),
            "type": kind,
            "integration_types": command.get("integration_types") or [0],  # 0: installed in a guild
            "default_member_permissions": None if permissions is None else str(permissions),
        }
        return registered if scope is None else registered | {"guild_id": str(scope)}

    def _scope(self, call: Call) -> int | None:
        """The guild whose commands a call is about, None for those that hold everywhere."""
        if call.id("application_id") != self._world.bot.id:
            raise unknown("Application")
        return self._stage.guild(call.id("guild_id")).id if "guild_id" in call.values else None
