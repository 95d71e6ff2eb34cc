"""The account on X: a proposal at each interval, and what was approved goes out, once.

Outcome: `run` proposes a post whenever the interval since the last proposal has passed (a service that was down makes
one, not a burst) and sends what the approval list lets through, the oldest first, within the month's cap.

A post is never sent twice. It is marked before it is handed to X; where X's answer is missing, because the service was
stopped or the connection broke, it is `unknown` with the reason, and a person looks at the account. Its price, that of
a post with a link where it holds one, stands in the ledger before it is sent and goes when X said no.

What it does not know: mentions, threads, pictures, deleting, and whether an unknown post stands on X.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import structlog

from bot.config import X
from bot.errors import BudgetExceeded, Busy, MockingbirdError, XError, XPostRefused, XRateLimited, XUnreachable
from bot.replies.posts import Post, Posts
from bot.tweets.costs import Call, Ledger
from bot.tweets.x_api import XClient

_LOOK_EVERY = timedelta(seconds=5)  # for posts that were approved meanwhile
_SOON = timedelta(minutes=1)  # nothing was sent; the network may be back
_LATER = timedelta(minutes=15)  # as long as X's windows
_MUCH_LATER = timedelta(hours=1)  # a cap, or X's protection against spam
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

# What X may make a link of, and charge more for: an address, or anything like a host. At worst too much is reckoned.
_LINK = re.compile(r"https?://\S|[^\W_]\.[^\W\d_]{2}", re.IGNORECASE)

log = structlog.get_logger(__name__)


class XFrontend:
    """Posts for one persona; `await run()` in a task of its own, cancel it to stop."""

    def __init__(
        self, client: XClient, posts: Posts, ledger: Ledger, settings: X, clock: Callable[[], datetime]
    ) -> None:
        """`clock` gives UTC."""
        self._client = client
        self._posts = posts
        self._ledger = ledger
        self._persona = settings.persona
        self._interval = timedelta(minutes=settings.post_every_minutes)
        self._answers = settings.reply_to_mentions
        self._clock = clock
        self._bell = asyncio.Event()
        self._send_after = _LONG_AGO
        self._propose_after = _LONG_AGO
        self._said = ""  # the last trouble in the log, so that it stands there once

    def wake(self) -> None:
        """Have `run` look now, for example because a post was approved; rings while it works are one ring."""
        self._bell.set()

    async def run(self) -> None:
        """Propose and send until cancelled. Without a user's keys posting is off: says so and returns."""
        unknown = await self._posts.recover()
        if unknown:
            log.warning("posts may be on X or not; look at the account and at the list", posts=unknown)
        if self._answers:
            log.warning("[x] reply_to_mentions has no effect in this version")
        if not self._client.can_post:
            log.info("posting to X is off: the four keys of a user are not set")
            return
        while True:
            look_at = await self.turn()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, (look_at - self._clock()).total_seconds())):
                    await self._bell.wait()
            self._bell.clear()

    async def turn(self) -> datetime:
        """Propose if it is time to, send what may be sent; the moment (UTC) of the next look."""
        due = await self._proposal_due()
        if due is not None and due <= self._clock():
            await self._propose()
            due = await self._proposal_due()
        for post in await self._posts.to_send():
            if self._send_after <= self._clock():
                await self._send(post)
        look_at = self._clock() + _LOOK_EVERY
        return look_at if due is None else min(due, look_at)

    # Proposing

    async def _proposal_due(self) -> datetime | None:
        """When the next proposal is to be made; None when none is wanted."""
        if not self._interval or not self._persona:
            return None
        last = await self._posts.last_created_at(self._persona)
        return max(self._propose_after, last + self._interval) if last else self._propose_after

    async def _propose(self) -> None:
        try:
            post = await self._posts.propose(self._persona, urgent=False)
        except MockingbirdError as error:
            wait = timedelta(seconds=error.retry_after_s) if isinstance(error, Busy) else self._interval
            self._propose_after = self._clock() + wait
            log.warning("no post was proposed", persona=self._persona, reason=str(error))
        else:
            log.info("a post was proposed", persona=post.persona, post=post.id, state=post.state.value)

    # Sending

    async def _send(self, post: Post) -> None:
        price = self._price(post.text)
        what = f"Post {post.id}"
        try:
            async with self._ledger.hold("post", post.persona, price, what, resource=what) as call:
                if await self._posts.sending(post.id):
                    await self._deliver(post, call, price)
        except BudgetExceeded as error:
            self._pause(_MUCH_LATER, error)

    async def _deliver(self, post: Post, call: Call, price: Decimal) -> None:
        """Hand a post over to X and write down what became of it, even when cancelled meanwhile.

        Cancelled before X has answered, the post stays `sending`, which `recover` turns into `unknown` at the next
        start, and its price stays in the ledger.
        """
        try:
            platform_id = await self._client.post(post.text)
        except MockingbirdError as error:
            await _to_its_end(self._note_failure(post, call, price, error))
        else:
            await _to_its_end(self._note_success(post, call, price, platform_id))
            self._said = ""
            log.info("a post was sent", persona=post.persona, post=post.id)

    async def _note_success(self, post: Post, call: Call, price: Decimal, platform_id: str) -> None:
        await self._posts.sent(post.id, platform_id)
        await call.settle(1, price)

    async def _note_failure(self, post: Post, call: Call, price: Decimal, error: MockingbirdError) -> None:
        if isinstance(error, XUnreachable) and error.outcome_unknown:
            await call.settle(1, price)  # it may be on the bill
            await self._posts.unknown(post.id, str(error))
        else:
            for_good = type(error) in (XPostRefused, XError)  # X's no to this text, or a no that it does not explain
            await call.settle(0, Decimal(0))
            await self._posts.not_sent(post.id, str(error), again=not for_good)
        if isinstance(error, XPostRefused):
            log.warning("X refused a post", persona=post.persona, post=post.id, reason=str(error))
        else:
            self._pause(_wait_after(error, self._clock()), error)

    def _pause(self, wait: timedelta, error: MockingbirdError) -> None:
        self._send_after = self._clock() + wait
        if str(error) != self._said:
            self._said = str(error)
            log.warning("posting pauses", until=self._send_after.isoformat(timespec="seconds"), reason=str(error))

    def _price(self, text: str) -> Decimal:
        prices = self._ledger.prices
        return prices.post_create_with_url if _LINK.search(text) else prices.post_create


def _wait_after(error: MockingbirdError, now: datetime) -> timedelta:
    """How long nothing is sent."""
    if isinstance(error, XRateLimited) and error.resets_at is not None:
        return max(error.resets_at - now, _SOON)  # X's clock and ours may differ
    if isinstance(error, XUnreachable) and not error.outcome_unknown:
        return _SOON
    return _MUCH_LATER if type(error) is XError else _LATER


async def _to_its_end(work: Coroutine[None, None, None]) -> None:
    """Run it to its end even when cancelled, and pass the cancellation on then."""
    task = asyncio.create_task(work, name="what became of a post")
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
