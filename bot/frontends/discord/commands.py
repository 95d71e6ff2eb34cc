"""The slash commands as Discord sees them. Each hands its values over to a desk; nothing is decided here.

Who may use a command is Discord's to say: `default_permissions` is the default that a server's owner can change under
Server Settings, Integrations.
"""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.frontends.discord.client import Client
from bot.frontends.discord.failures import Failures

_LARGEST_INTEGER = 2**53 - 1  # of an option


async def _personas_like(interaction: discord.Interaction[Client], typed: str) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=name, value=name) for name in await interaction.client.talk.names_like(typed)]


@app_commands.command(name="tweet", description="Write tweets in a persona's voice")
@app_commands.describe(
    persona="Who speaks; this channel's persona if left out",
    start="How the tweets begin",
    count="How many, 1 to 5",
    temperature="Above 1 wilder, below 1 tamer",
    top_p="How much of the probability the choice of words is drawn from, up to 1",
    seed="The same number gives the same tweets",
)
@app_commands.autocomplete(persona=_personas_like)
async def _tweet(
    interaction: discord.Interaction[Client],
    persona: app_commands.Range[str, 1, 100] | None = None,
    start: app_commands.Range[str, 1, 200] = "",
    count: app_commands.Range[int, 1, 5] = 1,
    temperature: app_commands.Range[float, 0.05, 5.0] | None = None,
    top_p: app_commands.Range[float, 0.01, 1.0] | None = None,
    seed: app_commands.Range[int, 0, _LARGEST_INTEGER] | None = None,
) -> None:
    await interaction.client.talk.tweet(interaction, persona, start, count, temperature, top_p, seed)


@app_commands.command(name="replay", description="Write a tweet once more, the very same")
@app_commands.describe(
    persona="Who spoke",
    version="As it stands under the tweet, for example: v1",
    seed="As it stands under the tweet",
    start="How the tweet was told to begin",
    temperature="As it was given then; leave it out if it was left out",
    top_p="As it was given then; leave it out if it was left out",
)
@app_commands.autocomplete(persona=_personas_like)
async def _replay(
    interaction: discord.Interaction[Client],
    persona: app_commands.Range[str, 1, 100],
    version: app_commands.Range[str, 1, 100],
    seed: app_commands.Range[int, 0, _LARGEST_INTEGER],
    start: app_commands.Range[str, 1, 200] = "",
    temperature: app_commands.Range[float, 0.05, 5.0] | None = None,
    top_p: app_commands.Range[float, 0.01, 1.0] | None = None,
) -> None:
    await interaction.client.talk.replay(interaction, persona, version, seed, start, temperature, top_p)


@app_commands.command(name="train", description="Learn a persona from the tweets of one or several accounts")
@app_commands.describe(
    handles="The accounts, for example: nasa, esa", name="The persona's name; made of the handles if left out"
)
@app_commands.default_permissions(manage_guild=True)
@app_commands.guild_only()
async def _train(
    interaction: discord.Interaction[Client],
    handles: app_commands.Range[str, 1, 300],
    name: app_commands.Range[str, 1, 60] | None = None,
) -> None:
    await interaction.client.purchases.train(interaction, handles, name)


@app_commands.command(name="cyborg", description="Blend personas that are there into a new one, at once")
@app_commands.describe(
    parts="The personas and their weights, for example: nasa:60 esa:40", name="What the new persona is called"
)
@app_commands.default_permissions(manage_guild=True)
@app_commands.guild_only()
async def _cyborg(
    interaction: discord.Interaction[Client],
    parts: app_commands.Range[str, 1, 300],
    name: app_commands.Range[str, 1, 60],
) -> None:
    await interaction.client.blends.cyborg(interaction, parts, name)


@app_commands.command(name="personas", description="Who has been learned, from what, and how well")
async def _personas(interaction: discord.Interaction[Client]) -> None:
    await interaction.client.talk.personas(interaction)


@app_commands.command(name="queue", description="Posts that wait for approval before they go to X")
@app_commands.default_permissions(manage_guild=True)
@app_commands.guild_only()
async def _queue(interaction: discord.Interaction[Client]) -> None:
    await interaction.client.approvals.show(interaction)


@app_commands.command(name="forget", description="Delete everything that was learned from an account, for good")
@app_commands.describe(
    handle="The account, for example: nasa",
    delete_posts="Delete what was said in its voice on Discord and X, too; X charges for each post",
)
@app_commands.default_permissions(manage_guild=True)
async def _forget(
    interaction: discord.Interaction[Client], handle: app_commands.Range[str, 1, 100], delete_posts: bool = False
) -> None:
    await interaction.client.forgetting.ask(interaction, handle, delete_posts)


_persona = app_commands.Group(
    name="persona",
    description="Who speaks in this channel",
    guild_only=True,
    default_permissions=discord.Permissions(manage_channels=True),
)


@_persona.command(name="set", description="Choose who answers in this channel when nobody is named")
@app_commands.describe(persona="Who answers")
@app_commands.autocomplete(persona=_personas_like)
async def _persona_set(interaction: discord.Interaction[Client], persona: app_commands.Range[str, 1, 100]) -> None:
    await interaction.client.talk.set_persona(interaction, persona)


def add_commands(tree: app_commands.CommandTree[Any]) -> None:
    """Put every command in the tree."""
    tree.add_command(_tweet)
    tree.add_command(_replay)
    tree.add_command(_train)
    tree.add_command(_cyborg)
    tree.add_command(_personas)
    tree.add_command(_queue)
    tree.add_command(_forget)
    tree.add_command(_persona)


class Tree(app_commands.CommandTree[Client]):
    """The commands of a running client."""

    def __init__(self, client: Client, failures: Failures) -> None:
        super().__init__(client)
        self._failures = failures

    async def interaction_check(self, interaction: discord.Interaction[Client], /) -> bool:
        """Count the use of a command among what has to end before the connection does; refuse it after that."""
        if not self.client.stopping:
            self.client.replies.join()
            return True
        if interaction.type is discord.InteractionType.application_command:
            await interaction.response.send_message("I'm being restarted. Try again in a minute.", ephemeral=True)
        return False

    async def on_error(self, interaction: discord.Interaction[Client], error: app_commands.AppCommandError, /) -> None:
        """Tell the person, and nobody else."""
        await self._failures.tell(interaction, error)
