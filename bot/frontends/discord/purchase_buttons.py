"""The buttons by which a training is agreed to, and what it costs. Each carries the number of its purchase."""

from __future__ import annotations

import re
from typing import Any, Self

import discord

from bot.frontends.discord.served import Served
from bot.training.purchase import Purchase, PurchaseState
from bot.tweets.costs import dollars


class PurchaseButton(
    Served,
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"purchase:(?P<number>[0-9]+):(?P<step>look|fetch|without|first|decline)",
):
    """Agree to one step of a purchase. Everything it knows stands in its custom id, so it outlives the process."""

    def __init__(self, number: int, step: str, label: str = "…", is_chief: bool = False) -> None:
        style = discord.ButtonStyle.success if is_chief else discord.ButtonStyle.secondary
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=f"purchase:{number}:{step}"))
        self.number = number
        self.step = step

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that somebody has pressed."""
        return cls(int(match["number"]), match["step"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand over to the desk of the client that heard of it."""
        interaction.client.replies.join()
        await interaction.client.desks.purchases.agree(interaction, self.number, self.step)


def purchase_buttons(purchase: Purchase, can_fetch: bool) -> discord.ui.View | None:
    """The buttons for what is to be agreed to; None where nothing is. `can_fetch`: there may be something new on X."""
    view = discord.ui.View(timeout=None)
    if purchase.state is PurchaseState.ASKED:
        label = f"Look up for {dollars(purchase.look_up_usd)}"
        view.add_item(PurchaseButton(purchase.id, "look", label, is_chief=True))
    elif purchase.state is PurchaseState.PRICED:
        label = f"Fetch for {dollars(purchase.usd)} and train"
        view.add_item(PurchaseButton(purchase.id, "fetch", label, is_chief=True))
    elif purchase.state is PurchaseState.READY:
        view.add_item(PurchaseButton(purchase.id, "without", "Go on", is_chief=True))
    else:
        return None
    if purchase.state is PurchaseState.READY and can_fetch:
        view.add_item(PurchaseButton(purchase.id, "first", "Fetch what is new first"))
    elif purchase.state is not PurchaseState.READY and purchase.can_do_without:
        view.add_item(PurchaseButton(purchase.id, "without", "Train on what is stored"))
    return view.add_item(PurchaseButton(purchase.id, "decline", "Never mind"))
