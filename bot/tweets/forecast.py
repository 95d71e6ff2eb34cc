"""What X will probably cost a day with the present settings, until the end of the month, and whether the cap lasts.

A day costs what is scheduled (fetching, checking, posting) and what everything else cost on average in the last seven
days: answers, reading mentions, look-ups and deletions, which nobody can schedule. The end of the month is what is
spent by now and so many days more, at the cap at most.

What it does not know: how much the accounts will post. It takes what they posted in the last 30 days that are stored.
Posts with links, which cost more, are reckoned as without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from bot.config import Prices, X, x_accounts
from bot.database import Database, Row
from bot.quiet_hours import QuietHours
from bot.tweets.cleaning import Verdict
from bot.tweets.costs import Ledger
from bot.tweets.fetching_plan import FetchPlan, affordable, interval, next_fetch, usd_a_month
from bot.tweets.tweet import Source

# Which accounts are fetched on schedule: those that were asked for once, unless X said since that they are closed.
# Nothing that was fetched is left of such a one, only when it was checked; X's id stays, by which it can be blocked.
ON_SCHEDULE = "platform_id IS NOT NULL AND (fetched_at IS NOT NULL OR page_token IS NOT NULL OR checked_at IS NULL)"

_SPAN = timedelta(days=30)
_LATELY = timedelta(days=7)
_LONGEST = timedelta(days=365)  # that anything is foretold
_SCHEDULED = ("fetch", "check", "post")  # purposes in the ledger
_DAY_MINUTES = Decimal(24 * 60)


@dataclass(frozen=True, slots=True)
class Followed:
    """The accounts that are fetched on schedule."""

    accounts: int
    posts_a_day: Decimal  # that they write together
    stored: int  # posts that were fetched of them


async def followed(database: Database) -> Followed:
    """How many accounts are followed, and how much they post: each in the 30 days before its newest stored post."""
    handles = [row["handle"] for row in await database.all(f"SELECT handle FROM accounts WHERE {ON_SCHEDULE}")]
    together, stored = Decimal(0), 0
    for handle in handles:
        together += await rate(database, handle)
        row = await database.one(
            "SELECT count(*) AS stored FROM tweets WHERE handle = ? AND source = ? AND created_at IS NOT NULL",
            (handle, Source.X_API),
        )
        stored += row["stored"] if row else 0
    return Followed(len(handles), together, stored)


async def rate(database: Database, handle: str, verdict: Verdict | None = None) -> Decimal:
    """How many posts (of that verdict) an account writes in a day: in the 30 days before its newest stored post."""
    newest = await database.one("SELECT max(created_at) AS at FROM tweets WHERE handle = ?", (handle,))
    if newest is None or newest["at"] is None:
        return Decimal(0)
    since = (datetime.fromisoformat(newest["at"]) - _SPAN).astimezone(UTC).isoformat()
    row = await database.one(
        "SELECT count(*) AS posts FROM tweets WHERE handle = ? AND created_at > ? AND verdict = coalesce(?, verdict)",
        (handle, since, verdict),
    )
    return Decimal(row["posts"] if row else 0) / _SPAN.days


def a_day(accounts: Followed, settings: X, prices: Prices) -> Decimal:
    """US dollars that a day costs: fetching, checking what is still there, and posting."""
    fetching = checking = posting = Decimal(0)
    if settings.fetch_interval_minutes and settings.i_have_permission_to_train:
        fetching = accounts.posts_a_day * prices.post_read
    if settings.check_interval_hours:
        rounds = 24 / Decimal(str(settings.check_interval_hours))
        lookups = accounts.stored * prices.post_read if settings.check_posts == "lookup" else Decimal(0)
        each = accounts.accounts * prices.user_read + lookups
        checking = each * min(Decimal(1), rounds)  # charged once a day
        if accounts.stored and settings.check_posts != "off":
            checking += prices.compliance_job * rounds
    for account in x_accounts(settings).values():
        posting += posts_a_day(account) * prices.post_create
    return fetching + checking + posting


def posts_a_day(account: X) -> Decimal:
    """How many posts the schedule of an account of ours makes in a day at most."""
    if not account.persona or account.paused:
        return Decimal(0)
    turns = _turns_a_day(account)
    return min(turns, Decimal(account.posts_per_day)) if account.posts_per_day else turns


def _turns_a_day(account: X) -> Decimal:
    if account.post_at:  # in the place of the interval
        return Decimal(len(set(account.post_at)))
    if not account.post_every_minutes:
        return Decimal(0)
    every = Decimal(str(account.post_every_minutes))
    quiet = QuietHours.of(account.quiet_hours, account.time_zone)
    open_minutes = _DAY_MINUTES - (quiet.minutes if quiet else 0)
    return min(_DAY_MINUTES / every, open_minutes / every + 1)  # the one that waits for their end is one more


@dataclass(frozen=True, slots=True)
class Coming:
    """Tweets that are still to come."""

    on: date  # the day (UTC) on which the last of them has probably been posted
    usd: Decimal  # US dollars that fetching them costs


@dataclass(frozen=True, slots=True)
class Outlook:
    """How the month will probably end."""

    scheduled_a_day: Decimal  # US dollars
    others_a_day: Decimal  # US dollars: what everything else cost a day lately
    month_end: Decimal  # US dollars that the month will have cost, at the cap at most
    runs_out: date | None  # the day (UTC) on which nothing is left; None when the month ends first


class Forecast:
    """Looks at what is stored and says how the month will end."""

    def __init__(
        self, database: Database, ledger: Ledger, settings: X, prices: Prices, clock: Callable[[], datetime]
    ) -> None:
        """`clock` gives UTC."""
        self._database = database
        self._ledger = ledger
        self._settings = settings
        self._prices = prices
        self._clock = clock

    async def outlook(self) -> Outlook:
        """How this month will end with the present settings."""
        now = self._clock().astimezone(UTC)
        month = await self._ledger.month()
        scheduled = Decimal(0)
        if self._settings.enabled:
            scheduled = a_day(await followed(self._database), self._settings, self._prices)
        others = await self._others(now)
        spent = month.spent + month.under_way
        usd_a_day = scheduled + others
        end = min(spent + usd_a_day * days_left(now), max(spent, month.cap))
        return Outlook(scheduled, others, end, runs_out(month.left, usd_a_day, now))

    async def plans(self) -> list[FetchPlan]:
        """When each account that is followed is fetched, and what that costs; none where nothing is on schedule."""
        if not self._is_fetching:
            return []
        share = await self._affordable()
        rows = await self._database.all(f"SELECT * FROM accounts WHERE {ON_SCHEDULE} ORDER BY handle")
        return [await self._plan(row, share) for row in rows]

    async def next_fetch_at(self, handle: str) -> datetime:
        """When an account that has just been fetched is to be fetched again."""
        every = interval(await rate(self._database, handle), await self._affordable(), self._least)
        return self._clock().astimezone(UTC) + every

    async def coming(self, handles: Sequence[str], kept: int) -> Coming | None:
        """When these accounts will have posted so many more tweets that can be learned; None where that takes more than
        a year, and where none of them is fetched on schedule.
        """
        if not self._is_fetching:
            return None
        rows = await self._database.all(f"SELECT handle FROM accounts WHERE {ON_SCHEDULE}")
        fetched = sorted({row["handle"] for row in rows} & {*handles})
        kept_a_day = sum([await rate(self._database, each, Verdict.KEPT) for each in fetched], Decimal(0))
        if kept > kept_a_day * _LONGEST.days:
            return None
        days = kept / kept_a_day if kept_a_day else Decimal(0)
        posts_a_day = sum([await rate(self._database, each) for each in fetched], Decimal(0))
        on = self._clock().astimezone(UTC) + timedelta(days=float(days))
        return Coming(on.date(), posts_a_day * days * self._prices.post_read)

    async def _plan(self, row: Row, share: Decimal) -> FetchPlan:
        posts = await rate(self._database, row["handle"])
        fetched_at, planned = (_moment(row[name]) for name in ("fetched_at", "next_fetch_at"))
        next_at = next_fetch(fetched_at, planned, self._least) if fetched_at else None
        usd = usd_a_month(posts, self._prices.post_read)
        return FetchPlan(row["handle"], posts, interval(posts, share, self._least), next_at, usd)

    async def _affordable(self) -> Decimal:
        month = await self._ledger.month()
        usd_a_day = (await followed(self._database)).posts_a_day * self._prices.post_read
        return affordable(month.left_for_reading, usd_a_day, days_left(self._clock()))

    @property
    def _is_fetching(self) -> bool:
        return self._settings.enabled and self._settings.i_have_permission_to_train and bool(self._least)

    @property
    def _least(self) -> timedelta:
        return timedelta(minutes=self._settings.fetch_interval_minutes)

    async def _others(self, now: datetime) -> Decimal:
        since = (now - _LATELY).isoformat()
        marks = ", ".join("?" * len(_SCHEDULED))
        rows = await self._database.all(
            f"SELECT usd FROM costs WHERE at >= ? AND purpose NOT IN ({marks})", (since, *_SCHEDULED)
        )
        return sum((Decimal(row["usd"]) for row in rows), Decimal(0)) / _LATELY.days


def days_left(now: datetime) -> Decimal:
    """Days until the month (UTC) ends."""
    return Decimal(str((_month_end(now) - now.astimezone(UTC)) / timedelta(days=1)))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _month_end(now: datetime) -> datetime:
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


def runs_out(left: Decimal, usd_a_day: Decimal, now: datetime) -> date | None:
    """The day of this month (UTC) on which nothing is left at this rate; None when the month ends first."""
    now = now.astimezone(UTC)
    if not usd_a_day:
        return None
    days = left / usd_a_day
    month_ends = _month_end(now)
    if days >= (month_ends - now).days + 1:
        return None
    at = now + timedelta(days=float(days))
    return at.date() if at < month_ends else None
