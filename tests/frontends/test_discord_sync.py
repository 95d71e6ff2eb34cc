"""Telling Discord about the commands, in every language, and seeing whether it knows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import discord
import pytest
from discord import app_commands

from bot import doctor
from bot.config import Config, Discord
from bot.database import Database
from bot.frontends.discord import translating
from bot.frontends.discord.client import Client
from bot.frontends.discord.commands import add_commands
from bot.frontends.discord.served import Served
from bot.frontends.discord.sync import commands_hash, sync_commands
from bot.frontends.discord.translating import LANGUAGES, Catalogues, catalogue
from tests.frontends.discord_stage import Stage, staged

GLOBAL = "/applications/{application_id}/commands"
GUILD = "/applications/{application_id}/guilds/{guild_id}/commands"


@pytest.fixture
async def stage(tmp_path: Path, database: Database) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database) as ready:
        yield ready


def tree_of_commands() -> app_commands.CommandTree[Any]:
    tree = app_commands.CommandTree(discord.Client(intents=discord.Intents.none()))
    add_commands(tree)
    return tree


def texts_of(tree: app_commands.CommandTree[Any]) -> set[str]:
    """Every description and choice in English."""
    found = set[str]()
    for command in tree.walk_commands():
        found.add(command.description)
        if isinstance(command, app_commands.Command):
            for parameter in command.parameters:
                found |= {str(parameter.description), *(choice.name for choice in parameter.choices)}
    return found


@pytest.mark.parametrize("language", LANGUAGES, ids=str)
def test_everything_is_translated_and_no_translation_is_longer_than_discord_shows(language: discord.Locale) -> None:
    found = catalogue(language)
    assert found
    assert sorted(set(found) ^ texts_of(tree_of_commands())) == []
    assert [text for text in found.values() if not 1 <= len(text) <= 100] == []


def test_no_description_is_longer_than_discord_shows() -> None:
    assert [text for text in texts_of(tree_of_commands()) if not 1 <= len(text) <= 100] == []


async def test_another_translation_is_another_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tree_of_commands()
    await tree.set_translator(Catalogues())
    before = await commands_hash(tree)
    assert await commands_hash(tree) == before
    german = catalogue(discord.Locale.german)
    monkeypatch.setattr(
        translating, "catalogue", lambda language: german | {"Who speaks": "Wer?", "Who answers": "Wer?"}
    )
    assert await commands_hash(tree) != before


async def test_discord_is_told_the_german_descriptions(stage: Stage) -> None:
    async with stage.running():
        pass
    [commands] = stage.requests("PUT", GLOBAL)
    tweet = next(command for command in commands if command["name"] == "tweet")
    assert tweet["description_localizations"] == {"de": "Tweets in der Stimme einer Persona schreiben"}
    assert tweet["name_localizations"] == {}


async def test_the_development_server_has_the_commands_once_for_each_change(stage: Stage) -> None:
    """With a mark of its own; when it is one no longer the copies are taken away."""
    guild = next(iter(stage.server.world.guilds))
    for _ in range(2):
        async with stage.running(development_server=guild):
            await stage.use("status", "robin")
    assert [len(commands) > 5 for commands in stage.requests("PUT", GUILD)] == [True]
    assert len(stage.requests("PUT", GLOBAL)) == 1
    for _ in range(2):
        async with stage.running():
            pass
    assert stage.requests("PUT", GUILD)[1:] == [[]]
    assert len(stage.requests("PUT", GLOBAL)) == 1


async def test_a_development_server_without_the_bot_hinders_nobody(stage: Stage) -> None:
    async with stage.running(development_server=4711):
        await (await stage.use("status", "robin")).answered(10)
    assert len(stage.requests("PUT", GLOBAL)) == 1


async def test_the_command_line_tells_the_development_server_too(stage: Stage) -> None:
    guild = next(iter(stage.server.world.guilds))
    settings = Discord(api_base=stage.server.api_base, gateway_url=stage.server.gateway_url, development_server=guild)
    await sync_commands(settings, stage.server.token, stage.database)
    assert len(stage.requests("PUT", GUILD)) == len(stage.requests("PUT", GLOBAL)) == 1


async def test_every_button_asks_first_whether_people_are_answered_there() -> None:
    unused: Any = None
    items = Client(unused, 0)._connection._view_store._dynamic_items.values()
    assert len(items) >= 5
    assert all(issubclass(item, Served) for item in items)


# What doctor asks


def config_for(stage: Stage, **settings: Any) -> Config:
    """As the stage's bot has it."""
    chosen = Discord(enabled=True, api_base=stage.server.api_base, gateway_url=stage.server.gateway_url, **settings)
    config = Config(discord=chosen)
    return config.model_copy(update={"paths": config.paths.model_copy(update={"data": stage.database.path.parent})})


async def test_doctor_asks_discord_about_token_intents_and_commands(stage: Stage) -> None:
    database = stage.database.path
    database.with_name("mockingbird.db").symlink_to(database)
    token = {"DISCORD_TOKEN": stage.server.token}

    async def finding(environment: dict[str, str], **settings: Any) -> doctor.Finding:
        [found] = await doctor.discord_answers(config_for(stage, **settings), environment)
        return found

    assert (await finding(token)).text.endswith("so does `mockingbird sync-commands`.")
    async with stage.running():
        pass
    assert await finding(token) == doctor.Finding(
        "discord answers", doctor.Grade.OK, "The token is Mockingbird#0000's. Discord knows its commands."
    )
    wrong = await finding({"DISCORD_TOKEN": "wrong"})
    assert wrong.grade is doctor.Grade.WRONG and "refused the token" in wrong.text
    closed = await finding(token, message_content=True)
    assert closed.grade is doctor.Grade.WRONG and "Message Content Intent is off" in closed.text
    assert await doctor.discord_answers(config_for(stage), {}) == []


async def test_doctor_lists_the_accounts_that_people_wish_not_to_be_imitated(stage: Stage) -> None:
    database = stage.database.path
    database.with_name("mockingbird.db").symlink_to(database)
    assert await doctor.wishes(config_for(stage), stage.clock()) == []
    for handle in ("nasa", "esa", "nasa"):
        await stage.conversation.opt_outs.request_removal(handle, "discord", "1")
    [found] = await doctor.wishes(config_for(stage), stage.clock())
    assert found.grade is doctor.Grade.NOTE and "not imitated: esa, nasa." in found.text
