"""/cyborg: a persona that is blended from others at once."""

from __future__ import annotations

from typing import Any

import discord

from bot.frontends.discord import texts
from bot.frontends.discord.rights import Rights
from bot.replies.servers import Action
from bot.training.blends import Blends, Order, parse_parts
from bot.tweets.tweet import normalise_handle


class BlendDesk:
    """Takes orders for blends."""

    def __init__(self, blends: Blends, rights: Rights) -> None:
        self._blends = blends
        self._rights = rights

    async def cyborg(self, interaction: discord.Interaction[Any], parts: str, name: str) -> None:
        """Blend what was named, and say what it became. Raises `NotPermitted`."""
        await self._rights.require(interaction, Action.TRAIN)
        await interaction.response.defer()
        order = Order(parse_parts(parts), normalise_handle(name), f"discord:{interaction.user.id}")
        manifest = await self._blends.blend(order)
        await interaction.edit_original_response(content=texts.blended(manifest))
