"""Mentions come over the filtered stream where X lets the app, and what is missed is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.errors import Busy, DiskFull, MockingbirdError, XLoginEnded, XRateLimited, XUnreachable
from bot.frontends.x.listening import Listener
from bot.loopback.x import LoopbackX, XRefusal
from bot.replies.mention import MentionState
from bot.replies.mentions import Mentions
from bot.tweets.x_bodies import TWEET, XUser
from bot.tweets.x_mentions import Mention
from bot.tweets.x_stream import MentionStream, reconnect_after
from tests.fakes import FakeClock
from tests.frontends.x_mentions_stage import Stage, stage_at
from tests.loopback.x_stage import described_in

STREAM = "GET /2/tweets/search/stream"
PATIENCE_S = 20


@pytest.fixture
async def x(clock: FakeClock) -> AsyncIterator[LoopbackX]:
    contract = described_in("x-api-v2.159_xdk_2026-02-27_legacy_tweet_names.json")
    async with LoopbackX(["Nell", "Crumb", "ada"], contract, clock=clock) as x:
        yield x
    assert x.violations == []


@pytest.fixture
async def nell(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> AsyncIterator[Stage]:
    async with stage_at(tmp_path / "stage.db", x, clock) as stage:
        yield stage


@asynccontextmanager
async def listening(x: LoopbackX, stage: Stage, quiet_s: float = 21.0) -> AsyncIterator[list[float]]:
    """The service listens and answers; the pauses that it made, none of which takes any time."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    async with MentionStream(x.keys.bearer_token, x.api_base, TWEET, quiet_s) as stream:
        listener = Listener(stream, stage.client, stage.frontend, stage.ledger, "nell", pause)
        tasks = [asyncio.create_task(listener.run()), asyncio.create_task(stage.frontend.run())]
        try:
            async with asyncio.timeout(PATIENCE_S):
                yield pauses
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def replies(x: LoopbackX) -> int:
    return len(x.timeline("Nell"))


async def test_a_mention_from_the_stream_is_answered_once(x: LoopbackX, nell: Stage) -> None:
    async with listening(x, nell):
        await x.wait_until(lambda: x.streams == 1)
        post = x.post_as("ada", "@Nell hello")
        x.redeliver(post.id)
        await x.wait_until(lambda: replies(x) == 1)
    assert await nell.states() in ([MentionState.ANSWERED], [MentionState.SENDING])
    assert x.bill_by_kind()["post read"] == Decimal("0.005")
    assert await nell.ledger.month_total() >= x.bill()


async def test_what_the_stream_brings_is_paid_on_the_day_on_which_it_comes(
    x: LoopbackX, nell: Stage, clock: FakeClock
) -> None:
    """It was waited for since the day before."""

    async def lines() -> list[tuple[str, bool]]:
        rows = await nell.database.all("SELECT at, holder FROM costs WHERE resource LIKE 'stream %' ORDER BY id")
        return [(row["at"][:10], row["holder"] is None) for row in rows]

    first = clock().date().isoformat()
    async with listening(x, nell):
        await x.wait_until(lambda: x.streams == 1)
        x.post_as("ada", "@Nell hello")
        while await lines() != [(first, True), (first, False)]:  # noqa: ASYNC110  (the database tells nobody)
            await asyncio.sleep(0.01)
        clock.advance(days=1)
        x.post_as("ada", "@Nell good morning")
        while len(await lines()) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        second = clock().date().isoformat()
        assert await lines() == [(first, True), (second, True), (second, False)]


@pytest.mark.parametrize("cut", [True, False])
async def test_after_a_break_it_listens_anew_and_reads_what_it_missed(x: LoopbackX, nell: Stage, cut: bool) -> None:
    async with listening(x, nell):
        await x.wait_until(lambda: x.streams == 1)
        x.fail_next(STREAM, XRefusal.UNAVAILABLE, times=2)
        x.drop_streams(cut=cut)
        await x.wait_until(lambda: x.streams == 0)
        x.post_as("ada", "@Nell missed")
        await x.wait_until(lambda: replies(x) == 1 and x.streams == 1)
        x.post_as("ada", "@Nell heard")
        await x.wait_until(lambda: replies(x) == 2)


