"""The commands of a running client."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.frontends.discord.client import Client
from bot.frontends.discord.failures import Failures


class Tree(app_commands.CommandTree[Client]):
    """The commands of a running client."""

    def __init__(self, client: Client, failures: Failures) -> None:
        super().__init__(client)
        client.tree = self
        self._failures = failures

    async def interaction_check(self, interaction: discord.Interaction[Client], /) -> bool:
        """Count the use of a command among what has to end before the connection does; refuse it after that, and
        where nobody is answered.
        """
        if not await self.client.desks.guilds.admit(interaction):
            return False
        if not self.client.stopping:
            self.client.replies.join()
            return True
        if interaction.type is discord.InteractionType.application_command:
            await interaction.response.send_message("I'm being restarted. Try again in a minute.", ephemeral=True)
        return False

    async def on_error(self, interaction: discord.Interaction[Client], error: app_commands.AppCommandError, /) -> None:
        """Tell the person, and nobody else."""
        await self._failures.tell(interaction, error)
