"""The loopback Discord and connections: logging in, what a session may see, and what happens when it is cut."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import discord
import pytest

from bot.loopback.discord import Intent, Kind, LoopbackDiscord
from bot.loopback.openapi import OpenAPIContract
from tests.loopback.songbird import PATIENCE, Songbird, connected, pointed_at


async def test_a_bot_logs_in_and_finds_its_guild(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        assert bot.user is not None and bot.user.name == "Mockingbird"
        assert bot.application is not None and bot.application.id == bot.user.id
        assert [guild.name for guild in bot.guilds] == ["Aviary"]
        assert [channel.name for channel in bot.guilds[0].text_channels] == ["general", "talk"]
        assert bot.guilds[0].me.guild_permissions.manage_webhooks


async def test_a_plain_client_works_as_well(discord_server: LoopbackDiscord) -> None:
    client = discord.Client(intents=discord.Intents.default(), guild_ready_timeout=0.05)
    async with connected(client, discord_server):
        assert [guild.name for guild in client.guilds] == ["Aviary"]


async def test_ids_tell_their_age(discord_server: LoopbackDiscord) -> None:
    world = discord_server.world
    said = await discord_server.say(world.channel("talk"), world.user("robin"), "now")
    created = discord.utils.snowflake_time(said).timestamp()
    assert abs(created - discord_server.message(said).created) < 0.01
    assert len({*world.users, *world.channels, *world.guilds}) == 6


async def test_a_wrong_token_is_refused_at_login(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    with pointed_at(discord_server):
        with pytest.raises(discord.LoginFailure):
            await bot.start("not the token")
        await bot.close()


async def test_a_privileged_intent_has_to_be_switched_on(discord_server: LoopbackDiscord) -> None:
    bot = Songbird(discord.Intents.all())
    with pointed_at(discord_server):
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await bot.start(discord_server.token)
        await bot.close()


async def test_without_message_content_only_what_concerns_the_bot_is_readable(
    discord_server: LoopbackDiscord,
) -> None:
    world, bot = discord_server.world, Songbird()
    talk, robin = world.channel("talk"), world.user("robin")
    async with connected(bot, discord_server):
        await discord_server.say(talk, robin, "not for you", mentions_bot=False)
        await discord_server.say(talk, robin, "for you")
        assert [await bot.hear(), await bot.hear()] == ["", f"{world.bot.mention} for you"]


async def test_a_reply_without_ping_is_not_readable(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird()
    talk, robin = world.channel("talk"), world.user("robin")
    async with connected(bot, discord_server):
        first = await discord_server.say(talk, robin, "hello")
        reply = await discord_server.reply_to(first, PATIENCE)
        await discord_server.say(talk, robin, "psst", mentions_bot=False, reply_to=reply.id, ping=False)
        assert [await bot.hear(), await bot.hear()] == [f"{world.bot.mention} hello", ""]


async def test_with_message_content_everything_is_readable(discord_contract: OpenAPIContract | None) -> None:
    intents = discord.Intents.default()
    intents.message_content = True
    bot = Songbird(intents)
    async with LoopbackDiscord(discord_contract, privileged=Intent.MESSAGE_CONTENT) as server, connected(bot, server):
        await server.say(server.world.channel("talk"), server.world.user("robin"), "all ears", mentions_bot=False)
        assert await bot.hear() == "all ears"


async def test_with_the_members_intent_all_members_are_known(discord_contract: OpenAPIContract | None) -> None:
    intents = discord.Intents.default()
    intents.members = True
    bot = Songbird(intents)
    async with LoopbackDiscord(discord_contract, privileged=Intent.GUILD_MEMBERS) as server, connected(bot, server):
        assert {member.name for member in bot.guilds[0].members} == {"Mockingbird", "wren", "robin"}


async def test_events_are_told_only_for_the_intents_asked_for(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird(discord.Intents(guilds=True, dm_messages=True))
    robin = world.user("robin")
    async with connected(bot, discord_server):
        await discord_server.say(world.channel("talk"), robin, "in the guild")
        await discord_server.say(world.direct(robin), robin, "directly")
        assert await bot.hear() == "directly"


async def test_a_dropped_connection_is_resumed_and_nothing_is_missed(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird()
    async with connected(bot, discord_server):
        discord_server.drop_connections()
        said = await discord_server.say(world.channel("talk"), world.user("robin"), "are you there?")
        reply = await discord_server.reply_to(said, PATIENCE)
        await asyncio.wait_for(bot.resumed.wait(), PATIENCE)
    assert reply.content == "You said: are you there?"
    assert [len(bot.seen), bot.ready_times] == [1, 1]
    resumed = await discord_server.wait_for(lambda h: h.kind is Kind.RESUMED)
    assert resumed.detail == "1 events sent again"


async def test_a_bot_that_is_asked_to_reconnect_resumes(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    async with connected(bot, discord_server):
        await discord_server.ask_to_reconnect()
        await asyncio.wait_for(bot.resumed.wait(), PATIENCE)
    assert bot.ready_times == 1


async def test_an_invalidated_session_begins_anew(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird()
    async with connected(bot, discord_server):
        await discord_server.invalidate_sessions()
        # What is said before the bot has identified anew is lost to it.
        await discord_server.bot_ready(PATIENCE)
        said = await discord_server.say(world.channel("talk"), world.user("robin"), "and again")
        assert (await discord_server.reply_to(said, PATIENCE)).content == "You said: and again"
    assert not bot.resumed.is_set()


async def test_a_message_can_be_delivered_twice(discord_server: LoopbackDiscord) -> None:
    world, bot = discord_server.world, Songbird()
    async with connected(bot, discord_server):
        said = await discord_server.say(world.channel("talk"), world.user("robin"), "twice")
        await discord_server.redeliver(said)
        assert await bot.hear() == await bot.hear()
    assert [message.id for message in bot.seen] == [said, said]


async def test_a_session_ends_when_the_bot_says_goodbye(discord_server: LoopbackDiscord) -> None:
    async with connected(Songbird(), discord_server):
        pass
    await discord_server.wait_for(lambda h: h.kind is Kind.DISCONNECTED, PATIENCE)
    bot = Songbird()
    async with connected(bot, discord_server):
        assert bot.ready_times == 1


async def test_an_unknown_route_is_answered_as_discord_does() -> None:
    async with LoopbackDiscord() as server:
        status, content_type, body = await answer_to(server, "GET", "/nowhere")
    assert (status, body) == (404, {"message": "404: Not Found", "code": 0})
    assert content_type == "application/json"  # with a charset discord.py would hand back text


async def test_a_body_that_is_not_json_is_refused() -> None:
    async with LoopbackDiscord() as server:
        status, _, body = await answer_to(server, "POST", "/users/@me/channels", "{")
    assert (status, body["code"]) == (400, 50109)


async def answer_to(
    server: LoopbackDiscord, method: str, path: str, data: str | None = None
) -> tuple[int, str, dict[str, Any]]:
    """Status, content type and parsed body of an answer to the bot, without a client library."""
    url, headers = server.api_base + path, {"Authorization": f"Bot {server.token}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.request(method, url, data=data) as answer:
        return answer.status, answer.headers["Content-Type"], await answer.json()


class RawGateway:
    """A gateway connection without a client library, uncompressed."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def receive(self) -> dict[str, Any]:
        """The next payload."""
        payload: dict[str, Any] = json.loads((await self.socket.receive(PATIENCE)).data)
        return payload

    async def closed_with(self) -> int | None:
        """The code with which the server closes the connection."""
        while not self.socket.closed:
            await self.socket.receive(PATIENCE)
        return self.socket.close_code


