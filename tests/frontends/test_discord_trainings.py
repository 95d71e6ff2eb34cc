"""/train on Discord: its message follows the training to its end, over restarts and long after the token has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from bot.config import Replies
from bot.database import Database
from bot.errors import Busy, Refused, TooFewTweets
from bot.loopback.discord import Kind, LoopbackInteraction, Message, interactions
from bot.loopback.discord.messages import MessageFlag
from bot.loopback.discord.people import Permission
from bot.training.trainings import Training, TrainingPoint, TrainingResult, TrainingState
from tests.frontends.discord_stage import Stage, staged
from tests.loopback.songbird import PATIENCE
from tests.shelves import manifest, metrics_of, with_pictures

EDIT_BY_TOKEN = "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"
EDIT = "/channels/{channel_id}/messages/{message_id}"

QUEUED = Training(
    id=7,
    persona="crumb",
    handles=("crumb",),
    cause="discord",
    requested_by="1",
    state=TrainingState.QUEUED,
    created_at=datetime(2026, 11, 1, tzinfo=UTC),
    started_at=None,
    finished_at=None,
    version=None,
    reason=None,
    position=2,
    point=None,
    result=None,
)
RUNNING = replace(QUEUED, state=TrainingState.RUNNING, position=None)
HALFWAY = replace(RUNNING, point=TrainingPoint(50, 100, 3.25, 3.5, 1234.5, 200.0))
PUBLISHED = replace(
    HALFWAY,
    state=TrainingState.PUBLISHED,
    version="v2",
    reason="its held-out loss is lower by 0.8",
    result=TrainingResult(counts=manifest("crumb").counts, metrics=metrics_of(manifest("crumb"))),
)


@pytest.fixture
async def stage(tmp_path: Path, database: Database) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database) as ready:
        yield ready


async def says(stage: Stage, message: Message, text: str) -> None:
    """Wait until the message says that."""
    await stage.server.wait_for(lambda h: h.message is message and text in message.content, PATIENCE)


async def offered(stage: Stage, **options: Any) -> Message:
    """wren asks for a training; the question."""
    return await (await stage.use("train", handles="@Crumb", **options)).answered(PATIENCE)


async def press(stage: Stage, message: Message, label: str, who: str = "wren") -> LoopbackInteraction:
    """Somebody presses a button under it; acknowledged when this returns."""
    interaction = await stage.server.press(message, stage.server.world.user(who), label)
    await interaction.acknowledged(PATIENCE)
    return interaction


async def train(stage: Stage) -> Message:
    """wren asks for a training and goes on; its message."""
    message = await offered(stage)
    stage.trainings.goes(QUEUED)
    await press(stage, message, "Go on")
    await says(stage, message, "Number 2 in line.")
    return message


def labels(message: Message) -> list[str]:
    """Of the buttons under it."""
    return [button["label"] for row in message.components for button in row["components"]]


async def samples(stage: Stage, count: int = 3) -> list[Message]:
    """The messages behind a training's, once there are so many."""
    channel = stage.server.world.channel("talk")

    def found() -> list[Message]:
        return [each for each in stage.server.messages_in(channel) if "(AI)" in each.content]

    await stage.server.until(lambda: len(found()) >= count, PATIENCE, f"{count} samples")
    return found()


async def no_marks(stage: Stage) -> None:
    """Wait until no training is followed any more."""
    for _ in range(1000):
        if not await stage.database.all("SELECT name FROM marks WHERE name LIKE 'discord-training-%'"):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("a training is still followed")


# Before it begins


async def test_a_training_is_asked_about_with_what_it_reads_and_costs(stage: Stage) -> None:
    async with stage.running():
        message = await offered(stage)
    assert message.content == (
        "**Learn crumb?**\n"
        "It reads 273 of the 300 stored tweets of @crumb (an invented account).\n"
        "Nothing else is read, and it costs nothing.\n"
        "28,301 characters are few: below 40,000, huggingtweets' rule of thumb, a voice repeats itself.\n"
        "-# It takes about 12 min. One training is before it."
    )
    assert (labels(message), stage.trainings.requested) == (["Go on", "Never mind"], [])


