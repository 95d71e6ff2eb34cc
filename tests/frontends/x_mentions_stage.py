"""What tests of mentions stand on: accounts of ours that answer on an X of this machine, as in a fresh service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from bot.config import Generation, Prices, Replies, X
from bot.database import Database
from bot.frontends.x.mentions import XMentions
from bot.loopback.x import LoopbackX
from bot.replies.conversation import Conversation
from bot.replies.mention import MentionState, Noted
from bot.replies.mentions import Mentions, recent_mentions
from bot.shelf.shelf import Shelf
from bot.tweets.budget import Budget
from bot.tweets.costs import Ledger
from bot.tweets.x_api import XClient
from bot.tweets.x_requests import XKeys
from tests.fakes import FakeClock, FakeSpeaker
from tests.shelves import shelf_with

SETTINGS = X(persona="nell", reply_to_mentions=True)


@dataclass(frozen=True, slots=True)
class Stage:
    """An account that answers, with what stands around it."""

    frontend: XMentions
    client: XClient
    conversation: Conversation
    ledger: Ledger
    speaker: FakeSpeaker
    database: Database

    async def states(self) -> list[MentionState]:
        """Of all mentions, the oldest first."""
        return [noted.state for noted in await self.noted()]

    async def noted(self) -> list[Noted]:
        """All mentions, the oldest first."""
        return sorted(await recent_mentions(self.database, 1000), key=lambda noted: int(noted.id))

    async def reasons(self) -> list[str | None]:
        """Of all mentions, the oldest first."""
        return [noted.reason for noted in await self.noted()]


def keys_of(x: LoopbackX, handle: str) -> XKeys:
    """The keys of one of the accounts."""
    own = x.keys_of(handle)
    return XKeys(own.bearer_token, own.consumer_key, own.consumer_secret, own.access_token, own.access_token_secret)


@asynccontextmanager
async def stage_at(
    path: Path,
    x: LoopbackX,
    clock: FakeClock,
    settings: X = SETTINGS,
    *,
    account: str = "main",
    handle: str = "Nell",
    ours: tuple[str, ...] = ("Nell", "Crumb"),
    texts: tuple[str, ...] = (),
    cap: str = "20.00",
    reserve: str = "0",
    own: str | None = None,
    drafts: int = 1,
    replies: Replies | None = None,
) -> AsyncIterator[Stage]:
    """An account on the database at `path`, as in a service that was just started; `own` is its own monthly budget."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(path))
        client = await stack.enter_async_context(XClient(keys_of(x, handle), x.api_base))
        budget = Budget(Decimal(cap), {account: Decimal(own)} if own else {}, Decimal(reserve))
        speaker, ledger = FakeSpeaker(texts), Ledger(database, Prices(), Decimal(cap), clock, budget)
        models = path.parent / "models"
        shelf = Shelf(models) if models.is_dir() else shelf_with(models, "nell", "crumb")
        conversation = Conversation(database, shelf, speaker, Generation(drafts=drafts), replies or Replies(), clock)
        ids = frozenset(x.account(each).id for each in ours)
        frontend = XMentions(
            client,
            Mentions(database, conversation.opt_outs, account, clock),
            conversation,
            ledger,
            settings,
            ids,
            clock,
            owns_app=handle == "Nell",
        )
        await frontend.recover()
        yield Stage(frontend, client, conversation, ledger, speaker, database)
