"""When an answer can't be sent: it is lost with a line in the log, never said twice, and everybody else is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from bot.database import Database
from bot.frontends.discord.steady import steadily
from bot.loopback.discord.world import Permission
from tests.frontends.discord_stage import Stage, staged
from tests.loopback.songbird import PATIENCE

SEND = "/channels/{channel_id}/messages"
LOST = "discord would not take the answer"


@pytest.fixture
async def stage(tmp_path: Path, database: Database) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database) as ready:
        yield ready


async def in_general(stage: Stage, text: str) -> str:
    """What robin is answered in another channel."""
    world = stage.server.world
    message = await stage.server.say(world.channel("general"), world.user("robin"), text)
    return (await stage.reply(message)).content


def lost(lines: list[Any]) -> list[str]:
    return [line["trouble"] for line in lines if line["event"] == LOST]


async def test_where_the_bot_may_not_write_the_answer_is_lost_and_others_are_answered(stage: Stage) -> None:
    stage.server.world.channel("talk").denied_to_bot = Permission.SEND_MESSAGES
    with capture_logs() as lines:
        async with stage.running():
            await stage.say("hello")
            await stage.server.until(lambda: bool(lost(lines)) or bool(refused(stage)), PATIENCE)
            assert await in_general(stage, "and here?") != ""
    (trouble,) = lost(lines)
    assert trouble.startswith("403 Forbidden")


def refused(stage: Stage) -> list[int]:
    return [each.status for each in stage.server.requests if each.route == SEND and each.status >= 400]


async def test_a_channel_deleted_before_the_answer_breaks_nothing(stage: Stage) -> None:
    stage.speaker.free.clear()
    with capture_logs() as lines:
        async with stage.running():
            await stage.say("hello")
            await asyncio.wait_for(stage.speaker.asking.wait(), PATIENCE)
            await stage.server.delete_channel(stage.server.world.channel("talk"))
            stage.speaker.free.set()
            assert await in_general(stage, "and here?") != ""
    (trouble,) = lost(lines)
    assert trouble.startswith("404 Not Found")


async def test_an_answer_that_discord_does_not_take_at_first_is_sent_once_more(stage: Stage) -> None:
    """Also where it took the answer and only failed to say so: the nonce tells."""
    async with stage.running():
        stage.server.rough_weather(1.0, (503,), lost=1.0)
        message = await stage.say("hello")
        await stage.reply(message)
        stage.server.calm_weather()
        await stage.answer("and you?")
    assert len(stage.server.world.archive.replies_to(message)) == 1


async def test_an_answer_that_discord_did_not_take_for_long_is_not_said_later(stage: Stage) -> None:
    """It may have arrived; so a second delivery of the message is silent."""
    with capture_logs() as lines:
        async with stage.running(patience_seconds=0):
            stage.server.refuse_next(f"POST {SEND}", 503)
            message = await stage.say("hello")
            await stage.server.until(lambda: bool(refused(stage)), PATIENCE)
            await stage.server.redeliver(message)
            await stage.answer("and you?")
    assert len(lost(lines)) == 1
    assert [about for _, about in stage.speaker.asked] == ["hello", "and you?"]


async def test_a_session_that_was_lost_answers_nothing_twice(stage: Stage) -> None:
    async with stage.running():
        message = await stage.say("hello")
        await stage.reply(message)
        await stage.server.ask_to_reconnect()
        await stage.server.redeliver(message)
        await stage.answer("and you?")
    assert [about for _, about in stage.speaker.asked] == ["hello", "and you?"]


async def test_what_was_said_while_the_connection_hung_is_answered_once(tmp_path: Path, database: Database) -> None:
    """It stays open, but nothing arrives any more; the bot notices by its heartbeats."""
    async with staged(tmp_path, database, heartbeat_interval=0.2) as stage, stage.running():
        await stage.answer("hello")
        stage.server.go_silent()
        message = await stage.say("can you hear me?")
        await stage.reply(message)
        await stage.answer("and now?")
        assert len(stage.server.world.archive.replies_to(message)) == 1
    assert [about for _, about in stage.speaker.asked] == ["hello", "can you hear me?", "and now?"]


async def test_each_of_two_messages_at_once_gets_its_own_answer(stage: Stage) -> None:
    """The voice is held up until both are asked, and each answer is a reply to its own message."""
    stage.speaker.free.clear()
    async with stage.running():
        first, second = await stage.say("one"), await stage.say("two")
        async with asyncio.timeout(PATIENCE):
            while len(stage.speaker.asked) < 2:
                stage.speaker.asking.clear()
                await stage.speaker.asking.wait()
        stage.speaker.free.set()
        replies = [await stage.reply(first), await stage.reply(second)]
    assert [each.replies_to for each in replies] == [first, second]
    assert replies[0].content != replies[1].content


async def test_what_was_cut_off_on_its_way_is_sent_again() -> None:
    failures: list[Exception] = [aiohttp.ServerDisconnectedError(), ConnectionResetError(), TimeoutError()]

    async def send() -> str:
        if failures:
            raise failures.pop()
        return "sent"

    assert await steadily(send) == "sent"
