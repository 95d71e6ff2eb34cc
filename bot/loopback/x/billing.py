"""What X would charge, resource by resource. No network here.

Source: X's page on pay-per-use of August 2026: a price for each resource, and a resource that is read twice on one UTC
day is charged once. Owned reads are those of an app's owner who reads the own posts or mentions with the own keys.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from bot.loopback.x.answers import Document, invalid_value
from bot.loopback.x.routes import Answer, Call, Caller, Handler, Refused

_MONTHLY_POSTS = 3_000_000  # post reads of a project in a month
_READS = ("post read", "owned read")


@dataclass(frozen=True, slots=True)
class XPrices:
    """Prices of pay-per-use in US dollars, X's page of August 2026."""

    post_read: Decimal = Decimal("0.005")
    user_read: Decimal = Decimal("0.010")
    owned_read: Decimal = Decimal("0.001")
    post_create: Decimal = Decimal("0.015")
    post_create_with_url: Decimal = Decimal("0.200")
    summoned_reply: Decimal = Decimal("0.010")
    post_delete: Decimal = Decimal("0.010")


@dataclass(frozen=True, slots=True)
class XCharge:
    """One line of the bill."""

    what: str  # post read, owned read, user read, post created, post with link created, summoned reply, post deleted
    resource_id: str
    day: date  # UTC
    usd: Decimal
    app_id: str = ""


class Bill:
    """All charges, in order."""

    def __init__(self, prices: XPrices, clock: Callable[[], datetime]) -> None:
        """`clock` gives UTC and tells the days apart."""
        self.charges: list[XCharge] = []
        self._prices = prices
        self._clock = clock
        self._charged: set[tuple[str, str, str, date]] = set()  # app, kind of resource, id, day

    def handlers(self) -> dict[str, Handler]:
        """What answers each route."""
        return {"GET /2/usage/tweets": self._usage}

    def read_post(self, caller: Caller, post_id: str, *, owned: bool = False) -> None:
        """Charge for a post that was shown, unless it was shown to the app earlier on this UTC day."""
        price = self._prices.owned_read if owned else self._prices.post_read
        self._once(caller, "post", "owned read" if owned else "post read", post_id, price)

    def read_user(self, caller: Caller, user_id: str) -> None:
        """Charge for an account that was shown, unless it was shown to the app earlier on this UTC day."""
        self._once(caller, "user", "user read", user_id, self._prices.user_read)

    def create_post(self, caller: Caller, post_id: str, *, linked: bool, summoned: bool) -> None:
        """Charge for a post that was published; a link is dearer than anything else about it."""
        if linked:
            self._once(caller, "new", "post with link created", post_id, self._prices.post_create_with_url)
        elif summoned:
            self._once(caller, "new", "summoned reply", post_id, self._prices.summoned_reply)
        else:
            self._once(caller, "new", "post created", post_id, self._prices.post_create)

    def delete_post(self, caller: Caller, post_id: str) -> None:
        """Charge for a post that was deleted."""
        self._once(caller, "deletion", "post deleted", post_id, self._prices.post_delete)

    def total(self, app_id: str | None = None) -> Decimal:
        """US dollars, of one app or of all."""
        return sum((each.usd for each in self.charges if app_id in (None, each.app_id)), Decimal(0))

    def by_kind(self, app_id: str | None = None) -> dict[str, Decimal]:
        """US dollars for each kind of charge, of one app or of all."""
        sums: defaultdict[str, Decimal] = defaultdict(Decimal)
        for each in self.charges:
            if app_id in (None, each.app_id):
                sums[each.what] += each.usd
        return dict(sorted(sums.items()))

    def _once(self, caller: Caller, kind: str, what: str, resource_id: str, usd: Decimal) -> None:
        today = self._today()
        if (caller.app_id, kind, resource_id, today) not in self._charged:
            self._charged.add((caller.app_id, kind, resource_id, today))
            self.charges.append(XCharge(what, resource_id, today, usd, caller.app_id))

    def _usage(self, call: Call, caller: Caller) -> Answer:
        days = call.query.get("days", "7")
        if not days.isdecimal() or not 1 <= int(days) <= 90:
            raise Refused(Answer(400, invalid_value("days", days, "is not between 1 and 90")))
        today = self._today()
        reads = Counter(c.day for c in self.charges if c.app_id == caller.app_id and c.what in _READS)
        month = sum(count for day, count in reads.items() if (day.year, day.month) == (today.year, today.month))
        next_month = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
        data: Document = {
            "project_id": caller.app_id,
            "project_cap": str(_MONTHLY_POSTS),
            "project_usage": str(month),
            "cap_reset_day": (next_month - today).days,
        }
        asked = call.listed("usage.fields")
        if "daily_project_usage" in asked:
            data["daily_project_usage"] = {"project_id": caller.app_id, "usage": _daily(reads, today, int(days))}
        if asked:
            data = {key: value for key, value in data.items() if key in {*asked, "project_usage", "project_cap"}}
        return Answer(200, {"data": data})

    def _today(self) -> date:
        return self._clock().astimezone(UTC).date()


def _daily(reads: Mapping[date, int], today: date, days: int) -> list[Document]:
    """Posts read on each of the last days, the newest first; days without any are left out."""
    span = [today - timedelta(days=back) for back in range(days)]
    return [{"date": f"{day}T00:00:00.000Z", "usage": str(reads[day])} for day in span if reads.get(day)]
