"""Handing over posts without X."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bot.database import Database
from bot.replies.outbox import Outbox
from bot.replies.post import Part


async def handed_over(database: Database, clock: Callable[[], datetime], number: int) -> tuple[Outbox, Part]:
    """A post that was approved is on its way to X."""
    outbox = Outbox(database, "main", clock)
    part = await outbox.next_part(number)
    assert part is not None
    assert await outbox.take(part)
    return outbox, part


async def sent(database: Database, clock: Callable[[], datetime], number: int, platform_id: str) -> None:
    """A post that was approved stands on X under this id."""
    outbox, part = await handed_over(database, clock, number)
    await outbox.arrived(part, platform_id)
