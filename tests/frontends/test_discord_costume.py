"""Speaking under a persona's own name, and what happens where that is not possible."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.config import Discord
from bot.database import Database
from bot.frontends.discord import costume
from bot.frontends.discord.costume import signed
from bot.frontends.discord.outlet import DiscordOutlet
from bot.loopback.discord import Channel
from bot.loopback.discord.places import ChannelType, Thread, Webhook
from bot.loopback.discord.weather import PlannedAnswer
from bot.loopback.discord.world import Permission
from bot.personas.takedown import DELETED, Said
from bot.pictures.drawing import PNG
from bot.replies.incoming import Platform
from tests.fakes import QuickAsyncio
from tests.frontends.discord_stage import Stage, staged
from tests.loopback.songbird import PATIENCE

EXECUTE = "/webhooks/{webhook_id}/{webhook_token}"
WEBHOOKS = "/channels/{channel_id}/webhooks"
SEND = "/channels/{channel_id}/messages"


@pytest.fixture
async def stage(tmp_path: Path, database: Database) -> AsyncIterator[Stage]:
    """A server that has chosen costumes."""
    async with staged(tmp_path, database) as ready:
        await ready.conversation.servers.change("discord", str(talk(ready).guild_id), in_costume=True)
        yield ready


def talk(stage: Stage) -> Channel:
    return stage.server.world.channel("talk")


def webhooks(stage: Stage) -> list[Webhook]:
    return list(stage.server.world.webhooks.values())


async def test_the_channels_persona_speaks_under_its_name_with_its_face(stage: Stage) -> None:
    async with stage.running():
        said = await stage.said_in_costume("how is the weather?")
    (webhook,) = webhooks(stage)
    assert (said.author.username, said.avatar_url) == ("Nell (AI)", None)
    assert webhook.picture is not None and webhook.picture.startswith(PNG)
    assert "nell" not in webhook.name.casefold()  # where it would stand still when she was forgotten
    kept = await stage.conversation.answers.find("discord", str(said.id))
    assert kept is not None and kept.said.persona == "nell"


async def test_the_person_answered_is_pinged_and_nobody_else(tmp_path: Path, database: Database) -> None:
    async with staged(tmp_path, database, says=["@everyone look, <@1> and @here"]) as stage, stage.running():
        await stage.conversation.channels.set_costume("discord", str(talk(stage).id), "", True)
        said = await stage.said_in_costume("who?")
        robin = stage.server.world.user("robin")
        assert said.content.startswith(f"{robin.mention} ")
        assert (said.mentions, said.pings_everyone) == ((robin,), False)


async def test_one_webhook_serves_a_channel_over_restarts_and_for_every_persona(stage: Stage) -> None:
    """Whoever is called by name signs each message, with a face of Discord's own."""
    async with stage.running():
        await stage.said_in_costume("hello")
    async with stage.running():
        said = await stage.said_in_costume("crumb: hello", 2)
        again = await stage.said_in_costume("crumb: and you?", 3)
    assert len(webhooks(stage)) == 1
    assert said.author.username == "Crumb (AI)"
    assert said.avatar_url is not None and "/embed/avatars/" in said.avatar_url
    assert again.avatar_url == said.avatar_url


async def test_the_webhook_changes_its_face_with_the_channels_persona(stage: Stage) -> None:
    async with stage.running():
        await stage.said_in_costume("hello")
        (webhook,) = webhooks(stage)
        before = webhook.picture
        await stage.conversation.set_channel_persona(
            Platform.DISCORD, str(talk(stage).id), "crumb", str(talk(stage).guild_id)
        )
        said = await stage.said_in_costume("hello again", 2)
    assert (said.author.username, said.avatar_url) == ("Crumb (AI)", None)
    assert webhook.name == costume.label("crumb") and webhook.picture != before


async def test_a_channels_own_choice_comes_before_the_servers(stage: Stage) -> None:
    await stage.conversation.channels.set_costume("discord", str(talk(stage).id), str(talk(stage).guild_id), False)
    async with stage.running():
        await stage.answer("hello")
    assert webhooks(stage) == []


async def test_without_the_permission_it_is_a_plain_reply_which_the_log_says_once(stage: Stage) -> None:
    talk(stage).denied_to_bot = Permission.MANAGE_WEBHOOKS
    with capture_logs() as lines:
        async with stage.running():
            for _ in range(2):
                await stage.answer("hello")
    assert [each["event"] for each in lines].count("discord answers are plain replies in a channel") == 1
    assert stage.requests("GET", WEBHOOKS) == []


async def test_where_a_channel_has_too_many_webhooks_it_is_a_plain_reply(stage: Stage) -> None:
    world = stage.server.world
    for number in range(15):
        wren = world.user("wren")
        webhook = Webhook(world.snowflakes.next(), f"token {number}", talk(stage), f"wren's {number}", made_by=wren)
        world.webhooks[webhook.id] = webhook
    async with stage.running():
        await stage.answer("hello")


