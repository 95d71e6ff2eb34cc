"""/queue: the posts that wait for approval, with buttons that work for ever and for the right people only."""

from __future__ import annotations

import re
from typing import Any, Self

import discord

from bot.errors import Refused
from bot.frontends.discord import texts
from bot.frontends.discord.failures import Failures
from bot.frontends.discord.rights import Rights
from bot.frontends.discord.served import Served
from bot.replies.posts import Posts
from bot.replies.servers import Action
from bot.tweets.costs import Ledger


class DecisionButton(
    Served,
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"post:(?P<number>[0-9]+):(?P<verdict>yes|no)",
):
    """Approve or refuse one post. Everything it knows stands in its custom id, so it outlives the process."""

    def __init__(self, number: int, approve: bool, row: int | None = None) -> None:
        super().__init__(
            discord.ui.Button(
                label=f"Approve {number}" if approve else f"Refuse {number}",
                style=discord.ButtonStyle.success if approve else discord.ButtonStyle.secondary,
                custom_id=f"post:{number}:{'yes' if approve else 'no'}",
                row=row,
            )
        )
        self.number = number
        self.approve = approve

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that somebody has pressed."""
        return cls(int(match["number"]), match["verdict"] == "yes")

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand over to the desk of the client that heard of it."""
        interaction.client.replies.join()
        desk: ApprovalDesk = interaction.client.desks.approvals
        await desk.decide(interaction, self.number, self.approve)


class ApprovalDesk:
    """Shows the list and takes decisions."""

    def __init__(self, posts: Posts, ledger: Ledger | None, rights: Rights, failures: Failures) -> None:
        """`ledger` None: X is off, so nothing costs anything."""
        self._posts = posts
        self._ledger = ledger
        self._rights = rights
        self._failures = failures

    async def show(self, interaction: discord.Interaction[Any]) -> None:
        """Show what waits. Raises `NotPermitted`."""
        await self._rights.require(interaction, Action.POST)
        await interaction.response.defer()
        await self._render(interaction)

    async def decide(self, interaction: discord.Interaction[Any], number: int, approve: bool) -> None:
        """Take one decision, if the person may, and show what still waits."""
        try:
            await self._rights.require(interaction, Action.POST)
            await interaction.response.defer()
            await self._render(interaction, await self._verdict(interaction.user, number, approve))
        except Exception as error:  # noqa: BLE001 - the edge: nothing above would tell the person
            await self._failures.tell(interaction, error)

    async def _verdict(self, who: discord.abc.User, number: int, approve: bool) -> str:
        try:
            if approve:
                await self._posts.approve(number, f"discord:{who.id}")
                return f"{who.mention} approved post {number}; it goes out at the next turn."
            await self._posts.refuse(number, f"discord:{who.id}")
        except Refused as error:  # somebody was quicker
            return str(error)
        return f"{who.mention} refused post {number}."

    async def _render(self, interaction: discord.Interaction[Any], verdict: str = "") -> None:
        waiting = await self._posts.waiting()
        view = discord.ui.View(timeout=None)
        shown = texts.queue_page(waiting)
        for row, post in enumerate(shown):
            view.add_item(DecisionButton(post.id, approve=True, row=row))
            view.add_item(DecisionButton(post.id, approve=False, row=row))
        content = texts.queue(shown, len(waiting), verdict)
        if shown and self._ledger is not None:
            month, cap = await self._ledger.month_total(), self._ledger.monthly_budget
            content += f"\n{texts.price_of_posting(self._ledger.prices, month, cap)}"
        await interaction.edit_original_response(content=content, view=view if shown else None)
