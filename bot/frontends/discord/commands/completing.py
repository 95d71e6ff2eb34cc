"""What is offered while somebody types an option."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.frontends.discord.client import Client

LARGEST_INTEGER = 2**53 - 1  # of an option


async def personas_like(interaction: discord.Interaction[Client], typed: str) -> list[app_commands.Choice[str]]:
    """Personas whose name contains what was typed."""
    names = await interaction.client.desks.talk.names_like(typed)
    return [app_commands.Choice(name=name, value=name) for name in names]
