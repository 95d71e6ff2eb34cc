"""Routes for messages that come by a webhook: in its name, or as more answers to an interaction.

The answers to an interaction are messages of a webhook whose id is the application's and whose token is the
interaction's. A channel's own webhooks have ids and tokens of their own, and may sign a message with any name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.loopback.discord.errors import invalid_form, unknown
from bot.loopback.discord.interactions import LoopbackInteraction
from bot.loopback.discord.messages import Message
from bot.loopback.discord.people import User
from bot.loopback.discord.places import Channel, Webhook
from bot.loopback.discord.posting import rewrite, write
from bot.loopback.discord.rest import Call, Handler
from bot.loopback.discord.stage import Stage
from bot.loopback.discord.webhooks import checked_name, picture_hash


class WebhookMessageRoutes:
    """Writing by a webhook, and changing what was written."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._world = stage.world

    def routes(self) -> Mapping[str, Handler]:
        """The table of routes."""
        messages = "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"
        return {
            "POST /webhooks/{webhook_id}/{webhook_token}": self.execute,
            f"GET {messages}": self.get_message,
            f"PATCH {messages}": self.edit_message,
            f"DELETE {messages}": self.delete_message,
        }

    async def execute(self, call: Call) -> object | None:
        """More answers to a command, or a message in the name of a webhook.

        The first message after a deferral doesn't stand by itself: it becomes the deferred answer, unless that was
        deleted.
        """
        owner = self._owner(call)
        if isinstance(owner, Webhook):
            message = self._write_as(owner, call)
            await self._stage.created(message)
            return self._world.message_payload(message) if call.flag("wait") else None
        deferred = owner.original
        if deferred is not None and deferred.loading and not deferred.deleted:
            return await self._edit(deferred, call)
        bot, now = self._world.bot, self._stage.clock()
        message = write(self._world, owner.channel, bot, call.form, now, files=call.files)
        owner.sign(message)
        owner.followups.append(message)
        await self._stage.created(message)
        return self._world.message_payload(message)

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

    def _write_as(self, webhook: Webhook, call: Call) -> Message:
        form = call.form
        name = checked_name(form.get("username") or webhook.name, place="username")
        url = _checked_url(form.get("avatar_url"))
        avatar = webhook.avatar if url is None else picture_hash(url.encode())
        author = User(webhook.id, name, name, bot=True, avatar=avatar)
        place, now = self._place(webhook, call), self._stage.clock()
        message = write(self._world, place, author, form, now, files=call.files)
        message.webhook_id, message.avatar_url = webhook.id, url
        return message

    def _place(self, webhook: Webhook, call: Call) -> Channel:
        """Where a webhook's message stands: in its channel, or in the thread of it that the call names."""
        if "thread_id" not in call.query:
            return webhook.channel
        thread_id = call.query["thread_id"][0]
        thread = self._world.channels.get(int(thread_id)) if thread_id.isdecimal() else None
        if thread is None or thread.thread is None or thread.webhooks_at is not webhook.channel:
            raise unknown("Channel")
        return thread

    def _message(self, call: Call) -> Message:
        owner, which = self._owner(call), call.values["message_id"]
        if isinstance(owner, LoopbackInteraction):
            return owner.message(which)
        message = self._world.messages.get(int(which)) if which.isdecimal() else None
        if message is None or message.webhook_id != owner.id or message.deleted:
            raise unknown("Message")
        if message.channel is not self._place(owner, call):
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


def _checked_url(url: object) -> str | None:
    """Where a picture is. Raises DiscordError."""
    if url is None or url == "":
        return None
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise invalid_form("avatar_url", "URL_TYPE_INVALID_SCHEME", "Scheme must be one of ('http', 'https').")
    return url
