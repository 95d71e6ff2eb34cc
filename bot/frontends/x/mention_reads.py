"""What reading costs: pages of mentions, who wrote them, and the own timeline, each within the month's cap."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime

from bot.tweets.charges import Charges
from bot.tweets.costs import Call, Ledger
from bot.tweets.x_api import PAGE_SIZE, XClient
from bot.tweets.x_mentions import Author, MentionPage, most_for_a_mention

_LOOKED_AT = 5  # pages of the own timeline


@dataclass(frozen=True, slots=True)
class Found:
    """What the own timeline shows of a reply."""

    reply_id: str | None  # X's; None where none was seen
    is_whole: bool  # all was seen among which it may be


class MentionReads:
    """Reads for one account of ours."""

    def __init__(
        self,
        client: XClient,
        ledger: Ledger,
        account: str,
        persona: str,
        owns_app: bool,
        clock: Callable[[], datetime],
    ) -> None:
        """`owns_app`: the account owns the app of its keys, so that X charges the lower price; `clock` gives UTC."""
        self._client = client
        self._ledger = ledger
        self._account = account
        self._persona = persona
        self._owns_app = owns_app
        self._charges = Charges(clock)
        self._most = most_for_a_mention(client.vocabulary, ledger.prices, owns_app)  # US dollars, of one post

    async def page(
        self,
        since_id: str | None,
        start_time: datetime | None,
        token: str | None,
        number: int,
        hear: Callable[[MentionPage], Awaitable[None]],
    ) -> MentionPage:
        """One page of mentions, which `hear` puts on record; `number` is its place in a reading, from 0 on. As
        `XClient.mentions_page`.
        """
        # Whatever was asked for before on this day and remained without an answer, a new reading shows it as well.
        what, resource = f"Reading mentions of {self._account}", f"mentions {self._account} {number}"
        most = PAGE_SIZE * self._most
        async with self._ledger.hold("mention", self._persona, most, what, PAGE_SIZE, resource, self._account) as call:
            page = await self._client.mentions_page(since_id=since_id, start_time=start_time, pagination_token=token)
            await hear(page)
            await self.settle(page, call)
        return page

    async def authors(self, author_ids: Sequence[str]) -> dict[str, Author | None]:
        """These people, for a user read each; None for one that is suspended or gone."""
        found: dict[str, Author | None] = {}
        for start in range(0, len(author_ids), PAGE_SIZE):
            batch = author_ids[start : start + PAGE_SIZE]
            async with AsyncExitStack() as stack:
                calls = {each: await stack.enter_async_context(self._hold_author(each)) for each in batch}
                shown = await self._client.authors(batch)
                async with self._ledger.database.transaction() as transaction:
                    billed = await self._charges.users(transaction, shown)
                    for author_id, call in calls.items():
                        units = int(author_id in billed)
                        await call.settle(units, units * self._ledger.prices.user_read, transaction)
            found |= {author_id: shown.get(author_id) for author_id in batch}
        return found

    def _hold_author(self, author_id: str) -> AbstractAsyncContextManager[Call]:
        """A line for each, since whoever is asked about again after a crash may be others than before."""
        what, resource = f"Looking up who mentions {self._account}", f"author {author_id}"
        price = self._ledger.prices.user_read
        return self._ledger.hold("mention", self._persona, price, what, resource=resource, account=self._account)

    async def find_reply(self, mention_id: str) -> Found:
        """The account's reply to that mention, by its own timeline."""
        own_id, token = self._client.own_id, None
        assert own_id is not None  # whoever can post has one
        for number in range(_LOOKED_AT):
            what, resource = "Looking for a reply on the own timeline", f"look {self._account} {mention_id} {number}"
            most = PAGE_SIZE * self._most
            async with self._ledger.hold("look", self._persona, most, what, PAGE_SIZE, resource, self._account) as call:
                page = await self._client.timeline_page(
                    own_id,
                    handle=self._account,
                    since_id=mention_id,
                    pagination_token=token,
                    whole_retweets=False,
                )
                read = MentionPage((), page.next_token, page.post_ids, page.included_ids, page.user_ids)
                await self.settle(read, call)
            found = next((tweet.id for tweet in page.tweets if tweet.reply_to_id == mention_id), None)
            token = page.next_token
            if found is not None or token is None:
                return Found(found, is_whole=True)
        return Found(None, is_whole=False)

    async def settle(self, page: MentionPage, call: Call, owned: bool | None = None) -> None:
        """Write down what X bills for the page: what was read earlier on this UTC day costs nothing more.

        `owned`: at the lower price; None where it was read with the account's own keys.
        """
        async with self._ledger.database.transaction() as transaction:
            billed = replace(
                page,
                post_ids=await self._charges.posts(transaction, page.post_ids),
                included_ids=await self._charges.posts(transaction, page.included_ids),
                user_ids=await self._charges.users(transaction, page.user_ids),
            )
            units = len(billed.post_ids | billed.included_ids) + len(billed.user_ids)
            usd = billed.cost(self._ledger.prices, self._owns_app if owned is None else owned)
            await call.settle(units, usd, transaction)
