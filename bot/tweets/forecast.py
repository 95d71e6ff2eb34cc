"""What X will probably cost a day with the present settings, and whether the month's cap lasts. For `doctor`.

What it does not know: how much the accounts will post. It takes what they posted in the last 30 days that are stored.
Posts with links, which cost more, are reckoned as without.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from bot.config import Prices, X
from bot.database import Database
from bot.tweets.tweet import Source

# Which accounts are fetched on schedule: those that were asked for once, unless X said since that they are closed.
# Nothing that was fetched is left of such a one, only when it was checked; X's id stays, by which it can be blocked.
ON_SCHEDULE = "platform_id IS NOT NULL AND (fetched_at IS NOT NULL OR page_token IS NOT NULL OR checked_at IS NULL)"

_SPAN = timedelta(days=30)
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Followed:
    """The accounts that are fetched on schedule."""

    accounts: int
    posts_a_day: Decimal  # that they write together
    stored: int  # posts that were fetched of them


async def followed(database: Database) -> Followed:
    """How many accounts are followed, and how much they post: each in the 30 days before its newest stored post."""
    handles = [row["handle"] for row in await database.all(f"SELECT handle FROM accounts WHERE {ON_SCHEDULE}")]
    recent = stored = 0
    for handle in handles:
        newest = await database.one("SELECT max(created_at) AS at FROM tweets WHERE handle = ?", (handle,))
        if newest is None or newest["at"] is None:
            continue
        since = (datetime.fromisoformat(newest["at"]) - _SPAN).astimezone(UTC).isoformat()
        row = await database.one(
            "SELECT count(*) AS posts, (SELECT count(*) FROM tweets WHERE handle = ? AND source = ?) AS stored "
            "FROM tweets WHERE handle = ? AND created_at > ?",
            (handle, Source.X_API, handle, since),
        )
        recent += row["posts"] if row else 0
        stored += row["stored"] if row else 0
    return Followed(len(handles), Decimal(recent) / _SPAN.days, stored)


def a_day(accounts: Followed, settings: X, prices: Prices) -> Decimal:
    """US dollars that a day costs: fetching, checking what is still there, and posting."""
    fetching = checking = posting = Decimal(0)
    if settings.fetch_interval_minutes and settings.i_have_permission_to_train:
        fetching = accounts.posts_a_day * prices.post_read
    if settings.check_interval_hours:
        lookups = accounts.stored * prices.post_read if settings.check_posts == "lookup" else Decimal(0)
        each = accounts.accounts * prices.user_read + lookups
        checking = each * min(Decimal(1), 24 / Decimal(str(settings.check_interval_hours)))  # charged once a day
    if settings.post_every_minutes and settings.persona:
        posting = _DAY_MINUTES / Decimal(str(settings.post_every_minutes)) * prices.post_create
    return fetching + checking + posting


def runs_out(left: Decimal, usd_a_day: Decimal, now: datetime) -> date | None:
    """The day of this month (UTC) on which nothing is left at this rate; None when the month ends first."""
    now = now.astimezone(UTC)
    if not usd_a_day:
        return None
    days = left / usd_a_day
    month_ends = (now.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if days >= (month_ends - now).days + 1:
        return None
    at = now + timedelta(days=float(days))
    return at.date() if at < month_ends else None
