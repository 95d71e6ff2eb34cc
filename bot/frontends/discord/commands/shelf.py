"""Who has been learned: the shelf, as people see it."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.frontends.discord.client import Client
from bot.frontends.discord.commands.completing import personas_like, versions_like


@app_commands.command(name="personas", description="Who has been learned, from what, and how well")
async def _personas(interaction: discord.Interaction[Client]) -> None:
    await interaction.client.desks.catalogue.personas(interaction)


_persona = app_commands.Group(name="persona", description="One persona: what it is made of, and how well it speaks")


@_persona.command(name="show", description="A persona's card in short: its picture, figures and counts")
@app_commands.describe(persona="Who is shown")
@app_commands.autocomplete(persona=personas_like)
async def _persona_show(interaction: discord.Interaction[Client], persona: app_commands.Range[str, 1, 100]) -> None:
    await interaction.client.desks.catalogue.card(interaction, persona)


@app_commands.command(name="versions", description="Which versions of a persona there are, and why one is in use")
@app_commands.describe(persona="Whose versions")
@app_commands.autocomplete(persona=personas_like)
async def _versions(interaction: discord.Interaction[Client], persona: app_commands.Range[str, 1, 100]) -> None:
    await interaction.client.desks.versions.show(interaction, persona)


@app_commands.command(name="rollback", description="Let a persona speak as an earlier version again")
@app_commands.describe(persona="Who", version="As which version; the one before the present one if left out")
@app_commands.autocomplete(persona=personas_like, version=versions_like)
@app_commands.guild_only()
async def _rollback(
    interaction: discord.Interaction[Client],
    persona: app_commands.Range[str, 1, 100],
    version: app_commands.Range[str, 1, 100] | None = None,
) -> None:
    await interaction.client.desks.versions.roll_back(interaction, persona, version)


COMMANDS: tuple[Any, ...] = (_personas, _persona, _versions, _rollback)
