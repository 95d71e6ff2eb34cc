"""A message that somebody names by its link, if they may see it and write where it stands."""

from __future__ import annotations

import re
from typing import Any

import discord

from bot.errors import NotPermitted, Refused
from bot.frontends.discord.texts_replies import MAY_NOT_WRITE, NO_SUCH_MESSAGE

_LINK = re.compile(
    r"<?https://(?:(?:ptb|canary)\.)?discord(?:app)?\.com/channels/(?:@me|[0-9]+)/"
    r"(?P<channel>[0-9]{1,20})/(?P<message>[0-9]{1,20})/?>?"
)


def link_in(text: str) -> tuple[int, int] | None:
    """The ids of channel and message where the text is nothing but a link to a message."""
    match = _LINK.fullmatch(text.strip())
    return (int(match["channel"]), int(match["message"])) if match else None


async def linked_message(interaction: discord.Interaction[Any], channel_id: int, message_id: int) -> discord.Message:
    """The message. Raises `Refused` where the person may not see it or there is none, `NotPermitted` where the person
    or the bot may not write there.
    """
    theirs, ours = _permissions(interaction, channel_id)
    if not all(each.view_channel and each.read_message_history for each in (theirs, ours)):
        raise Refused(NO_SUCH_MESSAGE)
    require_writing(interaction, channel_id, theirs, ours)
    guild_id = interaction.guild_id
    channel = interaction.client.get_partial_messageable(channel_id, guild_id=guild_id)
    try:
        message: discord.Message = await channel.fetch_message(message_id)
    except (discord.NotFound, discord.Forbidden) as error:
        raise Refused(NO_SUCH_MESSAGE) from error
    return message


def require_writing(
    interaction: discord.Interaction[Any],
    channel_id: int,
    theirs: discord.Permissions,
    ours: discord.Permissions,
) -> None:
    """Raises `NotPermitted` unless both the person and the bot may write in that channel."""
    in_thread = interaction.guild is not None and interaction.guild.get_thread(channel_id) is not None
    right = "send_messages_in_threads" if in_thread else "send_messages"
    if not (getattr(theirs, right) and getattr(ours, right) and ours.read_message_history):
        raise NotPermitted(MAY_NOT_WRITE)


def _permissions(
    interaction: discord.Interaction[Any], channel_id: int
) -> tuple[discord.Permissions, discord.Permissions]:
    """What the person and the bot may do in that channel; nothing in another server's, and in one that isn't known."""
    if channel_id == interaction.channel_id:
        return interaction.permissions, interaction.app_permissions
    nothing = discord.Permissions.none(), discord.Permissions.none()
    guild, member = interaction.guild, interaction.user
    channel = guild.get_channel_or_thread(channel_id) if guild else None
    if guild is None or channel is None or not isinstance(member, discord.Member):
        return nothing
    if isinstance(channel, discord.Thread) and (channel.is_private() or channel.parent is None):
        return nothing  # who is in a private thread isn't known
    return channel.permissions_for(member), channel.permissions_for(guild.me)
