"""People, places and messages of a Discord played on this machine, and how Discord writes them as JSON.

Plain state without network or waiting. Ids are real snowflakes (time-based, as `Snowflakes` makes them): client
libraries read a thing's age from its id. They are integers here and strings in JSON, as Discord writes them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntFlag
from typing import Any

DISCORD_EPOCH_MS = 1_420_070_400_000  # 2015-01-01T00:00:00Z, the zero of snowflakes


class Permission(IntFlag):
    """The permissions that something here depends on, with Discord's bits."""

    NONE = 0
    ADMINISTRATOR = 1 << 3
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MANAGE_WEBHOOKS = 1 << 29
    USE_APPLICATION_COMMANDS = 1 << 31


ORDINARY = (
    Permission.ADD_REACTIONS
    | Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.USE_APPLICATION_COMMANDS
)


class MessageFlag(IntFlag):
    """The message flags that something here depends on, with Discord's bits."""

    NONE = 0
    EPHEMERAL = 1 << 6  # only the person who used the command sees it
    LOADING = 1 << 7  # a deferred answer: "is thinking…"


class Snowflakes:
    """Makes ids: milliseconds since Discord's epoch in the upper 42 bits, always larger than the one before."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives seconds since the epoch."""
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        """A new id."""
        self._last = max(self._last + 1, (int(self._clock() * 1000) - DISCORD_EPOCH_MS) << 22)
        return self._last


@dataclass(frozen=True, slots=True)
class User:
    """A person, a bot, or the face of a webhook's message."""

    id: int
    username: str  # the unique name, lower case
    display_name: str
    bot: bool = False

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
            "avatar": None,
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


@dataclass(slots=True)
class Channel:
    """A text channel of a guild, or a direct conversation with one person."""

    id: int
    name: str  # empty for a direct conversation
    guild_id: int | None  # None for a direct conversation
    recipient: User | None = None  # the person at the other end of a direct conversation
    denied_to_bot: Permission = Permission.NONE  # permissions that the bot lacks in this channel
    last_message_id: int | None = None

    def payload(self, bot: User, position: int = 0) -> dict[str, Any]:
        """Discord's channel object."""
        last = None if self.last_message_id is None else str(self.last_message_id)
        if self.recipient is not None:
            recipients = [self.recipient.payload()]
            return {"id": str(self.id), "type": 1, "flags": 0, "last_message_id": last, "recipients": recipients}
        overwrite = {"id": str(bot.id), "type": 1, "allow": "0", "deny": str(int(self.denied_to_bot))}
        return {
            "id": str(self.id),
            "type": 0,
            "flags": 0,
            "guild_id": str(self.guild_id),
            "name": self.name,
            "position": position,
            "parent_id": None,
            "topic": None,
            "nsfw": False,
            "rate_limit_per_user": 0,
            "last_message_id": last,
            "permission_overwrites": [overwrite] if self.denied_to_bot else [],
        }


