"""The people of a loopback Discord: what they say, press, choose and fill in, and what they do to guilds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.loopback.discord.commands import command_data, target_data, typing_data
from bot.loopback.discord.components import button_data, choice_data
from bot.loopback.discord.guilds import delete_channel, join, part
from bot.loopback.discord.interactions import InteractionType, LoopbackInteraction
from bot.loopback.discord.journal import Journal, Kind
from bot.loopback.discord.messages import Message
from bot.loopback.discord.modals import Values, submission_data
from bot.loopback.discord.people import Permission, Role, User, new_token
from bot.loopback.discord.places import Channel, Guild, Webhook
from bot.loopback.discord.posting import write
from bot.loopback.discord.reactions import react
from bot.loopback.discord.sessions import Intent
from bot.loopback.discord.stage import Stage
from bot.loopback.discord.webhooks import remove_webhook
from bot.loopback.discord.world import World


class Crowd:
    """What a server lets its users be: the people in its world."""

    _stage: Stage
    world: World
    journal: Journal

    # Writing

    async def say(
        self,
        channel: Channel,
        author: User,
        content: str,
        *,
        mentions_bot: bool = True,
        reply_to: int | None = None,
        ping: bool = True,
    ) -> int:
        """Write a message as a person; its id.

        In a guild the text starts with a mention of the bot unless `mentions_bot` is false. `reply_to` makes it a
        reply to the message with that id, which pings that message's author unless `ping` is false.
        """
        if mentions_bot and channel.guild_id is not None:
            content = f"{self.world.bot.mention} {content}"
        form: dict[str, Any] = {"content": content}
        form["allowed_mentions"] = {"parse": ["users"], "replied_user": ping}
        if reply_to is not None:
            form["message_reference"] = {"message_id": str(reply_to)}
        message = write(self.world, channel, author, form, self._stage.clock())
        await self._stage.created(message)
        return message.id

    async def redeliver(self, message_id: int) -> None:
        """Tell the bot about a message once more, as happens after a reconnect at a bad moment."""
        await self._stage.gateway.publish_message("MESSAGE_CREATE", self.world.messages[message_id])

    async def react(self, message: Message, user: User, emoji: str, *, remove: bool = False) -> None:
        """React to a message as a person with a character or "name:id", or with `remove` take that back."""
        await react(self._stage, message, user, emoji, remove=remove)

    async def delete(self, message: Message) -> None:
        """Delete a message as a person."""
        await self._stage.delete(message)

    # Using what the bot offers

    async def slash(
        self, channel: Channel, user: User, command: str, options: Mapping[str, Any] | None = None
    ) -> LoopbackInteraction:
        """Use a command as a person: "tweet", or "queue approve" for a subcommand, with its options by name.

        A value may be an `UploadedFile`, a `User`, a `Role` or a `Channel`. Raises LookupError when the bot hasn't
        registered the command, or not with these options, or not for such a place, and PermissionError when the user
        may not use it there.
        """
        data = command_data(self.world, channel, user, command, options or {})
        return await self._invoke(channel, user, command, data, InteractionType.COMMAND)

    async def use_on(self, message: Message, user: User, command: str) -> LoopbackInteraction:
        """Use a command in the menu of a message. Raises LookupError and PermissionError as `slash` does."""
        data = target_data(self.world, message, user, command)
        return await self._invoke(message.channel, user, command, data, InteractionType.COMMAND)

    async def press(self, message: Message, user: User, label: str) -> LoopbackInteraction:
        """Press the button with that label under a message. Raises LookupError when there is none."""
        data = button_data(message, label)
        custom_id = str(data["custom_id"])
        return await self._invoke(message.channel, user, custom_id, data, InteractionType.COMPONENT, message)

    async def choose(self, message: Message, user: User, menu: str, values: Sequence[str]) -> LoopbackInteraction:
        """Choose from the select menu with that custom id or placeholder under a message.

        Raises LookupError when there is no such menu or option, and ValueError for too many options or too few.
        """
        data = choice_data(message, menu, values)
        custom_id = str(data["custom_id"])
        return await self._invoke(message.channel, user, custom_id, data, InteractionType.COMPONENT, message)

    async def submit(self, interaction: LoopbackInteraction, values: Values) -> LoopbackInteraction:
        """Fill in the form that the bot showed as its answer to an interaction, by custom id.

        Raises LookupError when there is no such form or field, or when a required field is left empty, and ValueError
        for what a field doesn't take.
        """
        if interaction.modal is None:
            raise LookupError(f"the answer to /{interaction.command} was no form")
        data = submission_data(interaction.modal, values)
        place, name, kind = interaction.channel, str(data["custom_id"]), InteractionType.MODAL
        pressed = interaction.pressed
        return await self._invoke(place, interaction.user, name, data, kind, pressed, shown_by=interaction)

    async def type_option(
        self, channel: Channel, user: User, command: str, option: str, typed: str, within: float = 10.0
    ) -> list[str]:
        """Type the beginning of a command's option; the values that the bot suggests. Raises TimeoutError."""
        data = typing_data(self.world, channel, user, command, option, typed)
        interaction = await self._invoke(channel, user, command, data, InteractionType.AUTOCOMPLETE)
        await interaction.acknowledged(within)
        return [str(choice["value"]) for choice in interaction.choices or []]

    async def _invoke(
        self,
        channel: Channel,
        user: User,
        command: str,
        data: dict[str, Any],
        kind: InteractionType,
        pressed: Message | None = None,
        shown_by: LoopbackInteraction | None = None,
    ) -> LoopbackInteraction:
        clock = self._stage.clock
        interaction = LoopbackInteraction(
            self.world.snowflakes.next(),
            new_token(),
            user,
            channel,
            command,
            data,
            clock(),
            clock,
            self.journal,
            type=kind,
            pressed=pressed,
            shown_by=shown_by,
        )
        self._stage.remember(interaction)
        self.journal.record(Kind.INVOKED, interaction_id=interaction.id, detail=f"/{command} by {user.username}")
        await self._stage.gateway.publish(
            "INTERACTION_CREATE", interaction.event(self.world), intent=Intent.NONE, guild_id=channel.guild_id
        )
        return interaction

    # Owning guilds

    async def join(self, guild: Guild) -> None:
        """Invite the bot into a guild of the world, such as a new one, and tell it if it is connected."""
        await join(self._stage, guild)

    async def kick(self, guild: Guild) -> None:
        """Throw the bot out of a guild."""
        await part(self._stage, guild)

    async def delete_channel(self, channel: Channel) -> None:
        """Delete a channel with all that is in it."""
        await delete_channel(self._stage, channel)

    async def remove_webhook(self, webhook: Webhook) -> None:
        """Delete a webhook behind the bot's back."""
        await remove_webhook(self._stage, webhook)

    async def give_role(self, guild: Guild, user: User, name: str, permissions: Permission = Permission.NONE) -> Role:
        """Give a member the role with this name, made if need be, and tell the bot of the role."""
        known = {role.id for role in guild.roles}
        role = self.world.give_role(guild, user, name, permissions)
        if role.id not in known:
            data = {"guild_id": str(guild.id), "role": role.payload()}
            await self._stage.gateway.publish("GUILD_ROLE_CREATE", data, intent=Intent.GUILDS, guild_id=guild.id)
        return role
