"""The first answer to a command or button, which Discord takes for 3 seconds only."""

from __future__ import annotations

from typing import Any

import discord
import structlog

_TOO_LATE = (10062, 10015, 50027)  # unknown interaction, unknown webhook, expired token: Discord has given it up

log = structlog.get_logger(__name__)


def is_too_late(error: Exception) -> bool:
    """Whether the error says that Discord takes no answer to this command or button any more."""
    return isinstance(error, discord.HTTPException) and error.code in _TOO_LATE


async def acknowledge(interaction: discord.Interaction[Any], **options: Any) -> bool:
    """Tell Discord that the press of a button was heard; False where it no longer wants to know.

    What was asked for is done all the same: the message under which the button stands is there, and it can be edited.
    """
    try:
        await interaction.response.defer(**options)
    except discord.NotFound as error:
        if not is_too_late(error):
            raise
        log.warning("discord heard too late of a press", interaction_id=interaction.id, trouble=str(error))
        return False
    return True
