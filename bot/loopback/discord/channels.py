"""Routes about channels and the messages in them."""

from __future__ import annotations

from collections.abc import Mapping

from bot.loopback.discord.errors import missing_access, missing_permissions, not_the_author, unknown
from bot.loopback.discord.journal import Kind
from bot.loopback.discord.posting import rewrite, same_nonce, write
from bot.loopback.discord.rest import Call, Handler
from bot.loopback.discord.stage import Stage
from bot.loopback.discord.world import Channel, Message, MessageFlag, Permission


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
        visible = [m for m in self._world.messages.values() if m.channel is channel and _visible(m)]
        if "around" in bounds:
            visible.sort(key=lambda m: abs(m.id - bounds["around"]))
        elif "after" in bounds:
            visible = [m for m in visible if m.id > bounds["after"]]
        else:
            visible = [m for m in visible if m.id < bounds.get("before", 1 << 64)][-limit:]
        newest_first = sorted(visible[:limit], key=lambda m: m.id, reverse=True)
        return [self._world.message_payload(message) for message in newest_first]

    async def create_message(self, call: Call) -> object | None:
        channel = self._channel(call, Permission.SEND_MESSAGES)
        if call.files:
            self._channel(call, Permission.ATTACH_FILES)
        bot = self._world.bot
        message = same_nonce(self._world, channel, bot, call.form)
        if message is None:
            message = write(self._world, channel, bot, call.form, self._stage.clock(), files=call.files)
            await self._stage.created(message)
        return self._world.message_payload(message)

    async def get_message(self, call: Call) -> object | None:
        return self._world.message_payload(self._message(call))

    async def edit_message(self, call: Call) -> object | None:
        message = self._message(call)
        if message.author.id != self._world.bot.id:
            raise not_the_author()
        if call.files:
            self._channel(call, Permission.ATTACH_FILES)
        rewrite(self._world, message, call.form, self._stage.clock(), files=call.files)
        await self._stage.changed(message)
        return self._world.message_payload(message)

    async def delete_message(self, call: Call) -> object | None:
        message = self._message(call)
        if message.author.id != self._world.bot.id:
            self._channel(call, Permission.MANAGE_MESSAGES)
        await self._stage.delete(message)
        return None

    def _channel(self, call: Call, needed: Permission) -> Channel:
        return accessible_channel(self._stage, call.id("channel_id"), needed)

    def _message(self, call: Call) -> Message:
        channel = self._channel(call, Permission.NONE)
        message = self._world.messages.get(call.id("message_id"))
        if message is None or message.channel is not channel or not _visible(message):
            raise unknown("Message")
        return message


def accessible_channel(stage: Stage, channel_id: int, needed: Permission) -> Channel:
    """The channel with this id, where the bot may do what is `needed`. Raises DiscordError."""
    channel = stage.world.channels.get(channel_id)
    if channel is None:
        raise unknown("Channel")
    guild = stage.world.guild_of(channel)
    if guild is not None:
        held = guild.permissions_of(stage.world.bot.id, channel, stage.world.bot.id)
        if Permission.VIEW_CHANNEL not in held:
            raise missing_access()
        if needed not in held:
            raise missing_permissions()
    return channel


def _visible(message: Message) -> bool:
    return not message.deleted and MessageFlag.EPHEMERAL not in message.flags
