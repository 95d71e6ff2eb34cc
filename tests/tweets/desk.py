"""A collector and a compliance check with what stands around them, as a service that was just started."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bot.config import Prices, X
from bot.database import Database
from bot.loopback.openapi import OpenAPIContract
from bot.loopback.x import LoopbackX
from bot.tweets.collecting import Collector
from bot.tweets.compliance import ComplianceCheck
from bot.tweets.costs import Ledger
from bot.tweets.store import TweetStore
from bot.tweets.x_api import XClient
from bot.tweets.x_bodies import VOCABULARIES
from bot.tweets.x_requests import XKeys
from tests.fakes import FakeClock

TIMELINE = "GET /2/users/:id/tweets"
PERMITTED = X(i_have_permission_to_train=True, fetch_interval_minutes=60.0)
PRICES = Prices()


@cache
def contracts() -> tuple[OpenAPIContract | None, OpenAPIContract | None]:
    """X's own documents of the older and the newer vocabulary, when they are at hand."""
    folder = os.environ.get("MOCKINGBIRD_TEST_SPECS")
    names = ("x-api-v2.159_xdk_2026-02-27_legacy_tweet_names.json", "x-api-v2.167_docs_2026-08-22.json")
    older, newer = (OpenAPIContract.load(Path(folder) / name) if folder else None for name in names)
    return older, newer


def recorded(name: str) -> Any:
    """A recorded document; skips the test where they are not at hand."""
    folder = os.environ.get("MOCKINGBIRD_TEST_TWEETS")
    if not folder:
        pytest.skip("the recorded answers are not at hand: set MOCKINGBIRD_TEST_TWEETS")
    return json.loads((Path(folder) / name).read_text(encoding="utf-8"))


def keys_of(x: LoopbackX) -> XKeys:
    """All keys that this X accepts."""
    keys = x.keys
    return XKeys(
        keys.bearer_token, keys.consumer_key, keys.consumer_secret, keys.access_token, keys.access_token_secret
    )


@dataclass(frozen=True, slots=True)
class Desk:
    """A collector and a check with what stands around them."""

    collector: Collector
    check: ComplianceCheck
    store: TweetStore
    ledger: Ledger
    database: Database
    rung: asyncio.Queue[str]  # one entry for each time that new tweets were announced

    async def texts(self, handle: str) -> list[str]:
        rows = await self.database.all("SELECT text FROM tweets WHERE handle = ? ORDER BY created_at", (handle,))
        return [row["text"] for row in rows]

    async def account(self, handle: str) -> dict[str, Any]:
        row = await self.database.one("SELECT * FROM accounts WHERE handle = ?", (handle,))
        return dict(row) if row else {}


@asynccontextmanager
async def desk_at(
    path: Path, x: LoopbackX, clock: FakeClock, settings: X = PERMITTED, cap: str = "100.00", keys: XKeys | None = None
) -> AsyncIterator[Desk]:
    """A desk on the database at `path`, as a service that was just started."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(path))
        vocabulary = VOCABULARIES[settings.vocabulary]
        client = await stack.enter_async_context(XClient(keys or keys_of(x), x.api_base, vocabulary))
        store, ledger = TweetStore(database, clock), Ledger(database, PRICES, Decimal(cap), clock)
        rung: asyncio.Queue[str] = asyncio.Queue()
        collector = Collector(client, store, database, ledger, settings, clock, lambda: rung.put_nowait("new"))
        check = ComplianceCheck(client, store, database, ledger, settings, clock)
        yield Desk(collector, check, store, ledger, database, rung)


def fill(x: LoopbackX, clock: FakeClock, handle: str, count: int, ago: float = 0) -> list[str]:
    """So many posts, one a minute, the last one `ago` minutes before now; their texts, the oldest first."""
    last = clock.now - timedelta(minutes=ago)
    texts = [f"{handle} on the {n}th wave" for n in range(count)]
    for number, text in enumerate(texts, start=1):
        x.post_as(handle, text, created_at=last - timedelta(minutes=count - number))
    return texts
