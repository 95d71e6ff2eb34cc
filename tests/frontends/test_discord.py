"""The bot on Discord: who is answered, how, and what happens when Discord or the service has a bad moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.config import Discord, Replies
from bot.database import Database
from bot.errors import Busy, DiscordError
from bot.frontends.discord.client import Client
from bot.frontends.discord.sync import sync_commands
from bot.generation.draft import Partial
from bot.loopback.discord import Kind
from bot.replies.incoming import Platform
from bot.training.decisions import Decision, What
from tests.frontends.discord_stage import Stage, staged, stop
from tests.loopback.songbird import PATIENCE

SEND = "/channels/{channel_id}/messages"
COMMANDS = "/applications/{application_id}/commands"


def decision(number: int) -> Decision:
    """nell speaks as that version from now on."""
    before, now, moment = f"v{number - 1}", f"v{number}", datetime(2026, 11, 22, tzinfo=UTC)
    return Decision(number, "nell", before, now, What.USED, "It is better.", "command", moment)


@pytest.fixture
async def stage(tmp_path: Path, database: Database) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database) as ready:
        yield ready


# Talking


async def test_a_mention_is_answered_by_a_reply(stage: Stage) -> None:
    async with stage.running():
        message = await stage.say("how is the weather?")
        reply = await stage.reply(message)
    assert reply.content == "tweet number 1"
    assert stage.speaker.asked == [("nell", "how is the weather?")]


async def test_the_named_persona_answers(stage: Stage) -> None:
    async with stage.running():
        await stage.reply(await stage.say("crumb: what is in the oven?"))
    assert stage.speaker.asked == [("crumb", "what is in the oven?")]


async def test_a_direct_message_needs_no_mention(stage: Stage) -> None:
    robin = stage.server.world.user("robin")
    async with stage.running():
        message = await stage.server.say(stage.server.world.direct(robin), robin, "hello?")
        await stage.reply(message)
    assert stage.speaker.asked == [("nell", "hello?")]


async def test_a_reply_to_the_bot_is_answered(stage: Stage) -> None:
    async with stage.running():
        first = await stage.reply(await stage.say("hello"))
        await stage.reply(await stage.say("and then?", mentions_bot=False, reply_to=first.id))
    assert stage.speaker.asked[1] == ("nell", "and then?")


async def test_only_what_is_said_to_the_bot_is_answered(stage: Stage) -> None:
    world = stage.server.world
    async with stage.running():
        await stage.say("nobody in particular", mentions_bot=False)
        await stage.say("@everyone hello", mentions_bot=False)
        await stage.server.say(world.channel("talk"), world.bot, "talking to myself")
        await stage.reply(await stage.say("you there?"))
    assert stage.speaker.asked == [("nell", "you there?")]


async def test_a_reply_pings_its_author_and_nobody_else(tmp_path: Path, database: Database) -> None:
    async with staged(tmp_path, database, says=["@everyone look, <@1> and @here"]) as stage, stage.running():
        reply = await stage.reply(await stage.say("who?"))
        assert [user.username for user in reply.mentions] == ["robin"]
        [body] = stage.requests("POST", SEND)
        assert body["allowed_mentions"] == {"parse": [], "replied_user": True}


async def test_nothing_of_an_answer_is_sent_before_it_is_chosen(stage: Stage) -> None:
    """What is half spoken has passed no filter."""
    stage.speaker.partials = [Partial(0, 1, "half a sen")]
    async with stage.running():
        await stage.reply(await stage.say("hello"))
        await (await stage.use("tweet")).answered(PATIENCE)
        await (await stage.use("replay", persona="nell", version="v1", seed=1)).answered(PATIENCE)
    assert "half a sen" not in str(stage.server.requests)


async def test_it_types_while_it_thinks(stage: Stage) -> None:
    stage.speaker.free.clear()
    async with stage.running():
        message = await stage.say("think about it")
        await stage.server.wait_for(lambda happening: happening.kind is Kind.TYPED, PATIENCE)
        stage.speaker.free.set()
        await stage.reply(message)


async def test_two_messages_at_once_are_two_answers(stage: Stage) -> None:
    async with stage.running():
        messages = [await stage.say(f"question {number}") for number in range(5)]
        replies = [await stage.reply(message) for message in messages]
    assert len({reply.content for reply in replies}) == 5


async def test_an_answer_longer_than_a_message_is_sent_in_pieces(tmp_path: Path, database: Database) -> None:
    async with staged(tmp_path, database, says=["words " * 400]) as stage, stage.running():
        await stage.reply(await stage.say("tell me everything"))
        await stage.server.wait_for(lambda h: h.kind is Kind.CREATED and sent_by_bot(stage) == 2, PATIENCE)


def sent_by_bot(stage: Stage) -> int:
    channel = stage.server.world.channel("talk")
    return sum(message.author.bot for message in stage.server.messages_in(channel))


async def test_somebody_who_asks_too_often_is_told_when_to_come_back(tmp_path: Path, database: Database) -> None:
    replies = Replies(default_persona="nell", requests_per_hour=1)
    async with staged(tmp_path, database, replies) as stage, stage.running():
        await stage.reply(await stage.say("one"))
        refusal = await stage.reply(await stage.say("two"))
    assert "1 an hour is the limit here" in refusal.content


async def test_after_too_much_at_once_the_same_message_may_still_be_answered(stage: Stage) -> None:
    stage.speaker.failure = Busy("Too many are waiting. Ask again in a minute.", 60)
    async with stage.running():
        message = await stage.say("hello")
        assert (await stage.reply(message)).content == "Too many are waiting. Ask again in a minute."
        stage.speaker.failure = None
        await stage.server.redeliver(message)
        await stage.server.wait_for(lambda h: h.message is not None and h.message.content == "tweet number 1", PATIENCE)


async def test_a_bug_is_a_sentence_with_an_id_that_the_log_has_too(stage: Stage) -> None:
    stage.speaker.failure = RuntimeError("a detail")
    with capture_logs() as lines:
        async with stage.running():
            reply = await stage.reply(await stage.say("hello"))
    assert "Something went wrong" in reply.content and reply.content.endswith("-# e1")
    assert "detail" not in reply.content
    [line] = [line for line in lines if line.get("error_id") == "e1"]
    assert line["exc_info"] is stage.speaker.failure
    assert "hello" not in str(lines)


# Once and only once


async def test_a_message_that_is_delivered_twice_is_answered_once(stage: Stage) -> None:
    async with stage.running():
        message = await stage.say("hello")
        await stage.reply(message)
        await stage.server.redeliver(message)
        await stage.reply(await stage.say("and you?"))
    assert sent_by_bot(stage) == 2


async def test_a_message_that_was_answered_before_a_restart_is_silent(stage: Stage) -> None:
    async with stage.running():
        message = await stage.say("hello")
        await stage.reply(message)
    async with stage.running():
        await stage.server.redeliver(message)
        await stage.reply(await stage.say("and you?"))
    assert sent_by_bot(stage) == 2


async def test_a_message_said_while_the_connection_is_down_is_answered_once(stage: Stage) -> None:
    async with stage.running():
        await stage.reply(await stage.say("before"))
        stage.server.drop_connections()
        message = await stage.say("meanwhile")
        await stage.reply(message)
        await stage.server.wait_for(lambda happening: happening.kind is Kind.RESUMED, PATIENCE)
        await stage.reply(await stage.say("after"))
    assert sent_by_bot(stage) == 3


@pytest.mark.parametrize("status", [429, 502])
async def test_a_refusal_by_discord_delays_the_answer_and_never_doubles_it(stage: Stage, status: int) -> None:
    async with stage.running():
        stage.server.refuse_next(f"POST {SEND}", status)
        await stage.reply(await stage.say("hello"))
        await stage.reply(await stage.say("and you?"))
    assert sent_by_bot(stage) == 2


async def test_each_answer_carries_a_nonce_that_lets_discord_drop_a_second_copy(stage: Stage) -> None:
    async with stage.running():
        message = await stage.say("hello")
        await stage.reply(message)
    [body] = stage.requests("POST", SEND)
    assert (body["nonce"], body["enforce_nonce"]) == (str(message), True)


async def test_a_message_deleted_before_the_answer_breaks_nothing(stage: Stage) -> None:
    stage.speaker.free.clear()
    async with stage.running():
        gone = await stage.say("forget it")
        await asyncio.wait_for(stage.speaker.asking.wait(), PATIENCE)
        stage.server.message(gone).deleted = True
        stage.speaker.free.set()
        await stage.reply(await stage.say("hello"))
    assert sent_by_bot(stage) == 1


# Starting and stopping


async def test_stopping_lets_the_answer_under_way_be_sent(stage: Stage) -> None:
    stage.speaker.free.clear()
    async with stage.running() as task:
        message = await stage.say("hello")
        await asyncio.wait_for(stage.speaker.asking.wait(), PATIENCE)
        task.cancel()
        stage.speaker.free.set()
        await asyncio.wait([task], timeout=PATIENCE)
        assert (await stage.reply(message)).content == "tweet number 1"
    row = await stage.database.one("SELECT state FROM messages")
    assert row is not None and row["state"] == "answered"


async def test_stopping_does_not_wait_for_ever(stage: Stage) -> None:
    stage.speaker.free.clear()
    async with stage.running(drain_seconds=0):
        await stage.say("hello")
        await asyncio.wait_for(stage.speaker.asking.wait(), PATIENCE)
    assert sent_by_bot(stage) == 0


async def test_a_wrong_token_ends_the_front_end_with_one_line(stage: Stage) -> None:
    with capture_logs() as lines:
        await asyncio.wait_for(stage.frontend(token="wrong-token").run(), PATIENCE)
    [line] = lines
    assert "refused the token in the environment variable DISCORD_TOKEN" in line["event"]
    assert "wrong-token" not in str(line)


async def test_a_token_that_could_not_even_be_sent_is_a_wrong_token(stage: Stage) -> None:
    await asyncio.wait_for(stage.frontend(token="two\nlines").run(), PATIENCE)
    assert stage.server.requests == []


async def test_what_is_decided_while_there_is_no_connection_is_announced_once_there_is(stage: Stage) -> None:
    """Neither an end of the connection in between nor a channel that is gone keeps it from the others, once in each."""
    talk = stage.server.world.channel("talk")
    for channel in ("12345", str(talk.id)):
        await stage.conversation.set_channel_persona(Platform.DISCORD, channel, "nell")

    def said() -> list[str]:
        return [each.content for each in stage.server.messages_in(talk) if "speaks as" in each.content]

    frontend = stage.frontend()
    for number in (2, 3):
        await frontend.announce(decision(number))  # there is no connection yet
        task = asyncio.create_task(frontend.run(), name="discord")
        await stage.server.until(lambda: len(said()) == number - 1, PATIENCE, "the announcement")  # noqa: B023
        await stage.server.bot_ready(PATIENCE)
        await stop(task)
    assert ["v2" in said()[0], "v3" in said()[1]] == [True, True]


async def test_an_announcement_that_a_closed_connection_did_not_take_is_kept(stage: Stage) -> None:
    """As aiohttp refuses it while the connection is being closed."""
    talk = stage.server.world.channel("talk")
    await stage.conversation.set_channel_persona(Platform.DISCORD, str(talk.id), "nell")
    frontend = stage.frontend()
    unused: Any = None
    closed = Client(unused, 0)
    async with closed:
        await closed.login(stage.server.token)
    await frontend.announce(decision(2))
    async with asyncio.timeout(PATIENCE):
        await frontend._announce_all(closed)
    task = asyncio.create_task(frontend.run(), name="discord")
    await stage.server.until(
        lambda: any("v2" in each.content for each in stage.server.messages_in(talk)), PATIENCE, "the announcement"
    )
    await stage.server.bot_ready(PATIENCE)
    await stop(task)


async def test_trouble_at_the_start_is_waited_out(stage: Stage) -> None:
    stage.server.refuse_next("GET /users/@me", 503, times=3)
    async with stage.running():
        await stage.reply(await stage.say("hello"))
    assert sum(request.path == "/users/@me" for request in stage.server.requests) == 4


async def test_commands_are_synced_once_and_not_again_at_the_next_start(stage: Stage) -> None:
    for _ in range(2):
        async with stage.running():
            pass
    assert len(stage.requests("PUT", COMMANDS)) == 1


async def test_the_command_line_syncs_the_commands_in_any_case(stage: Stage) -> None:
    settings = Discord(api_base=stage.server.api_base, gateway_url=stage.server.gateway_url)
    async with stage.running():
        pass
    names = await sync_commands(settings, stage.server.token, stage.database)
    assert {"channel", "train", "tweet"} <= {*names}
    assert len(stage.requests("PUT", COMMANDS)) == 2
    with pytest.raises(DiscordError, match="environment variable DISCORD_TOKEN"):
        await sync_commands(settings, "wrong-token", stage.database)


async def test_a_start_without_the_right_to_commands_still_answers_mentions(stage: Stage) -> None:
    stage.server.refuse_next(f"PUT {COMMANDS}", 503)
    async with stage.running():
        await stage.reply(await stage.say("hello"))
    task = asyncio.create_task(stage.frontend().run())
    await stage.server.wait_for(lambda h: h.kind is Kind.COMMANDS_WRITTEN, PATIENCE)
    await stop(task)
