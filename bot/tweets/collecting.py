"""Fetching what is new from X: only when permitted, only what the cap allows, and from where it was left.

Outcome: after `fetch` every post of an account that is newer than the last one known is stored and counted, and what X
bills for it stands in the ledger. `timeline_reading` says how that survives being cut off, `timeline_places` where it
begins: what an imported archive holds is not paid for again.

How often an account is fetched is `fetching_plan`'s. One that was renamed is fetched on by its id and stays under the
name that it had.

What it does not know: posts and accounts that are gone by now; these are `compliance`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from bot.config import X
from bot.database import Database
from bot.errors import (
    MockingbirdError,
    NotPermitted,
    XAccountUnavailable,
    XRateLimited,
    XUnreachable,
)
from bot.tweets.blocked import require_free
from bot.tweets.charges import Charges
from bot.tweets.costs import Ledger
from bot.tweets.counts import AccountCounts
from bot.tweets.fetching_plan import next_fetch
from bot.tweets.forecast import ON_SCHEDULE, Forecast
from bot.tweets.store import Basis, TweetStore
from bot.tweets.timeline_places import DEPTH, Place, Places
from bot.tweets.timeline_reading import Progress, TimelineReader
from bot.tweets.tweet import normalise_handle
from bot.tweets.x_api import PAGE_SIZE, XClient
from bot.tweets.x_bodies import XUser

_LOOK_UP = "look up"  # in the ledger
_TRY_AGAIN = timedelta(minutes=15)  # after trouble that passes; as long as X's windows

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a fetch will cost."""

    handle: str  # lower case, no @
    posts: int  # to be expected
    usd: Decimal  # for so many posts
    month: Decimal  # US dollars that this month has cost so far
    cap: Decimal  # US dollars that a month may cost
    most: Decimal  # US dollars that must be left under the cap: before it is read each page is reckoned as full


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetch that reached its end."""

    new: int  # posts that were not stored before
    counts: AccountCounts  # of all that is stored of the account
    usd: Decimal  # what X bills


def _nobody() -> None:
    """Who is told when nobody wants to know."""


class Collector:
    """Fetches one account at a time: on request with `fetch`, on schedule with `run`."""

    def __init__(
        self,
        client: XClient,
        store: TweetStore,
        database: Database,
        ledger: Ledger,
        settings: X,
        clock: Callable[[], datetime],
        on_stored: Callable[[], None] = _nobody,
    ) -> None:
        """`clock` gives UTC; `on_stored` is called after each fetch, finished or not, that stored something new."""
        self._client = client
        self._store = store
        self._database = database
        self._ledger = ledger
        self._settings = settings
        self._clock = clock
        self._interval = timedelta(minutes=settings.fetch_interval_minutes)
        self._charges = Charges(clock)
        forecast = Forecast(database, ledger, settings, ledger.prices, clock, self._own_id)
        self._reader = TimelineReader(client, store, database, ledger, forecast, clock, on_stored)
        self._places = Places(database, clock)
        self._turn = asyncio.Lock()
        self._bell = asyncio.Event()
        self._not_before: dict[str, datetime] = {}  # after trouble, by handle
        self._window_ends: datetime | None = None  # X takes no requests until then

    # On request

    @property
    def is_permitted(self) -> bool:
        """Whether the operator has said that accounts may be fetched to be learned."""
        return self._settings.i_have_permission_to_train

    async def estimate(self, handle: str) -> Estimate:
        """What `fetch` is expected to cost; an account that was never fetched is looked up for one user read.

        Where a newest post is known, as much is expected after it as was posted in an equal span of time before.
        Raises `NotPermitted`, `UnknownHandle`, `XAccountUnavailable`, `BudgetExceeded` and what `XClient` raises.
        """
        handle = self._permitted(handle)
        await require_free(self._database, (handle,))
        place = await self._places.find(handle)
        since_id = place.since_id if place else await self._places.newest_in_archive(handle)
        user = None if place and since_id else (await self._look_up(handle))[0]
        if since_id is None and user is not None:
            there = DEPTH if user.tweet_count is None else min(user.tweet_count, DEPTH)
            posts = max(0, there - await self._places.fetched_before(handle))
        else:
            posts = await self._places.usual(handle)
        user_id = user.id if user else place.user_id if place else None
        usd = posts * self._price(user_id)
        most = max(1, -(-posts // PAGE_SIZE)) * PAGE_SIZE * self._reader.most_for_a_post(user_id)
        return Estimate(handle, posts, usd, await self._ledger.month_total(), self._ledger.monthly_budget, most)

    async def look_up_price(self, handle: str) -> Decimal:
        """US dollars that `estimate` costs; nothing where the account is known, or was looked up on this UTC day."""
        handle = self._permitted(handle)
        place = await self._places.find(handle)
        known = place is not None and place.since_id is not None
        return Decimal(0) if known or await self._ledger.paid_today(_LOOK_UP, handle) else self._ledger.prices.user_read

    async def fetch(
        self, handle: str, progress: Callable[[Progress], None] | None = None, most: Decimal | None = None
    ) -> Fetched:
        """Store what is new; `progress` is called after each page. What was stored stays stored, whatever is raised.

        `NotPermitted` before anything is asked of X, `BudgetExceeded` before the page that could go over the cap,
        `PriceExceeded` before the one with which the fetch could cost more than `most` US dollars,
        `XRateLimited` with the time at which the next `fetch` may go on, and what else `XClient` raises.
        """
        handle = self._permitted(handle)
        await require_free(self._database, (handle,))
        async with self._turn:
            done = Progress(handle)
            place = await self._places.find(handle)
            if place is None:
                user, usd = await self._look_up(handle)
                await self._register(handle, user)
                place = Place(user.id, await self._places.newest_in_archive(handle), None, None)
                done = replace(done, usd=usd)
            done = await self._reader.read_to_the_end(place, done, progress or (lambda _: None), most)
        return Fetched(done.new, await self._store.counts(handle), done.usd)

    async def handles(self) -> list[str]:
        """The accounts that are fetched on schedule: those that were asked for once; the longest unread first."""
        rows = await self._database.all(
            f"SELECT handle FROM accounts WHERE {ON_SCHEDULE} ORDER BY coalesce(fetched_at, ''), handle"
        )
        return [row["handle"] for row in rows]

    def _permitted(self, handle: str) -> str:
        if not self._settings.i_have_permission_to_train:
            raise NotPermitted(
                "Nothing was fetched: X's developer guidelines forbid training on what its API gives out unless you "
                "have permission; set [x] i_have_permission_to_train = true when you have it, or import the archive "
                "of the account's owner, which needs none (mockingbird import)."
            )
        return normalise_handle(handle)

    # On schedule

    def wake(self) -> None:
        """Have `run` look now; rings while it works are one ring."""
        self._bell.set()

    async def run(self) -> None:
        """Fetch every account when it is due, until cancelled. Returns at once where fetching is off, and says so."""
        if not self._interval or not self._settings.i_have_permission_to_train:
            key = "fetch_interval_minutes" if not self._interval else "i_have_permission_to_train"
            log.info("no tweets are fetched on schedule; a setting turns it off", setting=f"[x] {key}")
            return
        while True:
            look_at = await self.round()
            wait_s = None if look_at is None else max(0.0, (look_at - self._clock()).total_seconds())
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._bell.wait()
            self._bell.clear()

    async def next_due(self) -> datetime | None:
        """When the next account will be fetched (UTC); None where nothing is fetched on schedule."""
        if not self._interval or not self._settings.i_have_permission_to_train:
            return None
        return min([await self._due(handle) for handle in await self.handles()], default=None)

    async def round(self) -> datetime | None:
        """Fetch every account that is due; when the next one will be (UTC), None when there is none."""
        due = [handle for handle in await self.handles() if await self._due(handle) <= self._clock()]
        if due:
            await self._announce(due)
        for handle in due:
            if await self._due(handle) <= self._clock():  # still, after the ones before it
                await self._attempt(handle)
        return min([await self._due(handle) for handle in await self.handles()], default=None)

    async def _announce(self, due: list[str]) -> None:
        """Say in the log what a round may cost, by how much was posted so far; the cap stops it before it is passed."""
        expected = Decimal(0)
        for handle in due:
            place = await self._places.find(handle)
            expected += self._price(place.user_id if place else None) * await self._places.usual(handle)
        log.info(
            "fetching what is new",
            accounts=len(due),
            expected_usd=str(expected),
            month_usd=str(await self._ledger.month_total()),
            cap_usd=str(self._ledger.monthly_budget),
        )

    def _price(self, user_id: str | None) -> Decimal:
        """US dollars that a post of that account probably costs."""
        owned = user_id is not None and user_id == self._client.own_id
        return self._client.vocabulary.price(self._ledger.prices, owned=owned)

    async def _own_id(self) -> str | None:
        return self._client.own_id

    async def _due(self, handle: str) -> datetime:
        row = await self._database.one("SELECT * FROM accounts WHERE handle = ?", (handle,))
        moments = [self._clock()]
        if row is not None and row["fetched_at"] and not row["page_token"]:
            planned = datetime.fromisoformat(row["next_fetch_at"]) if row["next_fetch_at"] else None
            moments = [next_fetch(datetime.fromisoformat(row["fetched_at"]), planned, self._interval)]
        if handle in self._not_before:
            moments.append(self._not_before[handle])
        if self._window_ends is not None:
            moments.append(self._window_ends)
        return max(moments)

    async def _attempt(self, handle: str) -> None:
        """Fetch; trouble is one line in the log and the time of the next attempt."""
        wait = self._interval
        try:
            fetched = await self.fetch(handle)
        except XRateLimited as error:
            wait = timedelta(0)
            known = error.resets_at is not None and error.resets_at > self._clock()  # clocks may differ
            self._window_ends = error.resets_at if known else self._clock() + _TRY_AGAIN
            log.warning("fetching pauses", handle=handle, until=str(self._window_ends), reason=str(error))
        except MockingbirdError as error:
            wait = min(wait, _TRY_AGAIN) if isinstance(error, XUnreachable) else wait
            log.warning("fetching failed", handle=handle, reason=str(error))
        except Exception:  # a fault of ours with one account must not end the fetching of the others
            log.exception("fetching failed", handle=handle)
        else:
            self._not_before.pop(handle, None)
            log.info("fetched", handle=handle, new=fetched.new, usd=str(fetched.usd))
            return
        self._not_before[handle] = self._clock() + wait

    # An account that is fetched for the first time

    async def _look_up(self, handle: str) -> tuple[XUser, Decimal]:
        """The account, and what asking for it cost. Raises when its posts can't be read."""
        price = self._ledger.prices.user_read
        what, resource = f"Looking up @{handle}", f"account {handle}"
        async with self._ledger.hold(_LOOK_UP, handle, price, what, resource=resource) as call:
            user = await self._client.user(handle)
            async with self._database.transaction() as transaction:
                usd = await self._charges.settle_users(transaction, call, (user.id,), price)
        await require_free(self._database, (handle,), user.id)  # handles change, ids don't
        if user.protected and user.id != self._client.own_id:
            raise XAccountUnavailable(
                f"The account @{handle} is protected, so its posts can't be read; its owner can import the archive "
                "that X gives out (mockingbird import)."
            )
        return user, usd

    async def _register(self, handle: str, user: XUser) -> None:
        """From now on the account is fetched on schedule; the operator's word is why it may be learned."""
        basis = Basis.OWN if user.id == self._client.own_id else Basis.PERMISSION
        async with self._database.transaction() as transaction:
            await self._store.add_within(transaction, handle, ())
            await transaction.run(
                "UPDATE accounts SET platform_id = ?1, checked_at = NULL, standing = '', now_called = NULL, "
                "basis = coalesce(basis, ?2), "
                "basis_note = iif(basis IS NULL, ?3, basis_note) WHERE handle = ?4",
                (user.id, basis, "[x] i_have_permission_to_train", handle),
            )
