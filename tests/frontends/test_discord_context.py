"""What the bot knows of what was said before, and who it goes on as."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.database import Database
from bot.loopback.discord import User
from bot.loopback.discord.sessions import Intent
from tests.frontends.discord_stage import Stage, staged

FETCH = "/channels/{channel_id}/messages/{message_id}"


@pytest.fixture
async def stage(tmp_path: Path, database: Database) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database) as ready:
        yield ready


async def test_a_reply_goes_on_with_the_same_persona_and_knows_what_was_said(stage: Stage) -> None:
    """The channel's persona is nell; crumb was asked, so crumb goes on."""
    async with stage.running():
        first = await stage.answer("crumb: what is in the oven?")
        second = await stage.answer("and then?", mentions_bot=False, reply_to=first.id)
        await stage.answer("why?", mentions_bot=False, reply_to=second.id)
    assert stage.speaker.asked[2] == ("crumb", "why?")
    assert stage.speaker.thread == ("crumb: what is in the oven?", "tweet number 1", "and then?", second.content)


async def test_our_own_words_come_as_they_were_written(tmp_path: Path, database: Database) -> None:
    """On Discord they stand escaped."""
    async with staged(tmp_path, database, says=["_so_ *it* goes"]) as stage, stage.running():
        first = await stage.answer("hello")
        assert first.content == r"\_so\_ \*it\* goes"
        await stage.answer("how?", mentions_bot=False, reply_to=first.id)
        assert stage.speaker.thread == ("hello", "_so_ *it* goes")


async def test_the_context_has_an_end(stage: Stage) -> None:
    async with stage.running():
        answer = await stage.answer("number 0")
        for number in range(1, 6):
            last = answer
            answer = await stage.answer(f"number {number}", mentions_bot=False, reply_to=answer.id)
    assert len(stage.speaker.thread) == 8
    assert stage.speaker.thread[-1] == last.content


async def test_a_message_that_is_gone_ends_the_context_and_not_the_answer(stage: Stage) -> None:
    async with stage.running():
        question = await stage.say("hello")
        first = await stage.reply(question)
        await stage.server.delete(stage.server.message(question))
        await stage.answer("how?", mentions_bot=False, reply_to=first.id)
    assert stage.speaker.thread == ("tweet number 1",)


async def test_trouble_while_reading_the_context_never_hinders_the_answer(stage: Stage) -> None:
    async with stage.running():
        first = await stage.answer("hello")
        stage.server.refuse_next(f"GET {FETCH}", 503)
        await stage.answer("how?", mentions_bot=False, reply_to=first.id)
    assert stage.speaker.thread == ("tweet number 1",)


async def test_words_of_somebody_who_opted_out_are_no_context(stage: Stage) -> None:
    world = stage.server.world
    async with stage.running():
        first = await stage.answer("hello")
        await stage.conversation.opt_outs.add("discord", str(world.user("robin").id))
        message = await stage.server.say(
            world.channel("talk"), world.user("wren"), "how?", mentions_bot=False, reply_to=first.id
        )
        await stage.reply(message)
    assert stage.speaker.thread == ("tweet number 1",)


async def test_a_persona_is_named_as_people_write_it(stage: Stage) -> None:
    async with stage.running():
        await stage.answer("Crumb: what is in the oven?")
    assert stage.speaker.asked == [("crumb", "what is in the oven?")]


async def test_another_bot_is_never_answered(stage: Stage) -> None:
    """Neither when it mentions this one nor when it replies to it, so two bots stop at once."""
    world = stage.server.world
    other = User(world.snowflakes.next(), "parrot", "Parrot", bot=True)
    world.users[other.id] = other
    async with stage.running():
        answer = await stage.answer("hello")
        await stage.server.say(world.channel("talk"), other, "hello, colleague")
        await stage.server.say(world.channel("talk"), other, "go on", mentions_bot=False, reply_to=answer.id)
        await stage.answer("and you?")
    assert [about for _, about in stage.speaker.asked] == ["hello", "and you?"]


async def test_in_a_channel_that_is_off_mentions_are_silent(stage: Stage) -> None:
    talk = stage.server.world.channel("talk")
    await stage.conversation.channels.switch("discord", str(talk.id), str(talk.guild_id), on=False)
    async with stage.running():
        await stage.say("hello")
        robin = stage.server.world.user("robin")
        await stage.reply(await stage.server.say(stage.server.world.direct(robin), robin, "psst"))
    assert [about for _, about in stage.speaker.asked] == ["psst"]


async def test_an_intent_that_is_not_switched_on_ends_the_front_end_with_one_line(
    tmp_path: Path, database: Database
) -> None:
    async with staged(tmp_path, database, message_content=True) as stage:
        with capture_logs() as lines:
            await stage.frontend().run()
    [line] = [each for each in lines if each["log_level"] == "error"]
    assert "Switch Message Content Intent on" in line["event"]


async def test_with_the_intent_a_reply_to_a_persona_in_costume_needs_no_mention(
    tmp_path: Path, database: Database
) -> None:
    async with staged(tmp_path, database, message_content=True, privileged=Intent.MESSAGE_CONTENT) as stage:
        talk = stage.server.world.channel("talk")
        await stage.conversation.channels.set_costume("discord", str(talk.id), str(talk.guild_id), True)
        async with stage.running():
            said = await stage.said_in_costume("crumb: hello")
            await stage.say("just talking", mentions_bot=False)
            await stage.said_in_costume("and then?", 2, mentions_bot=False, reply_to=said.id)
    assert stage.speaker.asked == [("crumb", "hello"), ("crumb", "and then?")]
    assert stage.speaker.thread == ("crumb: hello", "tweet number 1")
