"""What a server chooses for itself, and decides about."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.frontends.discord.client import Client
from bot.frontends.discord.commands.completing import personas_like
from bot.replies.servers import Action

_MOST = 1_000_000  # an hour; what the operator allows is less
_DAY = 86_400.0  # seconds

_channel = app_commands.Group(
    name="channel",
    description="Who answers in this channel, and whether anybody does",
    guild_only=True,
    default_permissions=discord.Permissions(manage_channels=True),
)
_settings = app_commands.Group(
    name="settings",
    description="What holds on this server",
    guild_only=True,
    default_permissions=discord.Permissions(manage_guild=True),
)
_roles = app_commands.Group(name="roles", description="Which roles may do what not everybody may", parent=_settings)
_quota = app_commands.Group(name="quota", description="How often people may ask in an hour", parent=_settings)
_words = app_commands.Group(name="words", description="Words that are not said on this server", parent=_settings)

_WEBHOOK = [
    app_commands.Choice(name="on: with the persona's name and face", value="on"),
    app_commands.Choice(name="off: as plain replies", value="off"),
    app_commands.Choice(name="default", value="default"),
]
_ACTIONS = [
    app_commands.Choice(name="train and blend", value=Action.TRAIN.value),
    app_commands.Choice(name="roll back", value=Action.ROLL_BACK.value),
    app_commands.Choice(name="decide about posts", value=Action.POST.value),
    app_commands.Choice(name="forget accounts", value=Action.FORGET.value),
]
_IN_COSTUME = {"on": True, "off": False, "default": None}


@_channel.command(name="persona", description="Choose who answers in this channel when nobody is named")
@app_commands.describe(persona="Who answers")
@app_commands.autocomplete(persona=personas_like)
async def _channel_persona(interaction: discord.Interaction[Client], persona: app_commands.Range[str, 1, 100]) -> None:
    await interaction.client.desks.channels.set_persona(interaction, persona)


@_channel.command(name="on", description="Answer people in this channel again")
async def _channel_on(interaction: discord.Interaction[Client]) -> None:
    await interaction.client.desks.channels.switch(interaction, True)


@_channel.command(name="off", description="Answer nobody in this channel")
async def _channel_off(interaction: discord.Interaction[Client]) -> None:
    await interaction.client.desks.channels.switch(interaction, False)


@_channel.command(name="webhook", description="Whether answers in this channel bear the persona's name and face")
@app_commands.describe(choice="The default is what holds on this server")
@app_commands.choices(choice=_WEBHOOK)
async def _channel_webhook(interaction: discord.Interaction[Client], choice: str) -> None:
    await interaction.client.desks.channels.set_costume(interaction, _IN_COSTUME[choice])


@_settings.command(name="show", description="Everything that holds on this server")
async def _show(interaction: discord.Interaction[Client]) -> None:
    await interaction.client.desks.settings.show(interaction)


@_settings.command(name="webhook", description="Whether answers bear the persona's name and face on this server")
@app_commands.describe(choice="The default is what the bot's operator has chosen")
@app_commands.choices(choice=_WEBHOOK)
async def _settings_webhook(interaction: discord.Interaction[Client], choice: str) -> None:
    await interaction.client.desks.settings.set_costume(interaction, _IN_COSTUME[choice])


@_settings.command(name="log", description="Where the bot tells what it did")
@app_commands.describe(channel="The channel; nothing is told any more if left out")
async def _log(interaction: discord.Interaction[Client], channel: discord.TextChannel | None = None) -> None:
    await interaction.client.desks.settings.set_log(interaction, channel)


@_settings.command(name="cooldown", description="How long one person waits between two requests")
@app_commands.describe(seconds="As the bot's operator has it if 0 or left out")
async def _cooldown(
    interaction: discord.Interaction[Client], seconds: app_commands.Range[float, 0.0, _DAY] = 0.0
) -> None:
    await interaction.client.desks.settings.set_cooldown(interaction, seconds)


@_roles.command(name="add", description="Let people with a role do something")
@app_commands.describe(action="What they may do from now on", role="The role")
@app_commands.choices(action=_ACTIONS)
async def _roles_add(interaction: discord.Interaction[Client], action: str, role: discord.Role) -> None:
    await interaction.client.desks.settings.let(interaction, Action(action), role, may=True)


@_roles.command(name="remove", description="No longer let people with a role do something")
@app_commands.describe(action="What they may not do any more", role="The role")
@app_commands.choices(action=_ACTIONS)
async def _roles_remove(interaction: discord.Interaction[Client], action: str, role: discord.Role) -> None:
    await interaction.client.desks.settings.let(interaction, Action(action), role, may=False)


@_quota.command(name="person", description="How often one person may ask in an hour")
@app_commands.describe(number="As the bot's operator has it if 0 or left out")
async def _quota_person(
    interaction: discord.Interaction[Client], number: app_commands.Range[int, 0, _MOST] = 0
) -> None:
    await interaction.client.desks.settings.limit_person(interaction, number)


@_quota.command(name="server", description="How often all people of this server together may ask in an hour")
@app_commands.describe(number="As the bot's operator has it if 0 or left out")
async def _quota_server(
    interaction: discord.Interaction[Client], number: app_commands.Range[int, 0, _MOST] = 0
) -> None:
    await interaction.client.desks.settings.limit_server(interaction, number)


@_quota.command(name="role", description="How often one person with a role may ask in an hour")
@app_commands.describe(role="The role", number="As for everybody if 0 or left out")
async def _quota_role(
    interaction: discord.Interaction[Client], role: discord.Role, number: app_commands.Range[int, 0, _MOST] = 0
) -> None:
    await interaction.client.desks.settings.limit_role(interaction, role, number)


@_words.command(name="add", description="Neither say nor answer a word on this server")
@app_commands.describe(word="One word")
async def _words_add(interaction: discord.Interaction[Client], word: app_commands.Range[str, 1, 100]) -> None:
    await interaction.client.desks.settings.add_word(interaction, word)


@_words.command(name="remove", description="Let a word be said on this server again")
@app_commands.describe(word="One word of the list")
async def _words_remove(interaction: discord.Interaction[Client], word: app_commands.Range[str, 1, 100]) -> None:
    await interaction.client.desks.settings.remove_word(interaction, word)


@_words.command(name="list", description="Show the words that are not said on this server, to you only")
async def _words_list(interaction: discord.Interaction[Client]) -> None:
    await interaction.client.desks.settings.list_words(interaction)


@app_commands.command(name="queue", description="Posts that wait for approval before they go to X")
@app_commands.guild_only()
async def _queue(interaction: discord.Interaction[Client]) -> None:
    await interaction.client.desks.approvals.show(interaction)


COMMANDS: tuple[Any, ...] = (_channel, _settings, _queue)
