"""Fetching what is new from X: only when permitted, only what the cap allows, and from where it was left.

Outcome: after `fetch` every post of an account that is newer than the last one known is stored and counted, and what X
bills for it stands in the ledger. Each page is stored in one transaction with its price and with the token of the next
page, so a fetch that is cut off anywhere goes on at the page where it was. Of the page that was under way then, X bills
the second reading only if midnight (UTC) lies between the two.

What the account wrote itself is fetched whole. Retweets come cut off: nothing is learned from them, and having them
whole would double the price. What an imported archive holds is not paid for again: fetching begins after its newest
post. A page without times is paid and not stored; on one without references retweets are known by their first letters.

How often an account is fetched is `fetching_plan`'s. One that was renamed is fetched on by its id and stays under the
name that it had.

What it does not know: posts and accounts that are gone by now; these are `compliance`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import structlog

from bot.config import X
from bot.database import Database, Transaction
from bot.errors import (
    MockingbirdError,
    NotPermitted,
    PriceExceeded,
    XAccountUnavailable,
    XError,
    XRateLimited,
    XUnreachable,
)
from bot.tweets.blocked import require_free
from bot.tweets.charges import Charges
from bot.tweets.costs import Call, Ledger
from bot.tweets.counts import AccountCounts
from bot.tweets.fetching_plan import next_fetch
from bot.tweets.forecast import ON_SCHEDULE, Forecast
from bot.tweets.store import Basis, TweetStore
from bot.tweets.tweet import Source, normalise_handle
from bot.tweets.x_api import PAGE_SIZE, XClient
from bot.tweets.x_bodies import POST, REFERENCES, TWEET, TimelinePage, Vocabulary, XUser, fetch_cost

DEPTH = 3_200  # posts; a timeline reaches no further back (X's documentation)
MOST_PAGES = 320  # of one fetch; even pages that hold a tenth of what they could reach the depth with so many

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
class Progress:
    """How far a fetch has come."""

    handle: str  # lower case, no @
    pages: int = 0  # that were stored
    read: int = 0  # posts on these pages
    new: int = 0  # posts that were not stored before
    usd: Decimal = Decimal(0)  # what X bills, the look-up of the account included


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetch that reached its end."""

    new: int  # posts that were not stored before
    counts: AccountCounts  # of all that is stored of the account
    usd: Decimal  # what X bills


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a timeline a fetch is."""

    user_id: str
    since_id: str | None  # posts up to this one are known
    token: str | None  # of the page to read next; None for the newest one
    newest_id: str | None  # of the pages that are stored


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
        self._on_stored = on_stored
        self._interval = timedelta(minutes=settings.fetch_interval_minutes)
        self._charges = Charges(clock)
        self._forecast = Forecast(database, ledger, settings, ledger.prices, clock)
        self._turn = asyncio.Lock()
        self._bell = asyncio.Event()
        self._not_before: dict[str, datetime] = {}  # after trouble, by handle
        self._seen: frozenset[str] = frozenset()  # ids of posts on the pages of the fetch under way
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
        place = await self._place(handle)
        since_id = place.since_id if place else await self._newest_in_archive(handle)
        user = None if place and since_id else (await self._look_up(handle))[0]
        if since_id is None and user is not None:
            there = DEPTH if user.tweet_count is None else min(user.tweet_count, DEPTH)
            posts = max(0, there - await self._fetched_before(handle))
        else:
            posts = await self._usual(handle)
        user_id = user.id if user else place.user_id if place else None
        prices = self._ledger.prices
        whole = self._client.vocabulary.references_are_billed
        usd = fetch_cost(posts, prices, whole_retweets=whole, owned=user_id == self._client.own_id) - prices.user_read
        most = max(1, -(-posts // PAGE_SIZE)) * PAGE_SIZE * self._most_for_a_post(user_id)
        return Estimate(handle, posts, usd, await self._ledger.month_total(), self._ledger.monthly_budget, most)

    async def look_up_price(self, handle: str) -> Decimal:
        """US dollars that `estimate` costs; nothing where the account is known, or was looked up on this UTC day."""
        handle = self._permitted(handle)
        place = await self._place(handle)
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
            place = await self._place(handle)
            if place is None:
                user, usd = await self._look_up(handle)
                await self._register(handle, user)
                place = _Place(user.id, await self._newest_in_archive(handle), None, None)
                done = replace(done, usd=usd)
            done = await self._read_to_the_end(place, done, progress or (lambda _: None), most)
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
        own, prices = self._client.own_id, self._ledger.prices
        expected = Decimal(0)
        for handle in due:
            place = await self._place(handle)
            each = prices.owned_read if place and place.user_id == own else prices.post_read
            expected += each * await self._usual(handle)
        log.info(
            "fetching what is new",
            accounts=len(due),
            expected_usd=str(expected),
            month_usd=str(await self._ledger.month_total()),
            cap_usd=str(self._ledger.monthly_budget),
        )

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

    # Page by page

    async def _look_up(self, handle: str) -> tuple[XUser, Decimal]:
        """The account, and what asking for it cost. Raises when its posts can't be read."""
        price = self._ledger.prices.user_read
        what, resource = f"Looking up @{handle}", f"account {handle}"
        async with self._ledger.hold(_LOOK_UP, handle, price, what, resource=resource) as call:
            user = await self._client.user(handle)
            async with self._database.transaction() as transaction:
                billed = len(await self._charges.users(transaction, (user.id,)))
                await call.settle(billed, billed * price, transaction)
        await require_free(self._database, (handle,), user.id)  # handles change, ids don't
        if user.protected and user.id != self._client.own_id:
            raise XAccountUnavailable(
                f"The account @{handle} is protected, so its posts can't be read; its owner can import the archive "
                "that X gives out (mockingbird import)."
            )
        return user, billed * price

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

    async def _read_to_the_end(
        self, place: _Place, done: Progress, progress: Callable[[Progress], None], most: Decimal | None
    ) -> Progress:
        tokens: set[str | None] = set()
        self._seen = frozenset()
        try:
            while True:
                tokens.add(place.token)
                if most is not None and done.usd + PAGE_SIZE * self._most_for_a_post(place.user_id) > most:
                    raise PriceExceeded(f"Fetching @{done.handle} costs more than was expected.")
                place, done = await self._step(place, done, tokens)
                progress(done)
                if place.token is None:
                    await self._plan(done.handle)
                    return done
        finally:
            if done.pages:
                await self._store.judge(done.handle)
            if done.new:
                self._on_stored()

    async def _plan(self, handle: str) -> None:
        """Note when it is worth looking again; without that note it is after the shortest time."""
        next_at = (await self._forecast.next_fetch_at(handle)).isoformat()
        async with self._database.transaction() as transaction:
            await transaction.run("UPDATE accounts SET next_fetch_at = ? WHERE handle = ?", (next_at, handle))

    async def _step(self, place: _Place, done: Progress, tokens: Set[str | None]) -> tuple[_Place, Progress]:
        """Read and store one page; `tokens` are those of the pages before."""
        what, resource = f"Reading the next page of @{done.handle}", f"page {place.user_id} {place.token}"
        most = PAGE_SIZE * self._most_for_a_post(place.user_id)
        async with self._ledger.hold("fetch", done.handle, most, what, PAGE_SIZE, resource) as call:
            page = await self._page(place, done)
            await self._require_what_was_asked_for(page, done, call)
            done = replace(done, pages=done.pages + 1, read=done.read + len(page.tweets))
            token = page.next_token
            endless = bool(page.post_ids) and page.post_ids <= self._seen  # seen on X: one post on every further page
            self._seen |= page.post_ids
            if token is not None and (token in tokens or endless or done.read >= DEPTH or done.pages >= MOST_PAGES):
                log.warning("X's pages do not end; what came is kept", handle=done.handle, pages=done.pages)
                token = None
            return await self._keep(page, replace(place, token=token), done, call)

    def _most_for_a_post(self, user_id: str | None) -> Decimal:
        prices = self._ledger.prices
        each = prices.owned_read if user_id == self._client.own_id else prices.post_read
        references = REFERENCES if self._client.vocabulary.references_are_billed else 0
        return each + references * prices.post_read

    async def _require_what_was_asked_for(self, page: TimelinePage, done: Progress, call: Call) -> None:
        """Raise when the page lacks what was asked for, after its price was written down; warn where it is only odd."""
        asked = self._client.vocabulary
        if page.fields_missing:
            async with self._database.transaction() as transaction:
                await self._settle(page, call, transaction)
            raise XError(
                f"X left out what was asked for, so nothing of this page of @{done.handle} was stored; "
                f'set [x] vocabulary = "{_other(asked).name}" and fetch again.'
            )
        if done.pages:
            return
        if page.vocabulary is not None and page.vocabulary != asked.name:
            log.warning(
                "X answers in other words than it was asked in; both are read",
                handle=done.handle,
                advice=f'set [x] vocabulary = "{page.vocabulary}"',
            )
        if page.references_missing:
            log.warning(
                "X does not say what posts refer to; retweets are known by their first letters, replies are not",
                handle=done.handle,
                advice=f'if that stays so, set [x] vocabulary = "{_other(asked).name}"',
            )

    async def _page(self, place: _Place, done: Progress) -> TimelinePage:
        """The page at that place; the newest one where X has forgotten the place since an earlier fetch was cut off."""
        try:
            return await self._ask(place, done.handle)
        except XError as error:
            if place.token is None or done.pages or "pagination_token" not in str(error):  # X names what is wrong
                raise
            log.warning("X has forgotten where a fetch was cut off; it begins anew", handle=done.handle)
            return await self._ask(replace(place, token=None), done.handle)

    async def _ask(self, place: _Place, handle: str) -> TimelinePage:
        return await self._client.timeline_page(
            place.user_id, handle=handle, since_id=place.since_id, pagination_token=place.token, whole_retweets=False
        )

    async def _keep(self, page: TimelinePage, place: _Place, done: Progress, call: Call) -> tuple[_Place, Progress]:
        """Store a page, its price, and the place to go on from (a token of None: there is nothing further), at once."""
        newest_id = _newest(place.newest_id, page.newest_id, *page.post_ids)
        since_id = place.since_id if place.token else _newest(place.since_id, newest_id)
        place = replace(place, since_id=since_id, newest_id=newest_id if place.token else None)
        fetched_at = None if place.token else self._now()
        async with self._database.transaction() as transaction:
            usd = await self._settle(page, call, transaction)
            new = await self._store_tweets(page, done.handle, transaction)
            await transaction.run(
                "UPDATE accounts SET platform_id = ?, since_id = ?, page_token = ?, page_newest_id = ?, "
                "fetched_at = coalesce(?, fetched_at) WHERE handle = ?",
                (place.user_id, place.since_id, place.token, place.newest_id, fetched_at, done.handle),
            )
        return place, replace(done, new=done.new + new, usd=done.usd + usd)

    async def _settle(self, page: TimelinePage, call: Call, transaction: Transaction) -> Decimal:
        """Write down what X bills for the page: what was read earlier on this UTC day costs nothing more."""
        posts = await self._charges.posts(transaction, page.post_ids)
        included = await self._charges.posts(transaction, page.included_ids)
        users = await self._charges.users(transaction, page.user_ids)
        billed = replace(page, post_ids=posts, included_ids=included, user_ids=users)
        usd = billed.cost(self._ledger.prices)
        await call.settle(billed.reads, usd, transaction)
        return usd

    async def _store_tweets(self, page: TimelinePage, handle: str, transaction: Transaction) -> int:
        """How many of the page's posts were not stored before. Earlier versions of edited posts go."""
        if not page.tweets:
            return 0
        await transaction.run_many(
            "DELETE FROM tweets WHERE handle = ? AND key = ?", [(handle, key) for key in page.superseded]
        )
        counted = "SELECT count(*) AS tweets FROM tweets WHERE handle = ?"
        before = await transaction.one(counted, (handle,))
        await self._store.add_within(transaction, handle, page.tweets)
        after = await transaction.one(counted, (handle,))
        return after["tweets"] - before["tweets"] if before and after else 0

    # What is stored

    def _now(self) -> str:
        return self._clock().astimezone(UTC).isoformat()

    async def _place(self, handle: str) -> _Place | None:
        """Where the next fetch begins; None when the account was never fetched, or was closed since."""
        row = await self._database.one(f"SELECT * FROM accounts WHERE handle = ? AND {ON_SCHEDULE}", (handle,))
        if row is None:
            return None
        since_id = row["since_id"]
        if row["page_token"] is None:  # between two pages the question must stay the same
            since_id = _newest(since_id, await self._newest_in_archive(handle))
        return _Place(row["platform_id"], since_id, row["page_token"], row["page_newest_id"])

    async def _newest_in_archive(self, handle: str) -> str | None:
        """The newest post of an imported archive, which holds all that came before; a table may be a mere sample."""
        row = await self._database.one(
            "SELECT key FROM tweets WHERE handle = ? AND source = ? AND key NOT LIKE 't%' "
            "ORDER BY length(key) DESC, key DESC LIMIT 1",
            (handle, Source.ARCHIVE),
        )
        return row["key"] if row else None

    async def _fetched_before(self, handle: str) -> int:
        row = await self._database.one(
            "SELECT count(*) AS tweets FROM tweets WHERE handle = ? AND source = ?", (handle, Source.X_API)
        )
        return row["tweets"] if row else 0

    async def _usual(self, handle: str) -> int:
        """How many posts to expect since the last fetch, or else since the newest post that is stored."""
        row = await self._database.one(
            "SELECT coalesce(max(fetched_at), max(created_at)) AS last "
            "FROM accounts LEFT JOIN tweets USING (handle) WHERE handle = ?",
            (handle,),
        )
        if row is None or row["last"] is None:
            return 0
        last = datetime.fromisoformat(row["last"])
        first = last - (self._clock() - last)
        found = await self._database.one(
            "SELECT count(*) AS tweets FROM tweets WHERE handle = ? AND created_at > ? AND created_at <= ?",
            (handle, first.isoformat(), last.isoformat()),
        )
        return min(found["tweets"], DEPTH) if found else 0


def _other(vocabulary: Vocabulary) -> Vocabulary:
    return TWEET if vocabulary is POST else POST


def _newest(*ids: str | None) -> str | None:
    """The largest of X's ids, which grow with time."""
    return max((each for each in ids if each), key=int, default=None)
