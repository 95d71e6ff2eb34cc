"""Routes that answer commands and buttons, and webhooks, which Discord serves under the same paths.

The answers to an interaction are messages of a webhook whose id is the application's and whose token is the
interaction's. A channel's own webhooks have ids and tokens of their own, and may sign a message with any name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.loopback.discord.channels import accessible_channel
from bot.loopback.discord.errors import DiscordError, invalid_form, unknown
from bot.loopback.discord.interactions import InteractionType, LoopbackInteraction
from bot.loopback.discord.journal import Kind
from bot.loopback.discord.posting import rewrite, store, write
from bot.loopback.discord.rest import Call, Handler
from bot.loopback.discord.stage import Stage
from bot.loopback.discord.world import Message, MessageFlag, Permission, User, Webhook, new_token

_MESSAGE, _DEFERRED_MESSAGE, _DEFERRED_UPDATE, _UPDATE, _CHOICES = 4, 5, 6, 7, 8  # types of a callback
_POSSIBLE = {
    InteractionType.COMMAND: (_MESSAGE, _DEFERRED_MESSAGE),
    InteractionType.COMPONENT: (_MESSAGE, _DEFERRED_MESSAGE, _DEFERRED_UPDATE, _UPDATE),
    InteractionType.AUTOCOMPLETE: (_CHOICES,),
}
_MOST_CHOICES, _LONGEST_CHOICE = 25, 100  # suggestions; characters of each
_MOST_WEBHOOKS = 15  # in one channel


class WebhookRoutes:
    """Answering commands, making webhooks, and writing through either."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._world = stage.world

    def routes(self) -> Mapping[str, Handler]:
        """The table of routes."""
        messages = "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"
        return {
            "POST /interactions/{interaction_id}/{interaction_token}/callback": self.callback,
            "GET /channels/{channel_id}/webhooks": self.list_webhooks,
            "POST /channels/{channel_id}/webhooks": self.create_webhook,
            "DELETE /webhooks/{webhook_id}": self.delete_webhook,
            "POST /webhooks/{webhook_id}/{webhook_token}": self.execute,
            f"GET {messages}": self.get_message,
            f"PATCH {messages}": self.edit_message,
            f"DELETE {messages}": self.delete_message,
        }

    # The first answer to a command or button

    async def callback(self, call: Call) -> object | None:
        interaction = self._stage.interactions.get(call.values["interaction_token"])
        if interaction is None or interaction.id != call.id("interaction_id"):
            raise unknown("Interaction")
        interaction.check_answerable()
        kind, data = call.form.get("type"), call.form.get("data") or {}
        if kind not in _POSSIBLE[interaction.type]:
            raise invalid_form("type", "BASE_TYPE_CHOICES", f"One of {_POSSIBLE[interaction.type]} is the answer here.")
        if kind == _CHOICES:
            interaction.choices = _checked_choices(data.get("choices") or [])
            message = None
        elif kind in (_DEFERRED_UPDATE, _UPDATE):
            message = interaction.pressed
        else:
            message = self._first_answer(interaction, kind, data, call.files)
        interaction.acknowledge(message)
        self._stage.journal.record(Kind.ACKNOWLEDGED, interaction_id=interaction.id, detail=f"/{interaction.command}")
        if kind in (_MESSAGE, _DEFERRED_MESSAGE) and message is not None:
            await self._stage.created(message)
        if kind == _UPDATE and message is not None:
            rewrite(self._world, message, data, self._stage.clock(), files=call.files)
            await self._stage.changed(message)
        return self._callback_result(interaction, message) if call.flag("with_response") else None

    def _first_answer(
        self, interaction: LoopbackInteraction, kind: int, data: dict[str, Any], files: tuple[str, ...]
    ) -> Message:
        if kind == _DEFERRED_MESSAGE:
            ephemeral = bool((data.get("flags") or 0) & MessageFlag.EPHEMERAL)
            message = interaction.deferred_message(self._world, ephemeral=ephemeral)
            store(self._world, message)
        else:
            message = self._write(interaction, data, files, place="data.")
        interaction.sign(message)
        return message

    def _callback_result(self, interaction: LoopbackInteraction, message: Message | None) -> dict[str, Any]:
        if message is None or message is interaction.pressed:
            return {"interaction": {"id": str(interaction.id), "type": int(interaction.type)}}
        about = {
            "id": str(interaction.id),
            "type": int(interaction.type),
            "response_message_id": str(message.id),
            "response_message_loading": message.loading,
            "response_message_ephemeral": MessageFlag.EPHEMERAL in message.flags,
            "channel_id": str(message.channel.id),
        }
        if message.loading:
            return {"interaction": about}
        return {
            "interaction": about,
            "resource": {"type": _MESSAGE, "message": self._world.message_payload(message)},
        }

    # Webhooks of a channel

    async def list_webhooks(self, call: Call) -> object | None:
        channel = accessible_channel(self._stage, call.id("channel_id"), Permission.MANAGE_WEBHOOKS)
        mine = [hook for hook in self._world.webhooks.values() if hook.channel is channel]
        return [hook.payload(self._world.bot) for hook in mine]

    async def create_webhook(self, call: Call) -> object | None:
        channel = accessible_channel(self._stage, call.id("channel_id"), Permission.MANAGE_WEBHOOKS)
        name = _checked_name(call.form.get("name"))
        if sum(hook.channel is channel for hook in self._world.webhooks.values()) >= _MOST_WEBHOOKS:
            raise DiscordError(400, 30007, f"Maximum number of webhooks reached ({_MOST_WEBHOOKS})")
        webhook = Webhook(self._world.snowflakes.next(), new_token(), channel, name)
        self._world.webhooks[webhook.id] = webhook
        return webhook.payload(self._world.bot)

    async def delete_webhook(self, call: Call) -> object | None:
        if self._world.webhooks.pop(call.id("webhook_id"), None) is None:
            raise unknown("Webhook")
        return None

    # Messages through either

    async def execute(self, call: Call) -> object | None:
        """More answers to a command, or a message in the name of a webhook.

        The first message after a deferral doesn't stand by itself: it becomes the deferred answer, unless that was
        deleted.
        """
        owner = self._owner(call)
        deferred = owner.original if isinstance(owner, LoopbackInteraction) else None
        if deferred is not None and deferred.loading and not deferred.deleted:
            return await self._edit(deferred, call)
        message = self._write(owner, call.form, call.files)
        if isinstance(owner, LoopbackInteraction):
            owner.sign(message)
            owner.followups.append(message)
        await self._stage.created(message)
        waits = isinstance(owner, LoopbackInteraction) or call.flag("wait")
        return self._world.message_payload(message) if waits else None

    async def get_message(self, call: Call) -> object | None:
        return self._world.message_payload(self._message(call))

    async def edit_message(self, call: Call) -> object | None:
        return await self._edit(self._message(call), call)

    async def delete_message(self, call: Call) -> object | None:
        await self._stage.delete(self._message(call))
        return None

    async def _edit(self, message: Message, call: Call) -> dict[str, Any]:
        was_loading = message.loading
        rewrite(self._world, message, call.form, self._stage.clock(), files=call.files)
        await self._stage.changed(message, was_loading=was_loading)
        return self._world.message_payload(message)

    def _write(
        self, owner: LoopbackInteraction | Webhook, form: dict[str, Any], files: tuple[str, ...], place: str = ""
    ) -> Message:
        author, now = self._world.bot, self._stage.clock()
        if isinstance(owner, Webhook):
            name = _checked_name(form.get("username") or owner.name, place="username")
            author = User(owner.id, name, name, bot=True)
        message = write(self._world, owner.channel, author, form, now, files=files, place=place)
        message.webhook_id = author.id
        return message

    def _message(self, call: Call) -> Message:
        owner, which = self._owner(call), call.values["message_id"]
        if isinstance(owner, LoopbackInteraction):
            return owner.message(which)
        message = self._world.messages.get(int(which)) if which.isdecimal() else None
        if message is None or message.webhook_id != owner.id or message.deleted:
            raise unknown("Message")
        return message

    def _owner(self, call: Call) -> LoopbackInteraction | Webhook:
        """The interaction or the webhook that a path's id and token stand for. Raises DiscordError."""
        webhook_id, token = call.id("webhook_id"), call.values["webhook_token"]
        if webhook_id == self._world.bot.id and token in self._stage.interactions:
            interaction = self._stage.interactions[token]
            interaction.check_usable()
            return interaction
        webhook = self._world.webhooks.get(webhook_id)
        if webhook is None or webhook.token != token:
            raise unknown("Webhook")
        return webhook


def _checked_choices(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Suggestions for an option: not too many, not too long. Raises DiscordError."""
    if len(choices) > _MOST_CHOICES or any(len(str(choice.get("name"))) > _LONGEST_CHOICE for choice in choices):
        raise invalid_form("data.choices", "BASE_TYPE_BAD_LENGTH", f"Must be {_MOST_CHOICES} or fewer in length.")
    return choices


def _checked_name(name: object, place: str = "name") -> str:
    """A webhook's name: 1 to 80 characters, without the words that would look official. Raises DiscordError."""
    if not isinstance(name, str) or not 1 <= len(name) <= 80:
        raise invalid_form(place, "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 80 in length.")
    for word in ("discord", "clyde"):
        if word in name.lower():
            raise invalid_form(place, "USERNAME_INVALID_CONTAINS", f'Username cannot contain "{word}"')
    return name
