"""The loopback Discord and threads."""

import asyncio

import discord
import pytest

from bot.loopback.discord import LoopbackDiscord, Permission
from tests.loopback.songbird import PATIENCE, Songbird, connected, text_channel

PUBLIC = discord.ChannelType.public_thread


async def test_a_thread_begins_at_a_message(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird()
    async with connected(bot, discord_server):
        sent = await text_channel(bot, discord_server).send("let us talk about this")
        thread = await sent.create_thread(name="This")
        with pytest.raises(discord.HTTPException) as refused:
            await sent.create_thread(name="This again")
        assert refused.value.code == 160004
        assert (await sent.fetch()).flags.has_thread
    assert (thread.id, thread.parent_id, thread.owner_id) == (sent.id, world.channel("talk").id, world.bot.id)
    assert world.thread("This").id == thread.id


async def test_a_bot_hears_of_a_thread_and_answers_in_it(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird()
    async with connected(bot, discord_server):
        heard = asyncio.create_task(bot.wait_for("thread_create"))
        await asyncio.sleep(0)
        await text_channel(bot, discord_server).create_thread(name="Aside", type=PUBLIC)
        assert (await asyncio.wait_for(heard, PATIENCE)).name == "Aside"
        said = await discord_server.say(world.thread("Aside"), world.user("robin"), "in here")
        reply = await discord_server.reply_to(said, PATIENCE)
    assert (reply.channel, reply.content) == (world.thread("Aside"), "You said: in here")


async def test_a_bot_that_comes_later_knows_the_threads(discord_server: LoopbackDiscord) -> None:
    bot, later = Songbird(), Songbird()
    async with connected(bot, discord_server):
        await text_channel(bot, discord_server).create_thread(name="Aside", type=PUBLIC)
    async with connected(later, discord_server):
        assert [thread.name for thread in later.guilds[0].threads] == ["Aside"]
        assert [thread.name for thread in await later.guilds[0].active_threads()] == ["Aside"]


async def test_writing_in_threads_is_a_permission_of_its_own(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird()
    async with connected(bot, discord_server):
        channel = text_channel(bot, discord_server)
        thread = await channel.create_thread(name="Aside", type=PUBLIC)
        world.channel("talk").denied_to_bot = Permission.SEND_MESSAGES_IN_THREADS
        await channel.send("here I may")
        with pytest.raises(discord.Forbidden) as refused:
            await thread.send("here I may not")
    assert refused.value.code == 50013


async def test_beginning_threads_is_a_permission_of_its_own(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    discord_server.world.channel("talk").denied_to_bot = Permission.CREATE_PUBLIC_THREADS
    async with connected(bot, discord_server):
        with pytest.raises(discord.Forbidden):
            await text_channel(bot, discord_server).create_thread(name="Aside", type=PUBLIC)


async def test_a_thread_is_renamed_and_archived_and_a_message_brings_it_back(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        thread = await text_channel(bot, discord_server).create_thread(name="Aside", type=PUBLIC)
        archived = await thread.edit(name="Elsewhere", archived=True)
        assert (archived.name, archived.archived) == ("Elsewhere", True)
        with pytest.raises(discord.HTTPException) as refused:
            await thread.edit(name="Somewhere")
        assert refused.value.code == 50083
        await thread.send("back again")
        state = discord_server.world.thread("Elsewhere").thread
    assert state is not None and not state.archived


async def test_nobody_writes_in_a_thread_that_is_archived_and_locked(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        thread = await text_channel(bot, discord_server).create_thread(name="Aside", type=PUBLIC)
        state = discord_server.world.thread("Aside").thread
        assert state is not None
        state.archived = state.locked = True
        with pytest.raises(discord.Forbidden) as refused:
            await thread.send("hello?")
    assert refused.value.code == 160005


async def test_a_webhook_writes_in_a_thread_of_its_channel(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird()
    async with connected(bot, discord_server):
        channel, other = text_channel(bot, discord_server), text_channel(bot, discord_server, "general")
        thread = await channel.create_thread(name="Aside", type=PUBLIC)
        webhook = await channel.create_webhook(name="Voices")
        sent = await webhook.send("in the thread", thread=thread, wait=True)
        await sent.edit(content="still in the thread")
        with pytest.raises(discord.NotFound):
            await webhook.edit_message(sent.id, content="nowhere")
        foreign = await other.create_thread(name="Far", type=PUBLIC)
        with pytest.raises(discord.NotFound) as refused:
            await webhook.send("not there", thread=foreign, wait=True)
    assert refused.value.code == 10003
    assert [message.content for message in discord_server.messages_in(world.thread("Aside"))] == ["still in the thread"]
