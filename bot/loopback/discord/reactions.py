"""Reactions to messages: a person's, and the bot's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.loopback.discord.channels import accessible_channel, visible_message
from bot.loopback.discord.journal import Kind
from bot.loopback.discord.messages import Message
from bot.loopback.discord.people import Permission, User
from bot.loopback.discord.rest import Call, Handler
from bot.loopback.discord.sessions import Intent
from bot.loopback.discord.stage import Stage
from bot.loopback.discord.world import emoji_payload

_NORMAL = 0  # the type of a reaction that isn't a "super reaction"


class ReactionRoutes:
    """Reacting as the bot."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def routes(self) -> Mapping[str, Handler]:
        """The table of routes."""
        mine = "/channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}/@me"
        return {f"PUT {mine}": self.add, f"DELETE {mine}": self.remove}

    async def add(self, call: Call) -> object | None:
        channel = accessible_channel(self._stage, call.id("channel_id"), Permission.ADD_REACTIONS)
        message = visible_message(self._stage, channel, call.id("message_id"))
        await react(self._stage, message, self._stage.world.bot, call.values["emoji_name"], remove=False)
        return None

    async def remove(self, call: Call) -> object | None:
        channel = accessible_channel(self._stage, call.id("channel_id"), Permission.NONE)
        message = visible_message(self._stage, channel, call.id("message_id"))
        await react(self._stage, message, self._stage.world.bot, call.values["emoji_name"], remove=True)
        return None


async def react(stage: Stage, message: Message, user: User, emoji: str, *, remove: bool) -> None:
    """Let a user react to a message, or take that back, and make it known. What changes nothing isn't told."""
    who = message.reactions.setdefault(emoji, [])
    if (user.id in who) != remove:
        return
    if remove:
        who.remove(user.id)
    else:
        who.append(user.id)
    stage.journal.record(Kind.REACTED, message=message, detail=f"{emoji} by {user.username}")
    event = "MESSAGE_REACTION_REMOVE" if remove else "MESSAGE_REACTION_ADD"
    guild_id = message.channel.guild_id
    intent = Intent.DIRECT_MESSAGE_REACTIONS if guild_id is None else Intent.GUILD_MESSAGE_REACTIONS
    await stage.gateway.publish(event, _event(stage, message, user, emoji, remove), intent=intent, guild_id=guild_id)


def _event(stage: Stage, message: Message, user: User, emoji: str, remove: bool) -> dict[str, Any]:
    """The data of the event. Who the member is and who wrote the message is told of added reactions only."""
    event: dict[str, Any] = {
        "user_id": str(user.id),
        "channel_id": str(message.channel.id),
        "message_id": str(message.id),
        "emoji": emoji_payload(emoji),
        "burst": False,
        "type": _NORMAL,
    }
    guild = stage.world.guild_of(message.channel)
    if guild is not None:
        event["guild_id"] = str(guild.id)
    if remove:
        return event
    if guild is not None and user.id in guild.members:
        event["member"] = guild.members[user.id].payload()
    return event | {"message_author_id": str(message.author.id)}
