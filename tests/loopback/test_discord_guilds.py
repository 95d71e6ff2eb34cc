"""The loopback Discord and guilds that the bot comes into, is thrown out of, or leaves."""

import asyncio

import discord
import pytest

from bot.loopback.discord import Guild, LoopbackDiscord
from tests.loopback.songbird import PATIENCE, Songbird, connected, text_channel


def new_guild(server: LoopbackDiscord, name: str = "Rookery") -> Guild:
    """A guild of robin's with the channel #nest."""
    return server.world.add_guild(name, [server.world.user("robin")], ["nest"], 1_790_000_000.0)


class Witness(Songbird):
    """Notes which guilds and channels come and go."""

    def __init__(self) -> None:
        super().__init__()
        self._noted = asyncio.Queue[str]()

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """A guild came."""
        self._noted.put_nowait(f"+{guild.name}")

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """A guild went."""
        self._noted.put_nowait(f"-{guild.name}")

    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        """A channel went."""
        self._noted.put_nowait(f"-#{channel.name}")

    async def note(self) -> str:
        """What comes or goes next."""
        return await asyncio.wait_for(self._noted.get(), PATIENCE)


async def test_a_connected_bot_comes_into_a_guild_and_speaks_there(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Witness()
    async with connected(bot, discord_server):
        await discord_server.join(new_guild(discord_server))
        assert await bot.note() == "+Rookery"
        said = await discord_server.say(world.channel("nest"), world.user("robin"), "welcome")
        assert (await discord_server.reply_to(said, PATIENCE)).content == "You said: welcome"


async def test_a_bot_that_was_thrown_out_has_no_access(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Witness()
    guild = next(iter(world.guilds.values()))
    async with connected(bot, discord_server):
        channel = text_channel(bot, discord_server)
        await discord_server.kick(guild)
        assert await bot.note() == "-Aviary"
        await discord_server.say(world.channel("talk"), world.user("robin"), "are you gone?")
        with pytest.raises(discord.Forbidden) as refused:
            await channel.send("let me in")
        assert refused.value.code == 50001
        with pytest.raises(discord.NotFound):
            await bot.fetch_guild(guild.id)
        await discord_server.join(guild)
        assert await bot.note() == "+Aviary"
        await channel.send("back again")
    assert bot.seen == []


async def test_a_bot_may_leave_a_guild(discord_server: LoopbackDiscord) -> None:
    bot = Witness()
    async with connected(bot, discord_server):
        await bot.guilds[0].leave()
        assert await bot.note() == "-Aviary"
        assert list(bot.guilds) == []
    assert discord_server.world.bot_guilds == []


async def test_a_deleted_channel_is_unknown(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Witness()
    async with connected(bot, discord_server):
        channel = text_channel(bot, discord_server)
        webhook = await channel.create_webhook(name="Voices")
        await discord_server.delete_channel(world.channel("talk"))
        assert await bot.note() == "-#talk"
        with pytest.raises(discord.NotFound) as refused:
            await channel.send("hello?")
        assert refused.value.code == 10003
        with pytest.raises(discord.NotFound) as refused:
            await webhook.send("hello?")
        assert refused.value.code == 10015


async def test_a_guild_without_the_bot_has_no_commands(discord_server: LoopbackDiscord) -> None:
    world = discord_server.world
    world.commands[None] = [{"id": "1", "name": "tweet", "description": "says something", "type": 1}]
    await discord_server.kick(next(iter(world.guilds.values())))
    with pytest.raises(LookupError, match="no command named 'tweet'; there are: none"):
        await discord_server.slash(world.channel("talk"), world.user("robin"), "tweet")
