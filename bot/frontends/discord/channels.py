"""/channel: who answers in a channel, whether anybody does, and in whose name."""

from __future__ import annotations

from typing import Any

import discord

from bot.frontends.discord import texts_servers as texts
from bot.frontends.discord.server_log import ServerLog
from bot.replies.conversation import Conversation
from bot.replies.incoming import Platform


class ChannelDesk:
    """Chooses for the channel in which it is asked to."""

    def __init__(self, conversation: Conversation, server_log: ServerLog) -> None:
        self._conversation = conversation
        self._log = server_log

    async def set_persona(self, interaction: discord.Interaction[Any], persona: str) -> None:
        """From now on that persona answers in this channel. Raises `UnknownPersona`."""
        await interaction.response.defer()
        name = persona.strip().lower().removeprefix("@")
        channel, server = _place(interaction)
        await self._conversation.set_channel_persona(Platform.DISCORD, channel, name, server)
        await self._confirm(interaction, texts.answers_here(name))

    async def switch(self, interaction: discord.Interaction[Any], on: bool) -> None:
        """From now on people are answered in this channel, or nobody is."""
        await interaction.response.defer()
        channel, server = _place(interaction)
        await self._conversation.channels.switch(Platform.DISCORD, channel, server, on=on)
        persona = await self._conversation.channel_persona(Platform.DISCORD, channel)
        await self._confirm(interaction, texts.switched(persona if on else None))

    async def set_costume(self, interaction: discord.Interaction[Any], in_costume: bool | None) -> None:
        """From now on answers in this channel bear the persona's name and face, or do not; None: as the server says."""
        await interaction.response.defer()
        channel, server = _place(interaction)
        await self._conversation.channels.set_costume(Platform.DISCORD, channel, server, in_costume)
        await self._confirm(interaction, texts.costume_here(in_costume))

    async def _confirm(self, interaction: discord.Interaction[Any], text: str) -> None:
        await interaction.edit_original_response(content=text)
        await self._log.tell(
            interaction.client,
            interaction.guild_id,
            texts.changed(interaction.user.mention, text, f"<#{interaction.channel_id}>"),
        )


def _place(interaction: discord.Interaction[Any]) -> tuple[str, str]:
    """The ids of the channel and of its server."""
    return str(interaction.channel_id), str(interaction.guild_id or "")
