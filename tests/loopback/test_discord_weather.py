"""The loopback Discord, limits that are counted, and refusals by chance."""

from collections.abc import Mapping
from typing import Any

import aiohttp
import discord
import pytest

from bot.loopback.discord import LoopbackDiscord
from bot.loopback.openapi import OpenAPIContract
from tests.loopback.songbird import PATIENCE, Songbird, connected, text_channel

MESSAGES = "POST /channels/{channel_id}/messages"
NOW = 1_790_000_000.0  # seconds since the epoch; some day in 2026


async def post(server: LoopbackDiscord, place: str) -> tuple[int, Mapping[str, str], dict[str, Any]]:
    """Status, headers and body of the answer to a message, without a client library."""
    url = f"{server.api_base}/channels/{server.world.channel(place).id}/messages"
    headers = {"Authorization": f"Bot {server.token}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url, json={"content": "x"}) as answer:
        return answer.status, answer.headers, await answer.json()


async def test_a_limit_is_counted_for_each_channel(discord_contract: OpenAPIContract | None) -> None:
    now = [NOW]
    async with LoopbackDiscord(discord_contract, clock=lambda: now[0], limits={MESSAGES: (2, 5.0)}) as server:
        status, headers, _ = await post(server, "talk")
        assert (status, headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == (200, "2", "1")
        assert (headers["X-RateLimit-Reset"], headers["X-RateLimit-Reset-After"]) == (f"{NOW + 5:.3f}", "5.000")
        assert [(await post(server, place))[0] for place in ("talk", "talk", "general")] == [200, 429, 200]
        now[0] += 2
        status, headers, body = await post(server, "talk")
        assert (status, headers["X-RateLimit-Remaining"], headers["X-RateLimit-Scope"]) == (429, "0", "user")
        assert (body["retry_after"], body["global"]) == (3.0, False)
        now[0] += 3
        assert (await post(server, "talk"))[0] == 200
        assert (server.violations, server.own_violations) == ([], [])


async def test_the_global_limit_is_counted_over_all_routes(discord_contract: OpenAPIContract | None) -> None:
    now = [NOW]
    async with LoopbackDiscord(discord_contract, clock=lambda: now[0], global_limit=3) as server:
        statuses = [(await post(server, place))[0] for place in ("talk", "general", "talk")]
        status, headers, body = await post(server, "general")
        assert (statuses, status, headers["X-RateLimit-Global"]) == ([200, 200, 200], 429, "true")
        assert (body["retry_after"], body["global"]) == (1.0, True)
        now[0] += 1
        assert (await post(server, "general"))[0] == 200


async def test_a_client_that_counts_along_is_never_refused(discord_contract: OpenAPIContract | None) -> None:
    bot = Songbird()
    async with LoopbackDiscord(discord_contract, limits={MESSAGES: (3, 0.2)}) as server, connected(bot, server):
        for number in range(8):
            await text_channel(bot, server).send(str(number))
        statuses = [r.status for r in server.requests if r.route == "/channels/{channel_id}/messages"]
    assert statuses == [200] * 8


async def test_rough_weather_refuses_a_share_of_requests(discord_server: LoopbackDiscord) -> None:
    discord_server.rough_weather(0.5, (502, 429))
    statuses = [(await post(discord_server, "talk"))[0] for _ in range(40)]
    discord_server.calm_weather()
    calm = [(await post(discord_server, "talk"))[0] for _ in range(10)]
    assert set(statuses) == {200, 429, 502} and set(calm) == {200}
    assert len(discord_server.messages_in(discord_server.world.channel("talk"))) == statuses.count(200) + 10


async def test_rough_weather_is_the_same_with_the_same_seed(discord_server: LoopbackDiscord) -> None:
    weeks = []
    for _ in range(2):
        discord_server.rough_weather(0.3, seed=7)
        weeks.append([(await post(discord_server, "talk"))[0] for _ in range(20)])
    assert weeks[0] == weeks[1]


async def test_rough_weather_may_lose_the_answer_only(discord_server: LoopbackDiscord) -> None:
    """A bot that sends a message again then sends it twice, unless its nonce tells."""
    bot = Songbird()
    async with connected(bot, discord_server):
        channel = text_channel(bot, discord_server)
        discord_server.rough_weather(1.0, (503,), lost=1.0)
        with pytest.raises(discord.DiscordServerError):
            await channel.send("heard?", nonce="n-1")
        discord_server.calm_weather()
        await channel.send("heard?", nonce="n-1")
    assert [m.content for m in discord_server.messages_in(discord_server.world.channel("talk"))] == ["heard?"]


@pytest.mark.parametrize(("callbacks", "statuses"), [(False, [200]), (True, [503, 200])])
async def test_rough_weather_leaves_first_answers_alone_unless_told(
    discord_server: LoopbackDiscord, callbacks: bool, statuses: list[int]
) -> None:
    world, bot = discord_server.world, Songbird()

    @bot.tree.command(description="Sings")
    async def sing(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("la")

    async with connected(bot, discord_server):
        await bot.tree.sync()
        discord_server.rough_weather(1.0, (503,), callbacks=callbacks)
        interaction = await discord_server.slash(world.channel("talk"), world.user("robin"), "sing")
        if callbacks:
            await discord_server.wait_for(lambda h: h.request is not None and h.request.status == 503, PATIENCE)
            discord_server.calm_weather()
        assert (await interaction.answered(PATIENCE)).content == "la"
        await discord_server.until(lambda: discord_server.requests[-1].path.endswith("/callback"), PATIENCE)
    assert [request.status for request in discord_server.requests if request.path.endswith("/callback")] == statuses
