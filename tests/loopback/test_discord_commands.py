"""The loopback Discord and commands: registering them, using them, and Discord's rules for answering."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import discord
import pytest
from discord import app_commands

from bot.loopback.discord import LoopbackDiscord, LoopbackInteraction
from bot.loopback.openapi import OpenAPIContract
from tests.loopback.songbird import PATIENCE, Songbird, connected

NOW = 1_790_000_000.0  # seconds since the epoch; some day in 2026


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return self.now


def perch(bot: Songbird) -> None:
    """Give the bot the commands that the tests use."""

    @bot.tree.command(description="Answers at once")
    async def tweet(interaction: discord.Interaction, persona: str, count: int = 1) -> None:
        await interaction.response.send_message(" ".join([persona] * count))

    @bot.tree.command(description="Answers later")
    async def train(interaction: discord.Interaction) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.edit_original_response(content="half")
        await interaction.edit_original_response(content="done")
        await interaction.followup.send("three samples")

    @bot.tree.command(description="Answers later, in a message of its own")
    async def personas(interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True)
        await interaction.followup.send("here they are")
        await interaction.followup.send("and one more", ephemeral=True)

    queue = app_commands.Group(name="queue", description="What waits for approval")

    @queue.command(description="Lets one through")
    async def approve(interaction: discord.Interaction, number: int) -> None:
        assert isinstance(interaction.user, discord.Member)
        may = interaction.permissions.manage_guild
        await interaction.response.send_message(f"{number} {'approved' if may else 'is not yours'}", ephemeral=True)

    bot.tree.add_command(queue)


@asynccontextmanager
async def with_commands(server: LoopbackDiscord) -> AsyncIterator[Songbird]:
    """A connected bot whose commands are registered."""
    bot = Songbird()
    perch(bot)
    async with connected(bot, server):
        await bot.tree.sync()
        yield bot


async def use(server: LoopbackDiscord, command: str, **options: object) -> LoopbackInteraction:
    """robin uses a command in #talk."""
    return await server.slash(server.world.channel("talk"), server.world.user("robin"), command, options)


async def test_a_command_is_answered_at_once(discord_server: LoopbackDiscord) -> None:
    async with with_commands(discord_server):
        interaction = await use(discord_server, "tweet", persona="nasa", count=2)
        answer = await interaction.answered(PATIENCE)
    assert answer.content == "nasa nasa"
    assert answer.interaction is not None and answer.interaction["name"] == "tweet"


async def test_a_deferred_answer_is_edited_and_followed_up(discord_server: LoopbackDiscord) -> None:
    async with with_commands(discord_server):
        interaction = await use(discord_server, "train")
        await interaction.acknowledged(PATIENCE)
        followups = await interaction.followed_up(PATIENCE)
    assert interaction.original is not None
    assert (interaction.original.history, interaction.original.content) == (["half"], "done")
    assert [message.content for message in followups] == ["three samples"]


async def test_the_first_followup_becomes_the_deferred_answer(discord_server: LoopbackDiscord) -> None:
    async with with_commands(discord_server):
        interaction = await use(discord_server, "personas")
        followups = await interaction.followed_up(PATIENCE)
    assert interaction.original is not None and interaction.original.content == "here they are"
    assert [message.content for message in followups] == ["and one more"]


async def test_a_subcommand_sees_who_uses_it(discord_server: LoopbackDiscord) -> None:
    world = discord_server.world
    async with with_commands(discord_server):
        for name, expected in [("robin", "7 is not yours"), ("wren", "7 approved")]:
            user = world.user(name)
            interaction = await discord_server.slash(world.channel("talk"), user, "queue approve", {"number": 7})
            assert (await interaction.answered(PATIENCE)).content == expected


async def test_a_command_works_in_a_direct_conversation(discord_server: LoopbackDiscord) -> None:
    robin = discord_server.world.user("robin")
    async with with_commands(discord_server):
        direct = discord_server.world.direct(robin)
        interaction = await discord_server.slash(direct, robin, "tweet", {"persona": "nasa"})
        assert (await interaction.answered(PATIENCE)).content == "nasa"


async def test_a_command_that_is_not_registered_cannot_be_used(discord_server: LoopbackDiscord) -> None:
    with pytest.raises(LookupError, match="no command named 'tweet'; there are: none"):
        await use(discord_server, "tweet")
    async with with_commands(discord_server):
        with pytest.raises(LookupError, match="no option of /tweet named 'person'"):
            await use(discord_server, "tweet", persona="nasa", person="nasa")
        with pytest.raises(LookupError, match="/tweet needs the option 'persona'"):
            await use(discord_server, "tweet")


async def test_syncing_again_keeps_the_ids(discord_server: LoopbackDiscord) -> None:
    async with with_commands(discord_server) as bot:
        before = {command.name: command.id for command in await bot.tree.fetch_commands()}
        bot.tree.remove_command("train")
        after = {command.name: command.id for command in await bot.tree.sync()}
    del before["train"]
    assert before == after


