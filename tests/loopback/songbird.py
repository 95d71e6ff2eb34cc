"""A small bot made with the real discord.py, for trying the loopback Discord."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import discord
import yarl
from discord.ext import commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.loopback.discord import LoopbackDiscord

PATIENCE = 10.0  # seconds to wait for what should come at once


class Songbird(commands.AutoShardedBot):
    """Answers a message that mentions it with what was said, and keeps what it saw."""

    def __init__(self, intents: discord.Intents | None = None) -> None:
        # guild_ready_timeout: discord.py waits this long for another guild before it says that it is ready.
        options: dict[str, Any] = {"guild_ready_timeout": 0.05, "allowed_mentions": discord.AllowedMentions.none()}
        super().__init__(
            commands.when_mentioned, intents=intents or discord.Intents.default(), help_command=None, **options
        )
        self.seen: list[discord.Message] = []
        self._heard = asyncio.Queue[str]()
        self.resumed = asyncio.Event()
        self.ready_times = 0

    async def on_message(self, message: discord.Message) -> None:
        """Sing back when spoken to."""
        if message.author == self.user:
            return
        self.seen.append(message)
        self._heard.put_nowait(message.content)
        if self.user in message.mentions or message.guild is None:
            text = message.content.split("> ")[-1]
            await message.reply(f"You said: {text}", mention_author=True)

    async def hear(self) -> str:
        """The content of the next message that the bot gets."""
        return await asyncio.wait_for(self._heard.get(), PATIENCE)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Identify at once; discord.py waits 5 seconds before it identifies again."""

    async def on_resumed(self) -> None:
        """Ring."""
        self.resumed.set()

    async def on_ready(self) -> None:
        """Count."""
        self.ready_times += 1


@contextmanager
def pointed_at(server: LoopbackDiscord) -> Iterator[None]:
    """Let discord.py, which keeps both addresses as class constants, talk to the loopback server."""
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = server.api_base, yarl.URL(server.gateway_url)
    try:
        yield
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


@asynccontextmanager
async def connected(bot: discord.Client, server: LoopbackDiscord) -> AsyncIterator[None]:
    """The bot logged in and ready, and closed at the end."""
    with pointed_at(server):
        running = asyncio.create_task(bot.start(server.token), name="songbird")
        try:
            await server.bot_ready(PATIENCE)
            await asyncio.wait_for(bot.wait_until_ready(), PATIENCE)
            yield
        finally:
            await bot.close()
            await running


def text_channel(bot: discord.Client, server: LoopbackDiscord, name: str = "talk") -> discord.TextChannel:
    """The bot's own view of a channel."""
    channel = bot.get_channel(server.world.channel(name).id)
    assert isinstance(channel, discord.TextChannel)
    return channel
