"""Reading an account's timeline from X to its end, page by page, so that it can be cut off anywhere.

Each page is stored in one transaction with its price and with the token of the next page, so a fetch that is cut off
goes on at the page where it was. Of the page that was under way then, X bills the second reading only if midnight (UTC)
lies between the two.

What the account wrote itself is fetched whole. Retweets come cut off: nothing is learned from them, and having them
whole would double the price. A page without times is paid and not stored; on one without references retweets are known
by their first letters.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

import structlog

from bot.database import Database, Transaction
from bot.errors import PriceExceeded, XError
from bot.tweets.charges import Charges
from bot.tweets.costs import Call, Ledger
from bot.tweets.forecast import Forecast
from bot.tweets.store import TweetStore
from bot.tweets.timeline_places import DEPTH, Place, newest
from bot.tweets.x_api import PAGE_SIZE, XClient
from bot.tweets.x_bodies import POST, REFERENCES, TWEET, TimelinePage, Vocabulary

MOST_PAGES = 320  # of one fetch; even pages that hold a tenth of what they could reach the depth with so many

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fetch has come."""

    handle: str  # lower case, no @
    pages: int = 0  # that were stored
    read: int = 0  # posts on these pages
    new: int = 0  # posts that were not stored before
    usd: Decimal = Decimal(0)  # what X bills, the look-up of the account included


class TimelineReader:
    """Reads one timeline at a time."""

    def __init__(
        self,
        client: XClient,
        store: TweetStore,
        database: Database,
        ledger: Ledger,
        forecast: Forecast,
        clock: Callable[[], datetime],
        on_stored: Callable[[], None],
    ) -> None:
        """`on_stored` is called after each timeline, read to its end or not, of which something new was stored."""
        self._client = client
        self._store = store
        self._database = database
        self._ledger = ledger
        self._forecast = forecast
        self._clock = clock
        self._on_stored = on_stored
        self._charges = Charges(clock)
        self._seen: frozenset[str] = frozenset()  # ids of posts on the pages of the fetch under way

    async def read_to_the_end(
        self, place: Place, done: Progress, progress: Callable[[Progress], None], most: Decimal | None
    ) -> Progress:
        """Store every page from that place on; `progress` is called after each.

        Raises `BudgetExceeded`, `PriceExceeded` before the page with which more than `most` US dollars could be spent,
        and what `XClient` raises.
        """
        tokens: set[str | None] = set()
        self._seen = frozenset()
        try:
            while True:
                tokens.add(place.token)
                if most is not None and done.usd + PAGE_SIZE * self.most_for_a_post(place.user_id) > most:
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

    async def _step(self, place: Place, done: Progress, tokens: Set[str | None]) -> tuple[Place, Progress]:
        """Read and store one page; `tokens` are those of the pages before."""
        what, resource = f"Reading the next page of @{done.handle}", f"page {place.user_id} {place.token}"
        most = PAGE_SIZE * self.most_for_a_post(place.user_id)
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

    def most_for_a_post(self, user_id: str | None) -> Decimal:
        """US dollars that a post of that account costs at the most, with what comes along."""
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

    async def _page(self, place: Place, done: Progress) -> TimelinePage:
        """The page at that place; the newest one where X has forgotten the place since an earlier fetch was cut off."""
        try:
            return await self._ask(place, done.handle)
        except XError as error:
            if place.token is None or done.pages or "pagination_token" not in str(error):  # X names what is wrong
                raise
            log.warning("X has forgotten where a fetch was cut off; it begins anew", handle=done.handle)
            return await self._ask(replace(place, token=None), done.handle)

    async def _ask(self, place: Place, handle: str) -> TimelinePage:
        return await self._client.timeline_page(
            place.user_id, handle=handle, since_id=place.since_id, pagination_token=place.token, whole_retweets=False
        )

    async def _keep(self, page: TimelinePage, place: Place, done: Progress, call: Call) -> tuple[Place, Progress]:
        """Store a page, its price, and the place to go on from (a token of None: there is nothing further), at once."""
        newest_id = newest(place.newest_id, page.newest_id, *page.post_ids)
        since_id = place.since_id if place.token else newest(place.since_id, newest_id)
        place = replace(place, since_id=since_id, newest_id=newest_id if place.token else None)
        fetched_at = None if place.token else self._clock().astimezone(UTC).isoformat()
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


def _other(vocabulary: Vocabulary) -> Vocabulary:
    return TWEET if vocabulary is POST else POST
