"""When a tweet was sent, in all the ways in which data sets write it. Pure.

A date in numbers alone, such as 03/04/2019, does not tell its order. The file does, where any of its dates holds a
number above 12; where none does, or two contradict each other, its dates count as none. Dots mean day first.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache


class Order(StrEnum):
    """Which number of a date comes first."""

    DAY = "day"
    MONTH = "month"


_YEARS = range(2006, 2100)  # X began in March 2006
_EARLIEST_S, _LATEST_S = 1_136_073_600, 4_102_444_800  # their first and last second, since 1970

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_BEFORE_OFFSET = re.compile(r"\s+(?=[+-]\d\d:?\d\d$)")
_ZONE = re.compile(r"\s*(?:UTC|GMT|Z)$")
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d+)?)?(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?"
_NUMERIC = re.compile(
    rf"(?P<first>\d{{1,2}})(?P<mark>[/.-])(?P<other>\d{{1,2}})(?P=mark)(?P<year>\d{{4}}|\d\d)(?:,?[\sT]+{_CLOCK})?",
    re.ASCII,
)
_YEAR_FIRST = re.compile(
    rf"(?P<year>\d{{4}})(?P<mark>[/.-])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}})(?:,?[\sT]+{_CLOCK})?", re.ASCII
)
_NAMED = (  # 3 Apr 2019 10:00 · Apr 3, 2019 · 10:00 AM · 10:00 AM - 3 Apr 2019
    re.compile(
        rf"(?P<day>\d{{1,2}})[ -](?P<name>[A-Za-z]{{3}})[a-z]*\.?,?[ -](?P<year>\d{{4}})(?:[,\s·at-]+{_CLOCK})?",
        re.ASCII,
    ),
    re.compile(
        rf"(?P<name>[A-Za-z]{{3}})[a-z]*\.? (?P<day>\d{{1,2}}),? (?P<year>\d{{4}})(?:[,\s·at-]+{_CLOCK})?", re.ASCII
    ),
    re.compile(rf"{_CLOCK}[\s·-]+(?P<day>\d{{1,2}}) (?P<name>[A-Za-z]{{3}})[a-z]*\.? (?P<year>\d{{4}})", re.ASCII),
)


def moment(value: object) -> datetime | None:
    """The time in any of the forms in use (API v1.1, ISO 8601, Unix seconds or milliseconds), in UTC; None if in none.

    A time without an offset is taken for UTC. Years in which nobody tweeted are no time.
    """
    if isinstance(value, str):
        found = _v1(value) or _written(value.strip())
        return found if found and found.year in _YEARS else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1_000 * _LATEST_S:
        return None
    seconds = value / 1000 if value > _LATEST_S else value
    return datetime.fromtimestamp(seconds, UTC) if _EARLIEST_S < seconds < _LATEST_S else None


def is_numeric(value: object) -> bool:
    """Whether it is a date in numbers whose order only the whole file tells."""
    return isinstance(value, str) and "." not in value[:3] and _NUMERIC.fullmatch(value.strip()) is not None


def order_of(written: str) -> Order | None:
    """What one numeric date tells about the order of all; None if nothing."""
    found = _NUMERIC.fullmatch(written.strip())
    if found is None or (int(found["first"]) > 12) == (int(found["other"]) > 12):
        return None
    return Order.DAY if int(found["first"]) > 12 else Order.MONTH


def moment_in(order: Order, written: str) -> datetime | None:
    """The time that a numeric date means in that order."""
    found = _NUMERIC.fullmatch(written.strip())
    if found is None:
        return None
    first, other = int(found["first"]), int(found["other"])
    made = _made(found, *((other, first) if order is Order.DAY else (first, other)))
    return made if made and made.year in _YEARS else None


def _v1(text: str) -> datetime | None:
    """`Thu Nov 03 08:50:26 +0000 2022`, by place: a million of them are read, and strptime depends on the locale."""
    if len(text) != 30 or text[20:26] != "+0000 ":
        return None
    try:
        day = _midnight(text[26:], text[4:7], text[8:10])
        return day.replace(hour=int(text[11:13]), minute=int(text[14:16]), second=int(text[17:19]))
    except (ValueError, KeyError):
        return None


@lru_cache(maxsize=1024)
def _midnight(year: str, month: str, day: str) -> datetime:
    return datetime(int(year), _MONTHS[month.lower()], int(day), tzinfo=UTC)


_V1 = re.compile(r"\w{3} (\w{3}) (\d\d) (\d\d:\d\d:\d\d) ([+-]\d{4}) (\d{4})", re.ASCII)


def _written(text: str) -> datetime | None:
    if text.isascii() and text.isdigit() and len(text) in (10, 13):
        return moment(int(text))
    if found := _iso(text):
        return found
    v1 = _V1.fullmatch(text)
    if v1 and v1[1].lower() in _MONTHS:
        text = f"{v1[5]}-{_MONTHS[v1[1].lower()]:02}-{v1[2]}T{v1[3]}{v1[4]}"
    text = _ZONE.sub("+00:00", text)
    return _iso(_BEFORE_OFFSET.sub("", text)) or _spelt(text.removesuffix("+00:00"))


def _iso(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _spelt(text: str) -> datetime | None:
    """Dates with the year first or a month's English name, and dotted ones, which have the day first."""
    if len(text) > 40:
        return None
    found = _YEAR_FIRST.fullmatch(text)
    if found:
        return _made(found, int(found["month"]), int(found["day"]))
    found = _NUMERIC.fullmatch(text)
    if found:
        return _made(found, int(found["other"]), int(found["first"])) if found["mark"] == "." else None
    for form in _NAMED:
        found = form.fullmatch(text)
        if found and found["name"].lower() in _MONTHS:
            return _made(found, _MONTHS[found["name"].lower()], int(found["day"]))
    return None


def _made(found: re.Match[str], month: int, day: int) -> datetime | None:
    year = int(found["year"])
    hour = int(found["hour"] or 0)
    if found["half"]:
        hour = hour % 12 + (12 if found["half"] in "Pp" else 0)
    try:
        return datetime(
            year if year > 99 else 2000 + year,
            month,
            day,
            hour,
            int(found["minute"] or 0),
            int(found["second"] or 0),
            tzinfo=UTC,
        )
    except ValueError:
        return None
