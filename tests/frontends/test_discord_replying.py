"""/reply and "Answer as…" on Discord: what is answered, where, and what is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.config import Replies
from bot.database import Database
from bot.loopback.discord import LoopbackInteraction, Message
from bot.loopback.discord.people import ORDINARY, Permission
from bot.loopback.discord.world import MessageFlag
from tests.frontends.discord_stage import Stage, staged
from tests.loopback.songbird import PATIENCE
from tests.shelves import shelf_with

SEND = "/channels/{channel_id}/messages"
ORIGIN = "-# {} v1 (AI) · seed 1 · novelty 90%"


@pytest.fixture
async def stage(tmp_path: Path, database: Database) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database) as ready:
        yield ready


async def said(
    stage: Stage, text: str, who: str = "wren", channel: str = "talk", *, mentions_bot: bool = False
) -> Message:
    """Somebody's message."""
    world = stage.server.world
    number = await stage.server.say(world.channel(channel), world.user(who), text, mentions_bot=mentions_bot)
    return stage.server.message(number)


def link(stage: Stage, message: Message) -> str:
    """As people copy it."""
    return f"https://discord.com/channels/{message.channel.guild_id}/{message.channel.id}/{message.id}"


async def answer_as(stage: Stage, message: Message, persona: str, who: str = "robin") -> LoopbackInteraction:
    """Somebody lets a persona answer a message by its menu."""
    shown = await stage.server.use_on(message, stage.server.world.user(who), "Answer as…")
    await shown.acknowledged(PATIENCE)
    filled_in = await stage.server.submit(shown, {"persona": persona})
    await filled_in.acknowledged(PATIENCE)
    return filled_in


async def refusal(interaction: LoopbackInteraction) -> str:
    """What the person alone is told."""
    await interaction.acknowledged(PATIENCE)
    told = interaction.original
    if told is None or told.deleted or told.loading:
        [told] = await interaction.followed_up(PATIENCE)
    assert MessageFlag.EPHEMERAL in told.flags
    return told.content


async def replies_to(stage: Stage, message: Message) -> list[Message]:
    """What the bot has replied to it."""
    return [each for each in stage.server.messages_in(message.channel) if each.replies_to == message.id]


async def test_reply_answers_a_text_below_it(stage: Stage) -> None:
    async with stage.running():
        answer = await (await stage.use("reply", "robin", text="What *now*?", persona="crumb")).answered(PATIENCE)
    assert answer.content == f"> What \\*now\\*?\ntweet number 1\n{ORIGIN.format('crumb')}"
    assert stage.speaker.asked == [("crumb", "What *now*?")]


async def test_a_linked_message_is_answered_by_a_reply_that_pings_nobody(stage: Stage) -> None:
    """A message that mentions the bot is one that Discord lets it read."""
    world = stage.server.world
    async with stage.running():
        asked = await said(stage, "what is on the stove?", channel="general", mentions_bot=True)
        own = await stage.server.reply_to(asked.id, PATIENCE)
        interaction = await stage.use("reply", "robin", text=link(stage, asked), persona="crumb")
        told = await interaction.answered(PATIENCE)
        [reply] = [each for each in await replies_to(stage, asked) if each is not own]
    assert reply.content.endswith(f"\n{ORIGIN.format('crumb')}")
    assert reply.mentions == ()
    assert told.content == f"Answered: {link(stage, reply)}" and MessageFlag.EPHEMERAL in told.flags
    persona, about = stage.speaker.asked[1]
    assert persona == "crumb" and "what is on the stove?" in about and str(world.bot.id) not in about


async def test_a_message_that_the_bot_may_not_read_is_said_to_be_unreadable(stage: Stage) -> None:
    async with stage.running():
        asked = await said(stage, "between us", mentions_bot=False)
        told = await refusal(await stage.use("reply", "robin", text=link(stage, asked)))
    assert "only messages that mention me" in told and "Answer as…" in told
    assert stage.speaker.asked == []


@pytest.mark.parametrize("why", ["another server's", "not for robin", "not for the bot"])
async def test_a_link_does_not_lead_to_what_one_of_both_may_not_see(stage: Stage, why: str) -> None:
    world = stage.server.world
    guild, place = next(iter(world.guilds.values())), "general"
    if why == "another server's":
        world.add_guild("Elsewhere", [world.user("wren")], ["den"], 0)
        place = "den"
    elif why == "not for robin":
        guild.roles[0] = replace(guild.roles[0], permissions=ORDINARY & ~Permission.READ_MESSAGE_HISTORY)
    asked = await said(stage, "for few eyes", channel=place, mentions_bot=True)
    if why == "not for the bot":
        world.channel("general").denied_to_bot = Permission.VIEW_CHANNEL
    async with stage.running():
        told = await refusal(await stage.use("reply", "robin", text=link(stage, asked)))
    assert told.startswith("There is no such message, or you or I may not see it")
    assert stage.speaker.asked == []


