"""What every route needs: the world, the journal, the gateway and the clock, and the ways a message becomes known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.loopback.discord.errors import missing_access
from bot.loopback.discord.gateway import Gateway
from bot.loopback.discord.interactions import LoopbackInteraction
from bot.loopback.discord.journal import Journal, Kind
from bot.loopback.discord.messages import Message, MessageFlag
from bot.loopback.discord.places import Channel, Guild
from bot.loopback.discord.sessions import Intent
from bot.loopback.discord.world import World, without_content


@dataclass(frozen=True, slots=True)
class Stage:
    """The parts of the server that the routes share."""

    world: World
    journal: Journal
    gateway: Gateway
    clock: Callable[[], float]  # seconds since the epoch
    reads_all: bool = False  # whether the application has the message-content intent
    keeps: int = 10_000  # interactions that are remembered
    interactions: dict[str, LoopbackInteraction] = field(default_factory=dict)  # by token

    def remember(self, interaction: LoopbackInteraction) -> None:
        """Keep an interaction for the bot's answers, and forget the oldest when there are too many."""
        self.interactions[interaction.token] = interaction
        while len(self.interactions) > self.keeps:
            del self.interactions[next(iter(self.interactions))]

    def guild(self, guild_id: int) -> Guild:
        """The guild with this id, if the bot is in it. Raises DiscordError."""
        guild = self.world.guilds.get(guild_id)
        if guild is None or self.world.bot.id not in guild.members:
            raise missing_access()
        return guild

    def shown(self, message: Message) -> dict[str, Any]:
        """A message as the bot may see it when it asks for it."""
        payload = self.world.message_payload(message)
        readable = self.reads_all or message.channel.guild_id is None
        return payload if readable else without_content(payload, self.world.bot)

    async def created(self, message: Message) -> None:
        """Make a new message known. A deferred answer is news to the gateway only: there is nothing to read yet."""
        if not message.loading:
            self.journal.record(Kind.CREATED, message=message, detail=f"by {message.author.username}")
        thread = message.channel.thread
        if thread is not None and thread.archived:
            thread.archived, thread.archived_at = False, self.clock()
            await self.thread_changed("THREAD_UPDATE", message.channel)
        await self.publish("MESSAGE_CREATE", message)

    async def thread_changed(self, event: str, channel: Channel) -> None:
        """Make known that a thread was begun or changed; `event` is "THREAD_CREATE" or "THREAD_UPDATE"."""
        self.journal.record(Kind.THREADED, detail=f"{event} {channel.name}")
        data = channel.payload(self.world.bot)
        data |= {"newly_created": True} if event == "THREAD_CREATE" else {}
        await self.gateway.publish(event, data, intent=Intent.GUILDS, guild_id=channel.guild_id)

    async def webhooks_changed(self, channel: Channel) -> None:
        """Make known that a channel's webhooks are others now."""
        data = {"guild_id": str(channel.guild_id), "channel_id": str(channel.id)}
        await self.gateway.publish("WEBHOOKS_UPDATE", data, intent=Intent.GUILD_WEBHOOKS, guild_id=channel.guild_id)

    async def changed(self, message: Message, *, was_loading: bool = False) -> None:
        """Make an edit known; the first content of a deferred answer counts as a new message."""
        self.journal.record(Kind.CREATED if was_loading else Kind.EDITED, message=message)
        await self.publish("MESSAGE_UPDATE", message)

    async def delete(self, message: Message) -> None:
        """Delete a message and make it known."""
        message.deleted = True
        self.journal.record(Kind.DELETED, message=message)
        guild_id = message.channel.guild_id
        data = {"id": str(message.id), "channel_id": str(message.channel.id)}
        data |= {} if guild_id is None else {"guild_id": str(guild_id)}
        intent = Intent.DIRECT_MESSAGES if guild_id is None else Intent.GUILD_MESSAGES
        await self.gateway.publish("MESSAGE_DELETE", data, intent=intent, guild_id=guild_id)

    async def publish(self, event: str, message: Message) -> None:
        """Tell the gateway about a message, unless only one person sees it."""
        if MessageFlag.EPHEMERAL not in message.flags:
            await self.gateway.publish_message(event, message)
