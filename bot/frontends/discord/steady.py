"""Sending once more what Discord could not take for the moment.

discord.py tries again after some errors of Discord's, not after all (503 is not among them), and for a quarter of a
minute. Here it goes on for longer, with growing pauses. Only for what may be sent twice: a message with a nonce, which
Discord takes once within some minutes, an edit, a look.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
import discord
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

T = TypeVar("T")

PATIENCE_S = 120.0  # of sending one thing; Discord knows a nonce for a few minutes
_LONGEST_PAUSE_S = 15.0


async def steadily(send: Callable[..., Awaitable[T]], *values: Any, patience_s: float = PATIENCE_S, **named: Any) -> T:
    """What `send` returns; it is called again while Discord fails or can't be reached. Raises what it does."""
    tries = AsyncRetrying(
        retry=retry_if_exception_type((discord.DiscordServerError, aiohttp.ClientError, OSError)),
        wait=wait_random_exponential(multiplier=0.5, max=_LONGEST_PAUSE_S),
        stop=stop_after_delay(patience_s),
        reraise=True,
    )
    return await tries(send, *values, **named)
