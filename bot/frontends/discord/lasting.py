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
from bot.frontends.discord.acknowledging import is_too_late

GONE = (discord.NotFound, discord.Forbidden)
TROUBLE = (discord.DiscordException, aiohttp.ClientError, OSError)

_TOKEN_MARGIN = timedelta(minutes=2)  # the token is left alone so long before it ends


class LastingMessage:
    """A message that can be edited for ever; by `interaction` first, where it is the answer to one."""

    def __init__(
        self, client: discord.Client, channel: int, message: int, interaction: discord.Interaction[Any] | None
    ) -> None:
        self._channel = client.get_partial_messageable(channel)
        self._lasting = self._channel.get_partial_message(message)
        self._interaction = interaction

    async def edit(
        self, text: str, *, buttons: discord.ui.View | None = None, files: Sequence[discord.File] = ()
    ) -> None:
        """Let it say that, cut to the length of one message, with these buttons and files. Raises one of `TROUBLE`."""
        content, *_ = texts.pieces(text)
        changed: dict[str, Any] = {"content": content, "view": buttons}
        if files:
            changed["attachments"] = list(files)
        if interaction := self._living():
            try:
                await interaction.edit_original_response(**changed)
                return
            except discord.HTTPException as error:
                if not is_too_late(error):
                    raise
                self._interaction = None  # it was answered too late, or its token has ended before its time
                for file in files:
                    file.reset()
        await self._lasting.edit(**changed)

    async def add(self, text: str, nonce: str, buttons: discord.ui.View | None = None) -> discord.Message:
        """One more message behind it. Raises one of `TROUBLE`.

        It is an ordinary one, for which Discord hands back the first where one with this nonce was sent minutes ago;
        only where the bot may not write it comes by the token.
        """
        view: Any = discord.utils.MISSING if buttons is None else buttons
        try:
            return await self._channel.send(text, nonce=nonce, suppress_embeds=True, view=view)
        except discord.Forbidden:
            interaction = self._living()
            if interaction is None:
                raise
            return await interaction.followup.send(text, wait=True, suppress_embeds=True, view=view)

    def _living(self) -> discord.Interaction[Any] | None:
        """What it answers, while its token surely serves."""
        ends = self._interaction and self._interaction.expires_at - _TOKEN_MARGIN
        return self._interaction if ends and discord.utils.utcnow() < ends else None


async def say_directly(
    client: discord.Client, person: int, text: str, buttons: discord.ui.View | None = None
) -> discord.Message:
    """A direct message to somebody, cut to the length of one. Raises one of `TROUBLE`."""
    channel = await client.create_dm(discord.Object(person))
    content, *_ = texts.pieces(text)
    view: Any = discord.utils.MISSING if buttons is None else buttons
    return await channel.send(content, view=view)
