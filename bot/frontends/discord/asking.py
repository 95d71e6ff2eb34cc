"""What somebody said or asked for, as the rooms behind know it."""

from __future__ import annotations

from typing import Any

import discord

from bot.frontends.discord.rights import roles_of
from bot.replies.incoming import Incoming, Platform


def asked_by(interaction: discord.Interaction[Any], suffix: str = "") -> Incoming:
    """The command that somebody used, or the button that they pressed; `suffix` tells several requests of one apart."""
    return Incoming(
        Platform.DISCORD,
        f"{interaction.id}{suffix}",
        str(interaction.channel_id),
        str(interaction.user.id),
        server_id=str(interaction.guild_id or ""),
        roles=roles_of(interaction),
        parent_id=_parent(interaction.channel),
    )


def said_in(message: discord.Message, text: str, thread: tuple[str, ...] = ()) -> Incoming:
    """The message, which says `text` to the bot."""
    reference = message.reference
    author = message.author
    return Incoming(
        Platform.DISCORD,
        str(message.id),
        str(message.channel.id),
        str(author.id),
        text,
        server_id=str(message.guild.id) if message.guild else "",
        thread=thread,
        roles=tuple(map(str, author._roles)) if isinstance(author, discord.Member) else (),
        parent_id=_parent(message.channel),
        continues=str(reference.message_id) if reference and reference.message_id else "",
    )


def _parent(channel: object) -> str:
    """The id of the channel in which it is a thread; empty where it is none."""
    return str(channel.parent_id) if isinstance(channel, discord.Thread) else ""
