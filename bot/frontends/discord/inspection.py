"""What Discord says about the bot, asked by REST alone: for `mockingbird doctor`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp
import discord
from discord import app_commands

from bot.config import Discord
from bot.database import Database
from bot.errors import DiscordUnreachable
from bot.frontends.discord.commands import add_commands
from bot.frontends.discord.library import prepare_library, token_refused
from bot.frontends.discord.marks import Marks
from bot.frontends.discord.sync import are_synced

_LONGEST = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found."""

    name: str  # of the bot
    message_content: bool  # whether that privileged intent is switched on for it
    are_synced: bool  # whether Discord was told the commands as they are now


async def inspect(settings: Discord, token: str, database: Database | None) -> Inspection:
    """Log in and look. Raises `DiscordError` when the token is refused, `DiscordUnreachable`."""
    prepare_library(settings)
    client = discord.Client(intents=discord.Intents.none())
    tree = app_commands.CommandTree(client)
    add_commands(tree)
    try:
        async with client, asyncio.timeout(_LONGEST):
            await client.login(token)
            flags = client.application_flags
            return Inspection(
                name=str(client.user),
                message_content=flags.gateway_message_content or flags.gateway_message_content_limited,
                are_synced=database is not None and await are_synced(tree, Marks(database)),
            )
    except discord.LoginFailure as error:
        raise token_refused(settings) from error
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        raise DiscordUnreachable(f"Discord did not answer ({type(error).__name__}).") from error
