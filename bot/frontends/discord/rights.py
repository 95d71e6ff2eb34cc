"""Who may do what not everybody may: those who may manage the server, people with a role that the server has chosen
for it, and the bot's owner. Discord's own command permissions guard neither buttons nor direct messages.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import discord

from bot.errors import NotPermitted
from bot.replies.incoming import Platform
from bot.replies.servers import Action, Servers


class Rights:
    """Looks it up for whoever used a command or pressed a button."""

    def __init__(self, servers: Servers, deciding: Collection[int] = ()) -> None:
        """`deciding`: the servers whose people decide about what is felt in all of them; none: every server's may."""
        self._servers = servers
        self._deciding = frozenset(deciding)

    async def may(self, interaction: discord.Interaction[Any], action: Action) -> bool:
        """Whether they may."""
        if is_owner(interaction):
            return True
        if interaction.guild_id is None or not self._decides(interaction.guild_id):
            return False
        if action is not Action.FORGET and manages(interaction):  # it is forgotten in every server
            return True
        settings = await self._servers.settings(Platform.DISCORD, str(interaction.guild_id))
        return bool(set(settings.roles.get(action, ())) & set(roles_of(interaction)))

    async def require(self, interaction: discord.Interaction[Any], action: Action) -> None:
        """Raises `NotPermitted`, with who may."""
        if await self.may(interaction, action):
            return
        if interaction.guild_id is not None and not self._decides(interaction.guild_id):
            raise NotPermitted(_DECIDED_ELSEWHERE)
        raise NotPermitted(_WHO[action])

    def _decides(self, guild_id: int) -> bool:
        return not self._deciding or guild_id in self._deciding


_DECIDED_ELSEWHERE = (
    "That is felt in every server, so the bot's operator has not left it to this one to decide. Ask the operator."
)
_WHO = {
    Action.TRAIN: "Only people who may manage this server, or have a role that `/settings roles` names for it, train.",
    Action.ROLL_BACK: "Only people who may manage this server, or have a role that `/settings roles` names for it, "
    "roll back.",
    Action.POST: "Only people who may manage this server, or have a role that `/settings roles` names for it, decide "
    "about posts.",
    Action.FORGET: "Only the bot's owner can have an account forgotten, since it is forgotten everywhere. "
    "`/optout` puts a wish on the operator's list.",
}


def manages(interaction: discord.Interaction[Any]) -> bool:
    """Whether the person may manage the server."""
    return interaction.permissions.manage_guild or interaction.permissions.administrator


def moderates(interaction: discord.Interaction[Any]) -> bool:
    """Whether the person may manage other people's messages in the channel."""
    return interaction.permissions.manage_messages or interaction.permissions.administrator


def is_owner(interaction: discord.Interaction[Any]) -> bool:
    """Whether the bot belongs to the person."""
    application = interaction.client.application
    return application is not None and interaction.user.id in owners(application)


def roles_of(interaction: discord.Interaction[Any]) -> tuple[str, ...]:
    """The ids of the person's roles on the server."""
    user = interaction.user
    return tuple(map(str, user._roles)) if isinstance(user, discord.Member) else ()


def owners(application: discord.AppInfo) -> set[int]:
    """The ids of whom a bot belongs to: its owner, or of a team its owner, administrators and developers."""
    if application.team is None:
        return {application.owner.id}
    roles = (discord.TeamMemberRole.admin, discord.TeamMemberRole.developer)
    joined = [
        each for each in application.team.members if each.membership_state is discord.TeamMembershipState.accepted
    ]
    return {each.id for each in joined if each.role in roles or each.id == application.team.owner_id}
