"""Nothing is paid beyond the cap, and every amount is written down once, whoever calls and whatever is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.config import Prices
from bot.database import Database
from bot.errors import BudgetExceeded, DiskFull, UnknownHandle, XKeysRefused, XUnreachable
from bot.tweets.costs import Entry, Ledger, dollars
from tests.cut_off import cut_off
from tests.fakes import FakeClock
from tests.processes import ROOT, environment

NOTHING = Decimal(0)
PATIENCE = 60.0  # seconds until a test gives up on other processes


def ledger(database: Database, clock: FakeClock, cap: str = "1.00") -> Ledger:
    return Ledger(database, Prices(), Decimal(cap), clock)


async def paid(costs: Ledger, purpose: str, about: str, units: int, usd: str) -> None:
    """A call that went well."""
    async with costs.hold(purpose, about, Decimal(usd), "A call", units) as call:
        await call.settle(units, Decimal(usd))


async def lines(database: Database) -> list[tuple[str, int, str, bool]]:
    """About whom, units, US dollars, and whether it is settled."""
    rows = await database.all("SELECT about, units, usd, holder FROM costs ORDER BY id")
    return [(row["about"], row["units"], row["usd"], row["holder"] is None) for row in rows]


# What a call costs


async def test_a_month_is_what_was_paid_in_it(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock)
    clock.now = datetime(2026, 10, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    await paid(costs, "fetch", "ada", 100, "0.500")
    assert await costs.month_total() == Decimal("0.500")
    clock.now = datetime(2026, 11, 1, tzinfo=UTC)
    assert await costs.month_total() == 0
    await paid(costs, "post", "nell", 1, "0.015")
    await paid(costs, "fetch", "ada", 2, "0.010")
    assert await costs.month_total() == Decimal("0.025")


async def test_a_call_belongs_to_the_month_in_which_it_was_begun(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock)
    clock.now = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)
    async with costs.hold("fetch", "ada", Decimal("0.500"), "A call") as call:
        clock.now = datetime(2026, 11, 1, tzinfo=UTC)
        await call.settle(80, Decimal("0.400"))
    assert (await costs.month_total(), await costs.months()) == (NOTHING, [("2026-10", Decimal("0.400"))])


async def test_a_call_that_would_go_over_the_cap_is_refused_with_all_three_numbers(
    database: Database, clock: FakeClock
) -> None:
    costs = ledger(database, clock)
    await paid(costs, "fetch", "ada", 100, "0.500")
    await costs.check(Decimal("0.500"), "Reading @ada")
    with pytest.raises(BudgetExceeded) as caught:
        await costs.check(Decimal("0.501"), "Reading @ada")
    assert str(caught.value) == (
        "Reading @ada may cost $0.501, and $0.50 of this month's cap of $1.00 are spent, so it was not done; "
        "raise [x] monthly_budget_usd or wait for the next month."
    )
    with pytest.raises(BudgetExceeded):
        async with costs.hold("fetch", "ada", Decimal("0.501"), "Reading @ada"):
            raise AssertionError("the body ran")
    assert await lines(database) == [("ada", 100, "0.500", True)]


async def test_the_most_that_a_call_can_cost_stands_there_until_it_is_known(
    database: Database, clock: FakeClock
) -> None:
    costs = ledger(database, clock)
    async with costs.hold("fetch", "ada", Decimal("0.60"), "A call", 120) as call:
        assert (await costs.month()).under_way == await costs.month_total() == Decimal("0.60")
        with pytest.raises(BudgetExceeded, match=r"\$0\.60 of this month's cap"):
            await costs.check(Decimal("0.41"), "Another call")
        await call.settle(2, Decimal("0.010"))
    assert await lines(database) == [("ada", 2, "0.010", True)]
    month = await costs.month()
    assert (month.spent, month.under_way, month.unanswered, month.left) == (
        Decimal("0.010"),
        Decimal(0),
        Decimal(0),
        Decimal("0.990"),
    )


async def test_what_costs_nothing_leaves_no_line(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock)
    async with costs.hold("fetch", "ada", Decimal("0.50"), "A call") as call:
        await call.settle(0, Decimal(0))
    assert await lines(database) == []


async def test_a_name_that_is_forgotten_during_a_call_does_not_come_back(database: Database, clock: FakeClock) -> None:
    book = ledger(database, clock)
    async with book.hold("fetch", "nell", Decimal("0.500"), "Reading @nell", 100, "page 17") as call:
        await book.rename(["nell"], "forgotten-1")
        await call.settle(2, Decimal("0.010"))
    assert await book.about(["nell"]) == []
    (line,) = await book.about(["forgotten-1"])
    assert (line["resource"], line["units"], line["usd"], line["holder"]) == ("", 2, "0.010", None)


async def test_a_call_is_settled_with_the_transaction_or_not_at_all(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock)
    with pytest.raises(DiskFull):
        async with costs.hold("fetch", "ada", Decimal("0.50"), "A call") as call, database.transaction() as transaction:
            await call.settle(1, Decimal("0.005"), transaction)
            raise DiskFull("No room.")
    assert await lines(database) == [("ada", 1, "0.50", False)]  # X has answered, and so it is on the bill


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (XKeysRefused("no"), False),
        (UnknownHandle("nobody"), False),
        (BudgetExceeded("another call of the same request does not fit"), False),
        (XUnreachable("no connection", False), False),
        (XUnreachable("the answer is missing", True), True),
        (XUnreachable("a page is missing", False, may_be_billed=True), True),
        (RuntimeError("a fault of ours"), True),
        (asyncio.CancelledError(), True),
    ],
)
async def test_a_call_without_an_answer_counts_as_spent_unless_nothing_can_be_on_the_bill(
    database: Database, clock: FakeClock, error: BaseException, stays: bool
) -> None:
    costs = ledger(database, clock)
    with pytest.raises(type(error)):
        async with costs.hold("fetch", "ada", Decimal("0.50"), "A call"):
            raise error
    assert await lines(database) == ([("ada", 1, "0.50", False)] if stays else [])
    month = await costs.month()
    assert (month.spent, month.unanswered, month.under_way) == (await costs.month_total(), month.spent, NOTHING)


async def test_the_same_page_on_the_same_day_takes_the_place_of_the_one_without_an_answer(
    database: Database, clock: FakeClock
) -> None:
    costs = ledger(database, clock, "0.50")
    clock.now = datetime(2026, 11, 1, 23, tzinfo=UTC)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            async with costs.hold("fetch", "ada", Decimal("0.50"), "A page", 100, "page 1"):
                raise RuntimeError
    with pytest.raises(BudgetExceeded):
        async with costs.hold("fetch", "ada", Decimal("0.50"), "Another page", 100, "page 2"):
            pass
    clock.advance(hours=1)
    with pytest.raises(BudgetExceeded):  # X charges for it anew
        async with costs.hold("fetch", "ada", Decimal("0.50"), "A page", 100, "page 1"):
            pass
    clock.advance(hours=-1)
    async with costs.hold("fetch", "ada", Decimal("0.50"), "A page", 100, "page 1") as call:
        await call.settle(3, Decimal("0.015"))
    assert await lines(database) == [("ada", 3, "0.015", True)]


async def test_a_post_without_an_answer_is_never_replaced(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock, "0.030")
    for _ in range(2):
        with pytest.raises(XUnreachable):
            async with costs.hold("post", "nell", Decimal("0.015"), "Post 1"):
                raise XUnreachable("lost", True)
    assert await costs.month_total() == Decimal("0.030")


async def test_cut_off_anywhere_a_call_is_settled_or_counts_in_full_and_keeps_nobody_out(
    tmp_path: Path, clock: FakeClock
) -> None:
    async def call(costs: Ledger) -> None:
        async with costs.hold("fetch", "ada", Decimal("1.00"), "A page", 100, "page 1") as held:
            await asyncio.sleep(0)
            await held.settle(1, Decimal("0.005"))

    seen = set()
    for step in count(1):
        async with Database(tmp_path / f"{step}.db") as database:
            was_under_way = await cut_off(call(ledger(database, clock)), step)
            seen.add(tuple(await lines(database)))
            await call(ledger(database, clock, "1.005"))  # what was settled before, and the page in full
        if not was_under_way:
            break
    assert seen == {(), (("ada", 100, "1.00", False),), (("ada", 1, "0.005", True),)}


async def test_what_was_paid_today_is_known_until_midnight(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock)
    clock.now = datetime(2026, 11, 1, 23, 59, tzinfo=UTC)
    async with costs.hold("look up", "ada", Decimal("0.010"), "A look") as call:
        assert not await costs.paid_today("look up", "ada")
        await call.settle(1, Decimal("0.010"))
    assert await costs.paid_today("look up", "ada")
    assert not await costs.paid_today("look up", "ben")
    clock.advance(minutes=1)
    assert not await costs.paid_today("look up", "ada")


# Looking


async def test_a_month_is_shown_by_purpose_and_by_account(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock, "2.00")
    clock.now = datetime(2026, 10, 1, tzinfo=UTC)
    await paid(costs, "fetch", "ada", 300, "1.500")
    clock.now = datetime(2026, 11, 5, tzinfo=UTC)
    await paid(costs, "look up", "ada", 1, "0.010")
    await paid(costs, "fetch", "ada", 100, "0.500")
    await paid(costs, "fetch", "ada", 20, "0.100")
    await paid(costs, "post", "nell", 1, "0.200")
    month = await costs.month()
    assert (month.month, month.cap, month.left) == ("2026-11", Decimal("2.00"), Decimal("1.190"))
    assert month.entries == (
        Entry("fetch", "ada", 2, 120, Decimal("0.600")),
        Entry("look up", "ada", 1, 1, Decimal("0.010")),
        Entry("post", "nell", 1, 1, Decimal("0.200")),
    )
    assert month.by_purpose() == {"fetch": Decimal("0.6"), "look up": Decimal("0.01"), "post": Decimal("0.2")}
    assert month.by_account() == {"ada": Decimal("0.61"), "nell": Decimal("0.2")}
    assert await costs.months() == [("2026-11", Decimal("0.81")), ("2026-10", Decimal("1.5"))]
    assert (await costs.month("2026-10")).spent == Decimal("1.5")
    assert (await costs.month("2026-09")).entries == ()


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("0", "$0.00"),
        ("0.5", "$0.50"),
        ("0.500", "$0.50"),
        ("0.015", "$0.015"),
        ("0.0005", "$0.0005"),
        ("100", "$100.00"),
        ("1234.5", "$1,234.50"),
    ],
)
def test_amounts_are_written_as_people_read_them(usd: str, text: str) -> None:
    assert dollars(Decimal(usd)) == text


# One ledger, many callers

CENTS = st.integers(min_value=0, max_value=400).map(lambda cents: Decimal(cents) / 1000)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(CENTS, CENTS, st.booleans()), max_size=12),
    st.integers(min_value=0, max_value=2_000).map(lambda mills: Decimal(mills) / 1000),
)
def test_one_after_the_other_exactly_those_are_refused_that_do_not_fit(
    calls: list[tuple[Decimal, Decimal, bool]], cap: Decimal
) -> None:
    """Each call: the most it can cost, what it costs if that is less, and whether its answer comes."""

    async def run() -> None:
        with TemporaryDirectory() as folder:
            async with Database(Path(folder) / "costs.db") as database:
                costs, spent = Ledger(database, Prices(), cap, FakeClock()), Decimal(0)
                for most, cost, answered in calls:
                    cost = min(most, cost)
                    try:
                        async with costs.hold("fetch", "ada", most, "A call") as call:
                            assert spent + most <= cap
                            if not answered:
                                raise LookupError
                            await call.settle(1, cost)
                        spent += cost
                    except LookupError:
                        spent += most
                    except BudgetExceeded:
                        assert spent + most > cap
                    assert await costs.month_total() == spent

    asyncio.run(run())


# A process that makes calls until the cap refuses, telling of each on stdout when it was let through; `hang` has it
# stop within its first one. What a call costs differs from what is held for it.
CALLER = """
import asyncio, sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from bot.config import Prices
from bot.database import Database
from bot.errors import BudgetExceeded
from bot.tweets.costs import Ledger

