"""The loopback Discord and what may be read when a bot asks for messages, and the files that come with them."""

import io

import discord

from bot.loopback.discord import Intent, LoopbackDiscord, UploadedFile
from bot.loopback.openapi import OpenAPIContract
from tests.loopback.songbird import PATIENCE, Songbird, connected, text_channel

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x02\x00\x00\x00\x03 and so on"


async def test_history_hides_what_does_not_concern_the_bot(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird(discord.Intents(guilds=True))
    talk, robin = world.channel("talk"), world.user("robin")
    async with connected(bot, discord_server):
        channel = text_channel(bot, discord_server)
        hidden = await discord_server.say(talk, robin, "not for you", mentions_bot=False)
        await discord_server.say(talk, robin, "for you")
        await channel.send("mine")
        await (await channel.create_webhook(name="Voices")).send("mine, too", wait=True)
        history = [message.content async for message in channel.history()]
        assert history == ["mine, too", "mine", f"{world.bot.mention} for you", ""]
        assert (await channel.fetch_message(hidden)).content == ""


async def test_with_the_intent_history_hides_nothing(discord_contract: OpenAPIContract | None) -> None:
    bot = Songbird(discord.Intents(guilds=True))
    async with LoopbackDiscord(discord_contract, privileged=Intent.MESSAGE_CONTENT) as server, connected(bot, server):
        said = await server.say(server.world.channel("talk"), server.world.user("robin"), "open", mentions_bot=False)
        assert (await text_channel(bot, server).fetch_message(said)).content == "open"
        assert (server.violations, server.own_violations) == ([], [])


async def test_a_direct_conversation_hides_nothing(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird(discord.Intents(guilds=True))
    robin = world.user("robin")
    async with connected(bot, discord_server):
        said = await discord_server.say(world.direct(robin), robin, "between us")
        channel = await (await bot.fetch_user(robin.id)).create_dm()
        assert (await channel.fetch_message(said)).content == "between us"


async def test_a_file_that_the_bot_sends_can_be_looked_at_and_downloaded(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        picture = discord.File(io.BytesIO(PNG), filename="curve.png", description="a curve")
        sent = await text_channel(bot, discord_server).send(file=picture)
        [attachment] = sent.attachments
        assert await attachment.read() == PNG
    assert (attachment.size, attachment.width, attachment.height) == (len(PNG), 2, 3)
    [kept] = discord_server.message(sent.id).attachments
    assert kept.file == UploadedFile("curve.png", PNG, "image/png", "a curve")


async def test_an_edit_keeps_only_the_files_that_it_lists(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        files = [discord.File(io.BytesIO(PNG), filename=name) for name in ("one.png", "two.png")]
        sent = await text_channel(bot, discord_server).send(files=files)
        await sent.edit(content="still both")
        assert discord_server.message(sent.id).files == ("one.png", "two.png")
        await sent.edit(attachments=[sent.attachments[1], discord.File(io.BytesIO(PNG), filename="three.png")])
    assert discord_server.message(sent.id).files == ("two.png", "three.png")


async def test_a_command_takes_a_file(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird()

    @bot.tree.command(description="Reads it")
    async def read(interaction: discord.Interaction, tweets: discord.Attachment) -> None:
        content = await tweets.read()
        await interaction.response.send_message(f"{tweets.filename}: {content.decode()} ({tweets.size})")

    async with connected(bot, discord_server):
        await bot.tree.sync()
        file = UploadedFile("tweets.json", b"[1, 2]", "application/json")
        talk, robin = world.channel("talk"), world.user("robin")
        interaction = await discord_server.slash(talk, robin, "read", {"tweets": file})
        assert (await interaction.answered(PATIENCE)).content == "tweets.json: [1, 2] (6)"
