"""People of a Discord played on this machine, what they may do, and how Discord writes them as JSON.

Ids are integers here and strings in JSON, as Discord writes them.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntFlag
from typing import Any


class Permission(IntFlag):
    """The permissions that something here depends on, with Discord's bits."""

    NONE = 0
    KICK_MEMBERS = 1 << 1
    BAN_MEMBERS = 1 << 2
    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    MANAGE_ROLES = 1 << 28
    MANAGE_WEBHOOKS = 1 << 29
    USE_APPLICATION_COMMANDS = 1 << 31
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    SEND_MESSAGES_IN_THREADS = 1 << 38
    MODERATE_MEMBERS = 1 << 40


EVERYTHING = Permission((1 << 51) - 1)  # what owners and administrators may do

ORDINARY = (
    Permission.ADD_REACTIONS
    | Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.USE_APPLICATION_COMMANDS
    | Permission.CREATE_PUBLIC_THREADS
    | Permission.SEND_MESSAGES_IN_THREADS
)


@dataclass(frozen=True, slots=True)
class User:
    """A person, a bot, or the face of a webhook's message."""

    id: int
    username: str  # the unique name, lower case
    display_name: str
    bot: bool = False
    avatar: str | None = None  # the hash of a picture

    @property
    def mention(self) -> str:
        """The text that pings the user."""
        return f"<@{self.id}>"

    def payload(self) -> dict[str, Any]:
        """Discord's user object."""
        return {
            "id": str(self.id),
            "username": self.username,
            "global_name": None if self.bot else self.display_name,
            "discriminator": "0000" if self.bot else "0",
            "avatar": self.avatar,
            "bot": self.bot,
            "flags": 0,
            "public_flags": 0,
            "primary_guild": None,
        }


@dataclass(frozen=True, slots=True)
class Role:
    """A role of a guild. The one whose id is the guild's is @everyone."""

    id: int
    name: str
    permissions: Permission
    position: int = 0  # a higher role stands above

    def payload(self) -> dict[str, Any]:
        """Discord's role object."""
        return {
            "id": str(self.id),
            "name": self.name,
            "permissions": str(int(self.permissions)),
            "position": self.position,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": False,
            "mentionable": False,
            "icon": None,
            "unicode_emoji": None,
            "flags": 0,
        }


@dataclass(frozen=True, slots=True)
class Member:
    """A user in a guild."""

    user: User
    joined: float  # seconds since the epoch
    roles: tuple[Role, ...] = ()  # without @everyone

    def payload(self, *, with_user: bool = True) -> dict[str, Any]:
        """Discord's member object; a message carries it without the user, who stands beside it."""
        payload: dict[str, Any] = {
            "nick": None,
            "avatar": None,
            "banner": None,
            "roles": [str(role.id) for role in self.roles],
            "joined_at": timestamp(self.joined),
            "premium_since": None,
            "communication_disabled_until": None,
            "pending": False,
            "deaf": False,
            "mute": False,
            "flags": 0,
        }
        return payload | {"user": self.user.payload()} if with_user else payload


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as Discord writes a time: ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def new_token() -> str:
    """A secret for a webhook, an interaction or a session."""
    return secrets.token_urlsafe(48)
