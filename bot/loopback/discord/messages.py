"""Messages of a Discord played on this machine, and the files that come with them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any

from bot.loopback.discord.people import User
from bot.loopback.discord.places import Channel


class MessageFlag(IntFlag):
    """The message flags that something here depends on, with Discord's bits."""

    NONE = 0
    SUPPRESS_EMBEDS = 1 << 2
    HAS_THREAD = 1 << 5
    EPHEMERAL = 1 << 6  # only the person who used the command sees it
    LOADING = 1 << 7  # a deferred answer: "is thinking…"
    SUPPRESS_NOTIFICATIONS = 1 << 12
    IS_COMPONENTS_V2 = 1 << 15  # all that it says stands in its components


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file as somebody sends it."""

    name: str
    content: bytes
    content_type: str = "application/octet-stream"
    description: str | None = None  # for those who don't see it


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that Discord keeps, under an id of its own."""

    id: int
    channel_id: int
    file: UploadedFile

    def payload(self, media_base: str) -> dict[str, Any]:
        """Discord's attachment object; `media_base` is where files can be downloaded."""
        url = f"{media_base}/attachments/{self.channel_id}/{self.id}/{self.file.name}"
        payload: dict[str, Any] = {
            "id": str(self.id),
            "filename": self.file.name,
            "size": len(self.file.content),
            "url": url,
            "proxy_url": url,
            "content_type": self.file.content_type,
        }
        if self.file.description is not None:
            payload["description"] = self.file.description
        return payload | _extent(self.file.content)


def _extent(content: bytes) -> dict[str, int]:
    """Width and height in pixels; nothing unless it is a PNG."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n") or len(content) < 24:
        return {}
    width, height = struct.unpack(">II", content[16:24])
    return {"width": width, "height": height}


@dataclass(slots=True, eq=False)
class Message:
    """A message, with everything that it said before it was edited."""

    id: int
    channel: Channel
    author: User
    content: str
    created: float  # seconds since the epoch
    edited: float | None = None  # seconds since the epoch of the last edit
    deleted: bool = False
    mentions: tuple[User, ...] = ()  # the people it pings, a replied-to author included
    replies_to: int | None = None  # the id of the message that it is a reply to
    flags: MessageFlag = MessageFlag.NONE
    embeds: list[dict[str, Any]] = field(default_factory=list)
    components: list[dict[str, Any]] = field(default_factory=list)
    attachments: tuple[Attachment, ...] = ()  # the files that came with it
    nonce: str | int | None = None  # given by the sender, to recognise its own message
    webhook_id: int | None = None  # the webhook, or for an answer to a command the application
    interaction: dict[str, Any] | None = None  # who used which command, as JSON, for an answer to a command
    avatar_url: str | None = None  # the picture that a webhook was told to sign with
    pings_everyone: bool = False
    reactions: dict[str, list[int]] = field(default_factory=dict)  # who reacted, by emoji
    history: list[str] = field(default_factory=list)  # earlier contents, oldest first

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that came with it."""
        return tuple(attachment.file.name for attachment in self.attachments)

    @property
    def loading(self) -> bool:
        """Whether this is a deferred answer that doesn't say anything yet."""
        return MessageFlag.LOADING in self.flags

    def is_reply_by(self, user: User, message_id: int) -> bool:
        """Whether `user` wrote it as a reply to the message with this id."""
        return self.author.id == user.id and self.replies_to == message_id