async def test_whoever_minds_has_nothing_learned(stage: Stage) -> None:
    async with stage.running():
        message = await offered(stage)
        await press(stage, message, "Never mind")
        await says(stage, message, "Never mind: nothing was learned.")
    assert (labels(message), stage.trainings.requested) == ([], [])


async def test_the_question_can_be_answered_after_a_restart_by_the_right_people_only(stage: Stage) -> None:
    async with stage.running():
        message = await offered(stage)
    async with stage.running():
        refused = await press(stage, message, "Go on", "robin")
        assert refused.original is not None and "or may train here" in refused.original.content
        assert MessageFlag.EPHEMERAL in refused.original.flags
        stage.trainings.goes(QUEUED)
        await press(stage, message, "Go on")
        await says(stage, message, "Number 2 in line.")
    assert len(stage.trainings.requested) == 1


async def test_a_press_that_discord_gave_up_waiting_for_still_counts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message under which the button stands is edited as an ordinary one."""
    async with stage.running():
        message = await offered(stage)
        stage.trainings.goes(QUEUED)
        monkeypatch.setattr(interactions, "ACKNOWLEDGE_WITHIN", -1.0)
        await stage.server.press(message, stage.server.world.user("wren"), "Go on")
        await says(stage, message, "Number 2 in line.")
    assert len(stage.requests("PATCH", EDIT)) == 1


async def test_a_command_that_discord_gave_up_waiting_for_is_one_line_in_the_log(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interactions, "ACKNOWLEDGE_WITHIN", -1.0)
    world = stage.server.world
    with structlog.testing.capture_logs() as logs:
        async with stage.running():
            await stage.server.slash(world.channel("talk"), world.user("wren"), "personas")
            await stage.reply(await stage.say("hello"))
    told = [each for each in logs if "too late" in each["event"]]
    assert [(each["command"], each["log_level"], "exc_info" in each) for each in told] == [
        ("personas", "warning", False)
    ]
    assert [each for each in logs if each["log_level"] == "error"] == []


# While it waits and runs


async def test_a_training_is_shown_from_the_queue_to_its_end(stage: Stage) -> None:
    async with stage.running():
        message = await train(stage)
        assert "learns from the stored tweets of @crumb, and from nothing else" in message.content
        assert "Number 2 in line." in message.content
        stage.trainings.goes(RUNNING)
        await says(stage, message, "Reading the tweets.")
        stage.trainings.goes(HALFWAY)
        await says(stage, message, "step 50 of 100 · loss 3.250 · held-out 3.500 · 1,234 tokens/s · 3 min left")
        stage.trainings.goes(PUBLISHED)
        await says(stage, message, "has learned")
        said = await samples(stage)
        await no_marks(stage)
    assert [each.content.splitlines()[0] for each in said] == ["tweet number 1", "tweet number 2", "tweet number 3"]
    assert all("Another" in labels(each) for each in said)
    kept = [await stage.conversation.answers.find("discord", str(each.id)) for each in said]
    assert [each and (each.said.persona, each.said.version, each.said.text) for each in kept] == [
        ("crumb", "v2", "tweet number 1"),
        ("crumb", "v2", "tweet number 2"),
        ("crumb", "v2", "tweet number 3"),
    ]
    assert message.content == (
        "**crumb** has learned: v2 is in use.\n"
        "its held-out loss is lower by 0.8\n"
        "@crumb: 273 of 300 tweets kept (left out: 20 retweets, 5 short, 2 repeated).\n"
        "Held-out loss 3.100 (base 3.900); lower is better.\n"
        "Bits per byte 1.200 (base 1.500)."
    )
    wren = stage.server.world.user("wren")
    assert stage.trainings.requested == [(("crumb",), None, "discord", str(wren.id))]


async def test_the_end_of_a_training_carries_its_pictures(stage: Stage) -> None:
    """What the new version says, and how it learned, each with its description for those who don't see it."""
    with_pictures(stage.shelf, "crumb", "v2")
    async with stage.running():
        message = await train(stage)
        stage.trainings.goes(PUBLISHED)
        await says(stage, message, "has learned")
    assert message.files == ("predictions.png", "curve.png")
    described = [each["description"] for each in stage.requests("PATCH", EDIT_BY_TOKEN)[-1]["attachments"]]
    assert described == [
        "crumb v2, AI BOT, asked to go on from “My dream is”, says: My dream is a lamp that sings 🎶.",
        "Loss on held-out tweets, from the base's 3.90 to 3.10",
    ]


