"""Places of a Discord played on this machine: guilds, channels, threads and webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from bot.loopback.discord.people import EVERYTHING, Member, Permission, Role, User, timestamp


class ChannelType(IntEnum):
    """Kinds of channels, with Discord's numbers."""

    TEXT = 0
    DIRECT = 1
    PUBLIC_THREAD = 11
    PRIVATE_THREAD = 12


@dataclass(slots=True, eq=False)
class Thread:
    """What a channel that is a thread has beyond a channel."""

    parent: Channel
    type: ChannelType
    owner_id: int
    created: float  # seconds since the epoch
    archived_at: float  # seconds since the epoch; of the last change of `archived`
    archived: bool = False
    locked: bool = False
    auto_archive_minutes: int = 1440
    message_count: int = 0

    def payload(self) -> dict[str, Any]:
        """What Discord's channel object says about a thread only."""
        metadata = {
            "archived": self.archived,
            "archive_timestamp": timestamp(self.archived_at),
            "auto_archive_duration": self.auto_archive_minutes,
            "locked": self.locked,
            "create_timestamp": timestamp(self.created),
        }
        private = {"invitable": True} if self.type is ChannelType.PRIVATE_THREAD else {}
        return {
            "type": int(self.type),
            "parent_id": str(self.parent.id),
            "owner_id": str(self.owner_id),
            "thread_metadata": metadata | private,
            "message_count": self.message_count,
            "total_message_sent": self.message_count,
            "member_count": 1,
        }


@dataclass(slots=True, eq=False)
class Channel:
    """A text channel or a thread of a guild, or a direct conversation with one person."""

    id: int
    name: str  # empty for a direct conversation
    guild_id: int | None  # None for a direct conversation
    recipient: User | None = None  # the person at the other end of a direct conversation
    denied_to_bot: Permission = Permission.NONE  # permissions that the bot lacks in this channel
    last_message_id: int | None = None
    thread: Thread | None = None  # None where it is no thread

    @property
    def all_denied_to_bot(self) -> Permission:
        """What the bot lacks here: in a thread also what it lacks in the channel around it."""
        return self.denied_to_bot if self.thread is None else self.denied_to_bot | self.thread.parent.denied_to_bot

    @property
    def webhooks_at(self) -> Channel:
        """The channel whose webhooks write here: for a thread the one around it."""
        return self if self.thread is None else self.thread.parent

    def payload(self, bot: User, position: int = 0) -> dict[str, Any]:
        """Discord's channel object."""
        last = None if self.last_message_id is None else str(self.last_message_id)
        if self.recipient is not None:
            recipients = [self.recipient.payload()]
            return {"id": str(self.id), "type": 1, "flags": 0, "last_message_id": last, "recipients": recipients}
        payload = {
            "id": str(self.id),
            "flags": 0,
            "guild_id": str(self.guild_id),
            "name": self.name,
            "rate_limit_per_user": 0,
            "last_message_id": last,
        }
        if self.thread is not None:
            return payload | self.thread.payload()
        overwrite = {"id": str(bot.id), "type": 1, "allow": "0", "deny": str(int(self.denied_to_bot))}
        return payload | {
            "type": 0,
            "position": position,
            "parent_id": None,
            "topic": None,
            "nsfw": False,
            "permission_overwrites": [overwrite] if self.denied_to_bot else [],
        }


@dataclass(slots=True, eq=False)
class Guild:
    """A guild, which people call a server."""

    id: int
    name: str
    owner_id: int
    roles: list[Role]  # @everyone first
    members: dict[int, Member]  # by user id
    created: float  # seconds since the epoch
    system_channel: Channel | None = None  # where new members are greeted

    def permissions_of(self, user_id: int, channel: Channel, bot_id: int) -> Permission:
        """What a member may do in a channel: everything for the owner and administrators, else what roles give."""
        if user_id not in self.members:
            return Permission.NONE
        held = self.roles[0].permissions
        for role in self.members[user_id].roles:
            held |= role.permissions
        if user_id == self.owner_id or Permission.ADMINISTRATOR in held:
            return EVERYTHING
        return held & ~channel.all_denied_to_bot if user_id == bot_id else held

    def payload(self) -> dict[str, Any]:
        """Discord's guild object, without what only the gateway adds (channels, members and so on)."""
        absent = (
            "icon description home_header splash discovery_splash banner application_id afk_channel_id "
            "widget_channel_id max_presences vanity_url_code rules_channel_id "
            "safety_alerts_channel_id public_updates_channel_id incidents_data"
        )
        return dict.fromkeys(absent.split()) | {
            "id": str(self.id),
            "name": self.name,
            "owner_id": str(self.owner_id),
            "roles": [role.payload() for role in self.roles],
            "features": [],
            "emojis": [],
            "stickers": [],
            "region": "us-west",
            "preferred_locale": "en-US",
            "afk_timeout": 300,
            "system_channel_id": None if self.system_channel is None else str(self.system_channel.id),
            "system_channel_flags": 0,
            "widget_enabled": False,
            "verification_level": 0,
            "default_message_notifications": 1,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "max_members": 500_000,
            "max_stage_video_channel_users": 50,
            "max_video_channel_users": 25,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "premium_progress_bar_enabled": False,
            "nsfw": False,
            "nsfw_level": 0,
        }


@dataclass(slots=True, eq=False)
class Webhook:
    """A webhook of a channel."""

    id: int
    token: str
    channel: Channel
    name: str  # what its messages are signed with when they say nothing else
    avatar: str | None = None  # the hash of its picture
    picture: bytes | None = None  # the picture itself
    made_by: User | None = None  # somebody else; None: the bot

    def payload(self, bot: User, *, with_user: bool = True) -> dict[str, Any]:
        """Discord's webhook object; who asks by the token is not told who made it."""
        payload: dict[str, Any] = {
            "id": str(self.id),
            "type": 1,
            "application_id": None if self.made_by else str(bot.id),
            "guild_id": str(self.channel.guild_id),
            "channel_id": str(self.channel.id),
            "name": self.name,
            "avatar": self.avatar,
            "token": self.token,
        }
        return payload | {"user": (self.made_by or bot).payload()} if with_user else payload