async def test_a_quiet_connection_is_taken_for_dead(x: LoopbackX, nell: Stage) -> None:
    async with listening(x, nell, quiet_s=0.05):
        await x.wait_until(lambda: sum(request.route == STREAM for request in x.requests) >= 3)


async def test_where_the_access_does_not_cover_streams_mentions_are_polled_and_it_is_said_once(
    x: LoopbackX, nell: Stage
) -> None:
    x.fail_next(f"{STREAM}/rules", XRefusal.CLIENT_NOT_ENROLLED)
    x.post_as("ada", "@Nell hello")
    async with MentionStream(x.keys.bearer_token, x.api_base, TWEET) as stream:
        with capture_logs() as logs:
            await Listener(stream, nell.client, nell.frontend, nell.ledger, "nell").run()
    assert [entry["event"] for entry in logs] == ["mentions are polled, not streamed"]
    await nell.frontend.turn()
    assert replies(x) == 1


async def test_a_login_that_has_ended_is_waited_for(x: LoopbackX, nell: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever logs in again need not restart anything."""
    whose = nell.client.me

    async def ended() -> XUser:
        monkeypatch.setattr(nell.client, "me", whose)
        raise XLoginEnded("log in again")

    monkeypatch.setattr(nell.client, "me", ended)
    async with listening(x, nell) as pauses:
        await x.wait_until(lambda: x.streams == 1)
    assert pauses[0] == 3_600


async def test_a_connection_that_x_refuses_is_tried_again_later_each_time(x: LoopbackX, nell: Stage) -> None:
    x.fail_next(STREAM, XRefusal.UNAVAILABLE, times=3)
    async with listening(x, nell) as pauses:
        await x.wait_until(lambda: x.streams == 1)
    assert pauses[:3] == [5.0, 10.0, 20.0]


def test_the_pauses_before_connecting_anew_are_those_that_x_asks_for() -> None:
    down, limited = XUnreachable("down", False), XRateLimited("limit", None)
    broken = XUnreachable("broken", False)
    broken.__cause__ = TimeoutError()
    seconds = [
        [reconnect_after(error, failures).total_seconds() for failures in (0, 1, 2, 3, 100)]
        for error in (down, limited, broken)
    ]
    assert seconds == [[0, 5, 10, 20, 320], [0, 60, 120, 240, 960], [0, 0.25, 0.5, 0.75, 16]]


@pytest.mark.parametrize("trouble", [Busy("Another process writes.", 10.0), DiskFull("The disk is full.")], ids=str)
async def test_a_mention_that_could_not_be_put_on_record_is_read_and_answered_once(
    x: LoopbackX, nell: Stage, monkeypatch: pytest.MonkeyPatch, trouble: MockingbirdError
) -> None:
    """The stream is connected anew after a pause."""
    record, failed = Mentions.record, False

    async def fails_once(self: Mentions, mentions: Iterable[Mention], own_id: str, ours: Collection[str]) -> set[str]:
        nonlocal failed
        mentions = list(mentions)
        if mentions and not failed:
            failed = True
            raise trouble
        return await record(self, mentions, own_id, ours)

    monkeypatch.setattr(Mentions, "record", fails_once)
    async with listening(x, nell) as pauses:
        await x.wait_until(lambda: x.streams == 1 and any(each.path.endswith("/mentions") for each in x.requests))
        x.post_as("ada", "@Nell hello")  # the reading at the start is over, so it comes from the stream
        await x.wait_until(lambda: replies(x) == 1)
        assert pauses == [60.0]
    assert await nell.ledger.month_total() >= x.bill()
