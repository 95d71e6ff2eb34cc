"""Mentions as they are made: the filtered stream beside the polling, for one account.

Outcome: while a connection stands, mentions are answered within seconds and polling rests; whenever it stands anew, and
whenever it breaks, the mentions are read once, so that nothing is missed. Where the app's access does not cover
streams, that is said once and polling goes on alone.

A post from the stream costs a post read, since it is not asked for with the account's own keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from decimal import Decimal

import structlog

from bot.errors import BudgetExceeded, Busy, DiskFull, XError, XKeysRefused, XLoginEnded
from bot.frontends.x.mentions import XMentions
from bot.frontends.x.waiting import MUCH_LATER, SOON
from bot.tweets.costs import Ledger
from bot.tweets.x_api import XClient
from bot.tweets.x_mentions import MentionPage, most_for_a_mention
from bot.tweets.x_stream import MentionStream, reconnect_after

log = structlog.get_logger(__name__)


class Listener:
    """Listens for one account; `await run()` in a task of its own, cancel it to stop."""

    def __init__(
        self,
        stream: MentionStream,
        client: XClient,
        mentions: XMentions,
        ledger: Ledger,
        persona: str,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`pause` waits so many seconds."""
        self.account = mentions.account
        self._stream = stream
        self._client = client
        self._mentions = mentions
        self._ledger = ledger
        self._persona = persona
        self._pause = pause
        self._failures = 0  # in a row
        self._handle = ""

    async def run(self) -> None:
        """Listen until cancelled; returns where the account answers nobody, or X does not let the app."""
        if self._mentions.silent_because is not None:
            return
        while True:
            wait_s = 0.0
            self._failures += 1  # until a connection stands
            try:
                await self._listen()
            except (BudgetExceeded, XLoginEnded) as error:  # a person has to do something first
                wait_s = MUCH_LATER.total_seconds()
                log.warning("the stream of mentions pauses", account=self.account, reason=str(error))
            except XKeysRefused as error:
                log.warning("mentions are polled, not streamed", account=self.account, reason=str(error))
                return
            except (Busy, DiskFull) as error:  # what came can't be put on record now; it is read afterwards
                wait_s = SOON.total_seconds()
                log.warning("the stream of mentions pauses", account=self.account, reason=str(error))
            except XError as error:
                wait_s = reconnect_after(error, self._failures).total_seconds()
                log.info("the stream of mentions broke", account=self.account, reason=str(error), again_in_s=wait_s)
            finally:
                self._mentions.streamed(False)
            await self._pause(wait_s)

    async def _listen(self) -> None:
        """One connection, until its end."""
        if not self._handle:
            self._handle = await self._own_handle()
        await self._stream.follow(self.account, self._handle)
        async with aclosing(self._stream.lines()) as lines:
            while True:
                most = most_for_a_mention(self._client.vocabulary, self._ledger.prices, owned=False)
                what, resource = f"A mention of {self.account} from the stream", f"stream {self.account}"
                async with self._ledger.hold(
                    "mention", self._persona, most, what, resource=resource, account=self.account
                ) as call:
                    try:
                        page = await anext(lines)
                    except StopAsyncIteration:
                        await call.settle(0, Decimal(0))
                        return
                    if page is None:
                        await call.settle(0, Decimal(0))
                        self._failures = 0
                        self._mentions.streamed(True)
                        continue
                    await self._mentions.hear(page)
                    await self._mentions.reads.settle(page, call, streamed=True)
                self._mentions.wake()

    async def _own_handle(self) -> str:
        price = self._ledger.prices.user_read
        async with self._ledger.hold(
            "look up", self._persona, price, "Asking X for the own handle", account=self.account
        ) as call:
            me = await self._client.me()
            await self._mentions.reads.settle(MentionPage((), None, frozenset(), user_ids=frozenset({me.id})), call)
        return me.handle
