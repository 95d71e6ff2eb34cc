"""/privacy and /optout: what is kept about whom, and how somebody has nothing to do with the bot any more.

Both work for people who have opted out, too.
"""

from __future__ import annotations

import re
from typing import Any, Self

import discord
import structlog

from bot.errors import UsageError
from bot.frontends.discord import texts_house as texts
from bot.frontends.discord.failures import Failures
from bot.frontends.discord.served import Served
from bot.replies.incoming import Platform
from bot.replies.opt_outs import OptOuts
from bot.tweets.tweet import normalise_handle

log = structlog.get_logger(__name__)


class ComeBackButton(
    Served, discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"opt-out:back:(?P<person>[0-9]+)"
):
    """Be answered again. It stands under a message that only the person sees, and serves nobody else."""

    def __init__(self, person: int) -> None:
        super().__init__(
            discord.ui.Button(
                label="Answer me again", style=discord.ButtonStyle.secondary, custom_id=f"opt-out:back:{person}"
            )
        )
        self.person = person

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that somebody has pressed."""
        return cls(int(match["person"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand over to the desk of the client that heard of it."""
        interaction.client.replies.join()
        desk: PrivacyDesk = interaction.client.desks.privacy
        await desk.come_back(interaction, self.person)


class PrivacyDesk:
    """Says what is kept, and lets people go."""

    def __init__(self, opt_outs: OptOuts, keep_days: int, forget_server_after_days: int, failures: Failures) -> None:
        self._opt_outs = opt_outs
        self._keep_days = keep_days
        self._server_days = forget_server_after_days
        self._failures = failures

    async def tell(self, interaction: discord.Interaction[Any]) -> None:
        """Say what is kept about whom and for how long, and how much about the person who asks."""
        await interaction.response.defer(ephemeral=True)
        who = str(interaction.user.id)
        kept = await self._opt_outs.kept_about(Platform.DISCORD, who)
        has_opted_out = await self._opt_outs.has(Platform.DISCORD, who)
        content = texts.privacy(kept, has_opted_out, self._keep_days, self._server_days)
        await interaction.edit_original_response(content=content)

    async def opt_out(self, interaction: discord.Interaction[Any]) -> None:
        """From now on the person is not answered, and what was kept about them is forgotten."""
        await interaction.response.defer(ephemeral=True)
        await self._opt_outs.add(Platform.DISCORD, str(interaction.user.id))
        view = discord.ui.View(timeout=None).add_item(ComeBackButton(interaction.user.id))
        await interaction.edit_original_response(content=texts.OPTED_OUT, view=view)

    async def come_back(self, interaction: discord.Interaction[Any], person: int) -> None:
        """The person is answered again."""
        try:
            await interaction.response.defer()
            if interaction.user.id == person:
                await self._opt_outs.remove(Platform.DISCORD, str(person))
                await interaction.edit_original_response(content=texts.CAME_BACK, view=None)
        except Exception as error:  # noqa: BLE001 - the edge: nothing above would tell the person
            await self._failures.tell(interaction, error)

    async def wish(self, interaction: discord.Interaction[Any], handle: str) -> None:
        """Put it on the operator's list that this account is not to be imitated. Raises `UsageError`, `Refused`."""
        name = normalise_handle(handle)
        if not re.fullmatch(r"[\w-]{1,60}", name):
            raise UsageError("That can't be a handle. Name one account, for example `/optout handle:nasa`.")
        await interaction.response.defer(ephemeral=True)
        await self._opt_outs.request_removal(name, Platform.DISCORD, str(interaction.user.id))
        log.warning("somebody wishes that an account is not imitated; `mockingbird forget` does it", handle=name)
        await interaction.edit_original_response(content=texts.wished(name))
