"""What anybody may have a persona say."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.frontends.discord.client import Client
from bot.frontends.discord.commands.completing import LARGEST_INTEGER, personas_like, versions_like
from bot.replies.drafting import Wanted


@app_commands.command(name="tweet", description="Write tweets in a persona's voice")
@app_commands.describe(
    persona="Who speaks; this channel's persona if left out",
    start="How the tweets begin",
    count="How many, 1 to 5",
    temperature="Above 1 wilder, below 1 tamer",
    top_p="How much of the probability the choice of words is drawn from, up to 1",
    seed="The same number gives the same tweets",
)
@app_commands.autocomplete(persona=personas_like)
async def _tweet(
    interaction: discord.Interaction[Client],
    persona: app_commands.Range[str, 1, 100] | None = None,
    start: app_commands.Range[str, 1, 200] = "",
    count: app_commands.Range[int, 1, 5] = 1,
    temperature: app_commands.Range[float, 0.05, 5.0] | None = None,
    top_p: app_commands.Range[float, 0.01, 1.0] | None = None,
    seed: app_commands.Range[int, 0, LARGEST_INTEGER] | None = None,
) -> None:
    wanted = Wanted(persona, start=start, count=count, temperature=temperature, top_p=top_p, seed=seed)
    await interaction.client.desks.talk.tweet(interaction, wanted)


@app_commands.command(name="replay", description="Write a tweet once more, the very same")
@app_commands.describe(
    persona="Who spoke",
    version="As it stands under the tweet, for example: v1",
    seed="As it stands under the tweet",
    start="How the tweet was told to begin",
    temperature="As it was given then; leave it out if it was left out",
    top_p="As it was given then; leave it out if it was left out",
)
@app_commands.autocomplete(persona=personas_like, version=versions_like)
async def _replay(
    interaction: discord.Interaction[Client],
    persona: app_commands.Range[str, 1, 100],
    version: app_commands.Range[str, 1, 100],
    seed: app_commands.Range[int, 0, LARGEST_INTEGER],
    start: app_commands.Range[str, 1, 200] = "",
    temperature: app_commands.Range[float, 0.05, 5.0] | None = None,
    top_p: app_commands.Range[float, 0.01, 1.0] | None = None,
) -> None:
    wanted = Wanted(persona, version, start, temperature=temperature, top_p=top_p, seed=seed)
    await interaction.client.desks.talk.replay(interaction, wanted)


@app_commands.command(name="reply", description="A persona answers a text, or a message")
@app_commands.describe(
    text="What is to be answered, or the link of a message in this server",
    persona="Who answers; this channel's persona if left out",
)
@app_commands.autocomplete(persona=personas_like)
async def _reply(
    interaction: discord.Interaction[Client],
    text: app_commands.Range[str, 1, 2000],
    persona: app_commands.Range[str, 1, 100] | None = None,
) -> None:
    await interaction.client.desks.replying.reply(interaction, text, persona)


@app_commands.context_menu(name="Answer as…")
async def _answer_as(interaction: discord.Interaction[Client], message: discord.Message) -> None:
    await interaction.client.desks.replying.ask_who(interaction, message)


@app_commands.command(name="digest", description="What people here liked best of what was said, by their reactions")
@app_commands.describe(days="Of how many days, 1 to 30; a week if left out")
@app_commands.guild_only()
async def _digest(interaction: discord.Interaction[Client], days: app_commands.Range[int, 1, 30] = 7) -> None:
    await interaction.client.desks.answers.digest(interaction, days)


COMMANDS: tuple[Any, ...] = (_tweet, _replay, _reply, _answer_as, _digest)