async def main(path, cap, most, cost, about, hang):
    async with Database(Path(path), busy_timeout_ms=60_000) as database:
        costs = Ledger(database, Prices(), Decimal(cap), lambda: datetime.now(UTC))
        while True:
            try:
                async with costs.hold("fetch", about, Decimal(most), "A call", 1, about) as call:
                    print("in", flush=True)
                    if hang:
                        await asyncio.Event().wait()
                    await asyncio.sleep(0.001)
                    await call.settle(1, Decimal(cost))
            except BudgetExceeded:
                return

asyncio.run(main(*sys.argv[1:6], hang="hang" in sys.argv))
"""


@asynccontextmanager
async def caller(path: Path, cap: str, most: str, cost: str, *more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CALLER, str(path), cap, most, cost, *more),
        stdout=asyncio.subprocess.PIPE,
        env=environment(),
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_several_processes_at_once_never_go_over_the_cap_and_use_it_up(tmp_path: Path) -> None:
    path, cap = tmp_path / "costs.db", "1.00"
    async with Database(path) as database:
        watched: list[Decimal] = []
        costs = Ledger(database, Prices(), Decimal(cap), lambda: datetime.now(UTC))
        prices = [("0.050", "0.011"), ("0.020", "0.020"), ("0.030", "0.004"), ("0.041", "0.040")]

        async def run(number: int, most: str, cost: str) -> int:
            async with caller(path, cap, most, cost, f"caller{number}") as process:
                out, _ = await process.communicate()
                assert process.returncode == 0
                return out.count(b"in")

        async def watch() -> None:
            while True:
                watched.append(await costs.month_total())
                await asyncio.sleep(0.005)

        watching = asyncio.create_task(watch())
        try:
            async with asyncio.timeout(PATIENCE):
                let_in = await asyncio.gather(*(run(number, *price) for number, price in enumerate(prices)))
        finally:
            watching.cancel()
            await asyncio.wait([watching])
        assert max(watched) <= Decimal(cap)
        total = await costs.month_total()
        assert total == sum(Decimal(cost) * calls for (_, cost), calls in zip(prices, let_in, strict=True))
        # The last to give up could not be let in; what was under way when another gave up is less than this.
        assert Decimal(cap) - total < sum(Decimal(most) for most, _ in prices)
        assert (await costs.month()).under_way == 0


async def test_what_a_killed_process_had_under_way_counts_until_it_is_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "costs.db"
    async with Database(path) as database:
        costs = Ledger(database, Prices(), Decimal("1.00"), lambda: datetime.now(UTC))
        async with caller(path, "1.00", "0.60", "0.10", "page 1", "hang") as process, asyncio.timeout(PATIENCE):
            assert process.stdout is not None
            assert await process.stdout.readline() == b"in\n"
            month = await costs.month()
            assert (month.under_way, month.spent) == (Decimal("0.60"), NOTHING)
            with pytest.raises(BudgetExceeded):  # it runs, and so it keeps what it holds
                async with costs.hold("fetch", "page 1", Decimal("0.60"), "A call", 1, "page 1"):
                    pass
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
        month = await costs.month()
        assert (month.under_way, month.spent, month.unanswered) == (NOTHING, Decimal("0.60"), Decimal("0.60"))
        with pytest.raises(BudgetExceeded):
            async with costs.hold("fetch", "page 2", Decimal("0.60"), "A call", 1, "page 2"):
                pass
        async with costs.hold("fetch", "page 1", Decimal("0.60"), "A call", 1, "page 1") as call:
            await call.settle(1, Decimal("0.10"))
        assert await costs.month_total() == Decimal("0.10")


async def test_what_was_found_out_about_a_post_is_one_charge_or_none(database: Database, clock: FakeClock) -> None:
    costs = ledger(database, clock)
    for number in (1, 2):
        for _ in range(2):
            with pytest.raises(XUnreachable):
                async with costs.hold("post", "nell", Decimal("0.015"), "A post", resource=f"Post {number}"):
                    raise XUnreachable("lost", True)
            clock.advance(days=1)
    await costs.not_charged("Post 1")
    for number in (2, 2, 3):  # nothing was on record of the third
        await costs.charged("post", "nell", Decimal("0.015"), f"Post {number}")
    assert await lines(database) == [("nell", 1, "0.015", True)] * 2


async def test_a_refusal_does_not_wipe_out_what_an_earlier_call_may_have_cost(
    database: Database, clock: FakeClock
) -> None:
    costs = ledger(database, clock)
    with pytest.raises(XUnreachable):
        async with costs.hold("fetch", "ada", Decimal("0.50"), "A page", 100, "page 1"):
            raise XUnreachable("lost", False, may_be_billed=True)
    with pytest.raises(XKeysRefused):
        async with costs.hold("fetch", "ada", Decimal("0.50"), "A page", 100, "page 1"):
            raise XKeysRefused("no")
    assert await lines(database) == [("ada", 100, "0.50", False)]


async def test_a_call_that_cost_nothing_takes_no_line_of_another_call_away(
    database: Database, clock: FakeClock
) -> None:
    """Between its refusal and its end another call begins, whose line must not get the id that became free."""
    costs, refused, begun = ledger(database, clock), asyncio.Event(), asyncio.Event()

    async def is_refused() -> None:
        async with costs.hold("reply", "nell", Decimal("0.010"), "A reply") as call:
            await call.settle(0, NOTHING)
            refused.set()
            await begun.wait()
            raise XKeysRefused("no")

    task = asyncio.create_task(is_refused())
    await refused.wait()
    async with costs.hold("reply", "otis", Decimal("0.010"), "A reply") as call:
        begun.set()
        with pytest.raises(XKeysRefused):
            await task
        await call.settle(1, Decimal("0.010"))
    assert await lines(database) == [("otis", 1, "0.010", True)]
