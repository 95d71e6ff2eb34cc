"""How often an account's mentions are read. Pure.

An empty look at the mentions costs nothing, and each mention is charged once, so looking less often saves nothing by
itself. But whoever is answered soon writes again soon: where money goes faster than the month does, conversations slow
down.
"""

from __future__ import annotations

from datetime import datetime, timedelta

# X's page on rate limits, August 2026: 300 requests in 15 minutes for a user. Half of it is left to pages and restarts.
SHORTEST = timedelta(minutes=15) / 150
LONGEST = timedelta(hours=1)  # to which a tight budget makes the interval longer


def pace(every: timedelta, spent: float, now: datetime) -> timedelta:
    """The time between two looks: `every`, made longer by how far the money spent (the share of a cap) is ahead of the
    month, up to an hour, and never so short that X's window would be used up.
    """
    every = max(every, SHORTEST)
    if every >= LONGEST:
        return every
    ahead = spent / share_of_month(now)
    return min(max(every, every * ahead), LONGEST)


def share_of_month(now: datetime) -> float:
    """How much of this month (UTC) is over; a day at least."""
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    length = (first + timedelta(days=32)).replace(day=1) - first
    return max(now - first, timedelta(days=1)) / length
