"""Who is learned, blended, and forgotten."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.frontends.discord.client import Client


@app_commands.command(name="train", description="Learn a persona from the tweets of one or several accounts")
@app_commands.describe(
    handles="The accounts, for example: nasa, esa", name="The persona's name; made of the handles if left out"
)
@app_commands.guild_only()
async def _train(
    interaction: discord.Interaction[Client],
    handles: app_commands.Range[str, 1, 300],
    name: app_commands.Range[str, 1, 60] | None = None,
) -> None:
    await interaction.client.desks.purchases.train(interaction, handles, name)


@app_commands.command(name="cyborg", description="Blend personas that are there into a new one, at once")
@app_commands.describe(
    parts="The personas and their weights, for example: nasa:60 esa:40", name="What the new persona is called"
)
@app_commands.guild_only()
async def _cyborg(
    interaction: discord.Interaction[Client],
    parts: app_commands.Range[str, 1, 300],
    name: app_commands.Range[str, 1, 60],
) -> None:
    await interaction.client.desks.blends.cyborg(interaction, parts, name)


@app_commands.command(name="forget", description="Delete everything that was learned from an account, for good")
@app_commands.describe(
    handle="The account, for example: nasa",
    delete_posts="Delete what was said in its voice on Discord and X, too; X charges for each post",
)
async def _forget(
    interaction: discord.Interaction[Client], handle: app_commands.Range[str, 1, 100], delete_posts: bool = False
) -> None:
    await interaction.client.desks.forgetting.ask(interaction, handle, delete_posts)


COMMANDS: tuple[Any, ...] = (_train, _cyborg, _forget)
