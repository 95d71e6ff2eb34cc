"""Which servers are answered, and what happens when the bot comes into one, leaves one, or a channel goes.

What a server has chosen goes some time after it removed the bot: `Servers.forget_those_gone` sees to that.
"""

from __future__ import annotations

from typing import Any

import discord
import structlog

from bot.config import Discord
from bot.frontends.discord import texts_servers as texts
from bot.frontends.discord.failures import say_privately
from bot.frontends.discord.lasting import TROUBLE
from bot.frontends.discord.server_log import ServerLog
from bot.replies.conversation import Conversation
from bot.replies.incoming import Platform

log = structlog.get_logger(__name__)


class Guilds:
    """Keeps the database in step with the guilds that the bot is in."""

    def __init__(self, settings: Discord, conversation: Conversation, server_log: ServerLog) -> None:
        self._allowed = frozenset(settings.allowed_servers)
        self._blocked = frozenset(settings.blocked_servers)
        self._servers = conversation.servers
        self._channels = conversation.channels
        self._log = server_log

    def serves(self, guild_id: int | None) -> bool:
        """Whether the operator lets people be answered there; None is a direct message, which always is."""
        if guild_id is None:
            return True
        return guild_id not in self._blocked and (not self._allowed or guild_id in self._allowed)

    async def admit(self, interaction: discord.Interaction[Any]) -> bool:
        """Whether a command or a button may do its work there; the person is told why not."""
        if self.serves(interaction.guild_id):
            return True
        if interaction.type is not discord.InteractionType.autocomplete:
            await say_privately(interaction, texts.NOT_SERVED)
        return False

    async def are(self, client: discord.Client) -> None:
        """These are all of the bot's guilds: whichever it was in before and are not among them have removed it."""
        here = {str(guild.id) for guild in client.guilds}
        await self._servers.is_in(Platform.DISCORD, here)
        for gone in sorted(await self._servers.known(Platform.DISCORD) - here):
            await self._servers.left(Platform.DISCORD, gone)
            log.info("discord server has removed the bot meanwhile", server=gone)

    async def joined(self, guild: discord.Guild) -> None:
        """The bot was invited: what was chosen there before holds again, and it says where to begin."""
        await self._servers.is_in(Platform.DISCORD, [str(guild.id)])
        log.info("discord server joined", server=str(guild.id), answered=self.serves(guild.id))
        channel = guild.system_channel
        if channel is None or not self.serves(guild.id) or not channel.permissions_for(guild.me).send_messages:
            return
        try:
            await channel.send(texts.WELCOME)
        except TROUBLE as trouble:
            log.info("discord server was not welcomed", server=str(guild.id), trouble=str(trouble))

    async def left(self, guild: discord.Guild) -> None:
        """The bot was removed."""
        await self._servers.left(Platform.DISCORD, str(guild.id))
        log.info("discord server left", server=str(guild.id))

    async def channel_gone(self, guild_id: int, channel_id: int) -> None:
        """A channel or thread was deleted."""
        await self._channels.remove(Platform.DISCORD, str(channel_id))
        await self._log.channel_gone(guild_id, channel_id)
