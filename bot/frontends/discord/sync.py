"""Telling Discord about the commands: once for each change, since Discord counts how often it is told."""

from __future__ import annotations

import asyncio
import hashlib
import json
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

_LONGEST_SYNC = 60.0  # seconds; a used-up allowance would otherwise be waited for before anybody is answered

log = structlog.get_logger(__name__)


def commands_hash(tree: app_commands.CommandTree[Any]) -> str:
    """A digest of what Discord would be told; the same for the same commands in any order."""
    payload = sorted((command.to_dict(tree) for command in tree.get_commands()), key=lambda entry: str(entry["name"]))
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()


async def sync_if_changed(tree: app_commands.CommandTree[Any], marks: Marks) -> bool:
    """Tell Discord about the commands unless it was told exactly this before; whether it was told now.

    The client has to be logged in. Trouble is logged and left for the next start: mentions work without commands.
    """
    if await marks.get(_mark(tree)) == commands_hash(tree):
        return False
    try:
        async with asyncio.timeout(_LONGEST_SYNC):
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
            return await _sync(tree, Marks(database))
    except discord.LoginFailure as error:
        raise token_refused(settings) from error
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        raise DiscordError(
            f"Discord could not be told about the commands ({type(error).__name__}: {error}). Try again in a while."
        ) from error


async def _sync(tree: app_commands.CommandTree[Any], marks: Marks) -> list[str]:
    names = [command.name for command in await tree.sync()]
    await marks.set(_mark(tree), commands_hash(tree))
    log.info("discord commands synced", commands=sorted(names))
    return names


def _mark(tree: app_commands.CommandTree[Any]) -> str:
    """Each application has commands of its own, so another token means another sync."""
    return f"discord-commands-{tree.client.application_id}"
