"""How often each account is fetched: by how much it posts, and by what the budget has left. Pure.

X bills posts and not looks: looking often costs nothing more, it only uses up windows, and a page is reckoned as full
until it was read. So an account is looked at when about `WORTH` new posts are to be expected, never sooner than the
setting says and at most `SPREAD` times as late. Where the budget does not last until the month's end, all wait longer
in proportion: what is left is spread over the days that are left.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

WORTH = 10  # new posts for which it is worth looking
SPREAD = 12  # with the default of 6 hours: 3 days

_MONTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """When an account is fetched, and what that costs."""

    handle: str  # lower case, no @
    posts_a_day: Decimal  # that it probably writes
    every: timedelta  # between two fetches
    next_at: datetime | None  # UTC; None where it was never fetched to the end
    usd_a_month: Decimal  # US dollars in 30 days, without the check whether it is still open

    @property
    def sentence(self) -> str:
        """For people."""
        when = f", next at {self.next_at:%Y-%m-%d %H:%M} UTC" if self.next_at else ""
        hours = self.every / timedelta(hours=1)
        return (
            f"About {self.posts_a_day:.1f} posts a day: fetched every {hours:.0f} h{when}, "
            f"for about ${self.usd_a_month:.2f} a month."
        )


def interval(posts_a_day: Decimal, affordable: Decimal, least: timedelta) -> timedelta:
    """How long to wait between two fetches of an account.

    `affordable` is the share of what following all accounts costs until the end of the month for which money is left.
    """
    longest = SPREAD * least
    expected = posts_a_day * min(affordable, Decimal(1))  # a day
    if expected * Decimal(longest.total_seconds()) <= WORTH * 86_400:
        return longest
    return max(least, timedelta(seconds=float(WORTH * 86_400 / expected)))


def affordable(left: Decimal, usd_a_day: Decimal, days: Decimal) -> Decimal:
    """The share of `usd_a_day` for so many days that the US dollars that are `left` pay for, 0 to 1."""
    wanted = usd_a_day * days
    return Decimal(1) if wanted <= left else max(Decimal(0), left / wanted)


def usd_a_month(posts_a_day: Decimal, price: Decimal) -> Decimal:
    """US dollars that reading so many posts costs in 30 days."""
    return posts_a_day * price * _MONTH_DAYS


def next_fetch(fetched_at: datetime, planned: datetime | None, least: timedelta) -> datetime:
    """When an account is due: as planned, but within the bounds of the present settings."""
    earliest, latest = fetched_at + least, fetched_at + SPREAD * least
    return earliest if planned is None else min(max(planned, earliest), latest)
