"""Routes about the webhooks of channels: making, changing and deleting them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping

from bot.loopback.discord.channels import accessible_channel
from bot.loopback.discord.errors import DiscordError, invalid_form, unknown
from bot.loopback.discord.people import Permission, new_token
from bot.loopback.discord.places import Webhook
from bot.loopback.discord.rest import Call, Handler
from bot.loopback.discord.stage import Stage

_MOST_WEBHOOKS = 15  # in one channel
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,(.+)", re.DOTALL)


class WebhookRoutes:
    """A channel's own webhooks, as the bot sees them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._world = stage.world

    def routes(self) -> Mapping[str, Handler]:
        """The table of routes."""
        return {
            "GET /channels/{channel_id}/webhooks": self.list_webhooks,
            "POST /channels/{channel_id}/webhooks": self.create_webhook,
            "GET /webhooks/{webhook_id}": self.get_webhook,
            "PATCH /webhooks/{webhook_id}": self.change_webhook,
            "DELETE /webhooks/{webhook_id}": self.delete_webhook,
            "GET /webhooks/{webhook_id}/{webhook_token}": self.get_by_token,
        }

    async def list_webhooks(self, call: Call) -> object | None:
        channel = accessible_channel(self._stage, call.id("channel_id"), Permission.MANAGE_WEBHOOKS)
        mine = [hook for hook in self._world.webhooks.values() if hook.channel is channel]
        return [hook.payload(self._world.bot) for hook in mine]

    async def create_webhook(self, call: Call) -> object | None:
        channel = accessible_channel(self._stage, call.id("channel_id"), Permission.MANAGE_WEBHOOKS)
        if channel.guild_id is None or channel.thread is not None:
            raise DiscordError(400, 50024, "Cannot execute action on this channel type")
        name = checked_name(call.form.get("name"))
        if sum(hook.channel is channel for hook in self._world.webhooks.values()) >= _MOST_WEBHOOKS:
            raise DiscordError(400, 30007, f"Maximum number of webhooks reached ({_MOST_WEBHOOKS})")
        webhook = Webhook(self._world.snowflakes.next(), new_token(), channel, name)
        _dress(webhook, call.form.get("avatar"))
        self._world.webhooks[webhook.id] = webhook
        await self._stage.webhooks_changed(channel)
        return webhook.payload(self._world.bot)

    async def get_webhook(self, call: Call) -> object | None:
        return self._own(call).payload(self._world.bot)

    async def get_by_token(self, call: Call) -> object | None:
        webhook = self._world.webhooks.get(call.id("webhook_id"))
        if webhook is None or webhook.token != call.values["webhook_token"]:
            raise unknown("Webhook")
        return webhook.payload(self._world.bot, with_user=False)

    async def change_webhook(self, call: Call) -> object | None:
        """Give a webhook another name, picture or channel."""
        webhook, form = self._own(call), call.form
        name = checked_name(form["name"]) if "name" in form else webhook.name
        if form.get("channel_id") is not None:
            channel_id = int(form["channel_id"])
            webhook.channel = accessible_channel(self._stage, channel_id, Permission.MANAGE_WEBHOOKS)
        if "avatar" in form:
            _dress(webhook, form["avatar"])
        webhook.name = name
        await self._stage.webhooks_changed(webhook.channel)
        return webhook.payload(self._world.bot)

    async def delete_webhook(self, call: Call) -> object | None:
        await remove_webhook(self._stage, self._own(call))
        return None

    def _own(self, call: Call) -> Webhook:
        """A webhook that the bot may manage. Raises DiscordError."""
        webhook = self._world.webhooks.get(call.id("webhook_id"))
        if webhook is None:
            raise unknown("Webhook")
        accessible_channel(self._stage, webhook.channel.id, Permission.MANAGE_WEBHOOKS)
        return webhook


async def remove_webhook(stage: Stage, webhook: Webhook) -> None:
    """Delete a webhook, whoever does it, and tell the bot that the channel's webhooks are others now."""
    stage.world.webhooks.pop(webhook.id, None)
    await stage.webhooks_changed(webhook.channel)


def checked_name(name: object, place: str = "name") -> str:
    """A webhook's name: 1 to 80 characters, without the words that would look official. Raises DiscordError."""
    if not isinstance(name, str) or not 1 <= len(name) <= 80:
        raise invalid_form(place, "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 80 in length.")
    for word in ("discord", "clyde"):
        if word in name.lower():
            raise invalid_form(place, "USERNAME_INVALID_CONTAINS", f'Username cannot contain "{word}"')
    return name


def picture_hash(content: bytes) -> str:
    """What Discord calls a picture by."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _dress(webhook: Webhook, data_uri: object) -> None:
    """Give a webhook a picture, or with None take it away. Raises DiscordError."""
    if data_uri is None:
        webhook.avatar = webhook.picture = None
        return
    match = _PICTURE.fullmatch(data_uri) if isinstance(data_uri, str) else None
    try:
        picture = base64.b64decode(match.group(1), validate=True) if match else b""
    except binascii.Error:
        picture = b""
    if not picture:
        raise invalid_form("avatar", "IMAGE_INVALID", "Invalid image data")
    webhook.avatar, webhook.picture = picture_hash(picture), picture
