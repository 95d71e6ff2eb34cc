"""/settings: what a server chooses for itself. Only the person who asked sees it; the log channel says what changed."""

from __future__ import annotations

from typing import Any

import discord

from bot.errors import NotPermitted
from bot.frontends.discord import texts_servers as texts
from bot.frontends.discord.rights import is_owner
from bot.frontends.discord.server_log import ServerLog
from bot.frontends.discord.texts import pieces
from bot.replies.conversation import Conversation
from bot.replies.incoming import Platform
from bot.replies.servers import Action


class SettingsDesk:
    """Shows and changes what holds on the server in which it is asked to."""

    def __init__(self, conversation: Conversation, in_costume: bool, server_log: ServerLog) -> None:
        """`in_costume`: whether answers bear the persona's name and face where a server has not chosen."""
        self._conversation = conversation
        self._servers = conversation.servers
        self._quota = conversation.quota
        self._in_costume = in_costume
        self._log = server_log

    async def show(self, interaction: discord.Interaction[Any]) -> None:
        """Say everything that holds on this server."""
        await interaction.response.defer(ephemeral=True)
        server = str(interaction.guild_id)
        shown = texts.Shown(
            settings=await self._servers.settings(Platform.DISCORD, server),
            channels=await self._conversation.channels.on_server(Platform.DISCORD, server),
            words=len(await self._conversation.words.of(Platform.DISCORD, server)),
            in_costume=self._in_costume,
            quota=self._quota,
        )
        first, *more = pieces(texts.settings(shown))
        await interaction.edit_original_response(content=first)
        for piece in more:
            await interaction.followup.send(piece, ephemeral=True)

    async def let(
        self, interaction: discord.Interaction[Any], action: Action, role: discord.Role, *, may: bool
    ) -> None:
        """People with that role may do that from now on, or may no longer. Raises `NotPermitted`."""
        if action is Action.FORGET and not is_owner(interaction):  # it is forgotten in every server
            raise NotPermitted("Only the bot's owner can say who may have accounts forgotten. Ask for another action.")
        await interaction.response.defer(ephemeral=True)
        server = str(interaction.guild_id)
        settings = await self._servers.let(Platform.DISCORD, server, action, str(role.id), may=may)
        await self._confirm(interaction, texts.may(action, settings))

    async def limit_person(self, interaction: discord.Interaction[Any], limit: int) -> None:
        """One person may ask so often an hour. Raises `Refused`."""
        await interaction.response.defer(ephemeral=True)
        server = str(interaction.guild_id)
        settings = await self._quota.set_for_person(Platform.DISCORD, server, limit)
        await self._confirm(interaction, texts.person_limit(self._quota.for_person(settings, ())))

    async def limit_server(self, interaction: discord.Interaction[Any], limit: int) -> None:
        """All people of the server together may ask so often an hour. Raises `Refused`."""
        await interaction.response.defer(ephemeral=True)
        server = str(interaction.guild_id)
        settings = await self._quota.set_for_server(Platform.DISCORD, server, limit)
        await self._confirm(interaction, texts.server_limit(self._quota.for_server(settings)))

    async def limit_role(self, interaction: discord.Interaction[Any], role: discord.Role, limit: int) -> None:
        """People with that role may ask so often an hour. Raises `Refused`."""
        await interaction.response.defer(ephemeral=True)
        server, role_id = str(interaction.guild_id), str(role.id)
        settings = await self._quota.set_for_role(Platform.DISCORD, server, role_id, limit)
        await self._confirm(interaction, texts.role_limit(role.mention, self._quota.for_person(settings, (role_id,))))

    async def set_cooldown(self, interaction: discord.Interaction[Any], seconds: float) -> None:
        """So much time passes between two requests of one person. Raises `Refused`."""
        await interaction.response.defer(ephemeral=True)
        server = str(interaction.guild_id)
        settings = await self._quota.set_cooldown(Platform.DISCORD, server, seconds)
        await self._confirm(interaction, texts.cooldown(self._quota.cooldown(settings)))

    async def set_costume(self, interaction: discord.Interaction[Any], in_costume: bool | None) -> None:
        """Answers bear the persona's name and face on this server, or do not; None: as the operator says."""
        await interaction.response.defer(ephemeral=True)
        server = str(interaction.guild_id)
        await self._servers.change(Platform.DISCORD, server, in_costume=in_costume)
        await self._confirm(interaction, texts.costume(in_costume, self._in_costume))

    async def set_log(self, interaction: discord.Interaction[Any], channel: discord.TextChannel | None) -> None:
        """What the bot did is told in that channel from now on; None: nowhere. Raises `NotPermitted`."""
        if channel is not None and not channel.permissions_for(channel.guild.me).send_messages:
            raise NotPermitted(f"I may not write in {channel.mention}. Let me, or choose another channel.")
        await interaction.response.defer(ephemeral=True)
        server, chosen = str(interaction.guild_id), str(channel.id) if channel else ""
        text = texts.log_channel(chosen)
        before = (await self._servers.settings(Platform.DISCORD, server)).log_channel
        if before != chosen:  # whoever reads there learns why nothing more comes
            await self._log.tell(
                interaction.client, interaction.guild_id, texts.changed(interaction.user.mention, text)
            )
        await self._servers.change(Platform.DISCORD, server, log_channel=chosen)
        await self._confirm(interaction, text)

    async def add_word(self, interaction: discord.Interaction[Any], word: str) -> None:
        """The word is neither said nor answered on this server from now on. Raises `Refused`."""
        await interaction.response.defer(ephemeral=True)
        server, who = str(interaction.guild_id), str(interaction.user.id)
        await self._conversation.words.add(Platform.DISCORD, server, word, who)
        await self._confirm(interaction, texts.word_added(word), logged=texts.WORDS_CHANGED)

    async def remove_word(self, interaction: discord.Interaction[Any], word: str) -> None:
        """The word may be said on this server again. Raises `Refused`."""
        await interaction.response.defer(ephemeral=True)
        await self._conversation.words.remove(Platform.DISCORD, str(interaction.guild_id), word)
        await self._confirm(interaction, texts.word_removed(word), logged=texts.WORDS_CHANGED)

    async def list_words(self, interaction: discord.Interaction[Any]) -> None:
        """Show the server's words to the person only."""
        await interaction.response.defer(ephemeral=True)
        found = await self._conversation.words.of(Platform.DISCORD, str(interaction.guild_id))
        first, *more = pieces(texts.words(found))
        await interaction.edit_original_response(content=first)
        for piece in more:
            await interaction.followup.send(piece, ephemeral=True)

    async def _confirm(self, interaction: discord.Interaction[Any], text: str, logged: str = "") -> None:
        """Say what holds now, and tell the log channel (`logged` instead, where that is not for everybody's eyes)."""
        await interaction.edit_original_response(content=text)
        line = texts.changed(interaction.user.mention, logged or text)
        await self._log.tell(interaction.client, interaction.guild_id, line)