async def test_where_the_bot_may_not_write_nothing_is_generated(stage: Stage) -> None:
    stage.server.world.channel("general").denied_to_bot = Permission.SEND_MESSAGES
    async with stage.running():
        asked = await said(stage, "hello", channel="general", mentions_bot=True)
        assert "may not write" in await refusal(await stage.use("reply", "robin", text=link(stage, asked)))
        shown = await stage.server.use_on(asked, stage.server.world.user("robin"), "Answer as…")
        assert "may not write" in await refusal(shown)
    assert [about for persona, about in stage.speaker.asked if persona == "crumb"] == []


async def test_answer_as_offers_the_channels_persona_first_and_replies_to_the_message(stage: Stage) -> None:
    async with stage.running():
        await (await stage.use("channel persona", persona="nell")).answered(PATIENCE)
        asked = await said(stage, "lovely evening")
        shown = await stage.server.use_on(asked, stage.server.world.user("robin"), "Answer as…")
        await shown.acknowledged(PATIENCE)
        assert shown.modal is not None
        options = shown.modal["components"][0]["component"]["options"]
        told = await (await answer_as(stage, asked, "crumb")).answered(PATIENCE)
        [reply] = await replies_to(stage, asked)
    assert [(option["value"], option["default"]) for option in options] == [("nell", True), ("crumb", False)]
    assert reply.content == f"tweet number 1\n{ORIGIN.format('crumb')}" and reply.mentions == ()
    assert told.content.startswith("Answered: ")
    assert stage.speaker.asked == [("crumb", "lovely evening")]


async def test_an_answer_is_on_record_and_what_it_answers_is_not(stage: Stage) -> None:
    async with stage.running():
        asked = await said(stage, "a rare word: quomodocunquize")
        await (await answer_as(stage, asked, "crumb")).answered(PATIENCE)
        [reply] = await replies_to(stage, asked)
    kept = await stage.conversation.answers.find("discord", str(reply.id))
    assert kept is not None and (kept.said.persona, kept.said.text) == ("crumb", "tweet number 1")
    robin = str(stage.server.world.user("robin").id)
    row = await stage.database.one("SELECT author_id, state FROM messages")
    assert row is not None and tuple(row) == (robin, "answered")
    assert b"quomodocunquize" not in stage.database.path.read_bytes()


async def test_people_who_opted_out_and_bots_are_not_answered(stage: Stage) -> None:
    world = stage.server.world
    await stage.conversation.opt_outs.add("discord", str(world.user("wren").id))
    async with stage.running():
        theirs = await said(stage, "leave me be", mentions_bot=True)
        own = stage.server.message(await stage.server.say(world.channel("talk"), world.bot, "I said that"))
        for message, reason in ((theirs, "wants no answers"), (own, "Only people's messages")):
            shown = await stage.server.use_on(message, world.user("robin"), "Answer as…")
            assert reason in await refusal(shown)
            assert reason in await refusal(await stage.use("reply", "robin", text=link(stage, message)))
    assert stage.speaker.asked == []


async def test_who_opts_out_while_the_form_is_open_is_not_answered(stage: Stage) -> None:
    wren, robin = stage.server.world.user("wren"), stage.server.world.user("robin")
    async with stage.running():
        asked = await said(stage, "hm")
        shown = await stage.server.use_on(asked, robin, "Answer as…")
        await shown.acknowledged(PATIENCE)
        await stage.conversation.opt_outs.add("discord", str(wren.id))
        assert "wants no answers" in await refusal(await stage.server.submit(shown, {}))
    assert stage.speaker.asked == []


async def test_a_form_from_before_a_restart_says_that_it_is_too_old(stage: Stage) -> None:
    robin = stage.server.world.user("robin")
    async with stage.running():
        asked = await said(stage, "hm")
        shown = await stage.server.use_on(asked, robin, "Answer as…")
        await shown.acknowledged(PATIENCE)
    async with stage.running():
        told = await refusal(await stage.server.submit(shown, {}))
    assert told == "This form is too old, so nothing was done. Open it again."


