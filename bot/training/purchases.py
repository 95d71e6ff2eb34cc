"""Tweets that have to be bought from X before a training: said, agreed to, fetched, then learned.

Outcome: `request` says what fetching some accounts will cost and buys nothing. Looking an account up costs something by
itself, so that is asked first (`look_up`), and then the fetch (`accept`). What was agreed to is a row: `run` fetches
it, through restarts, and hands it over to a training. Each step is taken once, however often it is asked for.

A price holds for the UTC day on which it was said. It is an expectation, so the most is said as well: the fetch stops
before it could cost more, and the rest is asked for once more. The cap is looked at when a price is said, when it is
agreed to, and before every page.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol

import structlog

from bot.database import Database, Row
from bot.errors import MockingbirdError, PriceExceeded, Refused, UsageError, XRateLimited
from bot.training.news import News
from bot.training.offers import Offers, fetching
from bot.training.purchase import Purchase, PurchaseState, estimates_as_json, estimates_of, expecting, most_of
from bot.training.purchase_table import PurchaseTable
from bot.training.record import Training
from bot.tweets.blocked import require_free
from bot.tweets.collecting import Collector
from bot.tweets.costs import Ledger, dollars
from bot.tweets.store import TweetStore
from bot.tweets.timeline_reading import Progress
from bot.tweets.tweet import normalise_handle
from bot.tweets.x_api import PAGE_SIZE

_MARGIN_S = 1.0  # X's clock and ours may differ

log = structlog.get_logger(__name__)


class Learning(Protocol):
    """What is asked of the training room's door."""

    async def request(self, handles: Sequence[str], name: str | None, cause: str, requested_by: str, /) -> Training:
        """Put a training in line."""

    def check_name(self, handles: Sequence[str], name: str | None, /) -> None:
        """Raise when these accounts can't become a persona of that name."""


