"""How the service is, what it costs and keeps, and what one can do."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.frontends.discord.client import Client


@app_commands.command(name="help", description="What you can do here")
async def _help(interaction: discord.Interaction[Client]) -> None:
    await interaction.client.desks.house.help(interaction)


@app_commands.command(name="status", description="How the bot is: what it learns, who waits, what comes next")
async def _status(interaction: discord.Interaction[Client]) -> None:
    await interaction.client.desks.house.status(interaction)


@app_commands.command(name="costs", description="What X was paid this month, and whether the cap lasts")
@app_commands.default_permissions(manage_guild=True)
async def _costs(interaction: discord.Interaction[Client]) -> None:
    await interaction.client.desks.house.costs(interaction)


@app_commands.command(name="privacy", description="What is kept about you, for how long, and how to have it deleted")
async def _privacy(interaction: discord.Interaction[Client]) -> None:
    await interaction.client.desks.privacy.tell(interaction)


@app_commands.command(name="optout", description="Be left alone, or ask that an account is not imitated")
@app_commands.describe(
    choice="What you wish; that you are not answered any more if left out",
    handle="The account that is not to be imitated, for example: nasa",
)
@app_commands.choices(
    choice=[
        app_commands.Choice(name="don't answer me", value="person"),
        app_commands.Choice(name="don't imitate an account", value="account"),
    ]
)
async def _optout(
    interaction: discord.Interaction[Client],
    choice: str = "person",
    handle: app_commands.Range[str, 1, 100] = "",
) -> None:
    desk = interaction.client.desks.privacy
    if choice == "account" or handle:
        await desk.wish(interaction, handle)
    else:
        await desk.opt_out(interaction)


COMMANDS: tuple[Any, ...] = (_help, _status, _costs, _privacy, _optout)
