"""What is new is fetched once, paid for knowingly, and never lost: the real client against X on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.config import X
from bot.errors import (
    BudgetExceeded,
    MockingbirdError,
    NotPermitted,
    UnknownHandle,
    XAccountUnavailable,
    XKeysRefused,
    XRateLimited,
    XUnreachable,
)
from bot.loopback.x import LoopbackX, XAccount, XRefusal
from bot.tweets.cleaning import Profile
from bot.tweets.fetching_plan import SPREAD
from bot.tweets.store import Basis
from bot.tweets.timeline_places import DEPTH
from bot.tweets.timeline_reading import Progress
from bot.tweets.tweet import Source, Tweet
from tests.cut_off import cut_off
from tests.fakes import FakeClock
from tests.tweets.desk import PERMITTED, PRICES, TIMELINE, Desk, contracts, desk_at, fill, recorded

LOOK_UP = "GET /2/users/by/username/:username"


@pytest.fixture
async def x(clock: FakeClock) -> AsyncIterator[LoopbackX]:
    """X with four accounts; whatever a test does must be allowed by X's own document."""
    accounts = [XAccount("Mockingbird"), XAccount("Ada"), XAccount("recluse", protected=True)]
    accounts.append(XAccount("rogue", suspended=True))
    async with LoopbackX(accounts, *contracts(), clock=clock) as x:
        yield x
    assert x.violations == []


