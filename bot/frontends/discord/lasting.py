"""A message of the bot's that goes on being edited, long after the command that it answers.

An interaction's token ends after 15 minutes, but the message is the bot's own: it is edited by the token while that
lasts, which needs no permission in the channel, and as an ordinary message after that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import aiohttp
import discord

from bot.frontends.discord import texts

GONE = (discord.NotFound, discord.Forbidden)
TROUBLE = (discord.DiscordException, aiohttp.ClientError, OSError)

_TOKEN_MARGIN = timedelta(minutes=2)  # the token is left alone so long before it ends


class LastingMessage:
    """A message that can be edited for ever; by `interaction` first, where it is the answer to one."""

    def __init__(
        self, client: discord.Client, channel: int, message: int, interaction: discord.Interaction[Any] | None
    ) -> None:
        self.client = client
        self._lasting = client.get_partial_messageable(channel).get_partial_message(message)
        self._interaction = interaction

    async def edit(
        self,
        text: str,
        *,
        buttons: discord.ui.View | None = None,
        keep_buttons: bool = False,
        files: Sequence[discord.File] = (),
    ) -> None:
        """Let it say that, cut to the length of one message, with these buttons and files. Raises one of `TROUBLE`."""
        content, *_ = texts.pieces(text)
        changed: dict[str, Any] = {"content": content}
        if not keep_buttons:
            changed["view"] = buttons
        if files:
            changed["attachments"] = list(files)
        if self._interaction and discord.utils.utcnow() + _TOKEN_MARGIN < self._interaction.expires_at:
            await self._interaction.edit_original_response(**changed)
        else:
            await self._lasting.edit(**changed)
