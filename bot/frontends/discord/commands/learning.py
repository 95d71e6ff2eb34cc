"""Who is learned, blended, and forgotten."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.frontends.discord.client import Client
from bot.frontends.discord.commands.completing import handle_lists_like, handles_like, part_lists_like


@app_commands.command(name="train", description="Learn a persona from the tweets of one or several accounts")
@app_commands.describe(
    handles="The accounts, for example: nasa, esa; with an archive it may be left out",
    name="The persona's name; made of the handles if left out",
    archive="The zip that X has made of your own account, so that nothing is read from X",
)
@app_commands.autocomplete(handles=handle_lists_like)
@app_commands.guild_only()
async def _train(
    interaction: discord.Interaction[Client],
    handles: app_commands.Range[str, 1, 300] = "",
    name: app_commands.Range[str, 1, 60] | None = None,
    archive: discord.Attachment | None = None,
) -> None:
    await interaction.client.desks.purchases.train(interaction, handles, name, archive)


@app_commands.command(name="cyborg", description="Blend personas that are there into a new one, at once")
@app_commands.describe(
    parts="The personas and their weights, for example: nasa:60 esa:40", name="What the new persona is called"
)
@app_commands.autocomplete(parts=part_lists_like)
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
@app_commands.autocomplete(handle=handles_like)
async def _forget(
    interaction: discord.Interaction[Client], handle: app_commands.Range[str, 1, 100], delete_posts: bool = False
) -> None:
    await interaction.client.desks.forgetting.ask(interaction, handle, delete_posts)


COMMANDS: tuple[Any, ...] = (_train, _cyborg, _forget)
