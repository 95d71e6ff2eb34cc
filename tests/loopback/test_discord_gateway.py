"""The loopback Discord, bots of several shards, and connections that hang."""

import asyncio

import discord

from bot.loopback.discord import Kind, LoopbackDiscord
from bot.loopback.openapi import OpenAPIContract
from tests.loopback.songbird import PATIENCE, Songbird, connected, pointed_at


async def test_a_bot_connects_with_as_many_shards_as_it_is_told(discord_contract: OpenAPIContract | None) -> None:
    bot = Songbird()
    async with LoopbackDiscord(discord_contract, shards=3, max_concurrency=16) as server, connected(bot, server):
        identified = [entry.detail for entry in server.journal.entries if entry.kind is Kind.IDENTIFIED]
        assert identified == ["shard 0 of 3", "shard 1 of 3", "shard 2 of 3"]
        assert (server.violations, server.own_violations) == ([], [])


async def test_each_shard_answers_in_its_guilds(discord_contract: OpenAPIContract | None) -> None:
    bot = Songbird()
    async with LoopbackDiscord(discord_contract, shards=2) as server:
        robin = server.world.user("robin")
        for number in range(6):
            server.world.add_guild(f"Guild {number}", [robin], [f"place-{number}"], 1_790_000_000.0)
        async with connected(bot, server):
            said = [await server.say(server.world.channel(f"place-{n}"), robin, str(n)) for n in range(6)]
            replies = [await server.reply_to(each, PATIENCE) for each in said]
    assert [reply.content for reply in replies] == [f"You said: {n}" for n in range(6)]


async def test_the_starts_of_a_day_are_counted(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        *_, limit = await bot.http.get_bot_gateway()
        assert (limit["total"], limit["remaining"]) == (1000, 999)
        await discord_server.invalidate_sessions()
        await discord_server.bot_ready(PATIENCE)
        *_, limit = await bot.http.get_bot_gateway()
        assert limit["remaining"] == 998


async def test_a_connection_that_hangs_is_replaced_and_nothing_is_missed(
    discord_contract: OpenAPIContract | None,
) -> None:
    class Listener(discord.Client):
        async def on_message(self, message: discord.Message) -> None:
            heard.put_nowait(message.content)

    heard = asyncio.Queue[str]()
    client = Listener(intents=discord.Intents.default(), guild_ready_timeout=0.05, heartbeat_timeout=0.3)
    async with LoopbackDiscord(discord_contract, heartbeat_interval=0.1) as server, connected(client, server):
        server.go_silent()
        await server.say(server.world.channel("talk"), server.world.user("robin"), "can you hear me?")
        assert "can you hear me?" in await asyncio.wait_for(heard.get(), PATIENCE)
        await server.wait_for(lambda h: h.kind is Kind.RESUMED, PATIENCE)


async def test_a_bot_whose_connection_hangs_is_not_ready(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        discord_server.go_silent()
        ready = asyncio.create_task(discord_server.bot_ready(PATIENCE))
        await asyncio.sleep(0)
        assert not ready.done()
        discord_server.drop_connections()
        await ready


async def test_a_bot_that_missed_more_than_is_kept_begins_anew() -> None:
    bot = Songbird()
    async with LoopbackDiscord(keeps=5) as server:
        world = server.world
        with pointed_at(server):
            async with connected(bot, server):
                server.go_silent()
                for number in range(20):
                    await server.say(world.channel("talk"), world.user("robin"), str(number), mentions_bot=False)
                server.drop_connections()
                await server.bot_ready(PATIENCE)
                said = await server.say(world.channel("talk"), world.user("robin"), "now")
                await server.reply_to(said, PATIENCE)
    assert not bot.resumed.is_set()