async def test_a_message_that_is_deleted_meanwhile_is_a_sentence(stage: Stage) -> None:
    robin = stage.server.world.user("robin")
    async with stage.running():
        asked = await said(stage, "oops")
        shown = await stage.server.use_on(asked, robin, "Answer as…")
        await shown.acknowledged(PATIENCE)
        await stage.server.delete(asked)
        [told] = await (await stage.server.submit(shown, {})).followed_up(PATIENCE)
    assert told.content.startswith("Discord did not take the answer")


async def test_answers_count_against_the_quota_of_whoever_asks(tmp_path: Path, database: Database) -> None:
    replies = Replies(default_persona="nell", requests_per_hour=1)
    async with staged(tmp_path, database, replies) as stage, stage.running():
        await (await stage.use("reply", "robin", text="one")).answered(PATIENCE)
        asked = await said(stage, "two")
        [told] = await (await answer_as(stage, asked, "crumb")).followed_up(PATIENCE)
    assert told.content.startswith("That was a lot of tweets")


async def test_with_many_personas_form_and_suggestions_keep_to_what_discord_shows(stage: Stage) -> None:
    """The channel's own is offered, although others come before it in the alphabet."""
    shelf_with(stage.shelf.folder, *(f"bird_{number:02}" for number in range(40)))
    world = stage.server.world
    async with stage.running():
        asked = await said(stage, "who is there?")
        shown = await stage.server.use_on(asked, world.user("robin"), "Answer as…")
        await shown.acknowledged(PATIENCE)
        assert shown.modal is not None
        label = shown.modal["components"][0]
        for command in ("reply", "guess play", "tweet"):
            names = await stage.server.type_option(world.channel("talk"), world.user("robin"), command, "persona", "b")
            assert len(names) == 25
        listed = await (await stage.use("personas", "robin")).answered(PATIENCE)
    options = [option["value"] for option in label["component"]["options"]]
    assert len(options) == 25 and options[0] == "nell"
    assert label["description"] == "Some of them. /reply takes any."
    assert "1 to 10 of 42." in "".join(each.content for each in stage.server.messages_in(world.channel("talk"))), listed


NASTY = {
    "emoji": "🎉" * 2000,
    "long": "word " * 400,
    "markdown": "**__~~||`*_" * 180,
    "mentions": "@everyone <@1> <@&2> @here <#3> " * 60,
    "code": "```py\n" * 300,
    "right to left": "\u202eمرحبا \u2067שלום\u2069 " * 80,
    "headings": "# big\n> quote\n-# small\n" * 80,
    "one word": "x" * 2000,
}


@pytest.mark.parametrize("kind", NASTY)
async def test_no_text_pings_anybody_or_is_too_long(tmp_path: Path, database: Database, kind: str) -> None:
    """Neither one that is answered nor one that a model made: the loopback Discord refuses what is too long."""
    text = NASTY[kind]
    async with staged(tmp_path, database, says=[text] * 4) as stage, stage.running():
        asked = await said(stage, "hm")
        await (await stage.use("tweet", "robin")).answered(PATIENCE)
        await (await stage.use("reply", "robin", text=text[:2000])).answered(PATIENCE)
        await (await answer_as(stage, asked, "crumb")).answered(PATIENCE)
        mention = await said(stage, "and you?", mentions_bot=True)
        await stage.server.reply_to(mention.id, PATIENCE)
        sent = [each for each in stage.server.messages_in(mention.channel) if each.author.bot]
    assert len(sent) >= 4
    pinged = {user.username for each in sent for user in each.mentions}
    assert pinged <= {"wren"}  # who mentioned the bot
    assert all(len(each.content.encode("utf-16-le")) <= 4000 for each in sent)


async def test_an_answer_has_buttons_but_none_that_needs_what_was_asked_and_is_not_kept(stage: Stage) -> None:
    async with stage.running():
        answer = await (await stage.use("reply", "robin", text="What now?")).answered(PATIENCE)
        asked = await said(stage, "hm")
        await (await answer_as(stage, asked, "crumb")).answered(PATIENCE)
        [reply] = await replies_to(stage, asked)
        await stage.server.press(answer, stage.server.world.user("robin"), "Delete")
        await stage.server.until(lambda: answer.deleted, PATIENCE, "the answer to go")
    first, second = (
        [button["label"] for row in each.components for button in row["components"]] for each in (answer, reply)
    )
    assert "Another" not in first and "Original?" in first
    assert "Another" in second
