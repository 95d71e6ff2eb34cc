"""/forget on Discord, and taking back what the bot said there."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.app.x_access import open_x
from bot.config import Config, Discord
from bot.database import Database
from bot.errors import ConfigError, DiscordError
from bot.forgetting.rooms import ConversationRoom, PostRoom, ShelfRoom
from bot.frontends.discord.outlet import DiscordOutlet
from bot.frontends.discord.rights import owners
from bot.frontends.x.outlet import XOutlet
from bot.loopback.discord.world import MessageFlag
from bot.personas.takedown import DELETED, Outlet, Said, Takedowns
from bot.replies.incoming import Platform
from bot.training.decisions import Decisions
from bot.training.evaluations import Evaluations
from bot.tweets.blocked import Blocklist
from bot.tweets.store import TweetStore
from tests.fakes import FakeClock
from tests.frontends.discord_stage import Stage, edited, press, staged
from tests.loopback.songbird import PATIENCE
from tests.posting import sent

TOKEN_ENV = "A_TOKEN_OF_THE_TESTS"
X_KEYS = ("X_CONSUMER_KEY", "X_CONSUMER_SECRET", "X_ACCESS_TOKEN", "X_ACCESS_TOKEN_SECRET")


@pytest.fixture
async def stage(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """The usual stage, whose takedowns empty the conversation, the posts and the shelf and delete on Discord."""
    async with staged(tmp_path, database) as ready:
        monkeypatch.setenv(TOKEN_ENV, ready.server.token)
        clock, store = FakeClock(), TweetStore(database, FakeClock())
        rooms = {
            "posts": PostRoom(ready.posts, Path("pictures")),
            "answers": ConversationRoom(ready.conversation),
            "versions": ShelfRoom(
                ready.shelf, Evaluations(database, clock), Decisions(database, ready.shelf, clock), ready.blends
            ),
        }
        for name in X_KEYS:
            monkeypatch.setenv(name, "a key of the tests")
        outlets: dict[str, Outlet] = {
            "discord": DiscordOutlet(settings(ready)),
            "x": XOutlet(lambda _: open_x(Config(), ready.database), ["main"], ready.ledger),
        }
        takedowns = Takedowns(database, store, Blocklist(database, clock), rooms, outlets, tmp_path, clock)
        yield dataclasses.replace(ready, takedowns=takedowns)


def settings(stage: Stage) -> Discord:
    return Discord(
        enabled=True, token_env=TOKEN_ENV, api_base=stage.server.api_base, gateway_url=stage.server.gateway_url
    )


async def test_forgetting_is_asked_for_in_private_and_done_by_a_button(stage: Stage) -> None:
    async with stage.running():
        said = await stage.reply(await stage.say("crumb: what is in the oven?"))
        question = await (await stage.use("forget", handle="@Crumb")).answered(PATIENCE)
        assert MessageFlag.EPHEMERAL in question.flags
        assert "**Forget @crumb, for good?**" in question.content
        assert "1 messages on Discord and 0 posts on X" in question.content and "They stay" in question.content
        assert stage.shelf.personas() == ["crumb", "nell"]
        await press(stage, question, "wren", "Forget crumb")
        await edited(stage, question, "**@crumb is forgotten.**")
        assert question.components == []
        refused = await stage.reply(await stage.say("crumb: and now?"))
    assert refused.content == "crumb was taken down on request and is not imitated here any more. Ask somebody else."
    assert stage.shelf.personas() == ["nell"]
    assert not said.deleted
    wren = stage.server.world.user("wren")
    (done,) = await stage.takedowns.all()
    assert (done.asked_by, done.receipt.said[0].id) == (f"discord:{wren.id}", str(said.id))


async def test_every_answer_is_on_record_and_can_be_taken_back(stage: Stage) -> None:
    """Replies to mentions, and what /tweet gave."""
    async with stage.running():
        reply = await stage.reply(await stage.say("crumb: what is in the oven?"))
        asked = await stage.use("tweet", "robin", persona="crumb", count=2)
        tweet = await asked.answered(PATIENCE)
        (more,) = await asked.followed_up(PATIENCE)
        other = await (await stage.use("tweet", "robin", persona="nell")).answered(PATIENCE)
        question = await (await stage.use("forget", handle="crumb", delete_posts=True)).answered(PATIENCE)
        assert "3 messages on Discord" in question.content and "They are deleted, too" in question.content
        await press(stage, question, "wren", "Forget crumb")
        await edited(stage, question, "0 still stand")
    assert (reply.deleted, tweet.deleted, more.deleted, other.deleted) == (True, True, True, False)
    (done,) = await stage.takedowns.all()
    assert {(each.id, each.outcome) for each in done.receipt.said} == {
        (str(reply.id), DELETED),
        (str(tweet.id), DELETED),
        (str(more.id), DELETED),
    }


async def test_each_draft_is_on_record_with_its_message(stage: Stage) -> None:
    async with stage.running():
        interaction = await stage.use("tweet", "robin", persona="crumb", count=3)
        await interaction.answered(PATIENCE)
        more = await interaction.followed_up(PATIENCE, 2)
    (row,) = await stage.conversation.messages.said_as(["crumb"])
    assert interaction.original is not None
    ids = [str(message.id) for message in (interaction.original, *more)]
    assert row["answer_id"] == " ".join(ids)
    kept = [await stage.conversation.answers.find("discord", each) for each in ids]
    assert [each.said.seed for each in kept if each] == [1, 2, 3]


async def test_nobody_else_may(stage: Stage) -> None:
    async with stage.running():
        question = await (await stage.use("forget", handle="crumb")).answered(PATIENCE)
        answer = await press(stage, question, "robin", "Forget crumb")
        assert answer.content.startswith("Only the bot's owner")
        assert MessageFlag.EPHEMERAL in answer.flags
        world = stage.server.world
        (guild,), robin, wren = world.guilds.values(), world.user("robin"), world.user("wren")
        manager = dataclasses.replace(guild.members[robin.id], roles=guild.members[wren.id].roles)
        guild.members[robin.id] = manager
        answer = await press(stage, question, "robin", "Forget crumb")
        assert answer.content.startswith("Only the bot's owner")
    assert stage.shelf.personas() == ["crumb", "nell"]


def test_of_a_team_those_may_who_could_change_the_bot() -> None:
    def member(number: int, role: str, state: int = 2) -> dict[str, object]:
        user = {"id": str(number), "username": "x", "discriminator": "0", "avatar": None}
        return {"user": user, "role": role, "membership_state": state, "team_id": "1", "permissions": ["*"]}

    members = [
        member(1, ""),
        member(2, "admin"),
        member(3, "developer"),
        member(4, "read_only"),
        member(5, "admin", state=1),
    ]
    team: Any = {"id": "1", "name": "Mockingbirds", "icon": None, "owner_user_id": "1", "members": members}
    data: Any = {
        "id": "9",
        "name": "Mockingbird",
        "description": "",
        "icon": None,
        "bot_public": True,
        "bot_require_code_grant": False,
        "owner": {"id": "1", "username": "team1", "discriminator": "0", "avatar": None},
        "verify_key": "",
        "flags": 0,
        "team": team,
    }
    state: Any = discord.Client(intents=discord.Intents.none())._connection
    assert owners(discord.AppInfo(state, data)) == {1, 2, 3}


async def posted_as_crumb(stage: Stage) -> None:
    """crumb has a post on X."""
    post = await stage.posts.propose("main", "crumb")
    await stage.posts.approve(post.id, "ann")
    await sent(stage.posts._database, stage.posts._clock, post.id, "17")


async def test_what_deleting_on_x_costs_is_said_before(stage: Stage) -> None:
    await posted_as_crumb(stage)
    async with stage.running():
        question = await (await stage.use("forget", handle="crumb", delete_posts=True)).answered(PATIENCE)
        assert question.content.endswith(
            "0 messages on Discord and 1 posts on X were said in its voice. They are deleted, too.\n"
            "Deleting 1 posts on X costs $0.01.\n-# X this month: $0.00 of the cap of $20.00."
        )
        question = await (await stage.use("forget", handle="crumb")).answered(PATIENCE)
        assert "$" not in question.content


async def test_without_the_keys_nothing_is_begun_that_could_not_be_finished(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.running():
        early = await (await stage.use("forget", handle="crumb", delete_posts=True)).answered(PATIENCE)
    await posted_as_crumb(stage)
    monkeypatch.delenv(X_KEYS[0])
    async with stage.running():
        [problem] = await (await stage.use("forget", handle="crumb", delete_posts=True)).followed_up(PATIENCE)
        assert "needs the four keys of the account that posted them" in problem.content
        pressed = await stage.server.press(early, stage.server.world.user("wren"), "Forget crumb")
        [problem] = await pressed.followed_up(PATIENCE)
        assert problem.content.startswith("Nothing was done")
    assert stage.shelf.personas() == ["crumb", "nell"]
    assert await stage.takedowns.all() == []


async def test_a_message_that_is_gone_already_is_as_good_as_deleted(stage: Stage) -> None:
    async with stage.running():
        reply = await stage.reply(await stage.say("hello"))
    said = [
        Said(platform=Platform.DISCORD, channel=str(reply.channel.id), id=str(reply.id)),
        Said(platform=Platform.DISCORD, channel=str(reply.channel.id), id=str(reply.id)),
        Said(platform=Platform.DISCORD, channel="1", id="2"),
    ]
    outlet = DiscordOutlet(settings(stage))
    async with aclosing(outlet.take_back(said, "forgotten-1")) as taken_back:
        outcomes = [each.outcome async for each in taken_back]
    assert outcomes[:2] == [DELETED, DELETED]
    assert reply.deleted


async def test_without_a_token_that_discord_takes_nothing_is_called_deleted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlet = DiscordOutlet(settings(stage))
    said = [Said(platform=Platform.DISCORD, channel="1", id="2")]
    monkeypatch.setenv(TOKEN_ENV, "wrong")
    with pytest.raises(DiscordError):
        await anext(outlet.take_back(said, "forgotten-1"))
    monkeypatch.delenv(TOKEN_ENV)
    with pytest.raises(ConfigError, match=TOKEN_ENV):
        await anext(outlet.take_back(said, "forgotten-1"))


async def test_in_a_direct_conversation_only_the_bots_owner_may(stage: Stage) -> None:
    world = stage.server.world
    wren, robin = world.user("wren"), world.user("robin")
    async with stage.running():
        answer = await stage.server.slash(world.direct(robin), robin, "forget", {"handle": "crumb"})
        await answer.acknowledged(PATIENCE)
        assert answer.original is not None and answer.original.content.startswith("Only the bot's owner")
        question = await stage.server.slash(world.direct(wren), wren, "forget", {"handle": "crumb"})
        assert "Forget @crumb" in (await question.answered(PATIENCE)).content
