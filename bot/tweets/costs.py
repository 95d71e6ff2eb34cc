"""What X was paid this month, and the cap that no call goes beyond.

Outcome: every paid call stands inside `hold`, which writes down the most that the call can cost before anything is
sent, or refuses it with `BudgetExceeded`; `Call.settle` puts what it did cost in the place of that. Both happen in the
one table of the one database, a writer at a time, so the cap holds over every process that works on it. Money is
`Decimal` in US dollars; months and days are UTC's, and a call belongs to the month in which it was begun.

A call that ends without anybody learning what it cost (cut off, killed, the connection broke) leaves its line as it
is: it counts as spent, at the most that the call can have cost. Only when the same resource is asked for once more on
the same day, which makes one charge of both, and answered, the new call's line takes its place. What is published is
charged once at all, whatever the day; what became of it is found out, and then `charged` or `not_charged` says so. So
nothing has to be cleared up after a crash, nothing blocks beyond its month, and what is written down is never less
than X's bill.

What it does not know: X's bill itself. Prices are settings, and X calls its "charged once a day" a soft guarantee.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_UP, Decimal
from functools import cache
from typing import TypeVar

import psutil
import structlog

from bot.config import MAIN, Prices
from bot.database import Database, Row, Transaction
from bot.errors import BudgetExceeded, ConfigError, MockingbirdError, UnknownHandle, XError, XUnreachable
from bot.tweets.budget import PUBLISHING, Budget, Spent

T = TypeVar("T")
_WARNED = "costs-warned"  # marks in the database: with the month and the share behind it

# Of a month, whose name sorts before its days. What costs the same is added up by the database: prices are few.
_LINES = "SELECT account, purpose, usd, count(*) AS n FROM costs WHERE at >= ? AND id NOT IN ({}) GROUP BY 1, 2, 3"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one month has cost for one purpose and one account or persona."""

    purpose: str  # look up, fetch, post, delete, …
    about: str  # a handle or persona
    calls: int
    units: int  # resources that X billed
    usd: Decimal  # US dollars
    account: str = MAIN  # of ours, whose keys or login were used


@dataclass(frozen=True, slots=True)
class Month:
    """A month's ledger."""

    month: str  # "2026-11"
    entries: tuple[Entry, ...]  # by purpose and about, in alphabetical order
    unanswered: Decimal  # US dollars of these for calls that ended without an answer: the most they can have cost
    under_way: Decimal  # US dollars, not among the entries: the most that calls under way can cost
    cap: Decimal  # US dollars that a month may cost
    days: tuple[tuple[str, Decimal], ...] = ()  # "2026-11-30" and its US dollars, in order; days without any left out
    reserved: Decimal = Decimal(0)  # US dollars of what is left that only posting may use

    @property
    def spent(self) -> Decimal:
        """US dollars of all entries."""
        return _sum(entry.usd for entry in self.entries)

    @property
    def left(self) -> Decimal:
        """US dollars that further calls may cost."""
        return max(Decimal(0), self.cap - self.spent - self.under_way)

    @property
    def left_for_reading(self) -> Decimal:
        """US dollars that further reads may cost."""
        return max(Decimal(0), self.left - self.reserved)

    def by_purpose(self) -> dict[str, Decimal]:
        """US dollars for each purpose."""
        return _sums((entry.purpose, entry.usd) for entry in self.entries)

    def by_account(self) -> dict[str, Decimal]:
        """US dollars for each account or persona."""
        return _sums((entry.about, entry.usd) for entry in self.entries)

    def by_own_account(self) -> dict[str, Decimal]:
        """US dollars for each account of ours."""
        return _sums((entry.account, entry.usd) for entry in self.entries)


class Call:
    """A paid call, and its line in the ledger."""

    def __init__(self, ledger: Ledger, line: int, earlier: Sequence[int] = ()) -> None:
        self._ledger = ledger
        self.line = line
        self.earlier = tuple(earlier)  # lines of calls for the same resource that ended without an answer
        self.is_settled = False  # or was in a transaction that came to nothing

    async def settle(self, units: int, usd: Decimal, transaction: Transaction | None = None) -> None:
        """Write down what the call did cost, within `transaction` when one is given.

        `units` is how many resources X billed; none at all leaves no line.
        """
        if transaction is None:
            async with self._ledger.database.transaction() as own:
                return await self.settle(units, usd, own)
        if units or usd:  # whom the line is about stays as it stands: the name may have been forgotten meanwhile
            await transaction.run(
                "UPDATE costs SET holder = NULL, units = ?, usd = ? WHERE id = ?", (units, str(usd), self.line)
            )
        else:
            await transaction.run("DELETE FROM costs WHERE id = ?", (self.line,))
        await _drop(transaction, self.earlier)
        self.is_settled = True
        return None


