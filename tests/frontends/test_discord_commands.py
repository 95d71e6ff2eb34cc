"""The slash commands and buttons on Discord."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.database import Database
from bot.errors import Refused
from bot.loopback.discord.messages import MessageFlag
from bot.loopback.discord.people import ORDINARY, Role
from bot.replies.servers import Action
from bot.training.decisions import Decisions, What
from bot.tweets.store import Basis, TweetStore
from tests.fakes import FakeClock
from tests.frontends.discord_stage import Stage, staged
from tests.loopback.songbird import PATIENCE
from tests.shelves import adapter_version


@pytest.fixture
async def stage(tmp_path: Path, database: Database) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database) as ready:
        yield ready


async def test_tweet_is_acknowledged_at_once_and_answered_when_it_is_written(stage: Stage) -> None:
    stage.speaker.free.clear()
    async with stage.running():
        interaction = await stage.use("tweet", "robin", persona="Crumb", start="Bread is", count=2, seed=7)
        stage.speaker.free.set()
        answer = await interaction.answered(PATIENCE)
        [second] = await interaction.followed_up(PATIENCE)
    assert answer.content == "Bread is tweet number 1\n-# crumb v1 (AI) · seed 7 · novelty 90%"
    assert second.content == "Bread is tweet number 2\n-# crumb v1 (AI) · seed 8 · novelty 90%"


async def test_tweet_without_options_is_the_channels_persona(stage: Stage) -> None:
    async with stage.running():
        await (await stage.use("channel persona", persona="crumb")).answered(PATIENCE)
        await (await stage.use("tweet", "robin")).answered(PATIENCE)
    assert stage.speaker.asked == [("crumb", "")]


async def test_a_replay_is_one_draft_with_what_makes_it_again(stage: Stage) -> None:
    options = {"persona": "Crumb", "version": "v2", "seed": 7, "start": "Bread is", "temperature": 0.5, "top_p": 0.9}
    async with stage.running():
        answer = await (await stage.use("replay", "robin", **options)).answered(PATIENCE)
    assert answer.content == "Bread is tweet number 1\n-# crumb v2 (AI) · seed 7 · novelty 90%"
    assert stage.speaker.replayed == [("v2", 7, 0.5)]


async def test_a_replay_that_is_not_fit_is_refused_to_the_person_only(stage: Stage) -> None:
    stage.speaker.failure = Refused("What seed 7 gives with crumb v1 is not fit to be shown (copied).")
    async with stage.running():
        interaction = await stage.use("replay", persona="crumb", version="v1", seed=7)
        [problem] = await interaction.followed_up(PATIENCE)
    assert problem.content == "What seed 7 gives with crumb v1 is not fit to be shown (copied).\n-# e1"
    assert MessageFlag.EPHEMERAL in problem.flags


async def test_an_error_is_seen_by_the_person_only_and_says_what_to_do(stage: Stage) -> None:
    async with stage.running():
        interaction = await stage.use("channel persona", persona="nobody")
        [problem] = await interaction.followed_up(PATIENCE)
    assert problem.content == "There is no persona nobody. Known are crumb, nell.\n-# e1"
    assert MessageFlag.EPHEMERAL in problem.flags
    assert interaction.original is not None and interaction.original.deleted


async def test_a_bug_is_a_sentence_with_an_id(stage: Stage) -> None:
    stage.speaker.failure = RuntimeError("secret detail")
    async with stage.running():
        [problem] = await (await stage.use("tweet")).followed_up(PATIENCE)
    assert "Something went wrong" in problem.content and problem.content.endswith("-# e1")
    assert "secret" not in problem.content


async def test_personas_lists_who_there_is_and_how_good(stage: Stage) -> None:
    async with stage.running():
        answer = await (await stage.use("personas", "robin")).answered(PATIENCE)
    assert "**nell** v1 · @nell · 273 tweets · held-out loss 3.100 (base 3.900)" in answer.content
    assert "In this channel nell answers." in answer.content


async def test_personas_are_suggested_while_the_name_is_typed(stage: Stage) -> None:
    world = stage.server.world
    async with stage.running():
        talk, robin = world.channel("talk"), world.user("robin")
        assert await stage.server.type_option(talk, robin, "tweet", "persona", "") == ["crumb", "nell"]
        assert await stage.server.type_option(talk, robin, "replay", "persona", "cr") == ["crumb"]
        wren = world.user("wren")  # who may set it
        assert await stage.server.type_option(talk, wren, "channel persona", "persona", "NE") == ["nell"]


# Blends


async def test_cyborg_makes_a_persona_at_once_that_then_speaks(stage: Stage) -> None:
    """The row of the decision says who it was; a wrong order is answered to that person alone."""
    store = TweetStore(stage.database, FakeClock())
    for number, handle in enumerate(("finch", "wagtail"), start=1):
        await store.set_basis(handle, Basis.INVENTED)
        adapter_version(stage.shelf, handle, seed=number)
    wren = stage.server.world.user("wren")
    async with stage.running():
        answer = await (await stage.use("cyborg", parts="finch:60, wagtail:40", name="Duet")).answered(PATIENCE)
        assert answer.content.startswith("**duet** v1 is in use, an AI CYBORG of @finch, @wagtail: finch v1 (60%)")
        await (await stage.use("tweet", "robin", persona="duet")).answered(PATIENCE)
        listed = await (await stage.use("personas", "robin")).answered(PATIENCE)
        assert "blended of finch v1 (60%) and wagtail v1 (40%) · not judged yet" in listed.content
        [problem] = await (await stage.use("cyborg", parts="finch:60", name="duet")).followed_up(PATIENCE)
    assert "A blend has 2 to 8 parts." in problem.content and MessageFlag.EPHEMERAL in problem.flags
    (decision,) = await Decisions(stage.database, stage.shelf, FakeClock()).of("duet")
    assert (decision.what, decision.by) == (What.BLENDED, f"discord:{wren.id}")


async def test_only_who_manages_the_server_trains_and_blends(stage: Stage) -> None:
    async with stage.running():
        blend = {"parts": "nell:1, crumb:1", "name": "duo"}
        for command, options in (("train", {"handles": "nell"}), ("cyborg", blend)):
            interaction = await stage.use(command, "robin", **options)
            assert interaction.original is not None
            assert interaction.original.content.startswith("Only people who may manage this server")


async def test_a_role_that_the_server_has_chosen_may_do_it_too(stage: Stage) -> None:
    world = stage.server.world
    guild, robin = next(iter(world.guilds.values())), world.user("robin")
    singer = Role(world.snowflakes.next(), "Singers", ORDINARY)
    guild.roles.append(singer)
    guild.members[robin.id] = replace(guild.members[robin.id], roles=(singer,))
    await stage.conversation.servers.change("discord", str(guild.id), roles={Action.POST: [str(singer.id)]})
    async with stage.running():
        answer = await (await stage.use("queue", "robin")).answered(PATIENCE)
        assert answer.content == "No post waits for approval."
        refused = await stage.use("train", "robin", handles="nell")
        assert refused.original is not None and refused.original.content.startswith("Only people")