@dataclass(slots=True)
class Guild:
    """A guild, which people call a server."""

    id: int
    name: str
    owner_id: int
    roles: list[Role]  # @everyone first
    members: dict[int, Member]  # by user id
    created: float  # seconds since the epoch

    def permissions_of(self, user_id: int, channel: Channel, bot_id: int) -> Permission:
        """What a member may do in a channel: everything for the owner and administrators, else what roles give."""
        held = self.roles[0].permissions
        for role in self.members[user_id].roles:
            held |= role.permissions
        if user_id == self.owner_id or Permission.ADMINISTRATOR in held:
            return ~Permission.NONE
        return held & ~channel.denied_to_bot if user_id == bot_id else held

    def payload(self) -> dict[str, Any]:
        """Discord's guild object, without what only the gateway adds (channels, members and so on)."""
        absent = (
            "icon description home_header splash discovery_splash banner application_id afk_channel_id "
            "system_channel_id widget_channel_id max_presences vanity_url_code rules_channel_id "
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


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook of a channel, made by the bot."""

    id: int
    token: str
    channel: Channel
    name: str  # what its messages are signed with when they say nothing else

    def payload(self, creator: User) -> dict[str, Any]:
        """Discord's webhook object."""
        return {
            "id": str(self.id),
            "type": 1,
            "application_id": str(creator.id),
            "guild_id": str(self.channel.guild_id),
            "channel_id": str(self.channel.id),
            "name": self.name,
            "avatar": None,
            "token": self.token,
            "user": creator.payload(),
        }


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
    files: tuple[str, ...] = ()  # names of the files that came with it
    nonce: str | int | None = None  # given by the sender, to recognise its own message
    webhook_id: int | None = None  # the webhook, or for an answer to a command the application
    interaction: dict[str, Any] | None = None  # who used which command, as JSON, for an answer to a command
    history: list[str] = field(default_factory=list)  # earlier contents, oldest first

    @property
    def loading(self) -> bool:
        """Whether this is a deferred answer that doesn't say anything yet."""
        return MessageFlag.LOADING in self.flags

    def is_reply_by(self, user: User, message_id: int) -> bool:
        """Whether `user` wrote it as a reply to the message with this id."""
        return self.author.id == user.id and self.replies_to == message_id


@dataclass(slots=True)
class World:
    """Everything that exists. `bot` is both the application and its user, which share an id."""

    snowflakes: Snowflakes
    bot: User
    guilds: dict[int, Guild] = field(default_factory=dict)
    users: dict[int, User] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict)
    webhooks: dict[int, Webhook] = field(default_factory=dict)
    commands: dict[int | None, list[dict[str, Any]]] = field(default_factory=dict)  # by guild id; None: everywhere

    def user(self, username: str) -> User:
        """The user with this name; LookupError if there is none."""
        for user in self.users.values():
            if user.username == username:
                return user
        raise LookupError(f"there is no user {username}")

    def channel(self, name: str) -> Channel:
        """The first guild channel with this name; LookupError if there is none."""
        for channel in self.channels.values():
            if channel.name == name:
                return channel
        raise LookupError(f"there is no channel #{name}")

    def direct(self, user: User) -> Channel:
        """The bot's direct conversation with `user`, opened if need be."""
        for channel in self.channels.values():
            if channel.recipient is not None and channel.recipient.id == user.id:
                return channel
        channel = Channel(self.snowflakes.next(), "", None, recipient=user)
        self.channels[channel.id] = channel
        return channel

    def add_guild(self, name: str, members: list[User], channels: list[str], now: float) -> Guild:
        """A new guild with the bot in it, for a bot that connects later: a connected one is not told.

        The first member owns it; `channels` are names without "#".
        """
        guild_id = self.snowflakes.next()
        everyone = Role(guild_id, "@everyone", ORDINARY)
        keeper = Role(self.snowflakes.next(), "Keepers", Permission.MANAGE_GUILD | Permission.MANAGE_MESSAGES, 1)
        # A bot is invited with a role of its own.
        singer = Role(self.snowflakes.next(), self.bot.username, ORDINARY | Permission.MANAGE_WEBHOOKS, 2)
        inhabitants = {user.id: Member(user, now) for user in members}
        inhabitants[members[0].id] = Member(members[0], now, (keeper,))
        inhabitants[self.bot.id] = Member(self.bot, now, (singer,))
        guild = Guild(guild_id, name, members[0].id, [everyone, keeper, singer], inhabitants, now)
        self.guilds[guild_id] = guild
        self.users |= {user.id: user for user in members}
        for channel_name in channels:
            channel = Channel(self.snowflakes.next(), channel_name, guild_id)
            self.channels[channel.id] = channel
        return guild

    def channels_of(self, guild: Guild) -> list[Channel]:
        """The guild's channels in their order."""
        return [channel for channel in self.channels.values() if channel.guild_id == guild.id]

    def guild_of(self, channel: Channel) -> Guild | None:
        """The guild that a channel belongs to; None for a direct conversation."""
        return None if channel.guild_id is None else self.guilds[channel.guild_id]

    def message_payload(self, message: Message) -> dict[str, Any]:
        """Discord's message object as REST answers have it, the message that it replies to included."""
        payload = self._bare_message(message)
        if message.replies_to is not None:
            replied = self.messages.get(message.replies_to)
            known = replied is not None and not replied.deleted
            payload["referenced_message"] = self._bare_message(replied) if replied is not None and known else None
        return payload

    def gateway_message(self, message: Message) -> dict[str, Any]:
        """Discord's message object as an event has it: in a guild also with guild and member."""
        payload = self.message_payload(message)
        guild = self.guild_of(message.channel)
        if guild is not None:
            payload["guild_id"] = str(guild.id)
            if message.author.id in guild.members:
                payload["member"] = guild.members[message.author.id].payload(with_user=False)
        return payload

    def _bare_message(self, message: Message) -> dict[str, Any]:
        payload: dict[str, Any] = {
            "id": str(message.id),
            "channel_id": str(message.channel.id),
            "type": 19 if message.replies_to is not None else 20 if message.interaction is not None else 0,
            "author": message.author.payload(),
            "content": message.content,
            "timestamp": timestamp(message.created),
            "edited_timestamp": None if message.edited is None else timestamp(message.edited),
            "mentions": [user.payload() for user in message.mentions],
            "mention_roles": [],
            "mention_everyone": False,
            "embeds": message.embeds,
            "components": message.components,
            "attachments": [self._attachment(message, index) for index in range(len(message.files))],
            "flags": int(message.flags),
            "pinned": False,
            "tts": False,
        }
        if message.replies_to is not None:
            reference = {"type": 0, "message_id": str(message.replies_to), "channel_id": str(message.channel.id)}
            payload["message_reference"] = reference
            if message.channel.guild_id is not None:
                reference["guild_id"] = str(message.channel.guild_id)
        if message.nonce is not None:
            payload["nonce"] = message.nonce
        if message.webhook_id is not None:
            payload |= {"webhook_id": str(message.webhook_id), "application_id": str(self.bot.id)}
        if message.interaction is not None:
            payload["interaction_metadata"] = message.interaction
        return payload

    def _attachment(self, message: Message, index: int) -> dict[str, Any]:
        name = message.files[index]
        url = f"https://cdn.discordapp.com/attachments/{message.channel.id}/{message.id}/{name}"
        return {"id": str(message.id + index), "filename": name, "size": 0, "url": url, "proxy_url": url}


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as Discord writes a time: ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def new_token() -> str:
    """A secret for a webhook, an interaction or a session."""
    return secrets.token_urlsafe(48)


def aviary(clock: Callable[[], float]) -> World:
    """The world that a loopback Discord starts with.

    The guild "Aviary" with #general and #talk, the bot "Mockingbird", and two members: "wren", who owns the guild, and
    "robin", who may do what everyone may.
    """
    snowflakes = Snowflakes(clock)
    bot = User(snowflakes.next(), "Mockingbird", "Mockingbird", bot=True)
    world = World(snowflakes, bot, users={bot.id: bot})
    wren = User(snowflakes.next(), "wren", "Wren")
    robin = User(snowflakes.next(), "robin", "Robin")
    world.add_guild("Aviary", [wren, robin], ["general", "talk"], clock())
    return world
