"""Values as a page shows them. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from markupsafe import Markup, escape

from bot.tweets.costs import dollars


def marked(text: str) -> Markup:
    """A sentence of ours: what stands in backticks is a command, everything is escaped."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def moment(at: datetime | None) -> Markup:
    """`<time>` with the UTC time in words; the script turns it into the reader's own."""
    if at is None:
        return Markup("")
    at = at.astimezone(UTC)
    text = f"{at.day} {at:%b %Y, %H:%M} UTC"
    return Markup(f'<time datetime="{escape(at.isoformat(timespec="seconds"))}">{escape(text)}</time>')


def day(at: datetime) -> Markup:
    """The same without the hour."""
    at = at.astimezone(UTC)
    return Markup(f'<time class="day" datetime="{escape(at.isoformat(timespec="seconds"))}">{at.day} {at:%b %Y}</time>')


def clock_time(at: datetime) -> Markup:
    """The same with hours and minutes only."""
    at = at.astimezone(UTC)
    return Markup(f'<time class="clock" datetime="{escape(at.isoformat(timespec="seconds"))}">{at:%H:%M} UTC</time>')


def number(count: float) -> str:
    """`2362` -> `2,362`."""
    return f"{count:,.0f}"


def figure(value: float | None) -> str:
    """`3.14159` -> `3.142`; a dash when there is none."""
    return "–" if value is None else f"{value:.3f}"


def share(value: float) -> str:
    """`0.874` -> `87 %`."""
    return f"{value * 100:.0f} %"


def portion(count: int, whole: int) -> str:
    """`3` of `4` -> `75 %`; `<1 %` where that says more than a zero."""
    percent = count / whole * 100 if whole else 0.0
    return "<1 %" if 0 < percent < 1 else f"{percent:.0f} %"


def duration(seconds: float | None) -> str:
    """Roughly how long: `40 s`, `3 min`, `2 h 5 min`; a dash when nobody knows."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def change(value: float, base: float) -> str:
    """How much lower or higher than the base: `−20 %`."""
    percent = (value / base - 1) * 100 if base else 0.0
    return f"{'−' if percent < 0 else '+'}{abs(percent):.0f} %"


_SHOWN = (marked, moment, day, clock_time, number, figure, share, portion, duration, change, dollars)
FILTERS = {each.__name__: each for each in _SHOWN}
