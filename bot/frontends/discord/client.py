"""What Discord tells us, and the drain before the connection is closed."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import discord
import structlog
import yarl
from discord.gateway import DiscordWebSocket

from bot.frontends.discord.answers import AnswerButton
from bot.frontends.discord.approvals import DecisionButton, PostMenu
from bot.frontends.discord.desks import Desks
from bot.frontends.discord.duels import StopButton
from bot.frontends.discord.forgetting import ForgetButton
from bot.frontends.discord.forms import GONE, is_gone
from bot.frontends.discord.guessing import GuessButton
from bot.frontends.discord.in_flight import InFlight
from bot.frontends.discord.invite import invite_link
from bot.frontends.discord.mentions import said_to
from bot.frontends.discord.paging import PageButton
from bot.frontends.discord.privacy import ComeBackButton
from bot.frontends.discord.purchase_buttons import PurchaseButton
from bot.frontends.discord.trainings import CancelButton
from bot.frontends.discord.versions import RollbackButton

_DISCORDS_OWN_GATEWAY = "gateway.discord.gg"
_MOST_LAUNCHES = 5  # of one shard, 5 s apart, before the connection is begun anew from the login

log = structlog.get_logger(__name__)


class Client(discord.AutoShardedClient):
    """One connection. Nothing is cached but servers and channels, and nobody is pinged.

    Nothing privileged is asked for, unless `message_content`.
    """

    def __init__(
        self, desks: Desks, drain_seconds: float, *, message_content: bool = False, heartbeat_timeout: float = 60.0
    ) -> None:
        """`heartbeat_timeout`: seconds after which a gateway connection that says nothing is begun anew."""
        intents = discord.Intents.none()
        intents.guilds = intents.guild_messages = intents.dm_messages = True
        intents.guild_reactions = intents.dm_reactions = True
        intents.message_content = message_content
        super().__init__(
            intents=intents,
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            heartbeat_timeout=heartbeat_timeout,
        )
        self.desks = desks
        self.replies = InFlight()  # answers to messages, commands and buttons
        self.forms: set[str] = set()  # custom ids of the forms that can still be filled in
        self.stopping = False  # nothing new is taken on
        self._drain_seconds = drain_seconds
        self._closing: asyncio.Task[None] | None = None
        self._launches: Counter[int] = Counter()
        self.tree: Any = None  # the commands, which know the client
        buttons = (
            AnswerButton,
            CancelButton,
            ComeBackButton,
            DecisionButton,
            ForgetButton,
            GuessButton,
            PageButton,
            PostMenu,
            PurchaseButton,
            RollbackButton,
            StopButton,
        )
        self.add_dynamic_items(*buttons)

    async def on_message(self, message: discord.Message) -> None:
        """Answer what is said to the bot, where the operator lets it answer."""
        if self.user is None or self.stopping or not self.desks.guilds.serves(_guild_id(message)):
            return
        text = said_to(self.user.id, message)
        if text is None and self.intents.message_content:
            text = await self.desks.talk.said_to_a_costume(message)
        if text is not None and not self.stopping:
            self.replies.join()
            await self.desks.talk.answer(message, text, self.user.id)

    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        """Count it as a vote, where it is one."""
        await self._vote(payload)

    async def on_raw_reaction_remove(self, payload: discord.RawReactionActionEvent) -> None:
        """Take the vote back."""
        await self._vote(payload)

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """Forget what it said, where it was ours."""
        if not self.stopping:
            self.replies.join()
            await self.desks.answers.gone(payload.message_id)

    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        """Forget what they said, where they were ours."""
        if not self.stopping:
            self.replies.join()
            for message_id in payload.message_ids:
                await self.desks.answers.gone(message_id)

    async def _vote(self, payload: discord.RawReactionActionEvent) -> None:
        if not self.stopping and (self.user is None or payload.user_id != self.user.id):
            self.replies.join()
            await self.desks.answers.vote(payload)

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """Say so where somebody fills in a form that was opened before the last start, or long ago."""
        if is_gone(interaction, self.forms):
            self.replies.join()
            await interaction.response.send_message(GONE, ephemeral=True)

    async def on_ready(self) -> None:
        """Say in the log that the bot is there, and see who has removed it meanwhile. It may come several times."""
        log.info("discord connected", bot=str(self.user), servers=len(self.guilds), shards=self.shard_count)
        if not self.guilds and self.application_id is not None:
            log.info(f"the bot is in no server yet; invite it with {invite_link(self.application_id)}")
        await self.desks.guilds.are(self)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """The bot was invited into a server."""
        await self.desks.guilds.joined(guild)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """A server has removed the bot."""
        await self.desks.guilds.left(guild)

    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        """What was chosen for the channel goes with it."""
        await self.desks.guilds.channel_gone(channel.guild.id, channel.id)

    async def on_raw_thread_delete(self, payload: discord.RawThreadDeleteEvent) -> None:
        """Likewise for a thread."""
        await self.desks.guilds.channel_gone(payload.guild_id, payload.thread_id)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        """Log a bug in an event's handler, without the event: it holds what people wrote."""
        log.exception("discord event failed", handler=event_method)

    async def launch_shard(self, gateway: yarl.URL, shard_id: int, *, initial: bool = False) -> None:
        """Connect one shard to the configured gateway; to the one that Discord named where none was configured.

        The library tries again from within itself without end. After a few times it is better to begin from the
        login: only there an answer says whether the token still holds.
        """
        self._launches[shard_id] += 1
        if self._launches[shard_id] > _MOST_LAUNCHES:
            raise ConnectionError(f"the gateway did not answer {_MOST_LAUNCHES} times")
        configured = DiscordWebSocket.DEFAULT_GATEWAY
        chosen = gateway if configured.host == _DISCORDS_OWN_GATEWAY else configured
        await super().launch_shard(chosen, shard_id, initial=initial)

    async def close(self) -> None:
        """Take nothing new on, let the answers under way be sent (for so long), then close the connection."""
        if self._closing is None:
            self.stopping = True
            self._closing = asyncio.create_task(self._drain_and_close(), name="discord close")
        await self._closing

    async def _drain_and_close(self) -> None:
        try:
            late = await self.replies.drain(self._drain_seconds)
            if late:
                log.warning("discord answers cut off at the stop", answers=late)
        finally:
            await super().close()


def _guild_id(message: discord.Message) -> int | None:
    """Of the server; None in a direct message. `message.guild` is None for a server that isn't known yet, too."""
    return message.guild.id if message.guild else getattr(message.channel, "guild_id", None)
