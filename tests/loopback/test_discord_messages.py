"""The loopback Discord and messages: what the real discord.py client sends, and what people see of it."""

import asyncio
import io

import discord
import pytest

from bot.loopback.discord import Kind, LoopbackDiscord, Permission
from tests.loopback.songbird import PATIENCE, Songbird, connected, text_channel


async def test_a_mention_is_answered_with_a_reply(discord_server: LoopbackDiscord) -> None:
    world = discord_server.world
    async with connected(Songbird(), discord_server):
        said = await discord_server.say(world.channel("talk"), world.user("robin"), "good morning")
        reply = await discord_server.reply_to(said, PATIENCE)
    assert reply.content == "You said: good morning"
    assert reply.author == world.bot
    assert reply.mentions == (world.user("robin"),)


async def test_a_direct_message_is_answered(discord_server: LoopbackDiscord) -> None:
    world = discord_server.world
    async with connected(Songbird(), discord_server):
        said = await discord_server.say(world.direct(world.user("robin")), world.user("robin"), "between us")
        reply = await discord_server.reply_to(said, PATIENCE)
    assert reply.content == "You said: between us"


async def test_a_reply_with_ping_reaches_the_bot_with_its_content(discord_server: LoopbackDiscord) -> None:
    world = discord_server.world
    bot = Songbird()
    async with connected(bot, discord_server):
        sent = await text_channel(bot, discord_server).send("I am here")
        robin = world.user("robin")
        said = await discord_server.say(world.channel("talk"), robin, "are you?", mentions_bot=False, reply_to=sent.id)
        assert (await discord_server.reply_to(said, PATIENCE)).content == "You said: are you?"


