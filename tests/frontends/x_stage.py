"""The accounts of ours on X with what stands around them: real client, database and ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from bot.config import Prices, X
from bot.database import Database
from bot.frontends.x.frontend import XFrontend
from bot.generation.draft import Sampling
from bot.loopback.x import LoopbackX
from bot.replies.outbox import Outbox
from bot.replies.post import Post
from bot.replies.posts import Posts, PostState
from bot.tweets.budget import Budget
from bot.tweets.costs import Ledger
from bot.tweets.x_api import XClient
from bot.tweets.x_requests import XKeys
from tests.fakes import FakeClock, FakeSpeaker

SAMPLING = Sampling(1.0, 1.0, 0, 10)
POST = "POST /2/tweets"
TIMELINE = "GET /2/users/:id/tweets"


@dataclass(frozen=True, slots=True)
class XStage:
    """Accounts by name."""

    frontends: Mapping[str, XFrontend]
    posts: Posts
    outboxes: Mapping[str, Outbox]
    ledger: Ledger
    clock: FakeClock
    pictures: Path

    async def approved(
        self, text: str, account: str = "main", not_before: datetime | None = None, picture: str | None = None
    ) -> Post:
        """A post with this text that somebody approved."""
        post = await self.posts.submit(account, "nell", "v1", 1, f"draft {text[:40]}", 0.9, "ann")
        await self.posts.edit(post.id, text, "ann")
        if picture:
            await self.posts.attach(post.id, picture, "A lamp.")
        return await self.posts.approve(post.id, "ann", not_before)

    async def turn(self, account: str = "main") -> datetime:
        """One turn of an account."""
        return await self.frontends[account].turn()

    async def settle(self, account: str = "main") -> None:
        """As long as it takes to be sure."""
        for _ in range(8):
            await self.turn(account)
            self.clock.advance(minutes=1)

    async def state(self, number: int) -> PostState:
        """Where a post stands."""
        return (await self.posts.post(number)).state


@asynccontextmanager
async def x_stage(
    path: Path,
    x: LoopbackX,
    clock: FakeClock,
    accounts: Mapping[str, tuple[str, X]],
    *,
    texts: tuple[str, ...] = (),
    cap: str = "5.00",
    reserve: str = "0",
) -> AsyncIterator[XStage]:
    """As in a service that was just started on the database at `path`; handle and settings of each account by name."""
    settings = {name: each for name, (_, each) in accounts.items()}
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(path))
        ledger = Ledger(database, Prices(), Decimal(cap), clock, Budget(Decimal(cap), reserve=Decimal(reserve)))
        posts = Posts(database, FakeSpeaker(texts), SAMPLING, 2, settings, clock)
        outboxes = {name: Outbox(database, name, clock) for name in accounts}
        pictures, frontends = path.parent / "pictures", {}
        for name, (handle, each) in accounts.items():
            keys = x.keys_of(handle)
            client = XClient(
                XKeys(
                    keys.bearer_token,
                    keys.consumer_key,
                    keys.consumer_secret,
                    keys.access_token,
                    keys.access_token_secret,
                ),
                x.api_base,
            )
            await stack.enter_async_context(client)
            owns_app = name == "main"
            frontends[name] = XFrontend(client, posts, outboxes[name], ledger, each, pictures, clock, owns_app)
            await outboxes[name].recover()
        yield XStage(frontends, posts, outboxes, ledger, clock, pictures)


def published(x: LoopbackX, handle: str = "Nell") -> list[str]:
    """What stands on the account, the oldest first."""
    return [post.text for post in reversed(x.timeline(handle))]