@pytest.fixture
async def desk(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> AsyncIterator[Desk]:
    async with desk_at(tmp_path / "desk.db", x, clock) as desk:
        yield desk


def sparse_pages(x: LoopbackX, clock: FakeClock) -> list[str]:
    """Three pages' worth of posts of which few still stand, as a timeline whose owner tidied up."""
    fill(x, clock, "Ada", 230, ago=1)
    for number, post in enumerate(x.timeline("Ada")):
        if number % 20:
            x.delete(post.id)
    return [post.text for post in reversed(x.timeline("Ada"))]


def asked(x: LoopbackX, route: str = TIMELINE) -> int:
    return sum(request.route == route for request in x.requests)


# Fetching


async def test_a_timeline_is_stored_counted_and_paid_for(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    texts = fill(x, clock, "Ada", 250)
    steps: list[Progress] = []
    fetched = await desk.collector.fetch("@ADA", steps.append)
    assert await desk.texts("ada") == texts
    assert (fetched.new, fetched.counts.downloaded, fetched.counts.kept) == (250, 250, 250)
    assert fetched.usd == await desk.ledger.month_total() == x.bill() == Decimal("1.260")
    assert [(step.pages, step.read, step.new) for step in steps] == [(1, 100, 100), (2, 200, 200), (3, 250, 250)]
    assert await desk.store.basis("ada") is Basis.PERMISSION
    assert desk.rung.qsize() == 1


async def test_a_second_fetch_reads_only_what_is_new(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    fill(x, clock, "Ada", 150)
    await desk.collector.fetch("ada")
    clock.advance(hours=6)
    later = fill(x, clock, "Ada", 3)
    before, requests = x.bill(), len(x.requests)
    fetched = await desk.collector.fetch("ada")
    assert (fetched.new, fetched.usd, x.bill() - before) == (3, Decimal("0.015"), Decimal("0.015"))
    assert len(x.requests) == requests + 1
    assert (await desk.texts("ada"))[-3:] == later
    assert await desk.ledger.month_total() == x.bill()


async def test_nothing_new_costs_nothing_and_rings_nowhere(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    fill(x, clock, "Ada", 5)
    await desk.collector.fetch("ada")
    before = x.bill()
    fetched = await desk.collector.fetch("ada")
    assert (fetched.new, fetched.usd, x.bill()) == (0, Decimal(0), before)
    assert desk.rung.qsize() == 1


async def test_an_account_without_a_post_is_no_error(desk: Desk) -> None:
    fetched = await desk.collector.fetch("ada")
    assert (fetched.new, fetched.counts.downloaded) == (0, 0)
    assert await desk.collector.handles() == ["ada"]


async def test_retweets_are_not_paid_for_twice(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    original = x.post_as("Mockingbird", "The lamp sees the sea. " * 9, created_at=clock.now)
    x.post_as("Ada", "", retweets=original.id, created_at=clock.now)
    fetched = await desk.collector.fetch("ada")
    assert (fetched.counts.retweets, fetched.counts.kept) == (1, 0)
    assert fetched.usd == x.bill() == PRICES.user_read + PRICES.post_read


async def test_an_earlier_version_of_an_edited_post_goes(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    first = x.post_as("Ada", "teh lamp is lit tonight", created_at=clock.now)
    await desk.collector.fetch("ada")
    x.edit(first.id, "the lamp is lit tonight", created_at=clock.now + timedelta(minutes=1))
    await desk.collector.fetch("ada")
    assert await desk.texts("ada") == ["the lamp is lit tonight"]
    assert await desk.ledger.month_total() == x.bill()


async def test_ones_own_account_is_read_at_the_lower_price(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    fill(x, clock, "Mockingbird", 120)
    estimate = await desk.collector.estimate("mockingbird")
    fetched = await desk.collector.fetch("mockingbird")
    assert (estimate.posts, estimate.usd) == (120, Decimal("0.120"))
    assert fetched.usd == estimate.usd
    assert await desk.ledger.month_total() == x.bill() == Decimal("0.130")
    assert await desk.store.basis("mockingbird") is Basis.OWN


async def test_what_an_archive_holds_is_not_paid_for_again(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    fill(x, clock, "Ada", 40, ago=60)
    archived = [
        Tweet("ada", post.text, post.id, post.created_at, False, None, Source.ARCHIVE) for post in x.timeline("Ada")
    ]
    await desk.store.add("ada", archived, Basis.OWN)
    fill(x, clock, "Ada", 2)
    fetched = await desk.collector.fetch("ada")
    assert (fetched.new, fetched.counts.downloaded) == (2, 42)
    assert x.bill() == PRICES.user_read + 2 * PRICES.post_read
    assert await desk.store.basis("ada") is Basis.OWN


async def test_a_table_may_be_a_sample_so_everything_is_read(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    fill(x, clock, "Ada", 10)
    newest = x.timeline("Ada")[0]
    await desk.store.add("ada", [Tweet("ada", newest.text, newest.id, None, False, None, Source.TABLE)])
    assert (await desk.collector.fetch("ada")).new == 9


# Cut off


@pytest.mark.slow
async def test_cut_off_anywhere_it_goes_on_with_nothing_lost_or_billed_twice(tmp_path: Path, clock: FakeClock) -> None:
    for step in count(1):
        path = tmp_path / f"{step}.db"
        async with LoopbackX(["Mockingbird", "Ada"], *contracts(), clock=clock) as x:
            texts = sparse_pages(x, clock)
            async with desk_at(path, x, clock) as desk:
                was_under_way = await cut_off(desk.collector.fetch("ada"), step)
            async with desk_at(path, x, clock) as desk:
                await desk.collector.fetch("ada")
                assert (step, await desk.texts("ada")) == (step, texts)
                assert (step, await desk.ledger.month_total()) == (step, x.bill())
                assert (await desk.account("ada"))["since_id"] == x.timeline("Ada")[0].id
            assert asked(x) <= 4  # three pages, and the one that was under way
            assert x.violations == []
        if not was_under_way:
            break


async def stop_after_a_page(desk: Desk, x: LoopbackX) -> None:
    x.fail_next(TIMELINE, XRefusal.WINDOW)

    def plan(progress: Progress) -> None:
        if progress.pages == 1:
            x.fail_next(TIMELINE, XRefusal.WINDOW)

    with pytest.raises(XRateLimited):
        await desk.collector.fetch("ada", plan)
    with pytest.raises(XRateLimited):
        await desk.collector.fetch("ada", plan)


async def test_what_is_posted_while_a_fetch_rests_comes_with_the_next_one(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    texts = fill(x, clock, "Ada", 150, ago=1)
    await stop_after_a_page(desk, x)
    assert (await desk.texts("ada"), desk.rung.qsize()) == (texts[50:], 1)
    x.post_as("Ada", "posted in between", created_at=clock.now)
    assert (await desk.collector.fetch("ada")).new == 50
    assert (await desk.collector.fetch("ada")).new == 1
    assert await desk.texts("ada") == [*texts, "posted in between"]
    assert await desk.ledger.month_total() == x.bill()


async def test_an_archive_that_comes_while_a_fetch_rests_does_not_change_the_question(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    fill(x, clock, "Ada", 150)
    await stop_after_a_page(desk, x)
    post = x.timeline("Ada")[120]
    await desk.store.add("ada", [Tweet("ada", post.text, post.id, post.created_at, False, None, Source.ARCHIVE)])
    assert (await desk.collector.fetch("ada")).new == 49
    assert "since_id" not in x.requests[-1].query


async def test_a_place_that_x_has_forgotten_is_looked_for_anew(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    texts = fill(x, clock, "Ada", 150)
    await stop_after_a_page(desk, x)
    async with desk.database.transaction() as transaction:
        await transaction.run("UPDATE accounts SET page_token = 'forgotten'")
    assert (await desk.collector.fetch("ada")).new == 50
    assert await desk.texts("ada") == texts
    assert await desk.ledger.month_total() == x.bill()


def page(number: int, token: str | None, posts: int = 100) -> dict[str, Any]:
    data = [
        {
            "id": str(10**12 - number * 1000 - n),
            "text": f"page {number} post {n} of many",
            "created_at": "2026-10-01T00:00:00.000Z",
        }
        for n in range(posts)
    ]
    meta: dict[str, Any] = {"result_count": posts} | ({"next_token": token} if token else {})
    return {"data": data, "meta": meta} if posts else {"meta": meta}


async def test_tokens_that_go_in_a_circle_end(x: LoopbackX, desk: Desk) -> None:
    x.play_pages(x.account("Ada"), [page(0, "one", 3), page(1, "one", 3)])
    fetched = await desk.collector.fetch("ada")
    assert (fetched.new, asked(x)) == (6, 2)
    account = await desk.account("ada")
    assert (account["page_token"], account["since_id"]) == (None, str(10**12))


async def test_a_page_that_comes_again_under_ever_new_tokens_ends(x: LoopbackX, desk: Desk) -> None:
    x.play_pages(x.account("Ada"), [page(0, "t0"), page(1, "t1", 1), *(page(1, f"t{n}", 1) for n in range(2, 40))])
    fetched = await desk.collector.fetch("ada")
    assert (fetched.new, asked(x)) == (101, 3)
    assert await desk.ledger.month_total() == x.bill()


async def test_pages_end_where_a_timeline_ends(x: LoopbackX, desk: Desk) -> None:
    x.play_pages(x.account("Ada"), [page(n, f"t{n}") for n in range(40)])
    fetched = await desk.collector.fetch("ada")
    assert (fetched.new, asked(x)) == (DEPTH, DEPTH // 100)


# Money


async def test_the_cap_stops_a_fetch_before_the_page_that_may_go_over_it(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    texts = fill(x, clock, "Ada", 250)
    async with desk_at(tmp_path / "desk.db", x, clock, cap="1.20") as desk:
        with pytest.raises(BudgetExceeded, match=r"next page of @ada may cost \$0\.50, and \$1\.01 .* cap of \$1\.20"):
            await desk.collector.fetch("ada")
        assert (asked(x), await desk.texts("ada")) == (2, texts[50:])
        clock.now = datetime(2026, 12, 1, tzinfo=UTC)
        await desk.collector.fetch("ada")
        assert await desk.texts("ada") == texts
        assert await desk.ledger.month_total() == Decimal("0.250")
    assert x.bill() == Decimal("1.260")


async def test_without_money_nobody_is_even_looked_up(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    async with desk_at(tmp_path / "desk.db", x, clock, cap="0.009") as desk:
        for attempt in (desk.collector.fetch("ada"), desk.collector.estimate("ada")):
            with pytest.raises(BudgetExceeded, match="Looking up @ada"):
                await attempt
    assert x.requests == []


async def test_the_first_fetch_is_estimated_by_the_account_itself(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    fill(x, clock, "Ada", 120)
    estimate = await desk.collector.estimate("@Ada")
    assert (estimate.handle, estimate.posts, estimate.usd) == ("ada", 120, Decimal("0.600"))
    assert (estimate.month, estimate.cap) == (PRICES.user_read, Decimal("100.00"))
    assert await desk.collector.handles() == []  # nobody has said yes
    await desk.collector.fetch("ada")
    assert await desk.ledger.month_total() == x.bill() == Decimal("0.610")


async def test_an_account_with_more_than_can_be_read_is_estimated_by_what_can(x: LoopbackX, desk: Desk) -> None:
    x.add_account(replace(x.account("Ada"), earlier_posts=50_000))
    assert (await desk.collector.estimate("ada")).usd == Decimal("16.000")


async def test_a_fetch_that_was_cut_off_is_estimated_by_what_is_left(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    fill(x, clock, "Ada", 150)
    await stop_after_a_page(desk, x)
    assert (await desk.collector.estimate("ada")).posts == 50
    assert await desk.ledger.month_total() == x.bill()


async def test_later_fetches_are_estimated_by_how_much_was_posted_so_far(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    fill(x, clock, "Ada", 150)  # one a minute
    await desk.collector.fetch("ada")
    requests = len(x.requests)
    assert (await desk.collector.estimate("ada")).posts == 0
    clock.advance(minutes=30)
    assert (await desk.collector.estimate("ada")).posts == 30
    clock.advance(days=2)
    assert (await desk.collector.estimate("ada")).posts == 150
    assert len(x.requests) == requests


# Permission, and accounts that can't be read


async def test_without_permission_nothing_is_requested(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    async with desk_at(tmp_path / "desk.db", x, clock, X()) as desk:
        for attempt in (desk.collector.fetch("ada"), desk.collector.estimate("ada")):
            with pytest.raises(
                NotPermitted, match=r"set \[x\] i_have_permission_to_train = true .* or import the archive"
            ):
                await attempt
        await desk.collector.run()
        assert await desk.store.handles() == []
    assert x.requests == []


@pytest.mark.parametrize(
    ("handle", "exception", "said"),
    [
        ("recluse", XAccountUnavailable, "@recluse is protected, so its posts can't be read; its owner can import"),
        ("rogue", XAccountUnavailable, "suspended the account @rogue"),
        ("nobody", UnknownHandle, "no account @nobody; check the spelling"),
        ("../me", UnknownHandle, "can't be a handle on X"),
    ],
)
async def test_an_account_that_can_not_be_read_is_a_sentence_and_leaves_nothing(
    x: LoopbackX, desk: Desk, handle: str, exception: type[MockingbirdError], said: str
) -> None:
    for attempt in (desk.collector.estimate(handle), desk.collector.fetch(handle)):
        with pytest.raises(exception, match=said):
            await attempt
    assert await desk.store.handles() == []
    assert asked(x) == 0
    assert await desk.ledger.month_total() == x.bill()


async def test_an_account_that_is_closed_later_is_a_sentence_and_left_to_the_check(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    texts = fill(x, clock, "Ada", 3)
    await desk.collector.fetch("ada")
    x.add_account(replace(x.account("Ada"), protected=True))
    with pytest.raises(XAccountUnavailable, match="@ada is protected"):
        await desk.collector.fetch("ada")
    assert await desk.texts("ada") == texts


# On schedule


async def test_every_account_that_was_fetched_once_is_fetched_when_it_is_due(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    await desk.store.add("imported", [])
    for handle in ("ada", "mockingbird"):
        await desk.collector.fetch(handle)
    noon, requests, longest = clock.now, len(x.requests), SPREAD * timedelta(hours=1)
    assert await desk.collector.round() == noon + longest
    assert len(x.requests) == requests
    clock.now = noon + longest
    fill(x, clock, "Ada", 2)
    assert await desk.collector.round() == clock.now + longest
    assert len(x.requests) == requests + 2
    assert len(await desk.texts("ada")) == 2


async def test_a_round_says_in_the_log_what_it_may_cost(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    fill(x, clock, "Ada", 150)  # one a minute
    await desk.collector.fetch("ada")
    clock.advance(days=2)  # for ten of five a day
    with capture_logs() as logs:
        await desk.collector.round()
        await desk.collector.round()  # nobody is due
    [said] = [entry for entry in logs if entry["event"] == "fetching what is new"]
    assert (said["accounts"], said["expected_usd"]) == (1, "0.750")
    assert (said["month_usd"], said["cap_usd"]) == ("0.760", "100.00")


async def test_a_window_that_is_used_up_pauses_everything_until_it_ends(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    for handle in ("ada", "mockingbird"):
        await desk.collector.fetch(handle)
    clock.advance(days=3)
    fill(x, clock, "Ada", 150)
    x.fail_next(TIMELINE, XRefusal.WINDOW)
    limited_at = clock.now
    assert await desk.collector.round() == limited_at + timedelta(minutes=15)
    requests = len(x.requests)
    clock.advance(minutes=14, seconds=59)
    await desk.collector.round()
    assert len(x.requests) == requests
    clock.advance(seconds=1)
    await desk.collector.round()
    assert len(await desk.texts("ada")) == 150
    assert await desk.ledger.month_total() == x.bill()


async def test_trouble_with_one_account_does_not_keep_the_others_waiting(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    for handle in ("ada", "mockingbird"):
        await desk.collector.fetch(handle)
    x.add_account(replace(x.account("Ada"), suspended=True))
    clock.advance(days=3)
    fill(x, clock, "Mockingbird", 1)
    assert await desk.collector.round() == clock.now + timedelta(hours=1)
    assert len(await desk.texts("mockingbird")) == 1


@pytest.mark.parametrize(
    ("refusal", "exception", "minutes"),
    [
        (XRefusal.UNAVAILABLE, XUnreachable, 15),
        (XRefusal.MONTHLY_CAP, XRateLimited, 15),
        (XRefusal.UNAUTHORIZED, XKeysRefused, 60),
    ],
)
async def test_trouble_that_may_pass_is_tried_again_sooner(
    x: LoopbackX, clock: FakeClock, desk: Desk, refusal: XRefusal, exception: type[MockingbirdError], minutes: int
) -> None:
    await desk.collector.fetch("ada")
    clock.advance(days=3)
    x.fail_next(TIMELINE, refusal, times=2)
    assert await desk.collector.round() == clock.now + timedelta(minutes=minutes)
    with pytest.raises(exception):
        await desk.collector.fetch("ada")


async def test_the_running_collector_fetches_when_the_bell_rings(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    await desk.collector.fetch("ada")
    running = asyncio.create_task(desk.collector.run())
    async with asyncio.timeout(10):
        for _ in range(2):
            clock.advance(days=3)
            fill(x, clock, "Ada", 1)
            desk.collector.wake()
            await desk.rung.get()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert len(await desk.texts("ada")) == 2


@pytest.mark.parametrize("interval", [0.0, 60.0])
async def test_a_collector_with_nothing_to_do_asks_for_nothing(
    tmp_path: Path, x: LoopbackX, clock: FakeClock, interval: float
) -> None:
    settings = PERMITTED.model_copy(update={"fetch_interval_minutes": interval})
    async with desk_at(tmp_path / "desk.db", x, clock, settings) as desk:
        assert await desk.collector.round() is None
    assert x.requests == []


# Recorded answers


async def test_a_recorded_timeline_is_counted_as_expected(x: LoopbackX, desk: Desk) -> None:
    expected = recorded("EXPECTED.json")["api_v2_timeline_ObservatoryTeam"]
    index = recorded("api_v2/timeline_ObservatoryTeam/index.json")
    pages = [recorded(f"api_v2/timeline_ObservatoryTeam/{entry['file']}") for entry in index]
    x.play_pages(XAccount("ObservatoryTeam", "Digital Observatory Team", expected["user"]["id"]), pages)
    await desk.store.add("ObservatoryTeam", (), profile=Profile.HUGGINGTWEETS)
    fetched = await desk.collector.fetch("ObservatoryTeam")
    counts = fetched.counts
    assert (fetched.new, counts.downloaded) == (expected["distinct_ids"], expected["records"])
    assert counts.retweets == expected["rt_flag_or_prefix"]
    assert counts.downloaded - counts.retweets == expected["hf_own"]
    assert counts.short == expected["hf_short(boring)"]
    assert (counts.kept, counts.characters) == (expected["hf_kept"], expected["hf_joined_chars"])
    assert [request.query.get("pagination_token") for request in x.requests[1:]] == [
        None, *(entry["meta"]["next_token"] for entry in index[:-1])
    ]  # fmt: skip
    assert x.bill() == await desk.ledger.month_total()
