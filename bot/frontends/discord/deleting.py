"""Deleting the bot's own messages by REST, in a connection of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Any

import aiohttp
import discord

from bot.config import Discord
from bot.errors import DiscordError
from bot.frontends.discord.costume import is_own
from bot.frontends.discord.library import prepare_library, token_refused
from bot.personas.takedown import DELETED, Said

_FORBIDDEN = "Discord forbids it: the bot is not in that server any more, or may not see that channel."


async def deleted(settings: Discord, token: str, said: Sequence[Said]) -> AsyncGenerator[Said]:
    """Each message with what became of it. Raises `ConfigError` where Discord refuses the token, and `DiscordError`."""
    prepare_library(settings)
    client = discord.Client(intents=discord.Intents.none())
    try:
        async with client:
            await client.login(token)
            for each in said:
                yield each.model_copy(update={"outcome": await _deleted(client, each)})
    except discord.LoginFailure as error:
        raise token_refused(settings) from error
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        raise DiscordError(
            f"Discord could not delete messages ({type(error).__name__}: {error}). Try again in a while."
        ) from error


async def _deleted(client: discord.Client, said: Said) -> str:
    """What became of one message."""
    channel = client.get_partial_messageable(int(said.channel))
    try:
        await channel.get_partial_message(int(said.id or 0)).delete()
    except discord.NotFound:  # gone already
        return DELETED
    except discord.Forbidden:  # to Discord a message in costume is somebody else's
        return await _deleted_in_costume(client, said)
    return DELETED


async def _deleted_in_costume(client: discord.Client, said: Said) -> str:
    """What became of a message that the channel's webhook has said."""
    try:
        channel = await client.fetch_channel(int(said.channel))
        thread = channel if isinstance(channel, discord.Thread) else None
        place: Any = await client.fetch_channel(thread.parent_id) if thread else channel
        for webhook in await place.webhooks():
            if is_own(webhook, client.user):
                with suppress(discord.NotFound):  # another one's, which may be gone: then nobody else can delete it
                    await webhook.delete_message(int(said.id or 0), thread=thread or discord.utils.MISSING)
                    return DELETED
    except discord.NotFound:  # the channel, with all that was said there
        return DELETED
    except discord.Forbidden:
        pass
    return _FORBIDDEN
