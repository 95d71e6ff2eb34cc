"""Routes about threads: conversations beside a channel, which are channels themselves."""

from __future__ import annotations

from collections.abc import Mapping

from bot.loopback.discord.channels import accessible_channel, visible_message
from bot.loopback.discord.errors import (
    DiscordError,
    archived_thread,
    invalid_form,
    missing_permissions,
    thread_exists,
)
from bot.loopback.discord.messages import MessageFlag
from bot.loopback.discord.people import Permission
from bot.loopback.discord.places import Channel, ChannelType, Thread
from bot.loopback.discord.rest import Call, Handler
from bot.loopback.discord.stage import Stage

_LONGEST_NAME = 100  # characters
_AUTO_ARCHIVE_MINUTES = (60, 1440, 4320, 10080)


class ThreadRoutes:
    """Beginning threads as the bot, and changing them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._world = stage.world

    def routes(self) -> Mapping[str, Handler]:
        """The table of routes."""
        return {
            "POST /channels/{channel_id}/threads": self.begin,
            "POST /channels/{channel_id}/messages/{message_id}/threads": self.begin_at_message,
            "PATCH /channels/{channel_id}": self.change,
            "PUT /channels/{channel_id}/thread-members/@me": self.join,
            "GET /guilds/{guild_id}/threads/active": self.list_active,
        }

    async def begin(self, call: Call) -> object | None:
        """A thread that no message is the beginning of: a private one, unless told otherwise."""
        kind = call.form.get("type", ChannelType.PRIVATE_THREAD)
        if kind not in (ChannelType.PUBLIC_THREAD, ChannelType.PRIVATE_THREAD):
            raise invalid_form("type", "BASE_TYPE_CHOICES", "Value must be one of (11, 12).")
        public = kind == ChannelType.PUBLIC_THREAD
        needed = Permission.CREATE_PUBLIC_THREADS if public else Permission.CREATE_PRIVATE_THREADS
        channel = self._parent(call, needed)
        return await self._begin(call, channel, self._world.snowflakes.next(), ChannelType(kind))

    async def begin_at_message(self, call: Call) -> object | None:
        """A thread about a message, whose id it shares."""
        channel = self._parent(call, Permission.CREATE_PUBLIC_THREADS)
        message = visible_message(self._stage, channel, call.id("message_id"))
        if message.id in self._world.channels:
            raise thread_exists()
        thread = await self._begin(call, channel, message.id, ChannelType.PUBLIC_THREAD)
        message.flags |= MessageFlag.HAS_THREAD
        await self._stage.publish("MESSAGE_UPDATE", message)
        return thread

    async def change(self, call: Call) -> object | None:
        """Rename a thread, archive it or lock it; renaming a channel works, too."""
        channel = accessible_channel(self._stage, call.id("channel_id"), Permission.NONE)
        if channel.thread is None:
            accessible_channel(self._stage, channel.id, Permission.MANAGE_CHANNELS)
            channel.name = call.form.get("name") or channel.name
            return channel.payload(self._world.bot)
        self._check_change(call, channel, channel.thread)
        self._change(call, channel, channel.thread)
        await self._stage.thread_changed("THREAD_UPDATE", channel)
        return channel.payload(self._world.bot)

    async def join(self, call: Call) -> object | None:
        accessible_channel(self._stage, call.id("channel_id"), Permission.NONE)
        return None

    async def list_active(self, call: Call) -> object | None:
        guild = self._stage.guild(call.id("guild_id"))
        threads = [thread.payload(self._world.bot) for thread in self._world.active_threads(guild)]
        return {"threads": threads, "members": [], "has_more": False}

    def _parent(self, call: Call, needed: Permission) -> Channel:
        channel = accessible_channel(self._stage, call.id("channel_id"), needed)
        if channel.guild_id is None or channel.thread is not None:
            raise DiscordError(400, 50024, "Cannot execute action on this channel type")
        return channel

    async def _begin(self, call: Call, parent: Channel, thread_id: int, kind: ChannelType) -> object:
        name, minutes = _checked_name(call.form.get("name")), _checked_minutes(call)
        now = self._stage.clock()
        thread = Thread(parent, kind, self._world.bot.id, now, now, auto_archive_minutes=minutes or 1440)
        channel = Channel(thread_id, name, parent.guild_id, thread=thread)
        self._world.channels[thread_id] = channel
        await self._stage.thread_changed("THREAD_CREATE", channel)
        return channel.payload(self._world.bot)

    def _check_change(self, call: Call, channel: Channel, thread: Thread) -> None:
        """Who began a thread may rename it and archive it; locking it takes a permission. Raises DiscordError."""
        own = thread.owner_id == self._world.bot.id
        if not own or call.form.get("locked") is not None:
            accessible_channel(self._stage, channel.id, Permission.MANAGE_THREADS)
        if thread.archived and call.form.get("archived") is not False:
            raise archived_thread()
        if thread.locked and call.form.get("archived") is False and not self._may_manage(channel):
            raise missing_permissions()

    def _may_manage(self, channel: Channel) -> bool:
        guild, bot = self._world.guild_of(channel), self._world.bot.id
        return guild is not None and Permission.MANAGE_THREADS in guild.permissions_of(bot, channel, bot)

    def _change(self, call: Call, channel: Channel, thread: Thread) -> None:
        form = call.form
        if "name" in form:
            channel.name = _checked_name(form["name"])
        thread.auto_archive_minutes = _checked_minutes(call) or thread.auto_archive_minutes
        thread.locked = thread.locked if form.get("locked") is None else bool(form["locked"])
        if form.get("archived") is not None and form["archived"] != thread.archived:
            thread.archived, thread.archived_at = bool(form["archived"]), self._stage.clock()


def _checked_name(name: object) -> str:
    """A thread's name: 1 to 100 characters. Raises DiscordError."""
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= _LONGEST_NAME:
        raise invalid_form("name", "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {_LONGEST_NAME} in length.")
    return name.strip()


def _checked_minutes(call: Call) -> int | None:
    """After how many quiet minutes a thread is archived; None unless the form says so. Raises DiscordError."""
    minutes = call.form.get("auto_archive_duration")
    if minutes is not None and minutes not in _AUTO_ARCHIVE_MINUTES:
        raise invalid_form("auto_archive_duration", "BASE_TYPE_CHOICES", f"One of {_AUTO_ARCHIVE_MINUTES}.")
    return None if minutes is None else int(minutes)
