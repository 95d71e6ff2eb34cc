"""What a retraining has changed, told in the servers' log channels, with samples of both versions."""

from __future__ import annotations

import discord
import structlog

from bot.errors import UnknownPersona
from bot.frontends.discord import texts_changes as texts
from bot.frontends.discord.lasting import TROUBLE
from bot.frontends.discord.server_log import ServerLog
from bot.replies.changes import Change
from bot.replies.conversation import Conversation
from bot.replies.incoming import Incoming, Platform

log = structlog.get_logger(__name__)


class ChangeLog:
    """Tells all servers."""

    def __init__(self, conversation: Conversation, server_log: ServerLog) -> None:
        self._conversation = conversation
        self._server_log = server_log

    async def tell(self, client: discord.Client, change: Change) -> None:
        """Say the figures, and then show the samples below, which are on record by then for a takedown to find."""
        for server, message in await self._server_log.tell_all(client, texts.changed(change)):
            if change.pairs:
                await self._add_samples(change, server, message)

    async def _add_samples(self, change: Change, server: str, message: discord.Message) -> None:
        decision, channel = change.decision, str(message.channel.id)
        told = Incoming(Platform.DISCORD, f"change-{decision.id}-{channel}", channel, "", server_id=server)
        try:
            await self._conversation.messages.speaks(
                told, str(message.id), decision.persona, decision.to_version, decision.at
            )
            await message.edit(content=texts.with_samples(change))
        except UnknownPersona:  # it was forgotten meanwhile
            return
        except TROUBLE as trouble:
            log.info("discord log channel was not shown samples", channel=channel, trouble=str(trouble))
