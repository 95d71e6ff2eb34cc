"""Long lists, a page at a time, with buttons that go on working after a restart."""

from __future__ import annotations

import re
from typing import Any, Self

import discord

from bot.frontends.discord.served import Served


class PageButton(
    Served,
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"page:(?P<what>personas|versions):(?P<number>[0-9]{1,6}):(?P<whose>[a-z0-9_-]*)",
):
    """Show one page of a list. Everything it knows stands in its custom id."""

    def __init__(self, what: str, number: int, whose: str, label: str = "…") -> None:
        style = discord.ButtonStyle.secondary
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=f"page:{what}:{number}:{whose}"))
        self.what = what
        self.number = number  # from 0 on
        self.whose = whose  # the persona, of a list of versions

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that somebody has pressed."""
        return cls(match["what"], int(match["number"]), match["whose"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand over to the desk of the client that heard of it."""
        interaction.client.replies.join()
        desks = interaction.client.desks
        if self.what == "personas":
            await desks.catalogue.turn(interaction, self.number)
        else:
            await desks.versions.turn(interaction, self.whose, self.number)


def page_of(number: int, known: int, size: int) -> int:
    """The page that is shown where that one is asked for: the list may have become shorter."""
    return min(number, max(0, (known - 1) // size))


def page_buttons(what: str, number: int, known: int, size: int, whose: str = "") -> discord.ui.View | None:
    """The ways to the pages before and after; None where there are none."""
    view = discord.ui.View(timeout=None)
    if number > 0:
        view.add_item(PageButton(what, number - 1, whose, "Back"))
    if (number + 1) * size < known:
        view.add_item(PageButton(what, number + 1, whose, "More"))
    return view if view.children else None
