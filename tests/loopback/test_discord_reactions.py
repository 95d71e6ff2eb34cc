"""The loopback Discord and reactions to messages."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import discord

from bot.loopback.discord import LoopbackDiscord
from tests.loopback.songbird import PATIENCE, Songbird, connected, text_channel

Awaited = TypeVar("Awaited")


async def soon(awaited: Awaitable[Awaited]) -> Awaited:
    """What comes, if it comes in time."""
    return await asyncio.wait_for(awaited, PATIENCE)


async def test_a_reaction_reaches_the_bot(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird()
    robin = world.user("robin")
    async with connected(bot, discord_server):
        sent = await text_channel(bot, discord_server).send("do you like it?")
        heard = asyncio.create_task(bot.wait_for("raw_reaction_add"))
        await asyncio.sleep(0)
        await discord_server.react(discord_server.message(sent.id), robin, "👍")
        event = await soon(heard)
    assert (event.message_id, event.user_id, str(event.emoji)) == (sent.id, robin.id, "👍")
    assert (event.message_author_id, event.burst) == (world.bot.id, False)
    assert event.member is not None and event.member.name == "robin"


async def test_a_reaction_can_be_taken_back(discord_server: LoopbackDiscord) -> None:
    bot, robin = Songbird(), discord_server.world.user("robin")
    async with connected(bot, discord_server):
        sent = await text_channel(bot, discord_server).send("do you like it?")
        message = discord_server.message(sent.id)
        await discord_server.react(message, robin, "👍")
        heard = asyncio.create_task(bot.wait_for("raw_reaction_remove"))
        await asyncio.sleep(0)
        await discord_server.react(message, robin, "👍", remove=True)
        event = await soon(heard)
        fetched = await sent.fetch()
    assert (event.message_id, event.user_id) == (sent.id, robin.id)
    assert fetched.reactions == []


async def test_a_reaction_in_a_direct_conversation_reaches_the_bot(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird(discord.Intents(guilds=True, dm_reactions=True))
    robin = world.user("robin")
    async with connected(bot, discord_server):
        said = await discord_server.say(world.direct(robin), robin, "hello")
        heard = asyncio.create_task(bot.wait_for("raw_reaction_add"))
        await asyncio.sleep(0)
        await discord_server.react(discord_server.message(said), robin, "👍")
        event = await soon(heard)
    assert (event.message_id, event.guild_id, event.member) == (said, None, None)


async def test_a_bot_without_the_intent_hears_of_no_reaction(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird(discord.Intents(guilds=True, guild_messages=True))
    talk, robin = world.channel("talk"), world.user("robin")
    heard: list[discord.RawReactionActionEvent] = []

    @bot.event
    async def on_raw_reaction_add(event: discord.RawReactionActionEvent) -> None:
        heard.append(event)

    async with connected(bot, discord_server):
        said = await discord_server.say(talk, robin, "first", mentions_bot=False)
        await discord_server.react(discord_server.message(said), robin, "👍")
        await discord_server.say(talk, robin, "second")
        assert [await bot.hear(), await bot.hear()] == ["", f"{world.bot.mention} second"]
    assert heard == []


async def test_the_bot_may_react_itself(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird()
    async with connected(bot, discord_server):
        said = await discord_server.say(world.channel("talk"), world.user("robin"), "look", mentions_bot=False)
        message = text_channel(bot, discord_server).get_partial_message(said)
        await message.add_reaction("👀")
        assert discord_server.message(said).reactions == {"👀": [world.bot.id]}
        assert [str(reaction.emoji) for reaction in (await message.fetch()).reactions] == ["👀"]
