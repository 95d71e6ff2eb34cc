"""How long X is left alone after something went wrong. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.errors import BudgetExceeded, Busy, MockingbirdError, XError, XRateLimited, XUnreachable

SOON = timedelta(minutes=1)  # nothing was sent; the network may be back
LATER = timedelta(minutes=15)  # as long as X's windows
MUCH_LATER = timedelta(hours=1)  # a cap, or X's protection against spam


def wait_after(error: MockingbirdError, now: datetime) -> timedelta:
    """How long that kind of work rests."""
    if isinstance(error, Busy):
        return timedelta(seconds=error.retry_after_s)
    if isinstance(error, XRateLimited) and error.resets_at is not None:
        return max(error.resets_at - now, SOON)  # X's clock and ours may differ
    if isinstance(error, XUnreachable):
        return SOON
    return MUCH_LATER if type(error) in (XError, BudgetExceeded) else LATER