async def test_every_message_that_speaks_at_the_end_is_on_record(stage: Stage) -> None:
    """Two people may ask for the same training, and the picture speaks where no sample can be made."""
    with_pictures(stage.shelf, "crumb", "v2")
    messages = []
    async with stage.running():
        for failure in (None, Busy("Too much is going on.", 1.0)):
            stage.speaker.failure = failure
            messages.append(await train(stage))
            stage.trainings.goes(PUBLISHED)
            await says(stage, messages[-1], "has learned")
    assert messages[1].files == ("predictions.png", "curve.png")
    on_record = [(row["answer_id"], row["channel_id"]) for row in await stage.conversation.messages.said_as(["crumb"])]
    assert on_record == [(str(message.id), str(message.channel.id)) for message in messages]


async def test_a_version_that_is_not_used_shows_only_how_it_learned(stage: Stage) -> None:
    with_pictures(stage.shelf, "crumb", "v2")
    async with stage.running():
        message = await train(stage)
        stage.trainings.goes(replace(PUBLISHED, state=TrainingState.KEPT))
        await says(stage, message, "isn't used")
    assert message.files == ("curve.png",)


async def test_where_no_file_may_be_attached_the_end_is_told_without(tmp_path: Path, database: Database) -> None:
    async with staged(tmp_path, database, late=13.5 * 60) as stage, stage.running():
        with_pictures(stage.shelf, "crumb", "v2")
        stage.server.world.channel("talk").denied_to_bot = Permission.ATTACH_FILES
        message = await train(stage)
        stage.trainings.goes(PUBLISHED)
        await says(stage, message, "has learned")
        assert message.files == ()


async def test_a_training_that_failed_says_why(stage: Stage) -> None:
    async with stage.running():
        message = await train(stage)
        stage.trainings.goes(replace(RUNNING, state=TrainingState.FAILED, reason="the disk was full"))
        await says(stage, message, "**crumb** could not be learned.\nthe disk was full")


async def test_too_few_tweets_are_told_to_the_person_only(stage: Stage) -> None:
    stage.trainings.failure = TooFewTweets("Only 90 characters are left of @crumb. Import more tweets.")
    async with stage.running():
        interaction = await stage.use("train", handles="crumb")
        [problem] = await interaction.followed_up(PATIENCE)
    assert problem.content == "Only 90 characters are left of @crumb. Import more tweets.\n-# e1"


async def test_no_handle_at_all_is_a_sentence_too(stage: Stage) -> None:
    async with stage.running():
        [problem] = await (await stage.use("train", handles=" @, ")).followed_up(PATIENCE)
    assert problem.content.startswith("Name at least one account")


async def test_after_a_restart_the_message_goes_on_as_an_ordinary_one(stage: Stage) -> None:
    async with stage.running():
        message = await train(stage)
    async with stage.running():
        stage.trainings.goes(HALFWAY)
        await says(stage, message, "step 50 of 100")
        stage.trainings.goes(PUBLISHED)
        await says(stage, message, "has learned")
    assert len(stage.requests("PATCH", EDIT)) == 2


async def test_before_the_token_ends_the_message_becomes_an_ordinary_one(tmp_path: Path, database: Database) -> None:
    async with staged(tmp_path, database, late=13.5 * 60) as stage, stage.running():
        message = await train(stage)
        stage.trainings.goes(HALFWAY)
        await says(stage, message, "step 50 of 100")
        assert len(stage.requests("PATCH", EDIT_BY_TOKEN)) == 1
        assert len(stage.requests("PATCH", EDIT)) > 0


async def test_a_finished_training_is_not_shown_again_at_the_next_start(stage: Stage) -> None:
    async with stage.running():
        message = await train(stage)
        stage.trainings.goes(PUBLISHED)
        await says(stage, message, "has learned")
        await no_marks(stage)
    edits = len(stage.requests("PATCH", EDIT))
    async with stage.running():
        await stage.reply(await stage.say("hello"))
    assert len(stage.requests("PATCH", EDIT)) == edits


