"""Every message is answered at most once, by the right persona, within the quota."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bot.config import Generation, Replies
from bot.database import Database
from bot.errors import Busy, Refused, UnknownPersona
from bot.replies.conversation import Conversation
from bot.replies.drafting import Wanted, said_of
from bot.replies.incoming import Incoming, Platform
from bot.replies.server_words import ServerWords
from tests.fakes import FakeClock, FakeSpeaker
from tests.shelves import shelf_with


@pytest.fixture
def speaker() -> FakeSpeaker:
    return FakeSpeaker()


@pytest.fixture
def conversation(database: Database, clock: FakeClock, speaker: FakeSpeaker, tmp_path: Path) -> Conversation:
    settings = Replies(default_persona="nell", requests_per_hour=3)
    shelf = shelf_with(tmp_path / "models", "nell", "crumb")
    return Conversation(database, shelf, speaker, Generation(), settings, clock)


def message(number: int = 1, text: str = "hello", channel: str = "general") -> Incoming:
    return Incoming(Platform.DISCORD, str(number), channel, "ann", text)


async def test_a_message_is_answered_by_the_default_persona(conversation: Conversation, speaker: FakeSpeaker) -> None:
    answer = await conversation.answer(message(text="how is the weather?"))
    assert answer is not None
    assert answer.persona == "nell"
    assert speaker.asked == [("nell", "how is the weather?")]


async def test_a_named_persona_answers(conversation: Conversation, speaker: FakeSpeaker) -> None:
    await conversation.answer(message(text="crumb: what is in the oven?"))
    assert speaker.asked == [("crumb", "what is in the oven?")]


async def test_a_channel_keeps_its_persona(conversation: Conversation) -> None:
    await conversation.set_channel_persona(Platform.DISCORD, "bakery", "crumb")
    assert await conversation.channel_persona(Platform.DISCORD, "bakery") == "crumb"
    assert await conversation.channel_persona(Platform.DISCORD, "general") == "nell"
    with pytest.raises(UnknownPersona, match="Known are crumb, nell"):
        await conversation.set_channel_persona(Platform.DISCORD, "bakery", "nobody")


async def test_a_second_delivery_is_silent(conversation: Conversation) -> None:
    first = await conversation.answer(message())
    assert first is not None
    assert await conversation.answer(message()) is None
    await conversation.delivered(message(), "99")
    assert await conversation.answer(message()) is None


async def test_a_delivery_while_the_answer_is_being_made_is_silent(
    conversation: Conversation, speaker: FakeSpeaker
) -> None:
    speaker.free.clear()
    first = asyncio.create_task(conversation.answer(message()))
    await speaker.asking.wait()
    assert await conversation.answer(message()) is None
    speaker.free.set()
    assert await first is not None


async def test_two_deliveries_in_one_breath_are_answered_once(conversation: Conversation) -> None:
    answers = await asyncio.gather(*(conversation.answer(message()) for _ in range(5)))
    assert sum(answer is not None for answer in answers) == 1


async def test_after_a_crash_what_may_have_been_sent_is_not_sent_again_and_what_was_not_may_be(
    database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    async with asyncio.timeout(10):
        speaker = FakeSpeaker()
        shelf = shelf_with(tmp_path / "models", "nell")
        before = Conversation(database, shelf, speaker, Generation(), Replies(default_persona="nell"), clock)
        await before.answer(message(1))  # was handed to the platform, which never confirmed
        speaker.free.clear()
        speaker.asking.clear()
        lost = asyncio.create_task(before.answer(message(2)))  # was being generated
        await speaker.asking.wait()
        lost.cancel()
        await asyncio.gather(lost, return_exceptions=True)
        after = Conversation(database, shelf, FakeSpeaker(), Generation(), Replies(default_persona="nell"), clock)
        assert await after.answer(message(1)) is None
        assert await after.answer(message(2)) is not None


async def test_the_quota_is_refused_in_words_and_ends_after_an_hour(
    conversation: Conversation, clock: FakeClock
) -> None:
    for number in range(3):
        await conversation.answer(message(number))
        clock.advance(minutes=1)
    with pytest.raises(Refused, match=r"3 an hour.*Ask again in 57 min"):
        await conversation.answer(message(3))
    assert await conversation.answer(message(3)) is None  # it was dealt with
    clock.advance(minutes=58)
    assert await conversation.answer(message(4)) is not None


async def test_a_busy_engine_leaves_the_message_to_be_answered_later(
    conversation: Conversation, speaker: FakeSpeaker
) -> None:
    speaker.failure = Busy("Many are asking at once.", 3)
    with pytest.raises(Busy):
        await conversation.answer(message())
    speaker.failure = None
    assert await conversation.answer(message()) is not None


async def test_drafts_take_the_asked_persona_start_and_seed(conversation: Conversation) -> None:
    wanted = Wanted("@Crumb", start="My dream is", count=3, seed=7)
    drafts = await conversation.drafts(Incoming(Platform.WEB, "r1", "page", "ann"), wanted)
    assert drafts.persona == "crumb"
    assert [draft.seed for draft in drafts.drafts] == [7, 8, 9]
    assert all(draft.text.startswith("My dream is") for draft in drafts.drafts)


async def test_a_replay_is_asked_for_in_its_own_version_and_counts_against_the_quota(
    conversation: Conversation, database: Database, speaker: FakeSpeaker
) -> None:
    made = await conversation.replay(message(1, ""), Wanted("@Crumb", " V2", temperature=0.5, seed=7))
    assert (made.persona, made.version, [draft.seed for draft in made.drafts]) == ("crumb", "v2", [7])
    assert speaker.replayed == [("v2", 7, 0.5)]
    row = await database.one("SELECT state, persona, version, seed FROM messages")
    assert row is not None and tuple(row) == ("answered", "crumb", "v2", 7)
    for number in (2, 3):
        await conversation.replay(message(number, ""), Wanted("crumb", "v1", seed=7))
    with pytest.raises(Refused, match="3 an hour"):
        await conversation.replay(message(4, ""), Wanted("crumb", "v1", seed=7))


async def test_the_words_of_a_server_are_banned_there_and_nowhere_else(
    conversation: Conversation, database: Database, clock: FakeClock, speaker: FakeSpeaker
) -> None:
    await ServerWords(database, clock).add("discord", "7", "Fudge", "99")
    banned = []
    for number, server in enumerate(("7", "8", "")):
        await conversation.answer(replace(message(number), server_id=server))
        banned.append(speaker.banned)
    await conversation.drafts(Incoming(Platform.DISCORD, "r1", "general", "bob", server_id="7"), Wanted())
    assert [*banned, speaker.banned] == [("fudge",), (), (), ("fudge",)]
    await conversation.replay(Incoming(Platform.DISCORD, "r2", "general", "eve", server_id="7"), Wanted("nell", "v1"))
    assert speaker.banned == ("fudge",)


async def test_what_was_said_before_a_message_reaches_the_speaker(
    conversation: Conversation, speaker: FakeSpeaker
) -> None:
    await conversation.answer(replace(message(), thread=("Is the moon round?", "It is.")))
    assert speaker.thread == ("Is the moon round?", "It is.")


async def test_no_text_of_a_message_is_stored(conversation: Conversation, database: Database) -> None:
    await conversation.answer(message(text="a secret that only Ann knows"))
    rows = await database.all("SELECT * FROM messages")
    assert "secret" not in str([tuple(row) for row in rows])


async def test_a_command_that_is_refused_counts_against_nobodys_quota(
    conversation: Conversation, clock: FakeClock
) -> None:
    """So the time of the next try is true, however often somebody tries before."""
    for number in range(1, 4):
        await conversation.drafts(message(number), Wanted())
        clock.advance(minutes=10)
    for number in range(4, 9):
        with pytest.raises(Refused, match="Ask again in 30 min"):
            await conversation.drafts(message(number), Wanted())
        with pytest.raises(Refused, match="Ask again in 30 min"):
            await conversation.replay(message(number + 10), Wanted(version="v1", seed=1))
    clock.advance(minutes=30, seconds=1)
    await conversation.drafts(message(20), Wanted())


async def test_what_was_on_its_way_when_its_persona_was_forgotten_is_not_kept(conversation: Conversation) -> None:
    drafts = await conversation.drafts(message(), Wanted("nell"))
    await conversation.messages.forget(["nell"])
    await conversation.delivered(message(), "99", said=said_of(drafts, ["99"]))
    assert await conversation.answers.find("discord", "99") is None


async def test_what_was_chosen_for_a_channel_holds_in_its_threads_unless_they_have_a_choice_of_their_own(
    conversation: Conversation, speaker: FakeSpeaker
) -> None:
    await conversation.set_channel_persona(Platform.DISCORD, "bakery", "crumb")
    threads = [replace(message(number, channel=f"thread{number}"), parent_id="bakery") for number in (1, 2, 3)]
    await conversation.set_channel_persona(Platform.DISCORD, "thread2", "nell")
    for each in threads[:2]:
        await conversation.answer(each)
    assert [persona for persona, _ in speaker.asked] == ["crumb", "nell"]
    await conversation.channels.switch(Platform.DISCORD, "bakery", "", on=False)
    assert await conversation.answer(threads[2]) is None
    with pytest.raises(Refused, match="switched off in this channel"):
        await conversation.drafts(replace(threads[2], message_id="4"), Wanted())
