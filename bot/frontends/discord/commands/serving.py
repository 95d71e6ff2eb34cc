"""What a server chooses for itself, and decides about."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.frontends.discord.client import Client
from bot.frontends.discord.commands.completing import personas_like

_channel = app_commands.Group(
    name="channel",
    description="Who answers in this channel, and whether anybody does",
    guild_only=True,
    default_permissions=discord.Permissions(manage_channels=True),
)


@_channel.command(name="persona", description="Choose who answers in this channel when nobody is named")
@app_commands.describe(persona="Who answers")
@app_commands.autocomplete(persona=personas_like)
async def _channel_persona(interaction: discord.Interaction[Client], persona: app_commands.Range[str, 1, 100]) -> None:
    await interaction.client.desks.talk.set_persona(interaction, persona)


@app_commands.command(name="queue", description="Posts that wait for approval before they go to X")
@app_commands.guild_only()
async def _queue(interaction: discord.Interaction[Client]) -> None:
    await interaction.client.desks.approvals.show(interaction)


COMMANDS: tuple[Any, ...] = (_channel, _queue)
