"""What stands under an answer: buttons that work for ever and for the right people, and reactions that are votes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.config import Replies
from bot.database import Database
from bot.loopback.discord import Channel, LoopbackInteraction, Message
from bot.loopback.discord.places import ChannelType, Thread
from bot.loopback.discord.world import MessageFlag
from bot.replies.answers import beginning_of
from bot.replies.posts import PostState
from tests.fakes import QuickAsyncio
from tests.frontends.discord_stage import Stage, staged
from tests.loopback.songbird import PATIENCE


@pytest.fixture
async def stage(tmp_path: Path, database: Database) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database) as ready:
        yield ready


def labels(message: Message) -> list[str]:
    return [button["label"] for row in message.components for button in row["components"]]


async def press(stage: Stage, message: Message, label: str, who: str = "robin") -> LoopbackInteraction:
    """Somebody presses a button; acknowledged when this returns."""
    interaction = await stage.server.press(message, stage.server.world.user(who), label)
    await interaction.acknowledged(PATIENCE)
    return interaction


async def told(stage: Stage, message: Message, label: str, who: str = "robin") -> Message:
    """What a button tells the person who presses it, and nobody else."""
    answer = await (await press(stage, message, label, who)).answered(PATIENCE)
    assert MessageFlag.EPHEMERAL in answer.flags
    return answer


async def tweet(stage: Stage, **options: Any) -> Message:
    """What /tweet gives robin, once it is written down."""
    message = await (await stage.use("tweet", "robin", **options)).answered(PATIENCE)
    await stage.known(message)
    return message


async def test_buttons_stand_under_every_answer_and_every_tweet(stage: Stage) -> None:
    """Without X, nothing can be sent there."""
    expected = ["Another", "More like this", "Original?", "Delete"]
    async with stage.running():
        assert labels(await stage.answer("hello")) == expected
        interaction = await stage.use("tweet", "robin", count=2)
        assert labels(await interaction.answered(PATIENCE)) == expected
        (second,) = await interaction.followed_up(PATIENCE)
        assert labels(second) == expected
        replayed = await stage.use("replay", "robin", persona="nell", version="v1", seed=1)
        assert labels(await replayed.answered(PATIENCE)) == expected


async def test_another_answers_the_same_message_again_after_a_restart_too(stage: Stage) -> None:
    async with stage.running():
        first = await stage.answer("crumb: what is in the oven?")
    async with stage.running():
        another = await (await press(stage, first, "Another", "wren")).answered(PATIENCE)
        await stage.known(another)
        await (await press(stage, another, "Another", "wren")).answered(PATIENCE)
    assert stage.speaker.asked == [("crumb", "what is in the oven?")] * 3
    assert labels(another) == labels(first)
    assert not first.deleted


async def test_another_says_something_of_its_own_where_the_message_is_gone(stage: Stage) -> None:
    async with stage.running():
        question = await stage.say("crumb: what is in the oven?")
        first = await stage.reply(question)
        await stage.known(first)
        await stage.server.delete(stage.server.message(question))
        await (await press(stage, first, "Another")).answered(PATIENCE)
    assert stage.speaker.asked[1] == ("crumb", "")


async def test_another_answers_nobody_who_has_opted_out_since(stage: Stage) -> None:
    async with stage.running():
        first = await stage.answer("crumb: what is in the oven?")
        await stage.conversation.opt_outs.add("discord", str(stage.server.world.user("robin").id))
        await (await press(stage, first, "Another", "wren")).answered(PATIENCE)
    assert stage.speaker.asked[1] == ("crumb", "")


async def test_drafts_that_discord_took_stay_and_are_on_record_when_it_takes_no_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discord.webhook.async_.asyncio", QuickAsyncio())
    async with stage.running():
        stage.server.refuse_next("POST /webhooks/{webhook_id}/{webhook_token}", 502, times=5)
        first = await tweet(stage, count=3)
        await stage.answer("and you?")
    assert not first.deleted and "tweet number 1" in first.content
    rows = await stage.conversation.messages.said_as(["nell"])
    assert str(first.id) in [row["answer_id"] for row in rows]


async def test_another_tweet_begins_as_the_first_one_did(stage: Stage) -> None:
    async with stage.running():
        first = await tweet(stage, persona="crumb", start="Bread is", seed=7)
        another = await (await press(stage, first, "Another")).answered(PATIENCE)
    assert another.content.startswith("Bread is")


async def test_more_like_this_is_three_drafts_with_the_same_beginning(tmp_path: Path, database: Database) -> None:
    says = ["The fog comes in on little feet tonight"]
    async with staged(tmp_path, database, says=says) as stage, stage.running():
        first = await tweet(stage, persona="crumb")
        interaction = await press(stage, first, "More like this")
        answers = [await interaction.answered(PATIENCE), *await interaction.followed_up(PATIENCE, 2)]
        assert [each.content.startswith("The fog comes in tweet") for each in answers] == [True] * 3
        assert all(labels(each) == labels(first) for each in answers)


async def test_whoever_presses_asks_at_their_own_quota(tmp_path: Path, database: Database) -> None:
    replies = Replies(default_persona="nell", requests_per_hour=1)
    async with staged(tmp_path, database, replies) as stage, stage.running():
        first = await stage.answer("hello")
        (refused,) = await (await press(stage, first, "Another")).followed_up(PATIENCE)
        assert "1 an hour is the limit here" in refused.content
        await (await press(stage, first, "Another", "wren")).answered(PATIENCE)


async def test_original_says_where_a_text_comes_from_and_how_to_get_it_again(stage: Stage) -> None:
    async with stage.running():
        original = await told(stage, await tweet(stage, persona="crumb", start="Bread", seed=7), "Original?", "wren")
        assert "crumb v1 (AI) wrote it with seed 7" in original.content
        assert "Novelty 90%" in original.content and "has the id `1`" in original.content
        assert "`/replay persona:crumb version:v1 seed:7 start:Bread`" in original.content
        reply = await told(stage, await stage.answer("hello"), "Original?")
        assert "it can't be written again" in reply.content


async def test_whom_it_answers_deletes_it_and_who_manages_messages(stage: Stage) -> None:
    """Nobody else."""
    async with stage.running():
        first, second = await stage.answer("hello"), await tweet(stage)
        by_wren = await (await stage.use("tweet", "wren")).answered(PATIENCE)
        await stage.known(by_wren)
        assert "Only whoever this answers" in (await told(stage, by_wren, "Delete", "robin")).content
        await press(stage, first, "Delete", "robin")
        await press(stage, second, "Delete", "wren")
        await stage.server.until(lambda: first.deleted and second.deleted, PATIENCE)
    assert not by_wren.deleted


async def test_a_message_in_costume_can_be_deleted_by_its_button(stage: Stage) -> None:
    talk = stage.server.world.channel("talk")
    await stage.conversation.channels.set_costume("discord", str(talk.id), str(talk.guild_id), True)
    async with stage.running():
        said = await stage.said_in_costume("hello")
        assert labels(said) == ["Another", "More like this", "Original?", "Delete"]
        await press(stage, said, "Delete")
        await stage.server.until(lambda: said.deleted, PATIENCE)


async def test_where_nothing_is_known_any_more_a_sentence_says_so(stage: Stage) -> None:
    async with stage.running():
        first = await stage.answer("hello")
        await stage.conversation.answers.remove("discord", str(first.id))
        assert "Nothing is known about this message any more" in (await told(stage, first, "Another")).content


async def test_a_deleted_message_is_forgotten(stage: Stage) -> None:
    async with stage.running():
        first = await stage.answer("hello")
        await stage.server.delete(first)
        await stage.answer("hello again")
        assert await stage.conversation.answers.find("discord", str(first.id)) is None


async def test_send_to_x_puts_exactly_that_text_on_the_approval_list(tmp_path: Path, database: Database) -> None:
    """Only for those who may decide about posts, and once."""
    collector: Any = object()  # X is on
    async with staged(tmp_path, database, collector=collector) as stage, stage.running():
        first = await tweet(stage, persona="crumb", seed=7)
        assert labels(first)[-1] == "Send to X"
        assert "Only people who may manage this server" in (await told(stage, first, "Send to X", "robin")).content
        assert "Post 1 waits for approval" in (await told(stage, first, "Send to X", "wren")).content
        assert "much like post 1" in (await told(stage, first, "Send to X", "wren")).content
        (post,) = await stage.posts.recent()
        assert (post.persona, post.version, post.seed, post.text) == ("crumb", "v1", 7, "tweet number 1")
        assert post.state is PostState.DRAFTED


# Votes


async def votes(stage: Stage, message: Message) -> int:
    kept = await stage.conversation.answers.find("discord", str(message.id))
    assert kept is not None
    return kept.votes


async def test_reactions_are_votes_until_they_are_taken_back(stage: Stage) -> None:
    """The bot's own, those of people who have opted out, and what is no vote do not count."""
    server, world = stage.server, stage.server.world
    robin, wren = world.user("robin"), world.user("wren")
    await stage.conversation.opt_outs.add("discord", str(wren.id))
    async with stage.running():
        first = await stage.answer("hello")
        for who, emoji in ((robin, "👍"), (robin, "🔥"), (robin, "🤷"), (wren, "👍"), (world.bot, "👍")):
            await server.react(first, who, emoji)
        await stage.answer("and you?")
        await settle(stage, first, 2)
        await server.react(first, robin, "🔥", remove=True)
        await settle(stage, first, 1)


