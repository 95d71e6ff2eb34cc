"""Telling Discord about the commands: once for each change, since Discord counts how often it is told."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import suppress
from typing import Any

import aiohttp
import discord
import structlog
from discord import app_commands

from bot.config import Discord
from bot.database import Database
from bot.errors import DiscordError
from bot.frontends.discord.commands import add_commands
from bot.frontends.discord.library import prepare_library, token_refused
from bot.frontends.discord.marks import Marks
from bot.frontends.discord.translating import Catalogues

_LONGEST_SYNC = 60.0  # seconds; a used-up allowance would otherwise be waited for before anybody is answered

log = structlog.get_logger(__name__)


async def commands_hash(tree: app_commands.CommandTree[Any]) -> str:
    """A digest of what Discord would be told, translations included; the same for the same commands in any order."""
    translator = tree.translator
    payload = [
        await command.get_translated_payload(tree, translator) if translator else command.to_dict(tree)
        for command in tree.get_commands()
    ]
    payload.sort(key=lambda entry: (str(entry["name"]), str(entry["type"])))
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()


async def are_synced(tree: app_commands.CommandTree[Any], marks: Marks) -> bool:
    """Whether Discord was told exactly these commands last. The client has to be logged in."""
    await tree.set_translator(Catalogues())
    return await marks.get(_mark(tree)) == await commands_hash(tree)


async def sync_if_changed(tree: app_commands.CommandTree[Any], marks: Marks, development_server: int = 0) -> bool:
    """Tell Discord about the commands unless it was told exactly this before; whether it was told now.

    A development server is told first, once for each change, too; 0 is none. The client has to be logged in. Trouble is
    logged and left for the next start: mentions work without commands.
    """
    try:
        async with asyncio.timeout(_LONGEST_SYNC):
            await _sync_development(tree, marks, development_server)
            if await are_synced(tree, marks):
                return False
            await _sync(tree, marks)
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        log.warning("discord commands not synced; the next start tries again", trouble=str(error))
        return False
    return True


async def sync_commands(settings: Discord, token: str, database: Database) -> list[str]:
    """Tell Discord about the commands, changed or not; their names. Raises `DiscordError`."""
    prepare_library(settings)
    client = discord.Client(intents=discord.Intents.none())
    tree = app_commands.CommandTree(client)
    add_commands(tree)
    try:
        async with client, asyncio.timeout(_LONGEST_SYNC):
            await client.login(token)
            marks = Marks(database)
            await _sync_development(tree, marks, settings.development_server)
            return await _sync(tree, marks)
    except discord.LoginFailure as error:
        raise token_refused(settings) from error
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        raise DiscordError(
            f"Discord could not be told about the commands ({type(error).__name__}: {error}). Try again in a while."
        ) from error


async def _sync(tree: app_commands.CommandTree[Any], marks: Marks) -> list[str]:
    names = [command.name for command in await tree.sync()]
    await marks.set(_mark(tree), await commands_hash(tree))
    log.info("discord commands synced", commands=sorted(names))
    return names


async def _sync_development(tree: app_commands.CommandTree[Any], marks: Marks, server: int) -> None:
    """Give the development server copies of its own of the commands, which count at once, and take them from the
    server that was one before: there they would stand beside the others for ever.
    """
    await tree.set_translator(Catalogues())
    wanted = await commands_hash(tree)
    for name in await marks.beginning_with(f"{_mark(tree)}-"):
        if name != _mark(tree, server):
            former = discord.Object(int(name.rpartition("-")[2]))
            with suppress(discord.NotFound, discord.Forbidden):  # it has removed the bot, and the copies are gone
                await tree.sync(guild=former)
            await marks.remove(name)
    if not server:
        return
    tree.copy_global_to(guild=discord.Object(server))
    if await marks.get(_mark(tree, server)) == wanted:
        return
    try:
        await tree.sync(guild=discord.Object(server))
    except (discord.NotFound, discord.Forbidden) as trouble:
        log.warning("discord's development server was not told of the commands", server=server, trouble=str(trouble))
        return
    await marks.set(_mark(tree, server), wanted)


def _mark(tree: app_commands.CommandTree[Any], server: int = 0) -> str:
    """Each application has commands of its own, so another token means another sync; so has a development server."""
    return f"discord-commands-{tree.client.application_id}{f'-{server}' if server else ''}"