class Purchases:
    """Takes what somebody wants and agrees to; its task fetches that."""

    def __init__(
        self,
        database: Database,
        store: TweetStore,
        ledger: Ledger,
        trainings: Learning,
        collector: Collector | None,
        clock: Callable[[], datetime],
    ) -> None:
        """`collector` None: X is off. `clock` gives UTC."""
        self._database = database
        self._ledger = ledger
        self._trainings = trainings
        self._offers = Offers(store, ledger, collector)
        self._clock = clock
        self._table = PurchaseTable(database, clock)
        self._news = News()
        self._bell = asyncio.Event()
        self._progress: dict[int, Progress] = {}
        self._pauses: dict[int, datetime] = {}

    # Asking

    @property
    def is_on(self) -> bool:
        """Whether anything can be fetched from X."""
        return self._offers.is_on

    async def needed(self, handles: Sequence[str], name: str | None, cause: str, requested_by: str) -> Purchase | None:
        """The purchase that a training of these accounts calls for; None where it can do with what is stored.

        An account calls for one when nothing of it is stored, when a fetch of it was left in the middle, or when it is
        followed and has probably posted since. Raises what `request` does.
        """
        names = _names(handles)
        stored = [handle for handle in names if await self._offers.is_stored(handle)]
        if not self.is_on:  # the training room says what is missing
            return None
        if len(stored) == len(names) and not await self._offers.have_news(names):
            return None
        return await self.request(names, name, cause, requested_by)

    async def request(self, handles: Sequence[str], name: str | None, cause: str, requested_by: str) -> Purchase:
        """A purchase that waits for somebody's word; priced at once where nobody has to be looked up for money.

        Raises `NotPermitted`, `UsageError`, `BudgetExceeded`, and what `Collector.estimate` raises.
        """
        names = _names(handles)
        self._offers.collector()  # where X is off, nothing further is asked
        await require_free(self._database, names)
        self._trainings.check_name(names, name)
        wanted = await self._offers.to_fetch(names)
        if not wanted:
            raise UsageError("These are invented accounts, so there is nothing of them on X.")
        look_up = await self._offers.look_up_price(wanted)
        await self._ledger.check(look_up, "Looking up")
        estimates = [] if look_up else await self._offers.estimates(wanted)
        state = PurchaseState.ASKED if look_up else PurchaseState.PRICED
        return await self.purchase(await self._table.add(names, name, cause, requested_by, state, estimates))

    async def offer_stored(self, handles: Sequence[str], name: str | None, cause: str, requested_by: str) -> Purchase:
        """A purchase of nothing: a training on what is stored, which waits for somebody's word.

        Raises `NotPermitted`, `UsageError`.
        """
        names = _names(handles)
        await require_free(self._database, names)
        self._trainings.check_name(names, name)
        return await self.purchase(await self._table.add(names, name, cause, requested_by, PurchaseState.READY, []))

    async def can_fetch(self, handles: Sequence[str]) -> bool:
        """Whether there may be something to fetch for these accounts: X is on and permitted, and they are real."""
        return await self._offers.can_fetch(handles)

    # Agreeing

    async def look_up(self, number: int) -> Purchase:
        """Have the accounts looked up, for the price that was said; priced then, or failed with the reason."""
        if not await self._step(number, PurchaseState.ASKED, PurchaseState.LOOKING):
            return await self.purchase(number)
        purchase = await self.purchase(number)
        try:
            self._require_today(purchase)
            estimates = await self._offers.estimates(await self._offers.to_fetch(purchase.handles))
        except MockingbirdError as error:
            await self._step(number, PurchaseState.LOOKING, PurchaseState.FAILED, reason=str(error))
        except BaseException:  # cut off, or a fault of ours: it can be agreed to once more
            await asyncio.shield(self._step(number, PurchaseState.LOOKING, PurchaseState.ASKED))
            raise
        else:
            await self._step(
                number, PurchaseState.LOOKING, PurchaseState.PRICED, estimates=estimates_as_json(estimates)
            )
        return await self.purchase(number)

    async def accept(self, number: int) -> Purchase:
        """Have it fetched and learned, for the most that was said. Raises `BudgetExceeded`, and `Refused` too late."""
        purchase = await self.purchase(number)
        if purchase.state is PurchaseState.PRICED:
            self._require_today(purchase)
            await self._ledger.check(most_of(purchase.estimates), fetching(purchase.handles))
            agreed = str(purchase.spent + purchase.most)
            if await self._step(number, PurchaseState.PRICED, PurchaseState.FETCHING, at_most=agreed):
                self._bell.set()
        return await self.purchase(number)

    async def do_without(self, number: int) -> Purchase:
        """Have it learned from what is stored, and buy nothing. Raises what `Trainings.request` does."""
        purchase = await self.purchase(number)
        if purchase.state in (PurchaseState.READY, PurchaseState.ASKED, PurchaseState.PRICED):
            await self._learn(purchase, purchase.state)
        return await self.purchase(number)

    async def fetch_first(self, number: int) -> Purchase:
        """Say what it costs to fetch what is new, instead of training on what is stored. Raises what `request` does."""
        purchase = await self.purchase(number)
        if purchase.state is PurchaseState.READY:
            asked = await self.request(purchase.handles, purchase.name, purchase.cause, purchase.requested_by)
            if await self._step(number, PurchaseState.READY, PurchaseState.DECLINED):
                return asked
            await self.decline(asked.id)  # somebody was quicker
        return await self.purchase(number)

    async def decline(self, number: int) -> Purchase:
        """Nobody wants it any more; what was agreed to goes on."""
        for state in (PurchaseState.READY, PurchaseState.ASKED, PurchaseState.PRICED):
            if await self._step(number, state, PurchaseState.DECLINED):
                break
        return await self.purchase(number)

    # Looking

    async def purchase(self, number: int) -> Purchase:
        """That purchase as it stands. Raises `Refused`."""
        row = await self._table.find(number)
        if row is None:
            raise Refused(f"There is no purchase {number}. Ask for the training again.")
        return await self._read(row)

    async def watch(self, number: int) -> AsyncIterator[Purchase]:
        """That purchase as it stands, and whenever it changes while it is under way. Raises `Refused`."""
        seen: Purchase | None = None
        while seen is None or seen.is_under_way:
            latest = self._news.latest()
            stands = await self.purchase(number)
            if stands != seen:
                seen = stands
                yield stands
            else:
                await self._news.after(latest, 60.0)

    # Fetching

    async def run(self) -> None:
        """Fetch what was agreed to, the oldest first, until cancelled; what is under way then goes on next time."""
        await self._table.ask_anew()
        while True:
            self._bell.clear()
            row = await self._table.next_to_fetch()
            if row is None:
                await self._bell.wait()
            else:
                await self._carry_out(await self._read(row))

    async def _carry_out(self, purchase: Purchase) -> None:
        """Fetch and hand over. Whatever happens, it has ended then; only a cancellation leaves it as it is."""
        try:
            for number, estimate in enumerate(purchase.estimates):
                try:
                    await self._fetch(purchase, estimate.handle)
                except PriceExceeded:
                    await self._ask_again(purchase, [each.handle for each in purchase.estimates[number:]])
                    return
            await self._learn(purchase, PurchaseState.FETCHING)
        except MockingbirdError as error:
            log.info("a purchase failed", purchase=purchase.id, reason=str(error))
            await self._step(purchase.id, PurchaseState.FETCHING, PurchaseState.FAILED, reason=str(error))
        except Exception:  # a fault of ours with one must not end the others
            log.exception("a purchase failed", purchase=purchase.id)
            reason = "Something went wrong here; the log has it. What was fetched is stored."
            await self._step(purchase.id, PurchaseState.FETCHING, PurchaseState.FAILED, reason=reason)
        finally:
            self._progress.pop(purchase.id, None)
            self._pauses.pop(purchase.id, None)

    async def _fetch(self, purchase: Purchase, handle: str) -> None:
        """One account to its end; a window of X's that is used up is waited for."""

        def tell(progress: Progress) -> None:
            self._progress[purchase.id] = progress
            self._news.tell()

        while True:
            spent = await self._ledger.spent_on(purchase.handles, purchase.created_at)
            try:
                await self._offers.collector().fetch(
                    handle, tell, None if purchase.agreed is None else purchase.agreed - spent
                )
            except XRateLimited as error:
                if error.resets_at is None:
                    raise
                self._pauses[purchase.id] = error.resets_at
                self._news.tell()
                wait_s = (error.resets_at - self._clock()).total_seconds()
                await asyncio.sleep(max(0.0, wait_s) + _MARGIN_S)
                self._pauses.pop(purchase.id, None)
            else:
                return

    async def _ask_again(self, purchase: Purchase, handles: Sequence[str]) -> None:
        """Say a price for what is left of these, of which the first had more than expected: so much again, at least.

        Raises `BudgetExceeded` and what `Collector.estimate` raises.
        """
        progress = self._progress.get(purchase.id)
        first, *others = [await self._offers.collector().estimate(handle) for handle in handles]
        estimates = [expecting(first, max(progress.read if progress else 0, PAGE_SIZE)), *others]
        await self._ledger.check(most_of(estimates), fetching(handles))
        spent = await self._ledger.spent_on(purchase.handles, purchase.created_at)
        await self._step(
            purchase.id,
            PurchaseState.FETCHING,
            PurchaseState.PRICED,
            estimates=estimates_as_json(estimates),
            reason=f"There is more of @{first.handle} on X than was expected. It has cost {dollars(spent)} so far.",
        )

    async def _learn(self, purchase: Purchase, state: PurchaseState) -> None:
        training = await self._trainings.request(purchase.handles, purchase.name, purchase.cause, purchase.requested_by)
        await self._step(purchase.id, state, PurchaseState.LEARNING, training_id=training.id)

    # What is stored

    def _require_today(self, purchase: Purchase) -> None:
        if purchase.created_at.date() != self._clock().astimezone(UTC).date():
            raise Refused("This price was said on another day, and X charges by the day. Ask for the training again.")

    async def _step(self, number: int, before: PurchaseState, after: PurchaseState, **columns: str | int) -> bool:
        """Take that step, and tell whoever watches; False when somebody else has taken it."""
        taken = await self._table.step(number, before, after, **columns)
        self._news.tell()
        return taken

    async def _read(self, row: Row) -> Purchase:
        handles = tuple(json.loads(row["handles"]))
        created_at = datetime.fromisoformat(row["created_at"])
        state = PurchaseState(row["state"])
        look_up = Decimal(0)
        if state is PurchaseState.ASKED:
            look_up = await self._offers.look_up_price(await self._offers.to_fetch(handles))
        return Purchase(
            id=row["id"],
            handles=handles,
            name=row["name"],
            cause=row["cause"],
            requested_by=row["requested_by"],
            state=state,
            created_at=created_at,
            estimates=estimates_of(row["estimates"]),
            look_up_usd=look_up,
            spent=await self._ledger.spent_on(handles, created_at),
            month=await self._ledger.month_total(),
            cap=self._ledger.monthly_budget,
            can_do_without=all([await self._offers.is_stored(handle) for handle in handles]),
            progress=self._progress.get(row["id"]),
            pauses_until=self._pauses.get(row["id"]),
            agreed=Decimal(row["at_most"]) if row["at_most"] else None,
            training=row["training_id"],
            reason=row["reason"],
        )


def _names(handles: Sequence[str]) -> tuple[str, ...]:
    names = tuple(sorted({normalise_handle(handle) for handle in handles} - {""}))
    if not names:
        raise UsageError("Name at least one account to learn from, for example nasa.")
    return names
