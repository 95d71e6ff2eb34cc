"""What is offered while somebody types an option."""

from __future__ import annotations

from collections.abc import Sequence

import discord
from discord import app_commands

from bot.frontends.discord.client import Client

LARGEST_INTEGER = 2**53 - 1  # of an option

Choices = list[app_commands.Choice[str]]


async def personas_like(interaction: discord.Interaction[Client], typed: str) -> Choices:
    """Personas whose name contains what was typed."""
    return _choices(await interaction.client.desks.completion.personas(typed))


async def versions_like(interaction: discord.Interaction[Client], typed: str) -> Choices:
    """Versions of the persona that was chosen before."""
    persona = str(getattr(interaction.namespace, "persona", None) or "")
    return _choices(await interaction.client.desks.completion.versions(persona, typed))


async def handles_like(interaction: discord.Interaction[Client], typed: str) -> Choices:
    """Stored accounts whose name contains what was typed."""
    return _choices(await interaction.client.desks.completion.handles(typed))


async def handle_lists_like(interaction: discord.Interaction[Client], typed: str) -> Choices:
    """The list of accounts as it is typed, its last one completed."""
    return _choices(await interaction.client.desks.completion.handle_lists(typed))


async def part_lists_like(interaction: discord.Interaction[Client], typed: str) -> Choices:
    """The parts of a blend as they are typed, the last one completed."""
    return _choices(await interaction.client.desks.completion.part_lists(typed))


def _choices(texts: Sequence[str]) -> Choices:
    return [app_commands.Choice(name=text, value=text) for text in texts]
