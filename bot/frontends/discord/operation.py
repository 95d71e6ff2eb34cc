"""What the front end is told about the service as a whole, for /status and /costs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bot.generation.speaker import Standing


@dataclass(frozen=True, slots=True)
class Operation:
    """Asked each time."""

    clock: Callable[[], datetime]  # UTC
    started_at: datetime  # UTC
    engine: Callable[[], Standing]
    next_fetch: Callable[[], Awaitable[datetime | None]]  # UTC; None where nothing is fetched on schedule
    usd_a_day: Callable[[], Awaitable[Decimal]]  # what X will probably cost
    keep_days: int  # then who asked and what was said is forgotten
