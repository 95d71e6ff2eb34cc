"""Who has been learned: the shelf, as people see it."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.frontends.discord.client import Client


@app_commands.command(name="personas", description="Who has been learned, from what, and how well")
async def _personas(interaction: discord.Interaction[Client]) -> None:
    await interaction.client.desks.talk.personas(interaction)


COMMANDS: tuple[Any, ...] = (_personas,)
