"""Everything that exists in a Discord played on this machine, and how Discord writes messages as JSON.

Plain state without network or waiting. Ids are real snowflakes (time-based, as `Snowflakes` makes them): client
libraries read a thing's age from its id. They are integers here and strings in JSON, as Discord writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any

from bot.loopback.discord.archive import Archive
from bot.loopback.discord.messages import Attachment, Message, MessageFlag, UploadedFile
from bot.loopback.discord.people import ORDINARY, Member, Permission, Role, User, new_token, timestamp
from bot.loopback.discord.places import Channel, ChannelType, Guild, Thread, Webhook

__all__ = [
    "Attachment",
    "Channel",
    "ChannelType",
    "Guild",
    "Member",
    "Message",
    "MessageFlag",
    "Permission",
    "Role",
    "Snowflakes",
    "Thread",
    "UploadedFile",
    "User",
    "Webhook",
    "World",
    "aviary",
    "new_token",
    "timestamp",
]

DISCORD_EPOCH_MS = 1_420_070_400_000  # 2015-01-01T00:00:00Z, the zero of snowflakes
KEEPS = 10_000  # messages, unless told otherwise


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


@dataclass(slots=True)
class World:
    """Everything that exists. `bot` is both the application and its user, which share an id."""

    snowflakes: Snowflakes
    bot: User
    guilds: dict[int, Guild] = field(default_factory=dict)
    users: dict[int, User] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    archive: Archive = field(default_factory=lambda: Archive(KEEPS))
    webhooks: dict[int, Webhook] = field(default_factory=dict)
    commands: dict[int | None, list[dict[str, Any]]] = field(default_factory=dict)  # by guild id; None: everywhere
    media_base: str = "http://127.0.0.1"  # where files can be downloaded; right once the server listens

    @property
    def messages(self) -> dict[int, Message]:
        """The messages by id, oldest first. They are added by `archive`."""
        return self.archive.by_id

    @property
    def bot_guilds(self) -> list[Guild]:
        """The guilds that the bot is in."""
        return [guild for guild in self.guilds.values() if self.bot.id in guild.members]

    @property
    def people(self) -> Collection[User]:
        """The users that are no bots."""
        return [user for user in self.users.values() if not user.bot]

    def user(self, username: str) -> User:
        """The user with this name; LookupError if there is none."""
        for user in self.users.values():
            if user.username == username:
                return user
        raise LookupError(f"there is no user {username}")

    def channel(self, name: str) -> Channel:
        """The first guild channel with this name, threads left out; LookupError if there is none."""
        for channel in self.channels.values():
            if channel.name == name and channel.thread is None:
                return channel
        raise LookupError(f"there is no channel #{name}")

    def thread(self, name: str) -> Channel:
        """The first thread with this name; LookupError if there is none."""
        for channel in self.channels.values():
            if channel.name == name and channel.thread is not None:
                return channel
        raise LookupError(f"there is no thread {name!r}")

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
        inhabitants = {user.id: Member(user, now) for user in members}
        inhabitants[members[0].id] = Member(members[0], now, (keeper,))
        guild = Guild(guild_id, name, members[0].id, [everyone, keeper], inhabitants, now)
        self.guilds[guild_id] = guild
        self.users |= {user.id: user for user in members}
        for channel_name in channels:
            channel = Channel(self.snowflakes.next(), channel_name, guild_id)
            self.channels[channel.id] = channel
        self.invite_bot(guild, now)
        return guild

    def invite_bot(self, guild: Guild, now: float) -> None:
        """Make the bot a member, with a role of its own as every invited bot has one."""
        singer = next((role for role in guild.roles if role.name == self.bot.username), None)
        if singer is None:
            allowed = ORDINARY | Permission.MANAGE_WEBHOOKS
            singer = Role(self.snowflakes.next(), self.bot.username, allowed, len(guild.roles))
            guild.roles.append(singer)
        guild.members[self.bot.id] = Member(self.bot, now, (singer,))

    def give_role(self, guild: Guild, user: User, name: str, permissions: Permission = Permission.NONE) -> Role:
        """The role with this name, made if need be, given to a member; a connected bot is not told."""
        role = next((role for role in guild.roles if role.name == name), None)
        if role is None:
            role = Role(self.snowflakes.next(), name, permissions, len(guild.roles))
            guild.roles.append(role)
        member = guild.members[user.id]
        if role not in member.roles:
            guild.members[user.id] = replace(member, roles=(*member.roles, role))
        return role

    def channels_of(self, guild: Guild) -> list[Channel]:
        """The guild's channels in their order, without threads."""
        return [c for c in self.channels.values() if c.guild_id == guild.id and c.thread is None]

    def threads_of(self, place: Guild | Channel) -> list[Channel]:
        """The threads of a guild or a channel, oldest first."""
        threads = [c for c in self.channels.values() if c.thread is not None]
        if isinstance(place, Guild):
            return [c for c in threads if c.guild_id == place.id]
        return [c for c in threads if c.webhooks_at is place]

    def active_threads(self, guild: Guild) -> list[Channel]:
        """The threads of a guild that aren't archived, oldest first."""
        return [c for c in self.threads_of(guild) if c.thread is not None and not c.thread.archived]

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
            "mention_everyone": message.pings_everyone,
            "embeds": message.embeds,
            "components": message.components,
            "attachments": [attachment.payload(self.media_base) for attachment in message.attachments],
            "flags": int(message.flags),
            "pinned": False,
            "tts": False,
        }
        return payload | self._sometimes(message)

    def _sometimes(self, message: Message) -> dict[str, Any]:
        """What a message object has only where there is something to say."""
        payload: dict[str, Any] = {}
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
        if message.reactions:
            payload["reactions"] = [
                reaction_payload(emoji, who, self.bot) for emoji, who in message.reactions.items() if who
            ]
        if MessageFlag.HAS_THREAD in message.flags and message.id in self.channels:
            payload["thread"] = self.channels[message.id].payload(self.bot)
        return payload


