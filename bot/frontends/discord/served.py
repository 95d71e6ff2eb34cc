"""Buttons do nothing where nobody is answered.

Each button has this among its bases, rather than the client wrapping them: whenever the library shows a button it takes
that one's class for all that are like it.
"""

from __future__ import annotations

from typing import Any

import discord


class Served:
    """Of a button: asks first whether people are answered there."""

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Ask the guilds of the client that heard of it."""
        admitted: bool = await interaction.client.desks.guilds.admit(interaction)
        return admitted
