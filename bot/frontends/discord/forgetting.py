"""/forget: what forgetting an account would take away, and a button that does it. Only the person who asked sees it.

It deletes personas that speak in every server, so managing one of them is not enough: only the bot's owner may, and
people with a role that the owner has named for it.
"""

from __future__ import annotations

import re
from typing import Any, Self

import discord

from bot.errors import NotPermitted, UsageError
from bot.frontends.discord import texts
from bot.frontends.discord.failures import Failures, say_privately
from bot.frontends.discord.rights import Rights
from bot.frontends.discord.served import Served
from bot.personas.takedown import Takedowns
from bot.replies.servers import Action
from bot.tweets.costs import Ledger
from bot.tweets.tweet import normalise_handle

_LONGEST_HANDLE = 60  # that fits into a button's id


class ForgetButton(
    Served,
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"forget:(?P<handle>[\w-]+):(?P<extent>here|everywhere)",
):
    """Forget one account. Everything it knows stands in its custom id, so it outlives the process."""

    def __init__(self, handle: str, everywhere: bool) -> None:
        super().__init__(
            discord.ui.Button(
                label=f"Forget {handle}",
                style=discord.ButtonStyle.danger,
                custom_id=f"forget:{handle}:{'everywhere' if everywhere else 'here'}",
            )
        )
        self.handle = handle
        self.everywhere = everywhere

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that somebody has pressed."""
        return cls(match["handle"], match["extent"] == "everywhere")

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand over to the desk of the client that heard of it."""
        interaction.client.replies.join()
        desk: ForgetDesk = interaction.client.desks.forgetting
        await desk.forget(interaction, self.handle, self.everywhere)


class ForgetDesk:
    """Says what would go, and has it go."""

    def __init__(self, takedowns: Takedowns, ledger: Ledger, rights: Rights, failures: Failures) -> None:
        self._takedowns = takedowns
        self._ledger = ledger
        self._rights = rights
        self._failures = failures

    async def ask(self, interaction: discord.Interaction[Any], handle: str, everywhere: bool) -> None:
        """Show what there is about the account, with the button.

        Raises `NotPermitted`, `UsageError`, and `ConfigError` where what was said could not be deleted.
        """
        await self._rights.require(interaction, Action.FORGET)
        name = normalise_handle(handle)
        if not re.fullmatch(rf"[\w-]{{1,{_LONGEST_HANDLE}}}", name):
            raise UsageError(f"{name!r} can't be a handle. Name one account, for example `/forget handle:nasa`.")
        await interaction.response.defer(ephemeral=True)
        found = await self._takedowns.preview(name)
        content = texts.about_to_forget(name, found, everywhere)
        if everywhere:
            await self._takedowns.require_means(found)
        if everywhere and (posts := sum(1 for each in found.said if each.platform == "x" and each.id)):
            price = posts * self._ledger.prices.post_delete
            month, cap = await self._ledger.month_total(), self._ledger.monthly_budget
            content += f"\n{texts.price_of_deleting(posts, price, month, cap)}"
        view = discord.ui.View(timeout=None).add_item(ForgetButton(name, everywhere))
        await interaction.edit_original_response(content=content, view=view)

    async def forget(self, interaction: discord.Interaction[Any], handle: str, everywhere: bool) -> None:
        """Do it, and put the receipt in the place of the question."""
        try:
            await self._rights.require(interaction, Action.FORGET)
            await interaction.response.defer()
            done = await self._takedowns.forget(handle, f"discord:{interaction.user.id}", delete_posts=everywhere)
            await interaction.edit_original_response(content=texts.forgotten(done), view=None)
        except NotPermitted as error:
            await say_privately(interaction, str(error))
        except Exception as error:  # noqa: BLE001 - the edge: nothing above would tell the person
            await self._failures.tell(interaction, error)
