"""Whatever fails behind it, each command is acknowledged and ends with a sentence: for that person only, with a number
that the log has, and with nothing of what went wrong.

Over all commands that there are, so that a new one is tried, too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import discord
import pytest
from discord import AppCommandOptionType, app_commands
from structlog.testing import capture_logs

from bot.database import Database
from bot.frontends.discord.commands import add_commands
from bot.loopback.discord import LoopbackInteraction, Message
from bot.loopback.discord.messages import MessageFlag
from tests.frontends.discord_stage import Stage, staged
from tests.loopback.songbird import PATIENCE

SECRET = "secret detail"


def commands() -> dict[str, app_commands.Command[Any, ..., Any]]:
    """Every slash command by its full name."""
    tree = app_commands.CommandTree(discord.Client(intents=discord.Intents.none()))
    add_commands(tree)
    found = [each for each in tree.walk_commands() if isinstance(each, app_commands.Command)]
    return {each.qualified_name: each for each in found}


def required(stage: Stage, command: app_commands.Command[Any, ..., Any]) -> Mapping[str, Any]:
    """A value for each option that has to be there."""
    world = stage.server.world
    role = next(iter(world.guilds.values())).roles[1]
    return {
        option.name: option.choices[0].value if option.choices else _value(option, role, world.channel("general"))
        for option in command.parameters
        if option.required
    }


def _value(option: app_commands.Parameter, role: Any, channel: Any) -> Any:
    match option.type:
        case AppCommandOptionType.integer | AppCommandOptionType.number:
            return option.min_value or 1
        case AppCommandOptionType.boolean:
            return True
        case AppCommandOptionType.role:
            return role
        case AppCommandOptionType.channel:
            return channel
        case _:
            return {"parts": "nell:60, crumb:40", "version": "v1"}.get(option.name, "nell")


@asynccontextmanager
async def failing_database(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """While the body runs nothing can be read or written, as on a disk that is broken."""

    async def fails(*arguments: Any) -> Any:
        raise sqlite3.OperationalError(SECRET)

    def no_transaction(self: Database) -> Any:
        raise sqlite3.OperationalError(SECRET)

    with monkeypatch.context() as patch:
        patch.setattr(Database, "all", fails)
        patch.setattr(Database, "transaction", no_transaction)
        yield


async def ended(interaction: LoopbackInteraction) -> Message:
    """What the person sees at last, whichever message that is."""

    def last() -> Message | None:
        seen = [interaction.original, *interaction.followups]
        shown = [each for each in seen if each is not None and not each.loading and not each.deleted]
        return shown[-1] if shown else None

    return await interaction.journal.until(last, PATIENCE, f"an end of /{interaction.command}")


def require_plain(said: Message) -> None:
    """Nothing of what went wrong is in it, however it is put."""
    for part in (SECRET, "Traceback", "Error", "sqlite"):
        assert part not in said.content


@pytest.fixture
async def stage(tmp_path: Path, database: Database) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database) as ready:
        yield ready


@pytest.mark.parametrize("name", sorted(commands()))
async def test_a_command_is_acknowledged_and_plain_when_the_database_fails(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    options = required(stage, commands()[name])
    async with stage.running():
        with capture_logs() as lines:
            async with failing_database(stage, monkeypatch):
                interaction = await stage.use(name, **options)
                said = await ended(interaction)
    require_plain(said)
    errors = [line for line in lines if line.get("error_id")]
    if errors:  # some ask nothing of the database
        assert MessageFlag.EPHEMERAL in said.flags
        assert said.content.endswith(f"-# {errors[0]['error_id']}")
    else:
        assert name in {"help", "persona show"}


@pytest.mark.parametrize("name", sorted(commands()))
async def test_a_command_is_acknowledged_and_plain_when_voice_and_trainer_fail(stage: Stage, name: str) -> None:
    """Those that need neither go on as if nothing were."""
    stage.speaker.failure = stage.trainings.failure = RuntimeError(SECRET)
    options = required(stage, commands()[name])
    async with stage.running():
        with capture_logs() as lines:
            said = await ended(await stage.use(name, **options))
    require_plain(said)
    errors = [line for line in lines if line.get("error_id")]
    for line in errors:
        assert MessageFlag.EPHEMERAL in said.flags and said.content.endswith(f"-# {line['error_id']}")
    assert errors or name not in {"tweet", "replay", "train"}


@pytest.mark.parametrize("name", ["personas", "settings show", "tweet"])
@pytest.mark.parametrize(
    "route",
    [
        "POST /interactions/{interaction_id}/{interaction_token}/callback",
        "PATCH /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}",
    ],
    ids=["acknowledging", "answering"],
)
async def test_a_command_gets_through_a_bad_moment_of_discords(stage: Stage, route: str, name: str) -> None:
    """What Discord fails to take is sent again."""
    async with stage.running():
        stage.server.refuse_next(route, 503)
        interaction = await stage.use(name)
        assert (await interaction.answered(PATIENCE)).content
