"""The loopback Discord and webhooks: their faces, their buttons, their end, and replies to what they say."""

import asyncio

import discord
import pytest

from bot.loopback.discord import LoopbackDiscord, Message
from tests.loopback.songbird import PATIENCE, Songbird, connected, text_channel

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x02\x00\x00\x00\x03 and so on"


class Perch(discord.ui.View):
    """A button that lives on."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @discord.ui.button(label="Again", custom_id="again")
    async def again(self, interaction: discord.Interaction, button: discord.ui.Button["Perch"]) -> None:
        """Change the message it stands under."""
        await interaction.response.edit_message(content="again", view=None)


async def spoken(bot: Songbird, server: LoopbackDiscord, text: str = "a tweet") -> Message:
    """What a webhook said in #talk."""
    webhook = await text_channel(bot, server).create_webhook(name="Voices")
    sent = await webhook.send(text, wait=True)
    return server.message(sent.id)


async def test_a_webhook_can_be_looked_up_with_and_without_its_token(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        webhook = await text_channel(bot, discord_server).create_webhook(name="Voices")
        assert (await bot.fetch_webhook(webhook.id)).token == webhook.token
        by_token = await webhook.fetch(prefer_auth=False)
        assert (by_token.name, by_token.user) == ("Voices", None)


async def test_a_webhook_has_a_picture_that_may_change(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        webhook = await text_channel(bot, discord_server).create_webhook(name="Voices", avatar=PNG)
        kept = discord_server.world.webhooks[webhook.id]
        assert (webhook.avatar is not None, kept.picture) == (True, PNG)
        webhook = await webhook.edit(name="Choir", avatar=None)
    assert (kept.name, kept.avatar, kept.picture, webhook.avatar) == ("Choir", None, None, None)


async def test_a_webhook_signs_with_a_picture_from_elsewhere(discord_server: LoopbackDiscord) -> None:
    bot, url = Songbird(), "https://example.org/nasa.png"
    async with connected(bot, discord_server):
        webhook = await text_channel(bot, discord_server).create_webhook(name="Voices")
        sent = await webhook.send("a tweet", avatar_url=url, wait=True)
    assert discord_server.message(sent.id).avatar_url == url
    assert sent.author.avatar is not None


async def test_a_button_under_a_webhooks_message_can_be_pressed(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        bot.add_view(Perch())
        webhook = await text_channel(bot, discord_server).create_webhook(name="Voices")
        sent = await webhook.send("once", view=Perch(), wait=True)
        message = discord_server.message(sent.id)
        interaction = await discord_server.press(message, discord_server.world.user("robin"), "Again")
        await interaction.acknowledged(PATIENCE)
    assert (message.content, message.components) == ("again", [])


async def test_a_webhook_pings_everyone_only_if_it_is_allowed(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    robin = discord_server.world.user("robin")
    async with connected(bot, discord_server):
        webhook = await text_channel(bot, discord_server).create_webhook(name="Voices")
        text = f"@everyone and {robin.mention}"
        quiet = await webhook.send(text, allowed_mentions=discord.AllowedMentions.none(), wait=True)
        loud = await webhook.send(text, allowed_mentions=discord.AllowedMentions.all(), wait=True)
    messages = [discord_server.message(sent.id) for sent in (quiet, loud)]
    assert [(m.pings_everyone, m.mentions) for m in messages] == [(False, ()), (True, (robin,))]


async def test_a_webhook_may_vanish_behind_the_bots_back(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        webhook = await text_channel(bot, discord_server).create_webhook(name="Voices")
        await discord_server.remove_webhook(discord_server.world.webhooks[webhook.id])
        with pytest.raises(discord.NotFound) as refused:
            await webhook.send("hello?")
        assert refused.value.code == 10015
        with pytest.raises(discord.NotFound):
            await bot.fetch_webhook(webhook.id)


async def test_a_reply_to_a_webhooks_message_is_not_readable(discord_server: LoopbackDiscord) -> None:
    """The webhook is not the bot, so the reply mentions nobody; what is replied to is the application's own."""
    bot = Songbird()
    talk, robin = discord_server.world.channel("talk"), discord_server.world.user("robin")
    async with connected(bot, discord_server):
        message = await spoken(bot, discord_server)
        await discord_server.say(talk, robin, "is that so?", mentions_bot=False, reply_to=message.id)
        assert [await bot.hear(), await bot.hear()] == ["a tweet", ""]
        heard = bot.seen[-1]
    assert heard.mentions == [] and heard.reference is not None
    assert isinstance(heard.reference.resolved, discord.Message)
    assert (heard.reference.message_id, heard.reference.resolved.content) == (message.id, "a tweet")


async def test_a_reply_to_a_webhooks_message_is_readable_if_it_mentions_the_bot(
    discord_server: LoopbackDiscord,
) -> None:
    bot = Songbird()
    talk, robin = discord_server.world.channel("talk"), discord_server.world.user("robin")
    async with connected(bot, discord_server):
        message = await spoken(bot, discord_server)
        said = await discord_server.say(talk, robin, "is that so?", reply_to=message.id)
        assert (await discord_server.reply_to(said, PATIENCE)).content == "You said: is that so?"


async def test_the_bot_hears_that_webhooks_are_others_now(discord_server: LoopbackDiscord) -> None:
    bot, changed = Songbird(), asyncio.Queue[str]()

    @bot.event
    async def on_webhooks_update(channel: discord.abc.GuildChannel) -> None:
        changed.put_nowait(channel.name)

    async with connected(bot, discord_server):
        await text_channel(bot, discord_server).create_webhook(name="Voices")
        assert await asyncio.wait_for(changed.get(), PATIENCE) == "talk"
