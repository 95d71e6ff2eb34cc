"""What is gone from X goes from the store within a day, under the cap, and only what came from the API."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from bot.loopback.x import LoopbackX, XRefusal
from bot.tweets.forecast import followed
from bot.tweets.store import Basis
from bot.tweets.tweet import Source, Tweet
from tests.cut_off import cut_off
from tests.fakes import FakeClock
from tests.tweets.desk import PERMITTED, PRICES, TIMELINE, Desk, contracts, desk_at, fill, keys_of

ACCOUNTS = "GET /2/users"
POSTS = "GET /2/tweets"
CREATE = "POST /2/compliance/jobs"
UPLOAD = "PUT /2/compliance/jobs/:id/upload"
RESULTS = "GET /2/compliance/jobs/:id/results"
BY_LOOKUP = PERMITTED.model_copy(update={"check_posts": "lookup"})


@pytest.fixture
async def x(clock: FakeClock) -> AsyncIterator[LoopbackX]:
    async with LoopbackX(["Mockingbird", "Ada", "Bob"], *contracts(), clock=clock) as x:
        yield x
    assert x.violations == []


@pytest.fixture
async def desk(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> AsyncIterator[Desk]:
    async with desk_at(tmp_path / "desk.db", x, clock) as desk:
        yield desk


def asked(x: LoopbackX, route: str) -> int:
    return sum(request.route == route for request in x.requests)


def close(x: LoopbackX, handle: str, how: str) -> None:
    if how == "deleted":
        x.close_account(handle)
    else:
        x.add_account(replace(x.account(handle), protected=how == "protected", suspended=how == "suspended"))


async def whole_check(desk: Desk, clock: FakeClock) -> None:
    """Rounds until the check is through: a job takes its time."""
    for _ in range(10):
        look_at = await desk.check.round()
        if look_at - clock() > timedelta(hours=1):
            return
        clock.now = look_at
    raise AssertionError("the check does not end")


# Accounts


@pytest.mark.parametrize("how", ["protected", "suspended", "deleted"])
async def test_what_was_fetched_of_a_closed_account_goes(x: LoopbackX, clock: FakeClock, desk: Desk, how: str) -> None:
    fill(x, clock, "Ada", 3)
    kept = fill(x, clock, "Bob", 2)
    for handle in ("ada", "bob"):
        await desk.collector.fetch(handle)
    known = x.account("Ada").id
    close(x, "Ada", how)
    clock.advance(hours=12)
    revision = await desk.store.revision()
    await desk.check.round()
    assert (await desk.texts("ada"), await desk.texts("bob")) == ([], kept)
    assert await desk.store.revision() > revision
    assert await desk.collector.handles() == ["bob"]  # it is not fetched again unless somebody asks
    assert (await followed(desk.database)).accounts == 1
    user_id, _ = await desk.store.same_people("ada")
    assert user_id == known  # by which it is known under a new name, should it be forgotten or blocked
    assert await desk.ledger.month_total() == x.bill()


async def test_an_imported_archive_is_its_owners(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    fill(x, clock, "Ada", 3, ago=60)
    own = [Tweet("ada", post.text, post.id, post.created_at, False, None, Source.ARCHIVE) for post in x.timeline("Ada")]
    await desk.store.add("ada", own, Basis.OWN)
    fill(x, clock, "Ada", 2)
    await desk.collector.fetch("ada")
    assert (await desk.store.counts("ada")).downloaded == 5
    x.delete(own[0].id or "")
    close(x, "Ada", "protected")
    clock.advance(hours=13)
    await whole_check(desk, clock)
    assert await desk.texts("ada") == [tweet.text for tweet in reversed(own)]


async def test_an_account_that_opens_again_is_fetched_when_somebody_asks(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    texts = fill(x, clock, "Ada", 3)
    await desk.collector.fetch("ada")
    close(x, "Ada", "protected")
    clock.advance(hours=12)
    await desk.check.round()
    x.add_account(replace(x.account("Ada"), protected=False))
    await desk.collector.round()
    assert await desk.texts("ada") == []
    await desk.collector.fetch("ada")
    assert await desk.texts("ada") == texts
    assert await desk.collector.handles() == ["ada"]
    assert await desk.ledger.month_total() == x.bill()


async def test_an_account_is_looked_up_twice_a_day_and_paid_for_once(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    clock.now = clock.now.replace(hour=1)
    fill(x, clock, "Ada", 3)
    await desk.collector.fetch("ada")
    for _ in range(4):
        await whole_check(desk, clock)
        clock.advance(hours=11)
    checks = asked(x, ACCOUNTS)
    days = len({charge.day for charge in x.charges if charge.what == "user read"})
    assert (checks, days) == (4, 2)
    assert await desk.ledger.month_total() == x.bill() == 3 * PRICES.post_read + days * PRICES.user_read


async def test_an_account_of_which_x_says_nothing_stays(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    texts = fill(x, clock, "Ada", 3)
    await desk.collector.fetch("ada")
    x.fail_next(ACCOUNTS, XRefusal.UNAVAILABLE)
    assert await desk.check.round() == clock() + timedelta(minutes=15)
    assert (await desk.account("ada"))["checked_at"] is None
    assert await desk.texts("ada") == texts


async def test_without_a_fetched_tweet_nothing_is_asked(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    await desk.store.add("ada", [Tweet("ada", "from a table", "1", None, False, None, Source.TABLE)])
    await desk.check.round()
    assert x.requests == []


# Posts, by a job


async def test_deleted_and_edited_posts_go(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    texts = fill(x, clock, "Ada", 4)
    await desk.collector.fetch("ada")
    posts = x.timeline("Ada")
    x.delete(posts[0].id)
    clock.advance(minutes=20)
    x.edit(posts[1].id, "said better", created_at=clock.now)
    await whole_check(desk, clock)
    assert await desk.texts("ada") == texts[:2]
    clock.advance(hours=1)
    await desk.collector.fetch("ada")
    assert await desk.texts("ada") == [*texts[:2], "said better"]
    assert (asked(x, CREATE), asked(x, POSTS)) == (1, 0)
    assert await desk.ledger.month_total() == x.bill()


async def test_what_remains_is_judged_again(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    x.post_as("Ada", "The lamp is lit tonight.", created_at=clock.now)
    x.post_as("Ada", "The lamp is lit tonight.", created_at=clock.now)
    counts = (await desk.collector.fetch("ada")).counts
    assert (counts.kept, counts.duplicates) == (1, 1)
    first = x.timeline("Ada")[1]
    x.delete(first.id)
    await whole_check(desk, clock)
    counts = await desk.store.counts("ada")
    assert (counts.downloaded, counts.kept, counts.duplicates) == (1, 1, 0)


async def test_a_job_comes_once_in_the_interval(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    fill(x, clock, "Ada", 1)
    await desk.collector.fetch("ada")
    await whole_check(desk, clock)
    await desk.check.round()
    assert asked(x, CREATE) == 1
    clock.advance(hours=12)
    await whole_check(desk, clock)
    assert asked(x, CREATE) == 2


@pytest.mark.slow
async def test_cut_off_anywhere_the_check_goes_on(tmp_path: Path, clock: FakeClock) -> None:
    for step in count(1):
        path = tmp_path / f"{step}.db"
        async with LoopbackX(["Mockingbird", "Ada"], *contracts(), clock=clock) as x:
            texts = fill(x, clock, "Ada", 3)
            async with desk_at(path, x, clock) as desk:
                await desk.collector.fetch("ada")
                x.delete(x.timeline("Ada")[0].id)
                was_under_way = await cut_off(whole_check(desk, clock), step)
            async with desk_at(path, x, clock) as desk:
                for _ in range(4):  # a job that was begun and not noted has to expire first
                    await whole_check(desk, clock)
                    clock.advance(minutes=16)
                assert (step, await desk.texts("ada")) == (step, texts[:2])
                assert (step, await desk.ledger.month_total()) == (step, x.bill())
            assert x.violations == []
        if not was_under_way:
            break


async def test_a_job_of_another_program_is_waited_for(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    fill(x, clock, "Ada", 2)
    await desk.collector.fetch("ada")
    async with desk_at(desk.database.path.with_name("other.db"), x, clock) as other:
        await other.store.add("bob", [Tweet("bob", "hello", "1", None, False, None, Source.X_API)])
        await other.check.round()
        assert await desk.check.round() == clock() + timedelta(minutes=15)
        await whole_check(other, clock)
    x.delete(x.timeline("Ada")[0].id)
    await whole_check(desk, clock)
    assert len(await desk.texts("ada")) == 1


async def test_a_job_whose_upload_came_too_late_begins_anew(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    fill(x, clock, "Ada", 2)
    await desk.collector.fetch("ada")
    x.fail_next(UPLOAD, XRefusal.UNAVAILABLE)
    await desk.check.round()
    clock.advance(minutes=20)
    x.delete(x.timeline("Ada")[0].id)
    await whole_check(desk, clock)
    assert len(await desk.texts("ada")) == 1
    assert asked(x, CREATE) == 2


async def test_a_list_that_can_not_be_read_is_fetched_again(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    fill(x, clock, "Ada", 2)
    await desk.collector.fetch("ada")
    x.delete(x.timeline("Ada")[0].id)
    x.fail_next(RESULTS, XRefusal.WEB_PAGE)
    await whole_check(desk, clock)
    assert asked(x, RESULTS) == 2
    assert len(await desk.texts("ada")) == 1


# Posts, looked up


@pytest.mark.parametrize("key", ["bearer", "access"])
async def test_where_jobs_are_not_covered_only_accounts_are_checked_unless_it_is_set(
    tmp_path: Path, x: LoopbackX, clock: FakeClock, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    keys = replace(keys_of(x), bearer_token=None) if key == "bearer" else keys_of(x)
    async with desk_at(tmp_path / "desk.db", x, clock, keys=keys) as desk:
        texts = fill(x, clock, "Ada", 3)
        await desk.collector.fetch("ada")
        x.delete(x.timeline("Ada")[0].id)
        if key == "access":
            x.fail_next(CREATE, XRefusal.CLIENT_NOT_ENROLLED)
        with structlog.testing.capture_logs() as logs:
            await whole_check(desk, clock)
        assert await desk.texts("ada") == texts
    assert asked(x, POSTS) == 0
    assert next(line["advice"] for line in logs if "advice" in line).startswith('[x] check_posts = "lookup"')


async def test_looked_up_posts_that_are_gone_go_and_are_paid_for_once_a_day(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    async with desk_at(tmp_path / "desk.db", x, clock, BY_LOOKUP) as desk:
        texts = fill(x, clock, "Ada", 230)
        await desk.collector.fetch("ada")
        clock.advance(days=1)
        for post in x.timeline("Ada")[:2]:
            x.delete(post.id)
        x.edit(x.timeline("Ada")[0].id, "said better", created_at=clock.now)
        x.fail_next(CREATE, XRefusal.CLIENT_NOT_ENROLLED, times=2)
        before = x.bill()
        await whole_check(desk, clock)
        assert await desk.texts("ada") == texts[:227]
        assert x.bill() - before == PRICES.user_read + 228 * PRICES.post_read
        assert asked(x, POSTS) == 3
        assert await desk.ledger.month_total() == x.bill()


async def test_the_whole_of_an_account_may_be_gone(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    async with desk_at(tmp_path / "desk.db", x, clock, BY_LOOKUP) as desk:
        fill(x, clock, "Ada", 3)
        await desk.collector.fetch("ada")
        for post in x.timeline("Ada"):
            x.delete(post.id)
        x.fail_next(CREATE, XRefusal.CLIENT_NOT_ENROLLED)
        await whole_check(desk, clock)
        assert await desk.texts("ada") == []


async def test_a_look_up_goes_on_where_it_was_left_and_stops_before_the_cap(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    fill(x, clock, "Ada", 250, ago=1)
    async with desk_at(tmp_path / "desk.db", x, clock, BY_LOOKUP, cap="1.90") as desk:
        await desk.collector.fetch("ada")  # 1.26
        clock.advance(days=1)
        x.delete(x.timeline("Ada")[-1].id)  # the oldest, which is looked up first
        x.fail_next(CREATE, XRefusal.CLIENT_NOT_ENROLLED, times=2)
        await desk.check.round()
        assert (asked(x, POSTS), len(await desk.texts("ada"))) == (1, 249)
        assert await desk.ledger.month_total() == x.bill()
    async with desk_at(tmp_path / "desk.db", x, clock, BY_LOOKUP) as desk:
        await desk.check.round()
        assert asked(x, POSTS) == 3
        assert await desk.ledger.month_total() == x.bill()


# Trouble, and the schedule


async def test_a_window_pauses_the_check_exactly_until_it_ends(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    fill(x, clock, "Ada", 1)
    await desk.collector.fetch("ada")
    x.fail_next(ACCOUNTS, XRefusal.WINDOW)
    assert await desk.check.round() == clock() + timedelta(minutes=15)


async def test_the_cap_stops_a_check_before_it_is_asked(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    async with desk_at(tmp_path / "desk.db", x, clock, cap="0.515") as desk:
        fill(x, clock, "Ada", 3)
        await desk.collector.fetch("ada")
        clock.advance(days=1)
        async with desk.database.transaction() as transaction:
            await transaction.run("UPDATE costs SET usd = '0.51'")
        await desk.check.round()
    assert asked(x, ACCOUNTS) == 0


async def test_the_running_check_looks_when_the_bell_rings(x: LoopbackX, clock: FakeClock, desk: Desk) -> None:
    fill(x, clock, "Ada", 2)
    await desk.collector.fetch("ada")
    running = asyncio.create_task(desk.check.run())
    async with asyncio.timeout(10):
        await x.wait_until(lambda: asked(x, UPLOAD) == 1)
        clock.advance(hours=13)
        desk.check.wake()
        await x.wait_until(lambda: asked(x, ACCOUNTS) == 2)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()


async def test_counts_are_logged_and_neither_texts_nor_keys_nor_signed_addresses(
    x: LoopbackX, clock: FakeClock, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    for handle in ("Ada", "Bob"):
        fill(x, clock, handle, 2)
        await desk.collector.fetch(handle)
    x.delete(x.timeline("Bob")[0].id)
    close(x, "Ada", "suspended")
    with structlog.testing.capture_logs() as logs, caplog.at_level(logging.DEBUG):
        await whole_check(desk, clock)
    account, posts = (line for line in logs if "removed" in line)
    assert (account["handle"], account["removed"], account["account"]) == ("ada", 2, "suspended")
    assert (posts["handle"], posts["removed"]) == ("bob", 1)
    written = str(logs) + caplog.text
    assert not [secret for secret in (*keys_of(x).values, "token=", "wave") if secret in written]


async def test_a_check_that_is_off_says_so(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    off = PERMITTED.model_copy(update={"check_interval_hours": 0.0})
    async with desk_at(tmp_path / "desk.db", x, clock, off) as desk:
        fill(x, clock, "Ada", 1)
        await desk.collector.fetch("ada")
        with structlog.testing.capture_logs() as logs:
            await desk.check.run()
    assert logs[0]["setting"] == "[x] check_interval_hours"
    assert [request.route for request in x.requests][1:] == [TIMELINE]


async def test_posts_are_left_alone_where_that_is_set(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    off = PERMITTED.model_copy(update={"check_posts": "off"})
    async with desk_at(tmp_path / "desk.db", x, clock, off) as desk:
        fill(x, clock, "Ada", 1)
        await desk.collector.fetch("ada")
        await whole_check(desk, clock)
    assert (asked(x, ACCOUNTS), asked(x, CREATE)) == (1, 0)
    assert x.bill() == PRICES.user_read + PRICES.post_read == Decimal("0.015")


async def test_an_archive_that_comes_later_makes_fetched_tweets_its_owners(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    texts = fill(x, clock, "Ada", 3)
    await desk.collector.fetch("ada")
    posts = x.timeline("Ada")[1:]
    archive = [Tweet("ada", post.text, post.id, post.created_at, False, None, Source.ARCHIVE) for post in posts]
    await desk.store.add("ada", archive, Basis.OWN)
    close(x, "Ada", "protected")
    clock.advance(hours=12)
    await desk.check.round()
    assert await desk.texts("ada") == texts[:2]


# How accounts stand


async def test_an_account_that_was_renamed_is_fetched_on_under_the_name_that_it_had(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    fill(x, clock, "Ada", 3)
    await desk.collector.fetch("ada")
    ada = x.account("Ada")
    x.add_account(replace(ada, handle="Countess"))
    clock.advance(days=1)
    with capture_logs() as logs:
        await desk.check.round()
        clock.advance(days=1)
        await desk.check.round()
    assert [line["now_called"] for line in logs if "renamed" in line["event"]] == ["Countess"]
    assert await desk.store.remarks(["ada"]) == ["@ada is called @Countess by now."]
    clock.advance(days=3)
    fill(x, clock, "Countess", 2)
    await desk.collector.round()
    assert len(await desk.texts("ada")) == 5
    x.add_account(ada)
    clock.advance(days=1)
    await desk.check.round()
    assert await desk.store.remarks(["ada"]) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [({"protected": True}, "protected"), ({"suspended": True}, "suspended"), ({"gone": True}, "deleted")],
)
async def test_what_became_of_an_account_is_said_and_it_is_fetched_no_more(
    x: LoopbackX, clock: FakeClock, desk: Desk, change: dict[str, Any], word: str
) -> None:
    fill(x, clock, "Ada", 3)
    await desk.collector.fetch("ada")
    if "gone" in change:
        x.close_account("Ada")
    else:
        x.add_account(replace(x.account("Ada"), **change))
    clock.advance(days=1)
    await desk.check.round()
    [remark] = await desk.store.remarks(["ada"])
    assert word in remark and "not fetched any more" in remark
    assert (await desk.collector.handles(), await desk.texts("ada")) == ([], [])


async def test_a_followed_account_of_which_nothing_was_fetched_yet_is_checked_as_well(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    """Its owner's archive holds all that it has posted; that stays."""
    texts = fill(x, clock, "Ada", 3)
    posts = x.timeline("Ada")
    archive = [Tweet("ada", post.text, post.id, post.created_at, False, None, Source.ARCHIVE) for post in posts]
    await desk.store.add("ada", archive, Basis.OWN)
    await desk.collector.fetch("ada")
    close(x, "Ada", "suspended")
    clock.advance(days=1)
    await desk.check.round()
    [remark] = await desk.store.remarks(["ada"])
    assert "suspended" in remark
    assert (await desk.collector.handles(), await desk.texts("ada")) == ([], texts)


async def test_an_account_that_opens_again_is_said_to_be_well_once_it_is_fetched_again(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    fill(x, clock, "Ada", 3)
    await desk.collector.fetch("ada")
    ada = x.account("Ada")
    x.add_account(replace(ada, protected=True))
    clock.advance(days=1)
    await desk.check.round()
    x.add_account(ada)
    await desk.collector.fetch("ada")
    assert (await desk.store.remarks(["ada"]), len(await desk.texts("ada"))) == ([], 3)
