"""discord.py's own global state, set in one place before a client is made.

The library keeps the addresses of Discord as class constants, and at DEBUG it logs whole requests and events: message
texts, and the tokens that answer a command.
"""

from __future__ import annotations

import asyncio
import logging

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.config import Discord
from bot.errors import DiscordError

# These log the trouble that they are about to retry, with a traceback each time.
_RETRYING = ("discord.client", "discord.shard", "discord.gateway")
_IGNORING = "discord.app_commands.tree"  # a suggestion that came too late for whoever types
_TROUBLE = (OSError, aiohttp.ClientError, asyncio.TimeoutError, discord.DiscordException)


class _OneLine(logging.Filter):
    """Says a connection's trouble in one line. Other errors keep their traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True; rewrites the record."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, _TROUBLE):
            record.msg = f"{record.getMessage()} ({type(error).__name__}: {error})"
            record.args = ()
            record.exc_info = None
        return True


_ONE_LINE = _OneLine()


def prepare_library(settings: Discord) -> None:
    """From now on new clients connect where `settings` says, and the library logs neither texts nor tokens."""
    Route.BASE = settings.api_base.rstrip("/")
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(settings.gateway_url)
    library = logging.getLogger("discord")
    library.setLevel(max(logging.INFO, library.getEffectiveLevel()))
    for name in (*_RETRYING, _IGNORING):
        logging.getLogger(name).addFilter(_ONE_LINE)
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # voice isn't used, so nothing is missing


def token_refused(settings: Discord) -> DiscordError:
    """The one sentence about a wrong token."""
    return DiscordError(
        f"Discord refused the token in the environment variable {settings.token_env}. Copy the bot's token from the "
        "Developer Portal (your application, Bot, Reset Token) into that variable and start again."
    )


def intents_refused() -> DiscordError:
    """The one sentence about the privileged intent that isn't switched on."""
    return DiscordError(
        "Discord does not give this bot the content of messages. Switch Message Content Intent on in the Developer "
        "Portal (your application, Bot, Privileged Gateway Intents), or set [discord] message_content = false, and "
        "start again."
    )
