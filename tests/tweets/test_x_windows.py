"""What X would refuse for now is not sent, by whichever client or process, and after restarts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from bot.database import Database
from bot.errors import XRateLimited
from bot.loopback.x import LoopbackX, XRefusal
from bot.tweets.x_api import XClient
from bot.tweets.x_bodies import TWEET
from bot.tweets.x_requests import XKeys
from bot.tweets.x_stream import MentionStream
from bot.tweets.x_windows import Names, Windows
from tests.fakes import FakeClock
from tests.tweets.desk import contracts

POST = "POST /2/tweets"
STREAM = "GET /2/tweets/search/stream"


@pytest.fixture
async def x(clock: FakeClock) -> AsyncIterator[LoopbackX]:
    async with LoopbackX(["Nell", "Ada"], contracts()[0], clock=clock) as x:
        yield x
    assert x.violations == []


@asynccontextmanager
async def client(path: Path, x: LoopbackX, clock: FakeClock, handle: str = "Nell") -> AsyncIterator[XClient]:
    """One of several clients, as in a process that was just started."""
    own = x.keys_of(handle)
    keys = XKeys(own.bearer_token, own.consumer_key, own.consumer_secret, own.access_token, own.access_token_secret)
    async with Database(path) as database:
        windows = Windows(database, Names("BEARER", "CONSUMER", keys.own_id or ""), clock)
        async with XClient(keys, x.api_base, windows=windows) as opened:
            yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "windows.db"


async def not_sent(x: LoopbackX, nell: XClient) -> XRateLimited:
    """No post goes out, and X is not asked."""
    asked = len(x.requests)
    with pytest.raises(XRateLimited, match="none was sent") as caught:
        await nell.post("The fog speaks last.")
    assert len(x.requests) == asked
    return caught.value


async def test_a_used_up_window_is_respected_after_a_restart_until_it_ends(
    path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    x.fail_next(POST, XRefusal.WINDOW)
    async with client(path, x, clock) as nell:
        with pytest.raises(XRateLimited):
            await nell.post("The fog speaks first.")
    async with client(path, x, clock) as nell:
        known = await not_sent(x, nell)
        await nell.me()  # another route
        assert known.resets_at is not None
        clock.now = known.resets_at
        await nell.post("The fog speaks first.")
    assert len(x.timeline("Nell")) == 1


async def test_what_one_client_learns_holds_for_another_one_of_the_same_account_alone(
    path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    async with client(path, x, clock) as one, client(path, x, clock) as two, client(path, x, clock, "Ada") as ada:
        x.fail_next(POST, XRefusal.WINDOW)
        with pytest.raises(XRateLimited):
            await one.post("The fog speaks first.")
        await not_sent(x, two)
        await ada.post("I heard the fog.")


async def test_the_day_of_an_app_holds_for_all_its_accounts(path: Path, x: LoopbackX, clock: FakeClock) -> None:
    x.fail_next(POST, XRefusal.DAY_OF_POSTS)
    async with client(path, x, clock) as nell:
        with pytest.raises(XRateLimited):
            await nell.post("The fog speaks first.")
    clock.advance(hours=1)
    async with client(path, x, clock, "Ada") as ada:
        await not_sent(x, ada)
        clock.advance(hours=23)
        await ada.post("I heard the fog.")


async def test_the_last_request_of_a_window_closes_it_without_a_refusal(path: Path, clock: FakeClock) -> None:
    async with LoopbackX(["Nell"], contracts()[0], clock=clock, limits={POST: 2}) as x, client(path, x, clock) as nell:
        for number in range(2):
            await nell.post(f"Wave number {number} came in.")
        await not_sent(x, nell)


async def test_the_stream_asks_no_more_of_x_than_it_takes(path: Path, x: LoopbackX, clock: FakeClock) -> None:
    async with Database(path) as database:
        windows = Windows(database, Names("BEARER", "CONSUMER", "1"), clock)
        async with MentionStream(x.keys.bearer_token, x.api_base, TWEET, windows=windows) as stream:
            x.fail_next(f"{STREAM}/rules", XRefusal.WINDOW)
            x.fail_next(STREAM, XRefusal.WINDOW)
            for _ in range(2):
                with pytest.raises(XRateLimited):
                    await stream.follow("main", "Nell")
                with pytest.raises(XRateLimited):
                    await anext(stream.lines())
    assert [each.route for each in x.requests] == [f"{STREAM}/rules", STREAM]


async def test_a_clock_that_was_wrong_holds_nothing_up_for_longer_than_a_day(
    path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    right = clock.now
    clock.now = right + timedelta(days=400)
    x.fail_next(POST, XRefusal.WINDOW)
    async with client(path, x, clock) as nell:
        with pytest.raises(XRateLimited):
            await nell.post("The fog speaks first.")
        clock.now = right
        await nell.post("The fog speaks first.")