async def test_a_guild_may_have_commands_of_its_own(discord_server: LoopbackDiscord) -> None:
    bot = Songbird()
    perch(bot)
    async with connected(bot, discord_server):
        guild = bot.guilds[0]
        bot.tree.copy_global_to(guild=guild)
        assert len(await bot.tree.sync(guild=guild)) == 4
        assert await bot.tree.fetch_commands() == []
        interaction = await use(discord_server, "tweet", persona="nasa")
        assert (await interaction.answered(PATIENCE)).content == "nasa"


# Discord's rules, tried without a client library between

TWEET = [{"name": "tweet", "description": "says something", "type": 1}]


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock at a fixed moment."""
    yield Clock()


@pytest.fixture
async def silent(discord_contract: OpenAPIContract | None, clock: Clock) -> AsyncIterator[LoopbackDiscord]:
    """A loopback Discord with a command registered and no bot connected, whose clock the test moves."""
    async with LoopbackDiscord(discord_contract, clock=clock) as server:
        server.world.commands[None] = [command | {"id": "1"} for command in TWEET]
        yield server
        assert server.violations == [], "\n".join(server.violations)
        assert server.own_violations == [], "\n".join(server.own_violations)


async def send(server: LoopbackDiscord, method: str, path: str, body: object | None = None) -> tuple[int, object]:
    """The status and the error code of the answer to a request."""
    url = server.api_base + path
    async with aiohttp.ClientSession() as session, session.request(method, url, json=body) as answer:
        parsed = await answer.json() if answer.status != 204 else {}
        return answer.status, parsed.get("code")


def callback(interaction: LoopbackInteraction) -> str:
    """The path for the first answer."""
    return f"/interactions/{interaction.id}/{interaction.token}/callback"


def original(server: LoopbackDiscord, interaction: LoopbackInteraction) -> str:
    """The path of the first answer, once there is one."""
    return f"/webhooks/{server.world.bot.id}/{interaction.token}/messages/@original"


ANSWER = {"type": 4, "data": {"content": "here"}}
DEFER = {"type": 5}


async def test_an_answer_within_three_seconds_is_taken(silent: LoopbackDiscord, clock: Clock) -> None:
    interaction = await use(silent, "tweet")
    clock.now += 2.9
    assert await send(silent, "POST", callback(interaction), ANSWER) == (204, None)
    assert abs(await interaction.acknowledged(PATIENCE) - 2.9) < 0.01


async def test_an_answer_after_three_seconds_is_too_late(silent: LoopbackDiscord, clock: Clock) -> None:
    interaction = await use(silent, "tweet")
    clock.now += 3.1
    assert await send(silent, "POST", callback(interaction), ANSWER) == (404, 10062)
    assert await send(silent, "PATCH", original(silent, interaction), {"content": "x"}) == (404, 10015)


async def test_a_second_answer_is_refused(silent: LoopbackDiscord) -> None:
    interaction = await use(silent, "tweet")
    assert await send(silent, "POST", callback(interaction), DEFER) == (204, None)
    assert await send(silent, "POST", callback(interaction), ANSWER) == (400, 40060)


async def test_there_is_nothing_to_edit_before_the_answer(silent: LoopbackDiscord) -> None:
    interaction = await use(silent, "tweet")
    assert await send(silent, "PATCH", original(silent, interaction), {"content": "x"}) == (404, 10015)


async def test_the_token_lives_fifteen_minutes(silent: LoopbackDiscord, clock: Clock) -> None:
    interaction = await use(silent, "tweet")
    await send(silent, "POST", callback(interaction), DEFER)
    clock.now += 15 * 60 - 1
    assert (await send(silent, "PATCH", original(silent, interaction), {"content": "in time"}))[0] == 200
    clock.now += 2
    assert await send(silent, "PATCH", original(silent, interaction), {"content": "late"}) == (401, 50027)


async def test_an_answer_that_is_too_long_leaves_the_interaction_open(silent: LoopbackDiscord) -> None:
    interaction = await use(silent, "tweet")
    long = {"type": 4, "data": {"content": "x" * 2001}}
    assert await send(silent, "POST", callback(interaction), long) == (400, 50035)
    silent.violations.clear()  # here the document has the right limit
    assert await send(silent, "POST", callback(interaction), ANSWER) == (204, None)


async def test_a_deleted_answer_cannot_be_edited(silent: LoopbackDiscord) -> None:
    interaction = await use(silent, "tweet")
    await send(silent, "POST", callback(interaction), ANSWER)
    assert await send(silent, "DELETE", original(silent, interaction)) == (204, None)
    assert await send(silent, "PATCH", original(silent, interaction), {"content": "x"}) == (404, 10008)


async def test_an_invented_token_is_refused(silent: LoopbackDiscord) -> None:
    assert await send(silent, "POST", "/interactions/1/invented/callback", ANSWER) == (404, 10062)
    assert await send(silent, "POST", "/webhooks/1/invented", {"content": "x"}) == (404, 10015)
