"""Taking back posts on X: what it costs is in the ledger, and what it may not cost is not done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal

import pytest

from bot.config import Prices
from bot.database import Database
from bot.errors import BudgetExceeded, XUnreachable
from bot.frontends.x.outlet import XOutlet
from bot.loopback.x import LoopbackX, XRefusal
from bot.personas.takedown import DELETED, Said
from bot.tweets.costs import Ledger
from bot.tweets.x_api import XClient
from bot.tweets.x_requests import XKeys
from tests.fakes import FakeClock
from tests.tweets.desk import contracts


@pytest.fixture
async def x(clock: FakeClock) -> AsyncIterator[LoopbackX]:
    async with LoopbackX(["nell", "ada"], *contracts(), clock=clock) as server:
        yield server
    assert server.violations == []


def outlet(x: LoopbackX, database: Database, clock: FakeClock, cap: str = "1.00") -> XOutlet:
    @asynccontextmanager
    async def client(account: str) -> AsyncIterator[XClient]:
        keys = x.keys_of("nell" if account == "main" else account)
        own = XKeys(
            keys.bearer_token, keys.consumer_key, keys.consumer_secret, keys.access_token, keys.access_token_secret
        )
        async with XClient(own, x.api_base) as opened:
            yield opened

    return XOutlet(client, ["main"], Ledger(database, Prices(), Decimal(cap), clock))


async def outcomes(outlet: XOutlet, *ids: str) -> list[str | None]:
    said = [Said(platform="x", channel="", id=each) for each in ids]
    async with aclosing(outlet.take_back(said, "forgotten-1")) as taken_back:
        return [each.outcome async for each in taken_back]


async def test_posts_are_deleted_and_paid_for(x: LoopbackX, database: Database, clock: FakeClock) -> None:
    first, second = x.post_as("nell", "one of ours"), x.post_as("nell", "another of ours")
    assert await outcomes(outlet(x, database, clock), first.id, second.id) == [DELETED, DELETED]
    assert not x.timeline("nell")
    rows = await database.all("SELECT purpose, about, usd FROM costs ORDER BY id")
    assert [tuple(row) for row in rows] == [("delete", "forgotten-1", "0.010")] * 2
    assert x.bill() == Decimal("0.020")


async def test_what_is_gone_already_is_as_good_as_deleted(x: LoopbackX, database: Database, clock: FakeClock) -> None:
    post = x.post_as("nell", "one of ours")
    x.delete(post.id)
    assert await outcomes(outlet(x, database, clock), post.id) == [DELETED]


async def test_somebody_elses_post_is_refused_for_good(x: LoopbackX, database: Database, clock: FakeClock) -> None:
    """The keys are those of another account by now: that is what became of it, and the next one goes on."""
    theirs, ours = x.post_as("ada", "not ours"), x.post_as("nell", "ours")
    said = await outcomes(outlet(x, database, clock), theirs.id, ours.id)
    assert said[0] is not None and "403" in said[0]
    assert said[1] == DELETED
    assert await Ledger(database, Prices(), Decimal(1), clock).month_total() == Decimal("0.010")


async def test_the_cap_holds_for_deleting_too(x: LoopbackX, database: Database, clock: FakeClock) -> None:
    posts = [x.post_as("nell", f"number {n}") for n in range(3)]
    with pytest.raises(BudgetExceeded):
        await outcomes(outlet(x, database, clock, "0.02"), *(post.id for post in posts))
    assert len(x.timeline("nell")) == 1


async def test_each_post_is_deleted_with_the_keys_of_its_own_account(
    x: LoopbackX, database: Database, clock: FakeClock
) -> None:
    posts = [x.post_as("nell", "one of ours"), x.post_as("ada", "another of ours")]
    said = [Said(platform="x", channel=channel, id=post.id) for channel, post in zip(("", "ada"), posts, strict=True)]
    async with aclosing(outlet(x, database, clock).take_back(said, "forgotten-1")) as taken_back:
        assert [each.outcome async for each in taken_back] == [DELETED, DELETED]
    assert not x.timeline("nell") and not x.timeline("ada")


async def test_trouble_that_passes_is_raised(x: LoopbackX, database: Database, clock: FakeClock) -> None:
    post = x.post_as("nell", "one of ours")
    x.fail_next("DELETE /2/tweets/:id", XRefusal.OVER_CAPACITY)
    with pytest.raises(XUnreachable):
        await outcomes(outlet(x, database, clock), post.id)
    assert await outcomes(outlet(x, database, clock), post.id) == [DELETED]
