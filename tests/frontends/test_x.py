"""What was approved goes out once, on time and within the cap: the real client against X on this machine."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.config import Prices, X
from bot.database import Database
from bot.errors import Busy, MockingbirdError, Refused, UnknownPersona
from bot.frontends.x.frontend import XFrontend
from bot.frontends.x.sending import to_its_end
from bot.generation.draft import Sampling
from bot.loopback.openapi import OpenAPIContract
from bot.loopback.x import LoopbackX, XRefusal
from bot.replies.outbox import Outbox
from bot.replies.posts import Posts, PostState
from bot.tweets.costs import Ledger, dollars
from bot.tweets.x_api import XClient
from bot.tweets.x_requests import XKeys
from tests.cut_off import cut_off
from tests.fakes import FakeClock, FakeSpeaker

POST = "POST /2/tweets"
HOURLY = X(persona="nell", post_every_minutes=60.0, approval=False)
PROPOSING = X(persona="nell", post_every_minutes=60.0)
BY_HAND = X(persona="nell")
SAMPLING = Sampling(1.0, 1.0, 0, 10)


@pytest.fixture(scope="module")
def contract() -> Iterator[OpenAPIContract | None]:
    folder = os.environ.get("MOCKINGBIRD_TEST_SPECS")
    name = "x-api-v2.159_xdk_2026-02-27_legacy_tweet_names.json"
    yield OpenAPIContract.load(Path(folder) / name) if folder else None


@pytest.fixture
async def x(contract: OpenAPIContract | None, clock: FakeClock) -> AsyncIterator[LoopbackX]:
    async with LoopbackX(["Nell"], contract, clock=clock) as x:
        yield x
    assert x.violations == []


@dataclass(frozen=True, slots=True)
class Stage:
    """A front end with what stands around it."""

    frontend: XFrontend
    posts: Posts
    outbox: Outbox
    ledger: Ledger
    speaker: FakeSpeaker

    async def states(self) -> list[PostState]:
        return [post.state for post in reversed(await self.posts.recent())]


@asynccontextmanager
async def stage_at(
    path: Path,
    x: LoopbackX,
    clock: FakeClock,
    settings: X = HOURLY,
    *,
    texts: tuple[str, ...] = (),
    cap: str = "1.00",
    keys: XKeys | None = None,
    api_base: str = "",
) -> AsyncIterator[Stage]:
    """A front end on the database at `path`, as in a service that was just started."""
    own = x.keys
    keys = keys or XKeys(
        own.bearer_token, own.consumer_key, own.consumer_secret, own.access_token, own.access_token_secret
    )
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(path))
        client = await stack.enter_async_context(XClient(keys, api_base or x.api_base))
        speaker, ledger = FakeSpeaker(texts), Ledger(database, Prices(), Decimal(cap), clock)
        posts = Posts(database, speaker, SAMPLING, 1, {"main": settings}, clock)
        outbox = Outbox(database, "main", clock)
        frontend = XFrontend(client, posts, outbox, ledger, settings, path.parent / "pictures", clock)
        yield Stage(frontend, posts, outbox, ledger, speaker)


@pytest.fixture
async def hourly(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> AsyncIterator[Stage]:
    """Posts each hour, without approval."""
    async with stage_at(tmp_path / "stage.db", x, clock) as stage:
        yield stage


@pytest.fixture
async def proposing(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> AsyncIterator[Stage]:
    """Proposes each hour, and posts what a person approves."""
    async with stage_at(tmp_path / "stage.db", x, clock, PROPOSING) as stage:
        yield stage


@pytest.fixture
async def by_hand(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> AsyncIterator[Stage]:
    """Posts what a person has asked for and approved."""
    async with stage_at(tmp_path / "stage.db", x, clock, BY_HAND) as stage:
        yield stage


def published(x: LoopbackX) -> list[str]:
    """What stands on the account, the oldest first."""
    return [post.text for post in reversed(x.timeline("Nell"))]


# On time


async def test_a_post_goes_out_at_each_interval(x: LoopbackX, clock: FakeClock, hourly: Stage) -> None:
    await hourly.frontend.turn()
    clock.advance(minutes=59)
    await hourly.frontend.turn()
    assert published(x) == ["tweet number 1"]
    clock.advance(minutes=1)
    await hourly.frontend.turn()
    assert published(x) == ["tweet number 1", "tweet number 2"]
    newest = (await hourly.posts.recent(1))[0]
    assert (newest.state, newest.platform_id) == (PostState.SENT, x.timeline("Nell")[0].id)
    assert await hourly.ledger.month_total() == x.bill() == Decimal("0.030")


async def test_a_scheduled_post_does_not_hold_up_who_waits(hourly: Stage) -> None:
    await hourly.frontend.turn()
    assert not hourly.speaker.urgent


async def test_after_a_long_downtime_there_is_one_post_and_no_burst(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    for text in ("a fine day", "fog again"):
        async with stage_at(tmp_path / "stage.db", x, clock, texts=(text,)) as stage:
            for _ in range(3):
                await stage.frontend.turn()
        clock.advance(days=3)
    assert len(published(x)) == 2


@pytest.mark.parametrize("settings", [X(persona="nell"), X(post_every_minutes=60.0)])
async def test_without_an_interval_or_a_persona_nothing_is_proposed(
    tmp_path: Path, x: LoopbackX, clock: FakeClock, settings: X
) -> None:
    async with stage_at(tmp_path / "stage.db", x, clock, settings) as stage:
        await stage.frontend.turn()
        assert stage.speaker.asked == []


@pytest.mark.parametrize(
    ("failure", "minutes"),
    [(Refused("Only copies."), 60), (Busy("Too many wait.", 120.0), 2), (UnknownPersona("There is no nell."), 60)],
)
async def test_a_persona_that_has_nothing_to_say_is_asked_again_next_time(
    x: LoopbackX, clock: FakeClock, hourly: Stage, failure: MockingbirdError, minutes: int
) -> None:
    hourly.speaker.failure = failure
    with capture_logs() as logs:
        await hourly.frontend.turn()
        await hourly.frontend.turn()
    assert [entry["reason"] for entry in logs] == [str(failure)]
    hourly.speaker.failure = None
    clock.advance(minutes=minutes)
    await hourly.frontend.turn()
    assert published(x) == ["tweet number 1"]


async def test_the_next_look_is_when_the_next_post_is_due_or_in_five_seconds(
    clock: FakeClock, hourly: Stage, proposing: Stage
) -> None:
    assert await hourly.frontend.turn() == clock.now + timedelta(seconds=5)
    clock.advance(minutes=59, seconds=57)
    assert await hourly.frontend.turn() == clock.now + timedelta(seconds=3)


# With approval


async def test_nothing_is_posted_until_a_person_approves_it(x: LoopbackX, clock: FakeClock, proposing: Stage) -> None:
    await proposing.frontend.turn()
    clock.advance(minutes=5)
    await proposing.frontend.turn()
    assert (await proposing.states(), x.requests) == ([PostState.DRAFTED], [])
    await proposing.posts.approve(1, "ann")
    for _ in range(2):
        await proposing.frontend.turn()
    assert published(x) == ["tweet number 1"]
    assert await proposing.ledger.month_total() == x.bill()


async def test_what_a_person_refused_never_goes_out(x: LoopbackX, clock: FakeClock, proposing: Stage) -> None:
    await proposing.frontend.turn()
    await proposing.posts.refuse(1, "ann", "too wet")
    await proposing.frontend.turn()
    assert x.requests == []


async def test_approved_posts_go_out_the_oldest_first(x: LoopbackX, clock: FakeClock, proposing: Stage) -> None:
    for _ in range(3):
        await proposing.frontend.turn()
        clock.advance(hours=1)
    for number in (3, 1):
        await proposing.posts.approve(number, "ann")
    await proposing.frontend.turn()
    assert published(x) == ["tweet number 1", "tweet number 3"]


async def test_the_running_front_end_sends_when_the_bell_rings(x: LoopbackX, by_hand: Stage) -> None:
    await by_hand.posts.propose("main", "nell")
    running = asyncio.create_task(by_hand.frontend.run())
    async with asyncio.timeout(10):
        await by_hand.posts.approve(1, "ann")
        by_hand.frontend.wake()
        await x.wait_until(lambda: len(x.requests) == 1)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert published(x) == ["tweet number 1"]


# Once


@pytest.mark.slow
async def test_cut_off_anywhere_a_post_is_on_x_once_and_the_ledger_is_the_bill(
    tmp_path: Path, contract: OpenAPIContract | None, clock: FakeClock
) -> None:
    ends = set()
    for step in count(1):
        path = tmp_path / f"{step}.db"
        async with LoopbackX(["Nell"], contract, clock=clock) as x:
            async with stage_at(path, x, clock, BY_HAND) as stage:
                await stage.posts.propose("main", "nell")
                await stage.posts.approve(1, "ann")
                was_under_way = await cut_off(stage.frontend.turn(), step)
            async with stage_at(path, x, clock, BY_HAND) as stage:
                unknown = await stage.outbox.recover()
                stood = len(published(x))
                for _ in range(3):
                    await stage.frontend.turn()
                    clock.advance(minutes=5)
                assert await stage.states() == [PostState.SENT]
                assert published(x) == ["tweet number 1"]
                assert await stage.ledger.month_total() == x.bill()
            ends.add((unknown, stood))
            assert x.violations == []
        if not was_under_way:
            break
    assert ends == {(0, 0), (1, 0), (1, 1), (0, 1)}


@pytest.mark.parametrize("state", sorted({*PostState} - {PostState.APPROVED, PostState.SENDING, PostState.UNKNOWN}))
async def test_over_a_restart_only_what_is_approved_is_sent(
    tmp_path: Path, x: LoopbackX, clock: FakeClock, state: PostState
) -> None:
    path = tmp_path / "stage.db"
    async with stage_at(path, x, clock, BY_HAND) as stage:
        await stage.posts.propose("main", "nell")
    async with Database(path) as database, database.transaction() as transaction:
        await transaction.run("UPDATE posts SET state = ?", (state,))
    async with stage_at(path, x, clock, BY_HAND, texts=("something new",)) as stage:
        running = asyncio.create_task(stage.frontend.run())
        async with asyncio.timeout(10):
            later = await stage.posts.propose("main", "nell")
            await stage.posts.approve(later.id, "ann")
            stage.frontend.wake()
            await x.wait_until(lambda: len(x.requests) == 1)
        running.cancel()
        await asyncio.wait([running])
    assert published(x) == [later.text]


async def test_what_became_of_a_post_is_written_down_even_when_cancelled_meanwhile(
    x: LoopbackX, by_hand: Stage
) -> None:
    await by_hand.posts.propose("main", "nell")
    await by_hand.posts.approve(1, "ann")
    part = await by_hand.outbox.next_part(1)
    assert part is not None
    began, go_on = asyncio.Event(), asyncio.Event()

    async def note() -> None:
        began.set()
        await go_on.wait()
        await by_hand.outbox.arrived(part, "1234")

    noting = asyncio.create_task(to_its_end(note()))
    await began.wait()
    noting.cancel()
    go_on.set()
    await asyncio.wait([noting])
    assert noting.cancelled()
    assert await by_hand.states() == [PostState.SENT]


# What X says


async def test_a_text_that_x_knows_already_is_out_with_the_reason(
    x: LoopbackX, clock: FakeClock, by_hand: Stage
) -> None:
    x.post_as("Nell", "tweet number 1", created_at=clock.now)
    for number in (1, 2):
        await by_hand.posts.propose("main", "nell")
        await by_hand.posts.approve(number, "ann")
    for _ in range(2):
        await by_hand.frontend.turn()
    refused = await by_hand.posts.post(1)
    assert refused.state is PostState.REFUSED
    assert refused.reason is not None
    assert "has posted this text before" in refused.reason
    assert published(x) == ["tweet number 1", "tweet number 2"]
    assert len(x.requests) == 2
    assert await by_hand.ledger.month_total() == x.bill()


@pytest.mark.parametrize(
    ("refusal", "wait"),
    [
        (XRefusal.WINDOW, timedelta(minutes=15)),
        (XRefusal.DAY_OF_POSTS, timedelta(days=1)),
        (XRefusal.MONTHLY_CAP, timedelta(minutes=15)),
        (XRefusal.UNAUTHORIZED, timedelta(minutes=15)),
        (XRefusal.CREDITS_DEPLETED, timedelta(minutes=15)),
        (XRefusal.READ_ONLY_APP, timedelta(minutes=15)),
    ],
)
async def test_a_no_for_now_keeps_every_post_and_pauses(
    x: LoopbackX, clock: FakeClock, by_hand: Stage, refusal: XRefusal, wait: timedelta
) -> None:
    for number in (1, 2):
        await by_hand.posts.propose("main", "nell")
        await by_hand.posts.approve(number, "ann")
    x.fail_next(POST, refusal)
    await by_hand.frontend.turn()
    clock.now += wait - timedelta(seconds=1)
    await by_hand.frontend.turn()
    assert (len(x.requests), await by_hand.ledger.month_total()) == (1, Decimal(0))
    assert len(await by_hand.outbox.to_send()) == 2
    clock.advance(seconds=1)
    await by_hand.frontend.turn()
    clock.advance(minutes=15)  # what is late goes out one by one
    await by_hand.frontend.turn()
    assert published(x)[:2] == ["tweet number 1", "tweet number 2"]
    assert await by_hand.ledger.month_total() == x.bill()


async def test_a_no_that_x_does_not_explain_is_not_asked_for_again(
    x: LoopbackX, clock: FakeClock, by_hand: Stage
) -> None:
    for number in (1, 2):
        await by_hand.posts.propose("main", "nell")
        await by_hand.posts.approve(number, "ann")
    x.fail_next(POST, XRefusal.NOT_PERMITTED)
    await by_hand.frontend.turn()
    assert (await by_hand.states(), len(x.requests)) == ([PostState.REFUSED, PostState.APPROVED], 1)
    clock.advance(minutes=59)
    await by_hand.frontend.turn()
    assert len(x.requests) == 1
    clock.advance(minutes=1)
    await by_hand.frontend.turn()
    assert published(x)[0] == "tweet number 2"


@pytest.mark.parametrize("refusal", [XRefusal.ANSWER_LOST, XRefusal.UNAVAILABLE, XRefusal.WEB_PAGE])
async def test_a_post_whose_answer_is_missing_is_looked_for_before_anything_else_is_sent(
    x: LoopbackX, clock: FakeClock, by_hand: Stage, refusal: XRefusal
) -> None:
    for number in (1, 2):
        await by_hand.posts.propose("main", "nell")
        await by_hand.posts.approve(number, "ann")
    x.fail_next(POST, refusal)
    await by_hand.frontend.turn()
    unknown = await by_hand.posts.post(1)
    assert unknown.state is PostState.UNKNOWN
    assert unknown.reason is not None
    assert "look at the timeline first" in unknown.reason
    for _ in range(10):
        clock.advance(minutes=1)
        await by_hand.frontend.turn()
    assert published(x) == ["tweet number 1", "tweet number 2"]
    assert await by_hand.states() == [PostState.SENT, PostState.SENT]
    assert await by_hand.ledger.month_total() == x.bill()


async def test_while_x_is_out_of_reach_posts_wait_and_it_is_said_once(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    with socket.socket() as reserved, capture_logs() as logs:  # bound and not listening: nobody else can take the port
        reserved.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        async with stage_at(tmp_path / "stage.db", x, clock, api_base=nowhere) as stage:
            for _ in range(3):
                await stage.frontend.turn()
                clock.advance(minutes=1)
            assert (await stage.states(), await stage.ledger.month_total()) == ([PostState.APPROVED], Decimal(0))
    assert [entry["event"] for entry in logs] == ["a post was proposed", "posting pauses"]
    async with stage_at(tmp_path / "stage.db", x, clock) as stage:
        await stage.frontend.turn()
    assert published(x) == ["tweet number 1"]


# Money


@pytest.mark.parametrize(
    ("text", "usd"),
    [
        ("The lamp is lit.", "0.015"),
        ("See https://example.org for the lamp.", "0.200"),
        ("See example.org for the lamp.", "0.200"),
        ("The lamp: bit.ly/x", "0.200"),
        ("lamp.xyz", "0.200"),
        ("At 3.5 knots. Fog… Rain. No. 1.", "0.015"),
    ],
)
async def test_a_post_that_would_go_over_the_cap_waits(
    tmp_path: Path, x: LoopbackX, clock: FakeClock, text: str, usd: str
) -> None:
    below = str(Decimal(usd) - Decimal("0.001"))
    async with stage_at(tmp_path / "stage.db", x, clock, texts=(text,), cap=below) as stage:
        with capture_logs() as logs:
            for _ in range(3):
                await stage.frontend.turn()
        [said] = [entry["reason"] for entry in logs if "reason" in entry]
        assert said.startswith("Post 1 may cost $")
        assert "raise [x] monthly_budget_usd" in said
        assert x.requests == []
    async with stage_at(tmp_path / "stage.db", x, clock, cap=usd) as stage:
        await stage.frontend.turn()
        assert published(x) == [text]
        assert await stage.ledger.month_total() == Decimal(usd)


# Off


async def test_without_a_users_keys_posting_is_off_and_says_so_once(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    reader = XKeys(x.keys.bearer_token)
    async with stage_at(tmp_path / "stage.db", x, clock, HOURLY, keys=reader) as stage:
        with capture_logs() as logs:
            await stage.frontend.run()
    assert [entry["event"] for entry in logs] == ["posting to X is off: the four keys of a user are not set"]
    assert stage.speaker.asked == []


async def test_no_text_is_logged(x: LoopbackX, clock: FakeClock, hourly: Stage) -> None:
    x.fail_next(POST, XRefusal.DUPLICATE)
    with capture_logs() as logs:
        for _ in range(3):
            await hourly.frontend.turn()
            clock.advance(hours=1)
    assert "tweet number" not in str(logs)


# The guide


def test_the_guide_names_every_setting_and_its_sums_follow_from_the_prices() -> None:
    guide = (Path(__file__).parents[2] / "docs/x.md").read_text(encoding="utf-8")
    prices, settings = Prices(), X()
    sums = [
        3_200 * prices.post_read + prices.user_read,
        3_200 * prices.owned_read + prices.user_read,
        600 * prices.post_read,
        *(posts * prices.post_create for posts in (720, 180, 30)),
        30 * prices.post_create_with_url,
        100 * prices.post_read,
        settings.monthly_budget_usd,
    ]
    assert [name for name in X.model_fields if name not in guide] == []
    assert [text for text in map(dollars, sums) if text not in guide] == []
