"""A look at the account's own timeline: what became of a post whose answer is missing, and what is gone from X.

A look costs an owned read ($0.001) for each post that it shows, and it asks only for posts since the attempt, so one
that answers a doubt costs next to nothing. The look for what is gone is one a day over this day and the one before; of
what it misses X is asked by id, which costs nothing where it is really gone.

What it does not notice: a post that was deleted on X when it was older than that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

import structlog

from bot.replies.outbox import Outbox, lag_is_over
from bot.replies.post import Part
from bot.replies.pricing import price_of_sending
from bot.replies.recognising import id_at, is_same
from bot.tweets.charges import Charges
from bot.tweets.costs import Call, Ledger
from bot.tweets.tweet import Tweet
from bot.tweets.x_api import PAGE_SIZE, XClient
from bot.tweets.x_bodies import TimelinePage

# Mostly a timeline shows a post within seconds. After so long what is not there is taken for not sent; should that be
# wrong, X still refuses the same text a second time, which is a reason to look once more.
LAG = timedelta(minutes=5)
_SKEW = timedelta(minutes=10)  # by which X's clock and ours may differ
_PAGES = 5  # of one look
GONE_EVERY = timedelta(days=1)
_GONE_OVER = timedelta(days=1)  # and what is over of that day
_NOT_THERE = "it did not arrive, as the timeline showed; it is sent again"
_NOT_THERE_TWICE = "X takes this text for a repetition, and it is not among the newest posts of the account"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look has shown."""

    tweets: tuple[Tweet, ...]
    is_whole: bool  # nothing since the moment is missing; else there were too many pages


class OwnTimeline:
    """The timeline of the account that the keys belong to."""

    def __init__(
        self, client: XClient, outbox: Outbox, ledger: Ledger, owns_app: bool, clock: Callable[[], datetime]
    ) -> None:
        """`owns_app`: the account owns the app of its keys, so that X charges the lower price; `clock` gives UTC."""
        self._client = client
        self._outbox = outbox
        self._ledger = ledger
        self._owns_app = owns_app
        self._clock = clock
        self._charges = Charges(clock)
        self._is_tidy = False  # nothing is left in the ledger of what a process before this one was cut off at

    async def settle(self) -> bool:
        """Find out about each part in doubt; whether none is left. Raises what looking raises: `XError`,
        `BudgetExceeded`.
        """
        for part in await self._outbox.in_doubt():
            platform_id, is_whole = await self._find(part)
            if platform_id is not None:
                await self._charged(part)  # before the doubt is over: after a crash it is done again
                await self._outbox.found(part, platform_id)
                log.info("a post whose answer was missing stands on X", post=part.post_id, part=part.number)
            elif is_whole and lag_is_over(part, self._clock(), LAG):
                await self._ledger.not_charged(part.name)
                await self._outbox.not_there(part, _NOT_THERE_TWICE if part.said_duplicate else _NOT_THERE)
                log.info("a post whose answer was missing is not on X", post=part.post_id, part=part.number)
        if await self._outbox.in_doubt():
            return False
        if not self._is_tidy:
            await self._ledger.nothing_in_doubt("post", self._outbox.account)
            self._is_tidy = True
        return True

    async def _charged(self, part: Part) -> None:
        """The ledger says that the part was published, also where that was taken for not done before."""
        persona = await self._outbox.persona(part)
        price = price_of_sending(part.text, self._ledger.prices)
        await self._ledger.charged("post", persona, price, part.name, self._outbox.account)

    async def notice_what_is_gone(self) -> int:
        """How many posts of today and yesterday stand on X no more, once a day; they are deleted from now on."""
        looked_at, now = await self._outbox.published.looked_at(), self._clock()
        if looked_at is not None and now - looked_at < GONE_EVERY:
            return 0
        since = datetime.combine((now - _GONE_OVER).date(), time(), UTC)  # the same the whole day
        expected = await self._outbox.published.standing(since, now - LAG)
        gone = await self._missing(expected, since) if expected else []
        await self._outbox.published.note_look()
        return await self._outbox.published.gone(gone)

    async def _missing(self, expected: list[str], since: datetime) -> list[str]:
        """Those of the ids that the timeline does not show, and of which X says that they are gone."""
        seen = await self._look(since, "check")
        shown = {tweet.id for tweet in seen.tweets}
        doubtful = [each for each in expected if each not in shown] if seen.is_whole else []
        gone: list[str] = []
        for start in range(0, len(doubtful), PAGE_SIZE):
            batch = doubtful[start : start + PAGE_SIZE]
            most = len(batch) * self._ledger.prices.post_read
            what = "Looking for posts that are gone"
            account, resource = self._outbox.account, f"standing {batch[0]}"
            async with self._ledger.hold("check", account, most, what, len(batch), resource, account) as call:
                page, missing = await self._client.posts(batch, handle=self._outbox.account)
                await self._settle(page, call)
            gone += sorted(missing)
        return gone

    async def _find(self, part: Part) -> tuple[str | None, bool]:
        """X's id of the part where it stands there, and whether all was seen that may be it."""
        seen = await self._look(part.sending_since or self._clock())
        with_picture = await self._outbox.has_picture(part)
        same = [tweet.id for tweet in seen.tweets if tweet.id and is_same(part.text, tweet.text, with_picture)]
        known = await self._outbox.published.known_ids(same)
        return next((each for each in reversed(same) if each not in known), None), seen.is_whole

    async def _look(self, since: datetime, purpose: str = "look") -> Seen:
        """The account's posts since then, the newest first."""
        tweets: list[Tweet] = []
        async for page, is_last in self._pages(id_at(since - _SKEW), purpose):
            tweets += page
            if is_last:
                return Seen(tuple(tweets), is_whole=True)
        return Seen(tuple(tweets), is_whole=False)

    async def _pages(self, since_id: str, purpose: str) -> AsyncIterator[tuple[tuple[Tweet, ...], bool]]:
        own_id, token = self._client.own_id, None
        assert own_id is not None  # whoever can post has one
        price = self._ledger.prices.owned_read if self._owns_app else self._ledger.prices.post_read
        for number in range(_PAGES):
            what = "Looking at the own timeline"
            account, most = self._outbox.account, PAGE_SIZE * price
            resource = f"timeline {account} {since_id} {number}"
            async with self._ledger.hold(purpose, account, most, what, PAGE_SIZE, resource, account) as call:
                page = await self._client.timeline_page(
                    own_id,
                    handle=self._outbox.account,
                    since_id=since_id,
                    pagination_token=token,
                    whole_retweets=False,
                )
                await self._settle(replace(page, owned=self._owns_app), call)
            token = page.next_token
            yield page.tweets, token is None
            if token is None:
                return

    async def _settle(self, page: TimelinePage, call: Call) -> None:
        """Write down what X bills: what was read earlier on this UTC day costs nothing more."""
        async with self._ledger.database.transaction() as transaction:
            new = await self._charges.posts(transaction, page.post_ids)
            included = await self._charges.posts(transaction, page.included_ids)
            billed = replace(page, post_ids=new, included_ids=included)
            await call.settle(billed.reads, billed.cost(self._ledger.prices), transaction)
