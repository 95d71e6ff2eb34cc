"""Handing over to X what was approved, part by part, and taking back what is to be deleted.

A part is marked before it is handed over. Its price, that of a post with a link where it holds one, stands in the
ledger before it is sent, goes when X said no, and stays as unanswered where nobody knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from pathlib import Path

import structlog

from bot.errors import BudgetExceeded, XError, XPostRefused, XUnreachable
from bot.replies.outbox import Outbox
from bot.replies.pictures import read_picture
from bot.replies.post import Part, Post
from bot.replies.pricing import price_of_sending
from bot.tweets.costs import Call, Ledger
from bot.tweets.x_api import XClient

log = structlog.get_logger(__name__)


class Sender:
    """Sends and deletes for one account."""

    def __init__(self, client: XClient, outbox: Outbox, ledger: Ledger, pictures: Path) -> None:
        """`pictures` is the folder that pictures of posts are in."""
        self._client = client
        self._outbox = outbox
        self._ledger = ledger
        self._pictures = pictures

    async def send(self, post: Post) -> bool:
        """Send what X has not yet of the post; whether all of it went. Raises `BudgetExceeded`, and an `XError` that
        is a reason to pause: what it means for the post is written down already.
        """
        while (part := await self._outbox.next_part(post.id)) is not None:
            media_ids = await self._picture(post, part)
            price = price_of_sending(part.text, self._ledger.prices)
            account = self._outbox.account
            try:
                async with self._ledger.hold(
                    "post", post.persona, price, part.name, resource=part.name, account=account
                ) as call:
                    if not await self._outbox.take(part):
                        return False
                    await self._deliver(post, part, call, price, media_ids)
            except BudgetExceeded as error:
                await self._outbox.held_up(part, str(error))
                raise
        return True

    async def take_back(self) -> None:
        """Delete from X what somebody wants taken back. Raises as `send`."""
        price = self._ledger.prices.post_delete
        for post, part in await self._outbox.published.to_take_back():
            try:
                what = f"Deleting post {post.id}"
                resource = f"Deleting {part.name}"
                async with self._ledger.hold(
                    "delete", post.persona, price, what, resource=resource, account=post.account
                ) as call:
                    deleted = await self._client.delete(part.platform_id or "")
                    charged = deleted or bool(call.earlier)  # it is gone by a call whose answer was missing
                    await call.settle(int(charged), price if charged else Decimal(0))
            except XError as error:
                if type(error) is not XError:
                    raise
                await self._outbox.published.not_taken_back(post.id, str(error))
                log.warning("X did not delete a post", post=post.id, reason=str(error))
            else:
                await self._outbox.published.taken_back(post.id, part.number)
                log.info("a post was deleted", post=post.id, part=part.number)

    async def _picture(self, post: Post, part: Part) -> tuple[str, ...]:
        """The id of the post's picture on X, where it has one; it goes with the first part."""
        if post.picture is None or part.number > 1:
            return ()
        try:
            data, media_type = await asyncio.to_thread(read_picture, self._pictures / post.picture)
            return (await self._client.upload_picture(data, media_type, post.alt_text or ""),)
        except XError as error:
            if type(error) in (XPostRefused, XError):  # it is gone, or X does not take it
                await self._outbox.declined_before(part, str(error))
            raise

    async def _deliver(self, post: Post, part: Part, call: Call, price: Decimal, media_ids: tuple[str, ...]) -> None:
        """Hand a part over to X and write down what became of it, even when cancelled meanwhile.

        Cancelled before X has answered, the post stays `sending`, which `recover` turns into `unknown` at the next
        start, and its price stays in the ledger.
        """
        try:
            platform_id = await self._client.post(part.text, part.reply_to, media_ids)
        except XError as error:
            await to_its_end(self._note_failure(part, call, error))
            raise
        await to_its_end(self._note_success(part, call, price, platform_id))
        log.info("a post was sent", persona=post.persona, post=post.id, part=part.number)

    async def _note_success(self, part: Part, call: Call, price: Decimal, platform_id: str) -> None:
        await call.settle(1, price)  # first: cut off in between, the part is looked for, and found
        await self._outbox.arrived(part, platform_id)

    async def _note_failure(self, part: Part, call: Call, error: XError) -> None:
        if isinstance(error, XUnreachable) and error.outcome_unknown:
            await self._outbox.doubtful(part, str(error))
            return
        await call.settle(0, Decimal(0))
        if isinstance(error, XPostRefused) and part.attempts:  # an earlier attempt may be what it repeats
            await self._outbox.doubtful(part, str(error), said_duplicate=True)
        else:
            # X's no to this text, or a no that it does not explain.
            for_good = isinstance(error, XPostRefused) or type(error) is XError
            await self._outbox.declined(part, str(error), again=not for_good)


async def to_its_end(work: Coroutine[None, None, None]) -> None:
    """Run it to its end even when cancelled, and pass the cancellation on then."""
    task = asyncio.create_task(work, name="what became of a post")
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
