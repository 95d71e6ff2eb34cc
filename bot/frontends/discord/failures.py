"""Any error as one sentence for the person who asked, with an id that the log has too. Nobody sees a traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import discord
import structlog
from discord import app_commands

from bot.errors import MockingbirdError
from bot.frontends.discord.acknowledging import is_too_late

_STALE = (app_commands.CommandNotFound, app_commands.CommandSignatureMismatch)
_STALE_SENTENCE = (
    "This command has changed since your Discord learned it. Reload Discord (Ctrl+R) and try again; "
    "if that doesn't help, the operator should run `mockingbird sync-commands`."
)

log = structlog.get_logger(__name__)


class Failures:
    """Puts errors in words and into the log."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id  # a short text, different each time

    def sentence(self, error: Exception, **about: object) -> str:
        """What to tell the person; `about` are fields for the log."""
        number = self._new_id()
        if isinstance(error, MockingbirdError):
            log.info("discord request declined", error_id=number, reason=type(error).__name__, **about)
            return f"{error}\n-# {number}"
        if isinstance(error, _STALE):
            log.warning("discord used a command that isn't known", error_id=number, **about)
            return f"{_STALE_SENTENCE}\n-# {number}"
        log.error("discord request failed", error_id=number, exc_info=error, **about)
        return (
            "Something went wrong here, and it isn't your fault. Try again; "
            f"if it happens again, tell the operator this number.\n-# {number}"
        )

    async def tell(self, interaction: discord.Interaction[Any], error: Exception) -> None:
        """Say it to the person who used the command or button, and to nobody else."""
        if isinstance(error, app_commands.CommandInvokeError):
            error = error.original
        command = interaction.command.qualified_name if interaction.command else ""
        if is_too_late(error):  # nobody can be told any more, and there is nothing to look into
            log.warning("discord heard too late of a request", interaction_id=interaction.id, command=command)
            return
        text = self.sentence(error, interaction_id=interaction.id, command=command)
        try:
            await say_privately(interaction, text)
        except discord.HTTPException as trouble:  # the interaction is over 15 min old, or was never acknowledged
            log.warning("discord would not take the error message", interaction_id=interaction.id, trouble=str(trouble))


async def say_privately(interaction: discord.Interaction[Any], text: str) -> None:
    """Show a text to the person who used the command or button only."""
    if not interaction.response.is_done():
        await interaction.response.send_message(text, ephemeral=True)
        return
    if interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
        # The first thing said after a public "is thinking…" takes its place and is public too, so that has to go.
        with contextlib.suppress(discord.NotFound):
            await interaction.delete_original_response()
    await interaction.followup.send(text, ephemeral=True)
