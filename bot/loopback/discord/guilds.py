"""Guilds that the bot comes into and leaves, their channels, and the routes about them."""

from __future__ import annotations

from collections.abc import Mapping

from bot.loopback.discord.errors import DiscordError, unknown
from bot.loopback.discord.journal import Kind
from bot.loopback.discord.places import Channel, Guild
from bot.loopback.discord.rest import Call, Handler
from bot.loopback.discord.sessions import Intent
from bot.loopback.discord.stage import Stage


class GuildRoutes:
    """Reading guilds as the bot, and leaving one."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._world = stage.world

    def routes(self) -> Mapping[str, Handler]:
        """The table of routes."""
        return {
            "GET /guilds/{guild_id}": self.get_guild,
            "GET /guilds/{guild_id}/channels": self.list_channels,
            "GET /guilds/{guild_id}/members/{user_id}": self.get_member,
            "DELETE /users/@me/guilds/{guild_id}": self.leave,
        }

    async def get_guild(self, call: Call) -> object | None:
        guild = self._own_guild(call)
        count = len(guild.members) if call.flag("with_counts") else None
        counts = {} if count is None else {"approximate_member_count": count, "approximate_presence_count": count}
        return guild.payload() | counts

    async def list_channels(self, call: Call) -> object | None:
        channels = self._world.channels_of(self._stage.guild(call.id("guild_id")))
        return [channel.payload(self._world.bot, position) for position, channel in enumerate(channels)]

    async def get_member(self, call: Call) -> object | None:
        member = self._stage.guild(call.id("guild_id")).members.get(call.id("user_id"))
        if member is None:
            raise unknown("Member")
        return member.payload()

    async def leave(self, call: Call) -> object | None:
        await part(self._stage, self._own_guild(call))
        return None

    def _own_guild(self, call: Call) -> Guild:
        """A guild that the bot is in; to others these routes say that they don't exist. Raises DiscordError."""
        try:
            return self._stage.guild(call.id("guild_id"))
        except DiscordError as error:
            raise unknown("Guild") from error


async def join(stage: Stage, guild: Guild) -> None:
    """Let the bot come into a guild, and tell it."""
    stage.world.invite_bot(guild, stage.clock())
    stage.journal.record(Kind.JOINED, detail=guild.name)
    await stage.gateway.welcome(guild)


async def part(stage: Stage, guild: Guild) -> None:
    """Let the bot leave a guild, by itself or not, and tell it. The commands that it had only there are gone."""
    listeners = list(stage.gateway.listeners(Intent.GUILDS, guild.id))
    guild.members.pop(stage.world.bot.id, None)
    stage.world.commands.pop(guild.id, None)
    stage.journal.record(Kind.LEFT, detail=guild.name)
    for session in listeners:
        await session.tell("GUILD_DELETE", {"id": str(guild.id)})


async def delete_channel(stage: Stage, channel: Channel) -> None:
    """Delete a channel with its threads, webhooks and messages, and tell it."""
    world = stage.world
    for thread in world.threads_of(channel):
        del world.channels[thread.id]
    del world.channels[channel.id]
    for webhook in [hook for hook in world.webhooks.values() if hook.channel is channel]:
        del world.webhooks[webhook.id]
    for message in list(world.archive.in_channel(channel.id).values()):
        message.deleted = True
    event = "CHANNEL_DELETE" if channel.thread is None else "THREAD_DELETE"
    data = channel.payload(world.bot)
    await stage.gateway.publish(event, data, intent=Intent.GUILDS, guild_id=channel.guild_id)
