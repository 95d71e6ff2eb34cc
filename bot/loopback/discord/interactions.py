"""A person's use of a command, a button, a menu or a form, and the rules for answering it.

Discord's rules, none of which its OpenAPI document mentions: an interaction is acknowledged within 3 seconds and once;
its token then serves for 15 minutes to edit the answer and to add more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from bot.loopback.discord.errors import already_acknowledged, expired_token, unknown
from bot.loopback.discord.journal import Journal
from bot.loopback.discord.messages import Message, MessageFlag
from bot.loopback.discord.people import Permission, User
from bot.loopback.discord.places import Channel
from bot.loopback.discord.world import World

ACKNOWLEDGE_WITHIN = 3.0  # seconds
TOKEN_LIVES = 15 * 60.0  # seconds


class InteractionType(IntEnum):
    """What a person did, with Discord's numbers."""

    COMMAND = 2  # used a command
    COMPONENT = 3  # pressed a button, or chose from a menu
    AUTOCOMPLETE = 4  # is still typing an option of a command
    MODAL = 5  # filled in a form


@dataclass(slots=True, eq=False)
class LoopbackInteraction:
    """One use of a command, a button, a menu or a form, with the bot's answers as they come."""

    id: int
    token: str
    user: User
    channel: Channel
    command: str  # the full name, such as "tweet" or "queue approve"; for the others its custom id
    data: dict[str, Any]  # the command and its options, or the like, as Discord writes them
    created: float  # seconds since the epoch
    clock: Callable[[], float]  # gives seconds since the epoch
    journal: Journal
    acknowledged_at: float | None = None  # seconds since the epoch; None until then
    original: Message | None = None  # the first answer; a deferred one is there at once and loading
    followups: list[Message] = field(default_factory=list)
    type: InteractionType = InteractionType.COMMAND
    pressed: Message | None = None  # the message under which the button stands, or whose button the form came from
    choices: list[dict[str, Any]] | None = None  # the bot's suggestions for the option being typed
    modal: dict[str, Any] | None = None  # the form that the bot showed as its answer
    shown_by: LoopbackInteraction | None = None  # whose answer the form was that is filled in here

    # What a person sees

    async def acknowledged(self, within: float) -> float:
        """Wait until the bot has answered or deferred; the seconds that it took. Raises TimeoutError."""
        at = await self.journal.until(lambda: self.acknowledged_at, within, f"acknowledging /{self.command}", self.id)
        return at - self.created

    async def answered(self, within: float) -> Message:
        """Wait for the first answer that says something, and return it. Raises TimeoutError."""

        def answer() -> Message | None:
            return None if self.original is None or self.original.loading else self.original

        return await self.journal.until(answer, within, f"an answer to /{self.command}", self.id)

    async def followed_up(self, within: float, count: int = 1) -> list[Message]:
        """Wait until there are `count` messages after the first answer, and return them. Raises TimeoutError."""

        def enough() -> list[Message] | None:
            return self.followups if len(self.followups) >= count else None

        return list(await self.journal.until(enough, within, f"{count} more messages about /{self.command}", self.id))

    # What Discord checks

    def check_answerable(self) -> None:
        """Raises DiscordError when it is too late for a first answer, or when there is one."""
        if self.acknowledged_at is not None:
            raise already_acknowledged()
        if self.clock() - self.created > ACKNOWLEDGE_WITHIN:
            raise unknown("Interaction")

    def acknowledge(self, original: Message | None) -> None:
        """Note the first answer, which may be a deferred one, or for a button the message that it stands under."""
        self.original = original
        self.acknowledged_at = self.clock()

    def check_usable(self) -> None:
        """Raises DiscordError unless the token serves: after the acknowledgement and for 15 minutes."""
        if self.acknowledged_at is None:
            raise unknown("Webhook")
        if self.clock() - self.created > TOKEN_LIVES:
            raise expired_token()

    def message(self, which: str) -> Message:
        """The answer named in a path: "@original" or a message id. Raises DiscordError if there is none."""
        for message in [self.original, *self.followups]:
            if message is not None and not message.deleted and which in ("@original", str(message.id)):
                return message
        raise unknown("Message")

    def deferred_message(self, world: World, *, ephemeral: bool) -> Message:
        """The answer that says nothing yet: "Mockingbird is thinking…"."""
        flags = MessageFlag.LOADING | (MessageFlag.EPHEMERAL if ephemeral else MessageFlag.NONE)
        return Message(world.snowflakes.next(), self.channel, world.bot, "", self.clock(), flags=flags)

    def sign(self, message: Message) -> None:
        """Write on an answer which command it answers, and that it came by the application's webhook."""
        message.webhook_id = message.author.id
        message.interaction = self._metadata()

    def _metadata(self) -> dict[str, Any]:
        if self.shown_by is not None:
            what: dict[str, Any] = {"triggering_interaction_metadata": self.shown_by._metadata()}
        elif self.pressed is not None:
            what = {"interacted_message_id": str(self.pressed.id)}
        else:
            what = {"name": self.command}
            what |= {"target_message_id": self.data["target_id"]} if "target_id" in self.data else {}
        return what | {
            "id": str(self.id),
            "type": int(self.type),
            "user": self.user.payload(),
            "authorizing_integration_owners": {"0": str(self.channel.guild_id or 0)},
        }

    def event(self, world: World) -> dict[str, Any]:
        """The data of the INTERACTION_CREATE event."""
        guild = world.guild_of(self.channel)
        event: dict[str, Any] = {
            "id": str(self.id),
            "application_id": str(world.bot.id),
            "type": int(self.type),
            "version": 1,
            "token": self.token,
            "data": self.data,
            "channel_id": str(self.channel.id),
            "channel": self.channel.payload(world.bot),
            "locale": "en-US",
            "entitlements": [],
            "attachment_size_limit": 10 * 1024 * 1024,
            "authorizing_integration_owners": {"0": str(self.channel.guild_id or 0)},
            "context": 1 if guild is None else 0,
        }
        if self.pressed is not None:
            event["message"] = world.message_payload(self.pressed)
        if guild is None:
            return event | {"user": self.user.payload(), "app_permissions": str(int(Permission.SEND_MESSAGES))}
        held, own = (guild.permissions_of(who, self.channel, world.bot.id) for who in (self.user.id, world.bot.id))
        event["channel"]["permissions"] = str(int(held))
        return event | {
            "guild_id": str(guild.id),
            "guild": {"id": str(guild.id), "locale": "en-US", "features": []},
            "guild_locale": "en-US",
            "member": guild.members[self.user.id].payload() | {"permissions": str(int(held))},
            "app_permissions": str(int(own)),
        }
