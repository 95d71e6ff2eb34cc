"""Games."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.frontends.discord.client import Client
from bot.frontends.discord.commands.completing import personas_like
from bot.replies.duels import FEWEST_TURNS, MOST_TURNS, USUAL_TURNS

_guess = app_commands.Group(name="guess", description="Real tweet or bot: who can tell?", guild_only=True)


@_guess.command(name="play", description="Five texts: which are real tweets, which did the bot write?")
@app_commands.describe(persona="Whose tweets; this channel's persona if left out")
@app_commands.autocomplete(persona=personas_like)
async def _guess_play(
    interaction: discord.Interaction[Client], persona: app_commands.Range[str, 1, 100] | None = None
) -> None:
    await interaction.client.desks.guessing.play(interaction, persona)


@_guess.command(name="scores", description="Who on this server tells real tweets from the bot's")
async def _guess_scores(interaction: discord.Interaction[Client]) -> None:
    await interaction.client.desks.guessing.scores(interaction)


@app_commands.command(name="duel", description="Two personas talk to each other, in a thread")
@app_commands.describe(
    a="Who begins",
    b="Who answers",
    topic="What they begin with",
    turns=f"How often somebody speaks, {FEWEST_TURNS} to {MOST_TURNS}; {USUAL_TURNS} if left out",
)
@app_commands.autocomplete(a=personas_like, b=personas_like)
@app_commands.guild_only()
async def _duel(
    interaction: discord.Interaction[Client],
    a: app_commands.Range[str, 1, 100],
    b: app_commands.Range[str, 1, 100],
    topic: app_commands.Range[str, 1, 300] = "",
    turns: app_commands.Range[int, FEWEST_TURNS, MOST_TURNS] = USUAL_TURNS,
) -> None:
    await interaction.client.desks.duels.begin(interaction, a, b, topic, turns)


COMMANDS: tuple[Any, ...] = (_guess, _duel)
