"""Duels on Discord: where two personas talk, how long, who stops them, and what a restart or a takedown leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.config import Replies
from bot.database import Database
from bot.errors import Refused
from bot.loopback.discord import LoopbackInteraction, Message
from bot.loopback.discord.people import Permission
from bot.loopback.discord.places import Channel
from bot.loopback.discord.world import MessageFlag
from bot.replies.duels import MOST_AN_HOUR
from bot.replies.incoming import Incoming, Platform
from tests.fakes import FakeClock
from tests.frontends.discord_stage import Stage, staged
from tests.loopback.songbird import PATIENCE


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def stage(tmp_path: Path, database: Database, clock: FakeClock) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database, clock=clock) as ready:
        yield ready


async def begun(stage: Stage, who: str = "robin", **options: object) -> Message:
    """A duel of nell and crumb; the message that opens it."""
    return await (await stage.use("duel", who, **{"a": "nell", "b": "crumb", **options})).answered(PATIENCE)


async def ends(stage: Stage, place: Channel, last: str = "Who won?") -> list[str]:
    """Wait for the last line; what was said in that place by the bot, without it."""

    def texts() -> list[str]:
        return [each.content for each in stage.server.messages_in(place) if each.author.bot]

    await stage.server.until(lambda: any(last in text for text in texts()), PATIENCE, last)
    return [text for text in texts() if last not in text and "both AI" not in text]


def thread_of(stage: Stage, opening: Message) -> Channel:
    """The thread about the opening message."""
    return stage.server.world.channels[opening.id]


async def in_thread(stage: Stage, opening: Message) -> Channel:
    """The same, once it is there."""
    await stage.server.until(lambda: opening.id in stage.server.world.channels, PATIENCE, "a thread")
    return thread_of(stage, opening)


async def held(stage: Stage) -> None:
    """Wait for the request that the voice was told to hold up."""
    await asyncio.wait_for(stage.speaker.held.wait(), PATIENCE)


async def refusal(interaction: LoopbackInteraction) -> str:
    """What the person alone is told."""
    [told] = await interaction.followed_up(PATIENCE)
    assert MessageFlag.EPHEMERAL in told.flags
    return told.content


async def ended(stage: Stage) -> str:
    """Wait until the duel is over; why it ended early."""
    async with asyncio.timeout(PATIENCE):
        while True:
            row = await stage.database.one("SELECT reason FROM duels WHERE ended_at IS NOT NULL")
            if row is not None:
                return str(row["reason"])
            await asyncio.sleep(0.01)


async def test_two_personas_answer_each_other_in_a_thread(stage: Stage) -> None:
    async with stage.running():
        opening = await begun(stage, topic="bread", turns=4)
        said = await ends(stage, await in_thread(stage, opening))
    speakers = ["Nell", "Crumb", "Nell", "Crumb"]
    assert said == [f"**{who} (AI)**: tweet number {number}" for number, who in enumerate(speakers, start=1)]
    assert [about for _, about in stage.speaker.asked] == ["bread", *(f"tweet number {n}" for n in (1, 2, 3))]
    assert stage.speaker.thread == ("bread", "tweet number 1", "tweet number 2")
    assert opening.content == "**Nell** and **Crumb** (both AI) talk about bread." and opening.components == []
    assert thread_of(stage, opening).name == "Nell and Crumb: bread"


async def test_six_turns_are_usual_and_nothing_is_kept_of_topic_and_starter(stage: Stage) -> None:
    async with stage.running():
        said = await ends(stage, await in_thread(stage, await begun(stage, topic="a rare word")))
    assert len(said) == 6
    row = await stage.database.one("SELECT topic, started_by, said, reason FROM duels")
    assert row is not None and tuple(row) == ("", "", "[]", None)


async def test_each_turn_is_on_record_and_counts_against_the_quota(tmp_path: Path, database: Database) -> None:
    replies = Replies(default_persona="nell", requests_per_hour=4)
    async with staged(tmp_path, database, replies) as stage, stage.running():
        opening = await begun(stage, turns=4)
        await ends(stage, await in_thread(stage, opening))
        told = await refusal(await stage.use("tweet", "robin"))
        turns = [each for each in stage.server.messages_in(thread_of(stage, opening)) if "(AI)" in each.content]
        kept = [await stage.conversation.answers.find("discord", str(each.id)) for each in turns]
    assert told.startswith("That was a lot of tweets")
    assert [each.said.persona for each in kept if each] == ["nell", "crumb"] * 2
    standing = {str(each["answer_id"]) for each in await stage.conversation.messages.said_as(["nell", "crumb"])}
    assert {str(each.id) for each in turns} <= standing


async def test_without_the_right_to_threads_they_reply_in_the_channel_four_times_at_most(stage: Stage) -> None:
    talk = stage.server.world.channel("talk")
    talk.denied_to_bot = Permission.CREATE_PUBLIC_THREADS
    async with stage.running():
        await begun(stage, turns=12)
        said = await ends(stage, talk)
    assert len(said) == 4
    turns = [each for each in stage.server.messages_in(talk) if each.content in said]
    assert [each.replies_to for each in turns] == [None, *(each.id for each in turns[:-1])]
    assert [each.mentions for each in turns] == [()] * 4


async def test_inside_a_thread_they_talk_there(stage: Stage) -> None:
    async with stage.running():
        thread = await in_thread(stage, await begun(stage, turns=2))
        await ends(stage, thread)
        again = await stage.server.slash(
            thread, stage.server.world.user("robin"), "duel", {"a": "crumb", "b": "nell", "turns": 5}
        )
        await again.answered(PATIENCE)
        said = await ends(stage, thread, "🅰️ for **Crumb**")
    assert len([text for text in said if "(AI)**:" in text]) == 2 + 5


async def test_in_costume_each_speaks_under_its_own_name(stage: Stage) -> None:
    guild = next(iter(stage.server.world.guilds.values()))
    await stage.conversation.servers.change("discord", str(guild.id), in_costume=True)
    async with stage.running():
        thread = await in_thread(stage, await begun(stage, turns=2))
        assert await ends(stage, thread) == ["tweet number 1", "tweet number 2"]
    turns = [each for each in stage.server.messages_in(thread) if each.content.startswith("tweet")]
    assert [each.author.username for each in turns] == ["Nell (AI)", "Crumb (AI)"]


async def test_a_restart_goes_on_where_they_were(stage: Stage) -> None:
    """The third turn was being thought of."""
    stage.speaker.holds_at = 3
    async with stage.running(drain_seconds=0):
        thread = await in_thread(stage, await begun(stage, turns=4))
        await held(stage)
    stage.speaker.free.set()
    async with stage.running():
        said = await ends(stage, thread)
    numbers = ["1", "2", "3", "4"]
    assert [text.partition(" (AI)")[0] for text in said] == ["**Nell", "**Crumb", "**Nell", "**Crumb"]
    assert [text[-1] for text in said] == numbers


async def test_a_turn_that_was_sent_but_not_written_down_is_not_said_twice(stage: Stage) -> None:
    """In costume there is no nonce by which Discord would know it again."""
    guild = next(iter(stage.server.world.guilds.values()))
    await stage.conversation.servers.change("discord", str(guild.id), in_costume=True)
    async with stage.running():
        thread = await in_thread(stage, await begun(stage, turns=3))
        said = await ends(stage, thread)
    last = '{"persona": "nell", "version": "v1", "text": "tweet number 3", "seed": 1, "novelty": 0.9, "nearest": "1"}'
    async with stage.database.transaction() as transaction:  # as it stood before Discord's answer came
        await transaction.run("UPDATE duels SET ended_at = NULL, reason = NULL, said = ?, turns = 1", (f"[{last}]",))
    async with stage.running():
        await ended(stage)
        assert await ends(stage, thread) == said


async def test_whoever_began_it_and_moderators_stop_it_and_nobody_else(stage: Stage) -> None:
    world = stage.server.world
    stage.speaker.holds_at = 3
    async with stage.running():
        opening = await begun(stage, "wren", turns=12)
        thread = await in_thread(stage, opening)
        await held(stage)
        told = await stage.server.press(opening, world.user("robin"), "Stop")
        await told.acknowledged(PATIENCE)
        assert told.original is not None and "can stop it" in told.original.content
        await (await stage.server.press(opening, world.user("wren"), "Stop")).acknowledged(PATIENCE)
        assert await ended(stage) == "somebody stopped it"
        await stage.server.until(lambda: "until somebody stopped them" in opening.content, PATIENCE)
        stage.speaker.free.set()
        await stage.reply(await stage.say("still there?"))
    assert len([each for each in stage.server.messages_in(thread) if "(AI)**" in each.content]) == 2
    assert opening.components == []


async def test_what_was_sent_while_it_was_stopped_is_on_record(stage: Stage) -> None:
    """A takedown has to find every message."""
    asked = Incoming(Platform.DISCORD, "1", "2", "robin", server_id="3")
    begun = await stage.duels.begin(asked, "nell", "crumb", "", 4)
    duel = await stage.duels.takes_place(begun.id, "4", "5", 4)
    await stage.duels.end(duel.id, "somebody stopped it")
    await stage.duels.was_said(duel, "6")
    assert "6" in [row["answer_id"] for row in await stage.conversation.messages.said_as(["nell"])]
    assert await stage.conversation.answers.find("discord", "6") is not None


async def test_a_deleted_thread_ends_it(stage: Stage) -> None:
    stage.speaker.holds_at = 3
    async with stage.running():
        thread = await in_thread(stage, await begun(stage, turns=12))
        await held(stage)
        await stage.server.delete_channel(thread)
        stage.speaker.free.set()
        assert await ended(stage) == "its thread is gone"
    assert len(stage.speaker.asked) == 3


async def test_a_takedown_of_one_of_them_ends_it(stage: Stage) -> None:
    stage.speaker.holds_at = 3
    async with stage.running():
        opening = await begun(stage, turns=12)
        thread = await in_thread(stage, opening)
        await held(stage)
        await stage.conversation.messages.forget(["crumb"])
        stage.speaker.free.set()
        await stage.reply(await stage.say("nell: still there?"))
        told = await stage.server.press(opening, stage.server.world.user("robin"), "Stop")
        await told.acknowledged(PATIENCE)
        assert told.original is not None and "This duel is over" in told.original.content
    assert len([each for each in stage.server.messages_in(thread) if "(AI)**" in each.content]) == 2
    assert await stage.database.all("SELECT * FROM duels") == []


async def test_what_is_not_fit_to_be_said_ends_it_with_the_reason(stage: Stage) -> None:
    stage.speaker.holds_at = 2
    async with stage.running():
        opening = await begun(stage)
        thread = await in_thread(stage, opening)
        await held(stage)
        stage.speaker.failure = Refused("Nothing fit to be said came of it.")
        stage.speaker.free.set()
        await ends(stage, thread, "The duel ends here: Nothing fit to be said came of it.")
        await stage.server.until(lambda: opening.components == [], PATIENCE)


async def test_a_channel_has_one_duel_at_a_time(stage: Stage) -> None:
    stage.speaker.holds_at = 2
    async with stage.running():
        thread = await in_thread(stage, await begun(stage, turns=2))
        await held(stage)
        assert "talking in this channel already" in await refusal(await stage.use("duel", "wren", a="nell", b="crumb"))
        stage.speaker.free.set()
        await ends(stage, thread)
        await ends(stage, await in_thread(stage, await begun(stage, turns=2)))


async def test_two_duels_asked_for_at_once_are_one(stage: Stage) -> None:
    stage.speaker.free.clear()
    async with stage.running():
        both = [await stage.use("duel", who, a="nell", b="crumb", turns=2) for who in ("robin", "wren")]
        stage.speaker.free.set()
        await stage.server.until(lambda: any(each.followups for each in both), PATIENCE)
        [told] = [each for each in both if each.followups]
        assert "talking in this channel already" in await refusal(told)
    rows = await stage.database.all("SELECT id FROM duels")
    assert len(rows) == 1


async def test_a_server_has_a_few_duels_an_hour(stage: Stage, clock: FakeClock) -> None:
    async with stage.running():
        for _ in range(MOST_AN_HOUR):
            await ends(stage, await in_thread(stage, await begun(stage, turns=2)))
            clock.advance(minutes=1)
        assert "Ask again in 54 min." in await refusal(await stage.use("duel", "robin", a="nell", b="crumb"))
        clock.advance(minutes=55)
        await ends(stage, await in_thread(stage, await begun(stage, turns=2)))


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [("nell", "Nell", "two different personas"), ("nell", "nobody", "There is no persona nobody")],
)
async def test_it_takes_two_personas_that_are_there(stage: Stage, a: str, b: str, told: str) -> None:
    async with stage.running():
        assert told in await refusal(await stage.use("duel", "robin", a=a, b=b))
    assert stage.speaker.asked == []