class Ledger:
    """The table of what was paid, and the gate in front of whatever costs something."""

    def __init__(
        self,
        database: Database,
        prices: Prices,
        monthly_budget: Decimal,
        clock: Callable[[], datetime],
        budget: Budget | None = None,
    ) -> None:
        """`monthly_budget` in US dollars; `budget` holds it with all other limits, where there are any; `clock` gives
        UTC.
        """
        self.database = database
        self.prices = prices
        self.monthly_budget = monthly_budget
        self.budget = budget or Budget(monthly_budget)
        self._warned: set[str] = set()  # marks that stand in the database
        self._clock = clock

    # Paying

    async def check(self, expected: Decimal, what: str) -> None:
        """Return when `expected` US dollars for reading still fit under the cap, else raise `BudgetExceeded`.

        `what` begins the sentence: "Reading @nasa".
        """
        rows = await self.database.all(_LINES.format(""), (self._this_month(),))
        self._require_room(expected, _spent(rows), what, "fetch", MAIN)

    @asynccontextmanager
    async def hold(
        self,
        purpose: str,
        about: str,
        most: Decimal,
        what: str,
        units: int = 1,
        resource: str = "",
        account: str = MAIN,
    ) -> AsyncIterator[Call]:
        """Keep the `most` US dollars that the body's call can cost from everybody else; the body settles what it did.

        `purpose` is look up, fetch, check, mention, look, post, reply, picture or delete: reads stop before what is
        published does, and before the looks that this needs.
        `about` is a handle or persona, `units` what `most` is reckoned for, `account` the one of ours that asks.
        `resource` names what is on a day's bill once at most, such as a page of a timeline or a post of ours that is
        never sent twice; empty where each call is charged. `what` begins the sentence of `BudgetExceeded`: "Reading
        @nasa". Where the body ends unsettled, the line goes when nothing can be on the bill (X said no, nothing was
        asked), and stays when something may be. Shares of the cap that were passed are told once a month.
        """
        at = self._now()
        reserving = asyncio.create_task(
            self._reserve(purpose, about, most, what, units, resource, at, account), name="reserve"
        )
        try:
            call = await _to_its_end(reserving)
        except asyncio.CancelledError:
            if not reserving.cancelled() and reserving.exception() is None:  # nothing was asked
                await self._leave(reserving.result(), may_be_billed=False)
            raise
        may_be_billed = False
        try:
            yield call
        except BaseException as error:
            may_be_billed = _may_be_billed(error)
            call.is_settled = False  # a transaction that failed has taken it back
            raise
        finally:
            if not call.is_settled:
                leaving = asyncio.create_task(self._leave(call, may_be_billed), name="leave a call's line")
                await _to_its_end(leaving)
        await self._warn()

    async def charged(self, purpose: str, about: str, usd: Decimal, resource: str, account: str = MAIN) -> None:
        """It was found out that X has charged for this resource: one line says so, a new one where there is none."""
        async with self.database.transaction() as transaction:
            rows = await transaction.all(
                "SELECT id FROM costs WHERE resource = ? ORDER BY holder IS NULL, id", (resource,)
            )
            if not rows:
                await transaction.insert(
                    "INSERT INTO costs (at, purpose, about, units, usd, resource, account) "
                    "VALUES (?, ?, ?, 1, ?, ?, ?)",
                    (self._now(), purpose, about, str(usd), resource, account),
                )
                return
            await transaction.run("UPDATE costs SET holder = NULL WHERE id = ?", (rows[-1]["id"],))
            await transaction.run("DELETE FROM costs WHERE resource = ? AND holder IS NOT NULL", (resource,))

    async def not_charged(self, resource: str) -> None:
        """It was found out that X has charged nothing for the calls for this resource that ended without an answer."""
        async with self.database.transaction() as transaction:
            await transaction.run("DELETE FROM costs WHERE resource = ? AND holder IS NOT NULL", (resource,))

    async def nothing_in_doubt(self, purpose: str, account: str) -> None:
        """What became of everything that this account has published for this purpose is known: a call that ended
        without an answer and is still on record was cut off before X was asked.
        """
        async with self.database.transaction() as transaction:
            rows = await transaction.all(
                "SELECT id, holder FROM costs WHERE purpose = ? AND account = ? AND holder IS NOT NULL",
                (purpose, account),
            )
            await _drop(transaction, [row["id"] for row in rows if not _is_running(row["holder"])])

    async def paid_today(self, purpose: str, about: str) -> bool:
        """Whether there is such a line of this UTC day; X charges for the same resource once a day."""
        row = await self.database.one(
            "SELECT 1 FROM costs WHERE purpose = ? AND about = ? AND at >= ? AND holder IS NULL",
            (purpose, about, self._today()),
        )
        return row is not None

    async def _reserve(
        self, purpose: str, about: str, most: Decimal, what: str, units: int, resource: str, at: str, account: str
    ) -> Call:
        async with self.database.transaction() as transaction:
            earlier = await self._unanswered(transaction, resource, purpose) if resource else []
            marks = ", ".join("?" * len(earlier))
            rows = await transaction.all(_LINES.format(marks), (self._this_month(), *earlier))
            self._require_room(most, _spent(rows), what, purpose, account)
            line = await transaction.insert(
                "INSERT INTO costs (at, purpose, about, units, usd, resource, holder, account) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (at, purpose, about, units, str(most), resource, _this_process(), account),
            )
        return Call(self, line, earlier)

    async def _unanswered(self, transaction: Transaction, resource: str, purpose: str) -> list[int]:
        """The lines of calls for this resource that ended without an answer and make one charge with a new one."""
        since = "" if purpose in PUBLISHING else self._today()
        rows = await transaction.all(
            "SELECT id, holder FROM costs WHERE resource = ? AND at >= ? AND holder IS NOT NULL", (resource, since)
        )
        return [row["id"] for row in rows if not _is_running(row["holder"])]

    async def _leave(self, call: Call, may_be_billed: bool) -> None:
        """The call has ended; what was committed about its cost stands."""
        async with self.database.transaction() as transaction:
            if may_be_billed:
                await transaction.run("UPDATE costs SET holder = '' WHERE id = ? AND holder IS NOT NULL", (call.line,))
                await _drop(transaction, call.earlier)
            else:
                await transaction.run("DELETE FROM costs WHERE id = ? AND holder IS NOT NULL", (call.line,))

    def _require_room(self, expected: Decimal, spent: Spent, what: str, purpose: str, account: str) -> None:
        limit = self.budget.over(expected, purpose, account, spent)
        if limit is None:
            return
        kept = f", {dollars(limit.kept)} are kept for posting" if limit.kept else ""
        mend = "lower" if limit.kept else "raise"
        raise BudgetExceeded(
            f"{what} may cost {dollars(expected)}, and {dollars(limit.spent)} of this month's cap of "
            f"{dollars(limit.cap)} are spent{kept}, so it was not done; "
            f"{mend} {limit.setting} or wait for the next month."
        )

    # Warning

    async def warnings(self) -> list[float]:
        """The shares of this month's cap at which somebody was warned, in whatever process, the smallest first."""
        prefix = f"{_WARNED} {self._this_month()} "
        rows = await self.database.all("SELECT name FROM marks WHERE name LIKE ?", (f"{prefix}%",))
        return sorted(float(row["name"].removeprefix(prefix)) for row in rows)

    async def _warn(self) -> None:
        """Say once a month, over restarts and processes, that a share is spent; trouble with that is not the call's."""
        try:
            spent = await self.month_total()
            for share in self.budget.passed(spent):
                if await self._is_news(f"{_WARNED} {self._this_month()} {share:g}"):
                    log.warning(
                        "a share of this month's cap for X is spent",
                        share=share,
                        spent=dollars(spent),
                        cap=dollars(self.budget.cap),
                        advice="mockingbird costs shows for what",
                    )
        except MockingbirdError as error:  # it is said with the next call
            log.debug("no warning about costs", reason=str(error))

    async def _is_news(self, mark: str) -> bool:
        if mark in self._warned:
            return False
        async with self.database.transaction() as transaction:
            insert = "INSERT INTO marks (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING"
            is_new = await transaction.run(insert, (mark, self._now())) > 0
        self._warned.add(mark)
        return is_new

    # Looking

    async def month_total(self) -> Decimal:
        """US dollars since the first of this month, UTC; calls under way count with the most that they can cost."""
        return _spent(await self.database.all(_LINES.format(""), (self._this_month(),))).in_all

    async def spent_on(self, handles: Iterable[str], since: datetime) -> Decimal:
        """US dollars that these accounts have cost since then, calls under way at their most."""
        names = list(handles)
        rows = await self.database.all(
            f"SELECT usd FROM costs WHERE about IN ({', '.join('?' * len(names))}) AND at >= ?",
            (*names, since.astimezone(UTC).isoformat()),
        )
        return _total(rows)

    async def month(self, month: str | None = None) -> Month:
        """The ledger of a month such as "2026-11"; of this one when None."""
        month = month or self._now()[: len("2026-11")]
        rows = await self.database.all("SELECT * FROM costs WHERE substr(at, 1, 7) = ?", (month,))
        running = {holder for holder in {row["holder"] for row in rows} if holder and _is_running(holder)}
        ended = [row for row in rows if row["holder"] not in running]
        unanswered = _total(row for row in ended if row["holder"] is not None)
        under_way = _total(row for row in rows if row["holder"] in running)
        days = _sums((row["at"][: len("2026-11-30")], Decimal(row["usd"])) for row in ended)
        reserved = self.budget.reserve_left(
            Spent.of((row["account"], row["purpose"], Decimal(row["usd"])) for row in rows)
        )
        return Month(month, _entries(ended), unanswered, under_way, self.monthly_budget, tuple(days.items()), reserved)

    async def months(self) -> list[tuple[str, Decimal]]:
        """Each month in which something was paid, the newest first, with its US dollars."""
        rows = await self.database.all("SELECT substr(at, 1, 7) AS month, usd FROM costs")
        return sorted(_sums((row["month"], Decimal(row["usd"])) for row in rows).items(), reverse=True)

    async def about(self, names: Sequence[str]) -> list[dict[str, object]]:
        """The lines about these handles and personas, by column, the oldest first."""
        rows = await self.database.all(
            f"SELECT * FROM costs WHERE about IN ({', '.join('?' * len(names))}) ORDER BY id", names
        )
        return [dict(row) for row in rows]

    async def rename(self, names: Sequence[str], label: str) -> None:
        """Let the lines about these handles and personas speak of `label` from now on; the sums stay."""
        async with self.database.transaction() as transaction:
            await transaction.run_many(
                "UPDATE costs SET about = ?, resource = '' WHERE about = ?", [(label, name) for name in names]
            )

    def _now(self) -> str:
        return self._clock().astimezone(UTC).isoformat()

    def _today(self) -> str:
        return self._now()[: len("2026-11-01")]

    def _this_month(self) -> str:
        return self._now()[: len("2026-11")]


