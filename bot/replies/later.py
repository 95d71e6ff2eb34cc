"""A moment to come, as people write it: when an approved post may go out. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.errors import Refused

FARTHEST = timedelta(days=366)  # a post that is to wait longer is more likely a slip
_DAY = timedelta(days=1)


def moment_to_come(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """The moment (UTC) that `2026-11-30 18:05` or `18:05` means in that time zone; an hour alone is the next such one.

    A time that a clock change leaves out is an hour later; one that comes twice is the first of the two. Raises
    `Refused` where it is no moment to come.
    """
    try:
        at = _written(text.strip(), zone, now)
    except (ValueError, OverflowError) as error:
        raise Refused("That is no time. Write it like `18:05`, or with its day like `2026-11-30 18:05`.") from error
    if at <= now:
        raise Refused(f"{text.strip()} is past in {zone.key}. Choose a moment to come.")
    if at > now + FARTHEST:
        raise Refused("That is more than a year away. Choose an earlier moment.")
    return at


def _written(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    if len(text) > len("18:05"):
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    hour, today = time.fromisoformat(text), now.astimezone(zone).date()
    at = datetime.combine(today, hour, zone).astimezone(UTC)
    return at if at > now else datetime.combine(today + _DAY, hour, zone).astimezone(UTC)
