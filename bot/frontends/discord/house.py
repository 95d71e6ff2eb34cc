"""/status, /costs and /help: how the service is, what it costs, and what one can do here."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot import __version__
from bot.errors import NotPermitted, Refused
from bot.frontends.discord import texts_house as texts
from bot.frontends.discord.operation import Operation
from bot.frontends.discord.rights import Rights, is_owner, manages
from bot.frontends.discord.services import Services
from bot.frontends.discord.texts import pieces
from bot.replies.servers import Action
from bot.tweets.costs import Ledger
from bot.tweets.forecast import runs_out

_LOOKED_AT = 50  # trainings; those under way are among the newest

# Commands that are not offered to everybody by Discord's own permissions alone.
_NEEDS = {
    "train": Action.TRAIN,
    "cyborg": Action.TRAIN,
    "rollback": Action.ROLL_BACK,
    "queue": Action.POST,
    "forget": Action.FORGET,
}


class HouseDesk:
    """Answers questions about the service."""

    def __init__(self, services: Services, ledger: Ledger | None, rights: Rights) -> None:
        """`ledger` None: X is off, so nothing costs anything."""
        self._operation: Operation = services.operation
        self._trainings = services.trainings
        self._shelf = services.shelf
        self._opt_outs = services.conversation.opt_outs
        self._ledger = ledger
        self._rights = rights

    async def status(self, interaction: discord.Interaction[Any]) -> None:
        """Say how the service is; to the bot's owner also who has it, and what people ask of the operator."""
        owner = is_owner(interaction)
        await interaction.response.defer(ephemeral=owner)
        client, operation = interaction.client, self._operation
        recent = await self._trainings.recent(_LOOKED_AT)
        status = texts.Status(
            trainings=[training for training in reversed(recent) if not training.ended],
            engine=operation.engine(),
            personas=len(self._shelf.personas()),
            next_fetch=await operation.next_fetch() if self._ledger is not None else None,
            version=__version__,
            started_at=operation.started_at,
            shard=interaction.guild.shard_id if interaction.guild else 0,
            shards=client.shard_count or 1,
            latency_s=client.latency,
            servers=len(client.guilds) if owner else None,
            wishes=await self._opt_outs.removal_requests() if owner else [],
        )
        await interaction.edit_original_response(content=pieces(texts.status(status))[0])

    async def costs(self, interaction: discord.Interaction[Any]) -> None:
        """Say what X was paid this month. Raises `NotPermitted`, and `Refused` where X is off."""
        if not manages(interaction) and not is_owner(interaction):
            raise NotPermitted("Only people who may manage this server see what the bot costs.")
        if self._ledger is None:
            raise Refused("X is switched off, so nothing costs anything. `[x] enabled` in config.toml switches it on.")
        await interaction.response.defer(ephemeral=True)
        month = await self._ledger.month()
        a_day = await self._operation.usd_a_day()
        end = runs_out(month.left, a_day, self._operation.clock())
        await interaction.edit_original_response(content=texts.costs(month, a_day, end))

    async def help(self, interaction: discord.Interaction[Any]) -> None:
        """List the commands that the person may use here."""
        await interaction.response.defer(ephemeral=True)
        tree: app_commands.CommandTree[Any] = interaction.client.tree
        everybody, others = list[texts.Command](), list[texts.Command]()
        for command in tree.walk_commands():
            if isinstance(command, app_commands.Group) or not await self._may_use(interaction, command):
                continue
            root = command.root_parent or command
            restricted = root.default_permissions is not None or root.name in _NEEDS
            entry = texts.Command(command.qualified_name, command.description)
            (others if restricted else everybody).append(entry)
        first, *more = pieces(texts.help_(sorted(everybody), sorted(others)))
        await interaction.edit_original_response(content=first)
        for piece in more:
            await interaction.followup.send(piece, ephemeral=True)

    async def _may_use(
        self, interaction: discord.Interaction[Any], command: app_commands.Command[Any, ..., Any]
    ) -> bool:
        """By Discord's own permissions as they are by default, and by what a server has chosen."""
        root = command.root_parent or command
        if interaction.guild_id is None and root.guild_only:
            return False
        needed = root.default_permissions
        if needed is not None and interaction.guild_id is not None and not interaction.permissions >= needed:
            return False
        action = _NEEDS.get(root.name)
        return action is None or await self._rights.may(interaction, action)