@asynccontextmanager
async def raw_gateway(server: LoopbackDiscord) -> AsyncIterator[RawGateway]:
    """A connection to the gateway that nothing was said over yet."""
    url = f"{server.gateway_url}?v=10&encoding=json"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        yield RawGateway(socket)


IDENTIFY = {"token": "loopback-bot-token", "intents": 512, "properties": {}}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"op": 2, "d": IDENTIFY | {"token": "wrong"}}, 4004),
        ({"op": 6, "d": {"token": "wrong", "session_id": "x", "seq": 1}}, 4004),
        ({"op": 2, "d": IDENTIFY | {"intents": 1 << 40}}, 4013),
        ({"op": 2, "d": IDENTIFY | {"intents": 1 << 15}}, 4014),
        ({"op": 2, "d": IDENTIFY | {"shard": [1, 1]}}, 4010),
        ({"op": 3, "d": {}}, 4003),
        ({"op": 99, "d": {}}, 4001),
        ("not an object", 4002),
    ],
)
async def test_the_gateway_closes_with_discords_codes(payload: object, code: int) -> None:
    async with LoopbackDiscord() as server, raw_gateway(server) as gateway:
        assert (await gateway.receive())["op"] == 10
        await gateway.socket.send_json(payload)
        assert await gateway.closed_with() == code


async def test_a_heartbeat_is_acknowledged() -> None:
    async with LoopbackDiscord() as server, raw_gateway(server) as gateway:
        assert (await gateway.receive())["d"] == {"heartbeat_interval": 41250}
        await gateway.socket.send_json({"op": 1, "d": None})
        assert (await gateway.receive())["op"] == 11


async def test_an_unknown_session_cannot_be_resumed() -> None:
    async with LoopbackDiscord() as server, raw_gateway(server) as gateway:
        await gateway.receive()
        await gateway.socket.send_json({"op": 6, "d": {"token": server.token, "session_id": "gone", "seq": 4}})
        assert await gateway.receive() == {"op": 9, "d": False}


async def test_an_event_goes_to_the_shard_of_its_guild() -> None:
    async with LoopbackDiscord() as server, raw_gateway(server) as gateway:
        other = 1 - (next(iter(server.world.guilds)) >> 22) % 2
        await gateway.receive()
        await gateway.socket.send_json({"op": 2, "d": IDENTIFY | {"intents": 513, "shard": [other, 2]}})
        assert (await gateway.receive())["d"]["guilds"] == []
        await server.say(server.world.channel("talk"), server.world.user("robin"), "elsewhere")
        await gateway.socket.send_json({"op": 1, "d": None})
        assert (await gateway.receive())["op"] == 11
