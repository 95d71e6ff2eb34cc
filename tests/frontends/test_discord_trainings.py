"""/train on Discord: its message follows the training to its end, over restarts and long after the token has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.database import Database
from bot.errors import Busy, TooFewTweets
from bot.loopback.discord import Kind, Message
from bot.loopback.discord.world import Permission
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


async def train(stage: Stage) -> Message:
    """wren asks for a training; its message."""
    stage.trainings.goes(QUEUED)
    interaction = await stage.use("train", handles="@Crumb")
    return await interaction.answered(PATIENCE)


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
    assert message.content == (
        "**crumb** has learned: v2 is in use.\n"
        "its held-out loss is lower by 0.8\n"
        "@crumb: 273 of 300 tweets kept (left out: 20 retweets, 5 short, 2 repeated).\n"
        "Held-out loss 3.100 (base 3.900); lower is better.\n\n"
        "> tweet number 1\n> tweet number 2\n> tweet number 3"
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
    on_record = [(row["answer_id"], row["channel_id"]) for row in await stage.conversation.said_as(["crumb"])]
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
    assert len(stage.requests("PATCH", EDIT)) == 3


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
        await stage.reply(await stage.say("hello"))
    assert await stage.database.all("SELECT name FROM marks WHERE name LIKE 'discord-training-%'") == []


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
