"""What the bot did, told in the channel that a server has chosen for it: a line each, and nobody is pinged.

A line is not worth a service: what can't be told is in the service's own log, and a channel that is gone is not chosen
any more.
"""

from __future__ import annotations

from collections.abc import Collection

import discord
import structlog

from bot.frontends.discord.lasting import TROUBLE
from bot.replies.incoming import Platform
from bot.replies.servers import Servers

log = structlog.get_logger(__name__)


class ServerLog:
    """Tells one server, or all of them."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    async def tell(self, client: discord.Client, server_id: int | None, text: str) -> None:
        """Say it in the log channel of that server, where it has one."""
        if server_id is None:
            return
        channel = (await self._servers.settings(Platform.DISCORD, str(server_id))).log_channel
        if channel:
            await self._say(client, str(server_id), channel, text)

    async def tell_all(
        self, client: discord.Client, text: str, told: Collection[str] = ()
    ) -> list[tuple[str, discord.Message]]:
        """Say it in every server's log channel but those in `told`, which know already; where it was said: the server
        and the message.
        """
        said = []
        for server, channel in (await self._servers.log_channels(Platform.DISCORD)).items():
            message = await self._say(client, server, channel, text) if channel not in told else None
            if message is not None:
                said.append((server, message))
        return said

    async def channel_gone(self, server_id: int, channel_id: int) -> None:
        """That channel was deleted: where it was the server's log channel, there is none from now on."""
        settings = await self._servers.settings(Platform.DISCORD, str(server_id))
        if settings.log_channel == str(channel_id):
            await self._servers.change(Platform.DISCORD, str(server_id), log_channel="")

    async def _say(self, client: discord.Client, server: str, channel: str, text: str) -> discord.Message | None:
        try:
            return await client.get_partial_messageable(int(channel)).send(text, suppress_embeds=True)
        except discord.NotFound:
            await self.channel_gone(int(server), int(channel))
        except TROUBLE as trouble:
            log.info("discord log channel was not told", channel=channel, trouble=str(trouble))
        return None
