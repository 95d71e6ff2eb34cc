"""Routes about channels and the messages in them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice, takewhile

from bot.loopback.discord.errors import (
    direct_conversation,
    missing_access,
    missing_permissions,
    not_the_author,
    unknown,
)
from bot.loopback.discord.journal import Kind
from bot.loopback.discord.messages import Message, MessageFlag
from bot.loopback.discord.people import Permission
from bot.loopback.discord.places import Channel
from bot.loopback.discord.posting import rewrite, same_nonce, write
from bot.loopback.discord.rest import Call, Handler
from bot.loopback.discord.stage import Stage


class ChannelRoutes:
    """Reading channels, and writing, editing and deleting messages as the bot."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._world = stage.world

    def routes(self) -> Mapping[str, Handler]:
        """The table of routes."""
        return {
            "GET /channels/{channel_id}": self.get_channel,
            "POST /channels/{channel_id}/typing": self.type,
            "GET /channels/{channel_id}/messages": self.list_messages,
            "POST /channels/{channel_id}/messages": self.create_message,
            "GET /channels/{channel_id}/messages/{message_id}": self.get_message,
            "PATCH /channels/{channel_id}/messages/{message_id}": self.edit_message,
            "DELETE /channels/{channel_id}/messages/{message_id}": self.delete_message,
        }

    async def get_channel(self, call: Call) -> object | None:
        return self._channel(call, Permission.NONE).payload(self._world.bot)

    async def type(self, call: Call) -> object | None:
        channel = self._channel(call, Permission.SEND_MESSAGES)
        self._stage.journal.record(Kind.TYPED, detail=f"in #{channel.name}")
        return None

    async def list_messages(self, call: Call) -> object | None:
        """Newest first, 50 unless told, and those around one message, before it or after it."""
        channel = self._channel(call, Permission.READ_MESSAGE_HISTORY)
        limit = int(call.query.get("limit", ["50"])[0])
        bounds = {name: int(call.query[name][0]) for name in ("before", "after", "around") if name in call.query}
        kept = self._world.archive.in_channel(channel.id)
        newest_first = (m for m in reversed(kept.values()) if _visible(m))
        if "around" in bounds:
            chosen = sorted(newest_first, key=lambda m: abs(m.id - bounds["around"]))[:limit]
        elif "after" in bounds:
            later = takewhile(lambda m: m.id > bounds["after"], newest_first)
            chosen = list(later)[-limit:]
        else:
            chosen = list(islice((m for m in newest_first if m.id < bounds.get("before", 1 << 64)), limit))
        return [self._stage.shown(message) for message in sorted(chosen, key=lambda m: m.id, reverse=True)]

    async def create_message(self, call: Call) -> object | None:
        channel = self._channel(call, Permission.SEND_MESSAGES)
        if call.files:
            self._channel(call, Permission.ATTACH_FILES)
        bot = self._world.bot
        message = same_nonce(self._world, channel, bot, call.form)
        if message is None:
            message = write(self._world, channel, bot, call.form, self._stage.clock(), files=call.files)
            await self._stage.created(message)
        return self._stage.shown(message)

    async def get_message(self, call: Call) -> object | None:
        return self._stage.shown(self._message(call))

    async def edit_message(self, call: Call) -> object | None:
        message = self._message(call)
        if message.author.id != self._world.bot.id:
            raise not_the_author()
        if call.files:
            self._channel(call, Permission.ATTACH_FILES)
        rewrite(self._world, message, call.form, self._stage.clock(), files=call.files)
        await self._stage.changed(message)
        return self._stage.shown(message)

    async def delete_message(self, call: Call) -> object | None:
        message = self._message(call)
        own = message.author.id == self._world.bot.id
        if not own and self._channel(call, Permission.MANAGE_MESSAGES).guild_id is None:
            raise direct_conversation()
        await self._stage.delete(message)
        return None

    def _channel(self, call: Call, needed: Permission) -> Channel:
        return accessible_channel(self._stage, call.id("channel_id"), needed)

    def _message(self, call: Call) -> Message:
        return visible_message(self._stage, self._channel(call, Permission.NONE), call.id("message_id"))


def accessible_channel(stage: Stage, channel_id: int, needed: Permission) -> Channel:
    """The channel with this id, where the bot may do what is `needed`. Raises DiscordError."""
    channel = stage.world.channels.get(channel_id)
    if channel is None:
        raise unknown("Channel")
    if channel.thread is not None and needed is Permission.SEND_MESSAGES:
        needed = Permission.SEND_MESSAGES_IN_THREADS
    guild = stage.world.guild_of(channel)
    if guild is not None:
        held = guild.permissions_of(stage.world.bot.id, channel, stage.world.bot.id)
        if Permission.VIEW_CHANNEL not in held:
            raise missing_access()
        if needed not in held:
            raise missing_permissions()
    return channel


def visible_message(stage: Stage, channel: Channel, message_id: int) -> Message:
    """The message of a channel that all can see. Raises DiscordError."""
    message = stage.world.messages.get(message_id)
    if message is None or message.channel is not channel or not _visible(message):
        raise unknown("Message")
    return message


def _visible(message: Message) -> bool:
    return not message.deleted and MessageFlag.EPHEMERAL not in message.flags