async def test_edits_keep_what_was_said_before(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        sent = await text_channel(bot, discord_server).send("one")
        await sent.edit(content="two")
        await sent.edit(content="three")
    message = discord_server.message(sent.id)
    assert (message.history, message.content) == (["one", "two"], "three")


async def test_a_deleted_message_is_gone(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        channel = text_channel(bot, discord_server)
        sent = await channel.send("a slip")
        await sent.delete()
        with pytest.raises(discord.NotFound) as refused:
            await channel.fetch_message(sent.id)
    assert refused.value.code == 10008
    assert discord_server.messages_in(discord_server.world.channel("talk")) == []


async def test_direct_messages_of_a_person_stay(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird()
    async with connected(bot, discord_server):
        await discord_server.say(world.direct(world.user("robin")), world.user("robin"), "between us")
        await bot.hear()
        with pytest.raises(discord.Forbidden) as refused:
            await bot.seen[0].delete()
    assert refused.value.code == 50003


async def test_history_is_newest_first_and_pages(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        channel = text_channel(bot, discord_server)
        sent = [await channel.send(str(number)) for number in range(5)]
        latest = [m.content async for m in channel.history(limit=2)]
        before = [m.content async for m in channel.history(limit=2, before=sent[3])]
        after = [m.content async for m in channel.history(limit=2, after=sent[1])]
    assert (latest, before, after) == (["4", "3"], ["2", "1"], ["2", "3"])


async def test_2000_characters_are_sent_and_2001_are_refused(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        channel = text_channel(bot, discord_server)
        await channel.send("x" * 2000)
        with pytest.raises(discord.HTTPException) as refused:
            await channel.send("x" * 2001)
    assert (refused.value.status, refused.value.code) == (400, 50035)
    assert "content: Must be 2000 or fewer in length." in refused.value.text


async def test_a_message_of_nothing_but_spaces_is_refused(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        with pytest.raises(discord.HTTPException) as refused:
            await text_channel(bot, discord_server).send("  ")
    assert (refused.value.status, refused.value.code) == (400, 50006)


async def test_only_allowed_mentions_ping(discord_server: LoopbackDiscord) -> None:
    robin, wren = discord_server.world.user("robin"), discord_server.world.user("wren")
    bot = Songbird()
    async with connected(bot, discord_server):
        channel = text_channel(bot, discord_server)
        silent = await channel.send(f"{robin.mention} and {wren.mention}")
        only = discord.AllowedMentions(users=[discord.Object(wren.id)])
        loud = await channel.send(f"{robin.mention} and {wren.mention}", allowed_mentions=only)
    assert discord_server.message(silent.id).mentions == ()
    assert discord_server.message(loud.id).mentions == (wren,)


async def test_a_file_travels_beside_its_message(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        picture = discord.File(io.BytesIO(b"not really a picture"), filename="curve.png")
        sent = await text_channel(bot, discord_server).send("look", file=picture)
    assert [attachment.filename for attachment in sent.attachments] == ["curve.png"]
    assert discord_server.message(sent.id).content == "look"


async def test_a_nonce_is_used_once(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        channel = text_channel(bot, discord_server)
        first = await channel.send("once", nonce="reply-1")
        second = await channel.send("once", nonce="reply-1")
    assert first.id == second.id
    assert len(discord_server.messages_in(discord_server.world.channel("talk"))) == 1


async def test_a_reply_to_a_deleted_message_is_refused(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        sent = await text_channel(bot, discord_server).send("soon gone")
        await sent.delete()
        with pytest.raises(discord.HTTPException) as refused:
            await sent.reply("too late")
    assert refused.value.code == 50035


async def test_a_rate_limit_is_waited_out(discord_server: LoopbackDiscord) -> None:
    route = "POST /channels/{channel_id}/messages"
    bot = Songbird()
    async with connected(bot, discord_server):
        discord_server.refuse_next(route, 429, retry_after=0.01, times=2)
        await text_channel(bot, discord_server).send("patience")
    statuses = [r.status for r in discord_server.requests if r.route == "/channels/{channel_id}/messages"]
    assert statuses == [429, 429, 200]


async def test_a_global_rate_limit_is_waited_out(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        route = "POST /channels/{channel_id}/messages"
        discord_server.refuse_next(route, 429, retry_after=0.01, everywhere=True)
        sent = await text_channel(bot, discord_server).send("patience")
    assert discord_server.message(sent.id).content == "patience"


async def test_a_server_error_is_tried_again(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        discord_server.refuse_next("POST /channels/{channel_id}/messages", 502)
        await text_channel(bot, discord_server).send("again")
    assert [m.content for m in discord_server.messages_in(discord_server.world.channel("talk"))] == ["again"]


async def test_service_unavailable_reaches_the_bot(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        discord_server.refuse_next("POST /channels/{channel_id}/messages", 503)
        with pytest.raises(discord.DiscordServerError):
            await text_channel(bot, discord_server).send("not now")


async def test_a_refusal_can_only_be_planned_for_a_route_that_exists(discord_server: LoopbackDiscord) -> None:
    with pytest.raises(LookupError, match="no route"):
        discord_server.refuse_next("POST /nowhere", 500)


async def test_a_bot_that_may_not_write_is_refused(discord_server: LoopbackDiscord) -> None:
    discord_server.world.channel("talk").denied_to_bot = Permission.SEND_MESSAGES
    bot = Songbird()
    async with connected(bot, discord_server):
        channel = text_channel(bot, discord_server)
        assert not channel.permissions_for(channel.guild.me).send_messages
        with pytest.raises(discord.Forbidden) as refused:
            await channel.send("let me in")
    assert refused.value.code == 50013


async def test_a_bot_that_may_not_look_is_refused(discord_server: LoopbackDiscord) -> None:
    discord_server.world.channel("talk").denied_to_bot = Permission.VIEW_CHANNEL
    bot = Songbird()
    async with connected(bot, discord_server):
        with pytest.raises(discord.Forbidden) as refused:
            await bot.fetch_channel(discord_server.world.channel("talk").id)
    assert refused.value.code == 50001


async def test_typing_is_seen(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server), text_channel(bot, discord_server).typing():
        await discord_server.wait_for(lambda h: h.kind is Kind.TYPED, PATIENCE)


async def test_a_webhook_signs_with_any_name(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        channel = text_channel(bot, discord_server)
        webhook = await channel.create_webhook(name="Voices")
        assert [hook.id for hook in await channel.webhooks()] == [webhook.id]
        sent = await webhook.send("a tweet", username="NASA (bot)", wait=True)
        await sent.edit(content="a better tweet")
        fetched = await webhook.fetch_message(sent.id)
        assert fetched.content == "a better tweet"
    message = discord_server.message(sent.id)
    assert (message.author.display_name, message.webhook_id) == ("NASA (bot)", webhook.id)


async def test_a_webhook_may_not_look_official(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        with pytest.raises(discord.HTTPException) as refused:
            await text_channel(bot, discord_server).create_webhook(name="Discord Team")
    assert refused.value.code == 50035


async def test_waiting_in_vain_says_what_was_awaited(discord_server: LoopbackDiscord) -> None:
    world = discord_server.world
    said = await discord_server.say(world.channel("talk"), world.user("robin"), "anybody?")
    with pytest.raises(
        TimeoutError, match=r"a reply by the bot did not happen in 0.01 s; last: message created by robin"
    ):
        await discord_server.reply_to(said, 0.01)


async def test_two_people_are_answered_at_the_same_time(discord_server: LoopbackDiscord) -> None:
    world = discord_server.world
    async with connected(Songbird(), discord_server):
        said = [
            await discord_server.say(world.channel(place), world.user(name), name)
            for place, name in [("talk", "robin"), ("general", "wren")]
        ]
        replies = await asyncio.gather(*(discord_server.reply_to(one, PATIENCE) for one in said))
    assert [reply.content for reply in replies] == ["You said: robin", "You said: wren"]
