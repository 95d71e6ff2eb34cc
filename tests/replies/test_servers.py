"""What servers choose for themselves, and when it is forgotten."""

from __future__ import annotations

import asyncio

import pytest

from bot.database import Database
from bot.replies.channels import Channel, Channels
from bot.replies.server_words import ServerWords
from bot.replies.servers import Action, Servers, ServerSettings
from tests.fakes import FakeClock


@pytest.fixture
def servers(database: Database, clock: FakeClock) -> Servers:
    return Servers(database, clock)


async def test_what_was_not_chosen_is_the_default(servers: Servers) -> None:
    assert await servers.settings("discord", "1") == ServerSettings()
    await servers.change("discord", "1", log_channel="7")
    assert await servers.settings("discord", "1") == ServerSettings(log_channel="7")
    assert await servers.settings("discord", "2") == await servers.settings("web", "1") == ServerSettings()


async def test_two_changes_at_once_do_not_undo_each_other(servers: Servers) -> None:
    await asyncio.gather(
        *(servers.let("discord", "1", Action.TRAIN, str(number), may=True) for number in range(5)),
        *(servers.limit_role("discord", "1", str(number), number + 1) for number in range(5)),
    )
    chosen = await servers.settings("discord", "1")
    assert set(chosen.roles[Action.TRAIN]) == set(chosen.role_requests_per_hour) == set("01234")


async def test_a_role_is_listed_once_and_gone_when_it_is_taken_away(servers: Servers) -> None:
    for _ in range(2):
        chosen = await servers.let("discord", "1", Action.TRAIN, "7", may=True)
    assert chosen.roles == {Action.TRAIN: ("7",)}
    assert (await servers.let("discord", "1", Action.TRAIN, "7", may=False)).roles == {}


async def test_the_log_channels_are_those_of_servers_that_have_the_bot(servers: Servers) -> None:
    for server in ("1", "2"):
        await servers.change("discord", server, log_channel=f"channel {server}")
    await servers.change("discord", "3", requests_per_hour=3)
    await servers.left("discord", "2")
    assert await servers.log_channels("discord") == {"1": "channel 1"}


async def test_a_server_is_forgotten_with_all_that_is_kept_of_it_and_no_other_is(
    servers: Servers, database: Database, clock: FakeClock
) -> None:
    channels, words = Channels(database), ServerWords(database, clock)
    for server in ("1", "2"):
        await channels.set_persona("discord", f"channel {server}", "nell", server)
        await words.add("discord", server, "fudge", "99")
    assert await servers.known("discord") == {"1", "2"}
    await servers.left("discord", "1")
    clock.advance(days=30)
    await servers.left("discord", "1")  # told once more: the time counts from the first
    assert await servers.forget_those_gone("discord", 31) == []
    assert await servers.forget_those_gone("discord", 30) == ["1"]
    assert await channels.on_server("discord", "1") == {}
    assert await words.of("discord", "1") == ()
    assert await channels.on_server("discord", "2") == {"channel 2": Channel("nell")}
    assert await words.of("discord", "2") == ("fudge",)
    assert await servers.known("discord") == {"2"}


async def test_a_server_that_invites_the_bot_again_is_not_forgotten(servers: Servers, clock: FakeClock) -> None:
    await servers.change("discord", "1", requests_per_hour=3)
    await servers.left("discord", "1")
    await servers.is_in("discord", ["1", "2"])
    clock.advance(days=100)
    assert await servers.forget_those_gone("discord", 30) == []
    assert (await servers.settings("discord", "1")).requests_per_hour == 3


# Channels


async def test_a_channel_is_switched_and_chosen_for_without_losing_the_rest(database: Database) -> None:
    channels = Channels(database)
    assert await channels.get("discord", "7") == Channel()
    await channels.set_costume("discord", "7", "1", True)
    await channels.switch("discord", "7", "1", on=False)
    assert await channels.get("discord", "7") == Channel(None, True, True)
    await channels.set_persona("discord", "7", "nell", "1")
    assert await channels.get("discord", "7") == Channel("nell", False, True)
    await channels.set_costume("discord", "7", "1", None)
    assert await channels.on_server("discord", "1") == {"7": Channel("nell")}
    assert await channels.with_persona("discord", "nell") == ["7"]
    await channels.remove("discord", "7")
    assert await channels.get("discord", "7") == Channel()