async def test_where_discord_makes_no_webhook_for_the_moment_it_is_a_plain_reply(stage: Stage) -> None:
    """Nothing was said yet, so nothing can be said twice."""
    async with stage.running():
        stage.server.refuse_next(f"POST {WEBHOOKS}", 503)
        await stage.answer("hello")


async def test_a_reply_that_mentions_the_bot_goes_on_with_the_persona_in_costume(stage: Stage) -> None:
    async with stage.running():
        said = await stage.said_in_costume("crumb: hello")
        await stage.said_in_costume("and then?", 2, reply_to=said.id)
    assert stage.speaker.asked[1] == ("crumb", "and then?")
    assert stage.speaker.thread == ("crumb: hello", "tweet number 1")


async def test_a_webhook_deleted_behind_our_back_is_made_anew_once(stage: Stage) -> None:
    async with stage.running():
        await stage.said_in_costume("hello")
        (webhook,) = webhooks(stage)
        await stage.server.remove_webhook(webhook)
        await stage.said_in_costume("hello again")
    assert len(webhooks(stage)) == 1 and webhooks(stage) != [webhook]


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_what_discord_did_not_take_is_said_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(costume, "asyncio", QuickAsyncio())
    async with stage.running():
        stage.server.refuse_next(f"POST {EXECUTE}", status, times=2)
        await stage.said_in_costume("hello")


async def test_what_was_said_although_discord_failed_to_say_so_is_found_and_not_said_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discord's webhooks know no nonce."""
    monkeypatch.setattr(costume, "asyncio", QuickAsyncio())
    async with stage.running():
        await stage.said_in_costume("hello")
        stage.server._rest.plan(PlannedAnswer(f"POST {EXECUTE}", 502, 0, everywhere=False, afterwards=True))
        await stage.said_in_costume("are you there?", 2)
        await stage.said_in_costume("hello again", 3)
    assert stage.requests("POST", SEND) == []


async def test_what_may_have_been_said_is_not_said_again_as_a_plain_reply(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costume, "asyncio", QuickAsyncio())
    async with stage.running():
        await stage.said_in_costume("hello")
        stage.server.refuse_next(f"POST {EXECUTE}", 502, times=4)
        await stage.say("are you there?")
        await stage.said_in_costume("hello again", 2)
    assert stage.requests("POST", SEND) == []


async def test_in_a_thread_the_channels_webhook_speaks(stage: Stage) -> None:
    world = stage.server.world
    about = Thread(talk(stage), ChannelType.PUBLIC_THREAD, world.user("robin").id, 1e9, 1e9)
    thread = Channel(world.snowflakes.next(), "weather", talk(stage).guild_id, thread=about)
    world.channels[thread.id] = thread
    async with stage.running():
        await stage.server.say(thread, world.user("robin"), "hello")
        await stage.server.until(lambda: len(stage.server.messages_in(thread)) == 2, PATIENCE)
        said = stage.server.messages_in(thread)[-1]
        await stage.known(said)
    (webhook,) = webhooks(stage)
    assert webhook.channel is talk(stage)
    assert said.author.username == "Nell (AI)"


async def test_an_answer_too_long_for_a_message_is_said_in_pieces(tmp_path: Path, database: Database) -> None:
    async with staged(tmp_path, database, says=["words " * 400]) as stage, stage.running():
        await stage.conversation.channels.set_costume("discord", str(talk(stage).id), "", True)
        await stage.say("tell me everything")
        await stage.server.until(lambda: len(stage.server.messages_in(talk(stage))) == 3, PATIENCE)


async def test_what_was_said_in_costume_can_be_taken_back(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Discord forbids the bot to delete it as its own; the webhook may."""
    monkeypatch.setenv("A_TOKEN_OF_THE_TESTS", stage.server.token)
    async with stage.running():
        said = await stage.said_in_costume("hello")
    settings = Discord(
        token_env="A_TOKEN_OF_THE_TESTS", api_base=stage.server.api_base, gateway_url=stage.server.gateway_url
    )
    record = Said(platform="discord", channel=str(said.channel.id), id=str(said.id))
    async with aclosing(DiscordOutlet(settings).take_back([record], "test")) as taken_back:
        outcomes = [each.outcome async for each in taken_back]
    assert (outcomes, said.deleted) == ([DELETED], True)


def test_a_name_is_marked_and_never_one_that_discord_refuses() -> None:
    assert signed("lighthouse_nell") == "Lighthouse Nell (AI)"
    assert signed("discord_clyde") == "Dis-cord Cly-de (AI)"
    assert len(signed("x" * 60)) <= 80