def dollars(usd: Decimal) -> str:
    """An amount as people read it, with fractions of a cent only where there are some: `$0.50`, `$0.015`."""
    exponent = usd.normalize().as_tuple().exponent
    places = max(2, -exponent) if isinstance(exponent, int) else 2
    return f"${usd:,.{places}f}"


def cents(usd: Decimal) -> Decimal:
    """An estimate, rounded up to whole cents."""
    return usd.quantize(Decimal("0.01"), ROUND_UP)


def _entries(rows: Iterable[Row]) -> tuple[Entry, ...]:
    groups: defaultdict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["purpose"], row["about"], row["account"]].append(row)
    return tuple(
        Entry(purpose, about, len(group), sum(row["units"] for row in group), _total(group), account)
        for (purpose, about, account), group in sorted(groups.items())
    )


def _spent(rows: Iterable[Row]) -> Spent:
    return Spent.of((row["account"], row["purpose"], Decimal(row["usd"]) * row["n"]) for row in rows)


async def _drop(transaction: Transaction, lines: Iterable[int]) -> None:
    """Take lines out of the ledger, another one standing for them."""
    await transaction.run_many("DELETE FROM costs WHERE id = ?", [(line,) for line in lines])


def _total(rows: Iterable[Row]) -> Decimal:
    return _sum(Decimal(row["usd"]) for row in rows)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))


def _sums(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for name, usd in amounts:
        found[name] += usd
    return dict(sorted(found.items()))


def _may_be_billed(error: BaseException) -> bool:
    """Whether X may charge for a call that ended so: not when X said no, nor when it could not be asked."""
    if isinstance(error, XUnreachable):
        return error.may_be_billed
    return not isinstance(error, (XError, UnknownHandle, ConfigError, BudgetExceeded))


@cache
def _process(number: int) -> str:
    return f"{number} {psutil.Process(number).create_time():.0f}"


def _this_process() -> str:
    """Its number and when it began, since numbers are given out again."""
    return _process(os.getpid())


def _is_running(holder: str) -> bool:
    """Whether the process that made a line still runs; nobody holds a call that ended."""
    number, _, began = holder.partition(" ")
    try:
        return bool(number) and abs(psutil.Process(int(number)).create_time() - float(began)) < 2  # clocks are set
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False


async def _to_its_end(task: asyncio.Task[T]) -> T:
    """Its result; it runs to its end even when the caller is cancelled, which is passed on then."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
