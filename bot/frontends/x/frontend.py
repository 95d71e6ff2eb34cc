"""An account on X that posts by itself: a proposal when its schedule says so, and what was approved goes out, once.

Outcome: `run` proposes a post whenever one is due (a service that was down makes one, not a burst) and sends what the
approval list lets through, the oldest first, within the month's cap, outside quiet hours, and no more in a day than the
settings allow. What is late goes out one by one.

A post is never sent twice. It is marked before it is handed to X; where X's answer is missing, because the service was
stopped or the connection broke, nothing else goes out until the account's own timeline has shown whether it stands
there. Where it can't be looked at, everything waits.

What it does not know: mentions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from bot.config import X
from bot.errors import BudgetExceeded, Busy, DiskFull, MockingbirdError, XError, XPostRefused
from bot.frontends.x.sending import Sender
from bot.frontends.x.timeline import OwnTimeline
from bot.frontends.x.waiting import MUCH_LATER, SOON, wait_after
from bot.replies.outbox import Outbox
from bot.replies.post import Post
from bot.replies.posts import Posts
from bot.replies.schedule import Schedule, spaced_from
from bot.tweets.costs import Ledger
from bot.tweets.x_api import XClient

_LOOK_EVERY = timedelta(seconds=5)  # for posts that were approved meanwhile
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

log = structlog.get_logger(__name__)


class XFrontend:
    """One account; `await run()` in a task of its own, cancel it to stop."""

    def __init__(
        self,
        client: XClient,
        posts: Posts,
        outbox: Outbox,
        ledger: Ledger,
        settings: X,
        pictures: Path,
        clock: Callable[[], datetime],
        owns_app: bool = True,
    ) -> None:
        """`client` has the account's keys, `pictures` is a folder, `clock` gives UTC. `owns_app` is told by nobody but
        the settings: whether the account owns the app of its keys, which makes reads of its own posts cheaper.
        """
        self._client = client
        self._posts = posts
        self._outbox = outbox
        self.account = outbox.account
        self._persona = settings.persona
        self._schedule = Schedule.of(outbox.account, settings)
        self._sender = Sender(client, outbox, ledger, pictures)
        self._timeline = OwnTimeline(client, outbox, ledger, owns_app, clock)
        self._clock = clock
        self._began = clock()
        self._bell = asyncio.Event()
        self._send_after = _LONG_AGO
        self._propose_after = _LONG_AGO
        self._notice_after = _LONG_AGO
        self._last_try: datetime | None = None  # to propose, in vain
        self._said = ""  # the last trouble in the log, so that it stands there once

    def wake(self) -> None:
        """Have `run` look now, for example because a post was approved; rings while it works are one ring."""
        self._bell.set()

    async def run(self) -> None:
        """Propose and send until cancelled. Without a user's keys posting is off: says so and returns."""
        await self._recover()
        if not self._client.can_post:
            log.info("posting to X is off: the four keys of a user are not set", account=self.account)
            return
        while True:
            look_at = await self.turn()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, (look_at - self._clock()).total_seconds())):
                    await self._bell.wait()
            self._bell.clear()

    async def turn(self) -> datetime:
        """Propose if it is time to, send what may be sent; the moment (UTC) of the next look."""
        due = None
        try:
            await self._posts.expire()
            due = await self._proposal_due()
            if due is not None and due <= self._clock():
                await self._propose()
                due = await self._proposal_due()
            if self._send_after <= self._clock():
                await self._work_on_x()
        except (Busy, DiskFull) as error:  # nothing can be written down now
            self._pause(wait_after(error, self._clock()), error)
        look_at = self._clock() + _LOOK_EVERY
        return look_at if due is None else min(due, look_at)

    # Proposing

    async def _proposal_due(self) -> datetime | None:
        """When the next proposal is to be made; None when none is wanted."""
        if not self._persona:
            return None
        now = self._clock()
        last = max(filter(None, (await self._outbox.last_turn(), self._last_try)), default=None)
        today = await self._outbox.turns_since(self._schedule.day_of(now)[0])
        due = self._schedule.next_due(last, self._began, now, today)
        return max(due, self._propose_after) if due else None

    async def _propose(self) -> None:
        try:
            post = await self._posts.propose(self.account, self._persona, urgent=False)
        except MockingbirdError as error:
            if isinstance(error, Busy):
                self._propose_after = self._clock() + timedelta(seconds=error.retry_after_s)
            else:
                self._last_try = self._clock()
            log.warning("no post was proposed", account=self.account, persona=self._persona, reason=str(error))
        else:
            log.info("a post was proposed", persona=post.persona, post=post.id, state=post.state.value)

    # Sending

    async def _recover(self) -> None:
        """What a stop, or trouble with writing it down, has left as being sent is looked for on X."""
        if unknown := await self._outbox.recover():
            log.warning(
                "posts may be on X or not; the timeline is looked at first", account=self.account, posts=unknown
            )

    async def _work_on_x(self) -> None:
        """Settle what is in doubt first; without that nothing goes out. Between two turns nothing is being sent."""
        await self._recover()
        try:
            if not await self._timeline.settle():
                self._send_after = self._clock() + SOON
                return
            await self._sender.take_back()
            for post in await self._outbox.to_send():
                await self._send(post)
        except (BudgetExceeded, XError) as error:
            self._pause(wait_after(error, self._clock()), error)
        else:
            self._said = ""
            await self._notice_what_is_gone()

    async def _notice_what_is_gone(self) -> None:
        """Once a day; where that fails it has time, and posting goes on."""
        if self._clock() < self._notice_after:
            return
        try:
            gone = await self._timeline.notice_what_is_gone()
        except (BudgetExceeded, XError) as error:
            self._notice_after = self._clock() + MUCH_LATER
            log.warning("it was not looked for posts that are gone", account=self.account, reason=str(error))
        else:
            if gone:
                log.warning("posts are gone from X", account=self.account, posts=gone)

    async def _send(self, post: Post) -> None:
        now = self._clock()
        stands = post.platform_id is not None  # some of it does, and the rest belongs there
        today = 0 if stands else await self._outbox.published_since(self._schedule.day_of(now)[0])
        if self._schedule.paused or self._schedule.open_from(now, now, today) > now:
            return
        if not stands and spaced_from(post.due_since, await self._outbox.last_beside(post.id), now) > now:
            return
        try:
            await self._sender.send(post)
        except XPostRefused as error:
            log.warning("X refused a post", persona=post.persona, post=post.id, reason=str(error))

    def _pause(self, wait: timedelta, error: MockingbirdError) -> None:
        self._send_after = self._clock() + wait
        if str(error) != self._said:
            self._said = str(error)
            until = self._send_after.isoformat(timespec="seconds")
            log.warning("posting pauses", account=self.account, until=until, reason=str(error))
