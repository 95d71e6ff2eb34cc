"""What every route needs: the world, the journal, the gateway and the clock, and the ways a message becomes known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bot.loopback.discord.gateway import Gateway, Intent
from bot.loopback.discord.interactions import LoopbackInteraction
from bot.loopback.discord.journal import Journal, Kind
from bot.loopback.discord.world import Message, MessageFlag, World


@dataclass(frozen=True, slots=True)
class Stage:
    """The parts of the server that the routes share."""

    world: World
    journal: Journal
    gateway: Gateway
    clock: Callable[[], float]  # seconds since the epoch
    interactions: dict[str, LoopbackInteraction] = field(default_factory=dict)  # by token

    async def created(self, message: Message) -> None:
        """Make a new message known. A deferred answer is news to the gateway only: there is nothing to read yet."""
        if not message.loading:
            self.journal.record(Kind.CREATED, message=message, detail=f"by {message.author.username}")
        await self._publish("MESSAGE_CREATE", message)

    async def changed(self, message: Message, *, was_loading: bool = False) -> None:
        """Make an edit known; the first content of a deferred answer counts as a new message."""
        self.journal.record(Kind.CREATED if was_loading else Kind.EDITED, message=message)
        await self._publish("MESSAGE_UPDATE", message)

    async def delete(self, message: Message) -> None:
        """Delete a message and make it known."""
        message.deleted = True
        self.journal.record(Kind.DELETED, message=message)
        guild_id = message.channel.guild_id
        data = {"id": str(message.id), "channel_id": str(message.channel.id)}
        data |= {} if guild_id is None else {"guild_id": str(guild_id)}
        intent = Intent.DIRECT_MESSAGES if guild_id is None else Intent.GUILD_MESSAGES
        await self.gateway.publish("MESSAGE_DELETE", data, intent=intent, guild_id=guild_id)

    async def _publish(self, event: str, message: Message) -> None:
        if MessageFlag.EPHEMERAL not in message.flags:
            await self.gateway.publish_message(event, message)