async def test_a_deleted_message_ends_the_telling_but_not_the_training(stage: Stage) -> None:
    async with stage.running():
        message = await train(stage)
        message.deleted = True
        stage.trainings.goes(HALFWAY)
        await stage.server.wait_for(
            lambda h: h.kind is Kind.REQUESTED and h.request is not None and h.request.status == 404, PATIENCE
        )
        await stage.reply(await stage.say("hello"))
    assert await stage.database.all("SELECT name FROM marks WHERE name LIKE 'discord-training-%'") == []


async def test_a_training_can_be_cancelled_by_the_asker_and_by_whoever_may_train(stage: Stage) -> None:
    async with stage.running():
        message = await train(stage)
        refused = await press(stage, message, "Cancel", "robin")
        assert refused.original is not None and MessageFlag.EPHEMERAL in refused.original.flags
    async with stage.running():
        stage.trainings.goes(HALFWAY)
        await says(stage, message, "step 50 of 100")
        await press(stage, message, "Cancel")
        await says(stage, message, "Learning **crumb** was cancelled.")
    assert labels(message) == []


async def test_what_has_ended_can_not_be_cancelled_and_says_so(stage: Stage) -> None:
    async with stage.running():
        message = await train(stage)
        stage.trainings.failure = Refused("Training 7 has ended already.")
        pressed = await press(stage, message, "Cancel")
        [problem] = await pressed.followed_up(PATIENCE)
    assert problem.content == "Training 7 has ended already.\n-# e1"
    assert MessageFlag.EPHEMERAL in problem.flags


async def test_where_the_bot_may_not_see_the_channel_the_asker_hears_of_it_directly(
    tmp_path: Path, database: Database
) -> None:
    """With the token ended, a message there can't be edited any more; the rest goes to a direct message."""
    async with staged(tmp_path, database, late=13.5 * 60) as stage, stage.running():
        message = await offered(stage)
        stage.server.world.channel("talk").denied_to_bot = Permission.VIEW_CHANNEL
        stage.trainings.goes(QUEUED)
        await stage.server.press(message, stage.server.world.user("wren"), "Go on")
        happened = await stage.server.wait_for(
            lambda h: h.message is not None and "I can't write any more" in h.message.content, PATIENCE
        )
        direct = happened.message
        assert direct is not None and direct.channel.guild_id is None
        stage.trainings.goes(PUBLISHED)
        await says(stage, direct, "**crumb** has learned")
        await no_marks(stage)
        said = [each for each in stage.server.messages_in(direct.channel) if "(AI)" in each.content]
        assert len(said) == 3


async def test_the_end_waits_until_discord_is_well_again(tmp_path: Path, database: Database) -> None:
    async with staged(tmp_path, database, late=13.5 * 60) as stage, stage.running():
        message = await train(stage)
        stage.server.refuse_next(f"PATCH {EDIT}", 503, times=2)
        stage.trainings.goes(PUBLISHED)
        await says(stage, message, "has learned")
        await samples(stage)
        await no_marks(stage)


async def test_a_sample_that_was_refused_for_a_while_is_said_once(stage: Stage) -> None:
    async with stage.running():
        message = await train(stage)
        stage.server.refuse_next("POST /channels/{channel_id}/messages", 503)
        stage.trainings.goes(PUBLISHED)
        await samples(stage)
        await no_marks(stage)
        assert len(await samples(stage)) == 3
    (row,) = await stage.conversation.messages.said_as(["crumb"])
    assert str(row["answer_id"]).split()[0] == str(message.id) and len(str(row["answer_id"]).split()) == 4


async def test_where_the_bot_may_not_write_the_samples_come_by_the_token(stage: Stage) -> None:
    stage.server.world.channel("talk").denied_to_bot = Permission.SEND_MESSAGES
    async with stage.running():
        await train(stage)
        stage.trainings.goes(PUBLISHED)
        assert len(await samples(stage)) == 3


async def test_there_are_samples_also_where_whoever_asked_has_used_up_their_quota(
    tmp_path: Path, database: Database
) -> None:
    """They are part of what was asked for."""
    replies = Replies(default_persona="nell", requests_per_hour=1)
    async with staged(tmp_path, database, replies) as stage, stage.running():
        await train(stage)
        await (await stage.use("tweet", "wren")).answered(PATIENCE)
        stage.trainings.goes(PUBLISHED)
        assert len(await samples(stage, 4)) == 4