def without_content(message: dict[str, Any], bot: User) -> dict[str, Any]:
    """A message object as seen without the message-content intent.

    It is whole only if the bot or its application wrote it, if it mentions the bot, or if it was said directly.
    """
    bot_id = str(bot.id)
    replied = message.get("referenced_message")
    if replied is not None:
        message = message | {"referenced_message": without_content(replied, bot)}
    own = bot_id in (message["author"]["id"], message.get("application_id"))
    if own or any(user["id"] == bot_id for user in message["mentions"]):
        return message
    return message | {"content": "", "embeds": [], "attachments": [], "components": []}


def emoji_payload(emoji: str) -> dict[str, Any]:
    """Discord's emoji object: of a character, or of a guild's own emoji written as "name:id"."""
    name, _, emoji_id = emoji.partition(":")
    return {"id": emoji_id or None, "name": name}


def reaction_payload(emoji: str, who: Collection[int], bot: User) -> dict[str, Any]:
    """Discord's reaction object: how many reacted with an emoji."""
    return {
        "emoji": emoji_payload(emoji),
        "count": len(who),
        "count_details": {"burst": 0, "normal": len(who)},
        "burst_colors": [],
        "me_burst": False,
        "me": bot.id in who,
    }


def aviary(clock: Callable[[], float], keeps: int = KEEPS) -> World:
    """The world that a loopback Discord starts with.

    The guild "Aviary" with #general and #talk, the bot "Mockingbird", and two members: "wren", who owns the guild, and
    "robin", who may do what everyone may. `keeps` is how many messages there is room for.
    """
    snowflakes = Snowflakes(clock)
    bot = User(snowflakes.next(), "Mockingbird", "Mockingbird", bot=True)
    world = World(snowflakes, bot, users={bot.id: bot}, archive=Archive(keeps))
    wren = User(snowflakes.next(), "wren", "Wren")
    robin = User(snowflakes.next(), "robin", "Robin")
    world.add_guild("Aviary", [wren, robin], ["general", "talk"], clock())
    return world
