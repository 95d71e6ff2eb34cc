"""Forms that people fill in. A form lives as long as the process and its time limit; who fills in one that is gone is
told so, instead of Discord's "Something went wrong".
"""

from __future__ import annotations

import secrets
from typing import Any

import discord

GONE = "This form is too old, so nothing was done. Open it again."

_PREFIX = "form:"
_LIVES = 600.0  # seconds; what it is about is held in memory for so long


class Form(discord.ui.Modal):
    """A modal that its client knows for as long as it can be filled in."""

    def __init__(self, title: str) -> None:
        super().__init__(title=title, timeout=_LIVES, custom_id=f"{_PREFIX}{secrets.token_hex(8)}")
        self._open: set[str] = set()

    async def show(self, interaction: discord.Interaction[Any]) -> None:
        """Let the person who used the command or button fill it in."""
        self._open = interaction.client.forms
        self._open.add(self.custom_id)
        await interaction.response.send_modal(self)

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        """Hand what was filled in over."""
        interaction.client.replies.join()
        try:
            await self.filled_in(interaction)
        finally:
            self._open.discard(self.custom_id)

    async def filled_in(self, interaction: discord.Interaction[Any]) -> None:
        """Do what it asks for, and deal with errors."""
        raise NotImplementedError

    async def on_timeout(self) -> None:
        """Nobody has filled it in, or has long since."""
        self._open.discard(self.custom_id)


def is_gone(interaction: discord.Interaction[Any], still_open: set[str]) -> bool:
    """Whether somebody has filled in a form of ours that nobody knows any more."""
    data: Any = interaction.data or {}
    custom_id = str(data.get("custom_id", ""))
    is_form = interaction.type is discord.InteractionType.modal_submit and custom_id.startswith(_PREFIX)
    return is_form and custom_id not in still_open