async def settle(stage: Stage, message: Message, expected: int) -> None:
    """Give the votes a while to be counted, with two more answers; then they are as many."""
    await stage.answer("so?")
    await stage.answer("well?")
    assert await votes(stage, message) == expected


async def test_the_digest_shows_what_was_liked_best_with_links(stage: Stage) -> None:
    server, world = stage.server, stage.server.world
    async with stage.running():
        empty = await (await stage.use("digest", "robin")).answered(PATIENCE)
        assert empty.content.startswith("Nobody has voted yet.")
        liked, loved = await stage.answer("one"), await stage.answer("crumb: two")
        for who, message in (("robin", liked), ("robin", loved), ("wren", loved)):
            await server.react(message, world.user(who), "👍")
        await settle(stage, loved, 2)
        shown = await (await stage.use("digest", "robin", days=30)).answered(PATIENCE)
    first, second = shown.content.index("crumb v1"), shown.content.index("nell v1")
    assert first < second
    assert f"2 votes · https://discord.com/channels/{loved.channel.guild_id}/{loved.channel.id}/{loved.id}" in (
        shown.content
    )


async def test_the_digest_shows_other_channels_that_everybody_sees_while_they_are_there(stage: Stage) -> None:
    server, world = stage.server, stage.server.world
    general, robin = world.channel("general"), world.user("robin")
    async with stage.running():
        liked = await stage.reply(await server.say(general, robin, "one"))
        await stage.known(liked)
        await server.react(liked, robin, "👍")
        await settle(stage, liked, 1)
        shown = await (await stage.use("digest", "robin")).answered(PATIENCE)
        assert str(liked.id) in shown.content
        await server.delete_channel(general)
        await stage.answer("and you?")
        shown = await (await stage.use("digest", "robin")).answered(PATIENCE)
        assert str(liked.id) not in shown.content


async def test_the_digest_shows_nothing_of_private_threads(stage: Stage) -> None:
    server, world = stage.server, stage.server.world
    talk, robin = world.channel("talk"), world.user("robin")
    private = Thread(talk, ChannelType.PRIVATE_THREAD, robin.id, 1e9, 1e9)
    thread = Channel(world.snowflakes.next(), "secret", talk.guild_id, thread=private)
    world.channels[thread.id] = thread
    async with stage.running():
        liked = await stage.reply(await server.say(thread, robin, "one"))
        await stage.known(liked)
        await server.react(liked, robin, "👍")
        await settle(stage, liked, 1)
        shown = await (await stage.use("digest", "robin")).answered(PATIENCE)
    assert str(liked.id) not in shown.content


def test_the_beginning_of_a_text_is_its_first_few_words() -> None:
    assert beginning_of("The fog comes in on little feet") == "The fog comes"
    assert beginning_of("one two three four five six seven eight nine ten") == "one two three four"
    assert beginning_of("Rain again") == "Rain"
    assert beginning_of("灯台の猫が月を見ている") == "灯台の"
