"""Both of X's vocabularies are read whichever comes; one is asked for, and what it brings is looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog

from bot.errors import XError
from bot.loopback.x import LoopbackX, XRefusal
from bot.loopback.x.vocabulary import in_post_words
from bot.tweets.x_api import XClient
from bot.tweets.x_bodies import POST, TWEET, VOCABULARIES, Vocabulary, read_page
from tests.fakes import FakeClock
from tests.tweets.desk import PERMITTED, PRICES, TIMELINE, Desk, contracts, desk_at, fill, keys_of, recorded

BOTH = pytest.mark.parametrize("words", [TWEET, POST], ids=lambda words: words.name)
LONG = "What the lamp sees & the sea forgets; " * 9


@pytest.fixture
async def x(clock: FakeClock) -> AsyncIterator[LoopbackX]:
    async with LoopbackX(["Mockingbird", "Ada"], *contracts(), clock=clock) as x:
        yield x
    assert x.violations == []


@pytest.fixture(params=sorted(VOCABULARIES))
async def desk(tmp_path: Path, x: LoopbackX, clock: FakeClock, request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    settings = PERMITTED.model_copy(update={"vocabulary": request.param})
    async with desk_at(tmp_path / "desk.db", x, clock, settings) as desk:
        yield desk


def one_of_each(x: LoopbackX, clock: FakeClock) -> None:
    """A retweet, an answer, a quote, a long post and an edited one."""
    original = x.post_as("Mockingbird", LONG, created_at=clock.now - timedelta(hours=1))
    x.post_as("Ada", "", retweets=original.id, created_at=clock.now)
    x.post_as("Ada", "me too", reply_to=original.id, created_at=clock.now)
    x.post_as("Ada", "look at that", quotes=original.id, created_at=clock.now)
    x.post_as("Ada", LONG, created_at=clock.now)
    first = x.post_as("Ada", "teh sea", created_at=clock.now)
    x.edit(first.id, "the sea", created_at=clock.now + timedelta(minutes=1))


@BOTH
async def test_both_say_the_same(x: LoopbackX, clock: FakeClock, words: Vocabulary) -> None:
    one_of_each(x, clock)
    async with XClient(keys_of(x), x.api_base, words) as client:
        page = await client.timeline_page(x.account("Ada").id, handle="Ada")
    original = x.timeline("Mockingbird")[0]
    shown = LONG.replace("&", "&amp;")
    assert [(t.text, t.is_retweet, t.reply_to) for t in page.tweets] == [
        ("the sea", False, None),
        (shown, False, None),
        ("look at that", False, None),
        ("me too", False, original.id),
        (f"RT @Mockingbird: {shown}", True, None),
    ]
    assert (page.vocabulary, page.fields_missing, page.references_missing) == (words.name, False, False)
    assert len(page.superseded) == 1
    assert page.cost(PRICES) == x.bill()


async def test_a_fetch_in_either_ends_the_same_and_agrees_with_the_bill(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    one_of_each(x, clock)
    fill(x, clock, "Ada", 120, ago=30)
    with structlog.testing.capture_logs() as logs:
        counts = (await desk.collector.fetch("ada")).counts
    assert (counts.downloaded, counts.retweets) == (125, 1)
    assert await desk.ledger.month_total() == x.bill()
    assert not [line for line in logs if "advice" in line]


@pytest.mark.parametrize(("name", "each"), [("tweet", "0.005"), ("post", "0.010")])
async def test_an_estimate_knows_that_references_may_cost(
    tmp_path: Path, x: LoopbackX, clock: FakeClock, name: str, each: str
) -> None:
    fill(x, clock, "Ada", 40)
    settings = PERMITTED.model_copy(update={"vocabulary": name})
    async with desk_at(tmp_path / "desk.db", x, clock, settings) as desk:
        assert (await desk.collector.estimate("ada")).usd == 40 * Decimal(each)


@pytest.mark.parametrize(("asked", "left"), [("tweet", "post"), ("post", "tweet")])
async def test_where_x_no_longer_understands_nothing_is_stored_and_the_setting_is_named(
    tmp_path: Path, clock: FakeClock, asked: str, left: str
) -> None:
    settings = PERMITTED.model_copy(update={"vocabulary": asked})
    async with LoopbackX(["Mockingbird", "Ada"], *contracts(), clock=clock, vocabularies=[left]) as x:
        one_of_each(x, clock)
        async with desk_at(tmp_path / "desk.db", x, clock, settings) as desk:
            with pytest.raises(
                XError, match=rf'nothing of this page of @ada was stored; set \[x\] vocabulary = "{left}"'
            ):
                await desk.collector.fetch("ada")
            assert await desk.texts("ada") == []
            assert await desk.ledger.month_total() == x.bill()  # X delivered it all the same
        settings = PERMITTED.model_copy(update={"vocabulary": left})
        async with desk_at(tmp_path / "desk.db", x, clock, settings) as desk:
            assert (await desk.collector.fetch("ada")).counts.retweets == 1
            assert await desk.ledger.month_total() == x.bill()


def page_of(*posts: dict[str, Any]) -> dict[str, Any]:
    times = {"created_at": "2026-10-01T00:00:00.000Z"}
    data = [{"id": str(1000 - n), **times, **post} for n, post in enumerate(posts)]
    return {"data": data, "meta": {"result_count": len(data)}}


async def test_an_answer_in_other_words_is_read_and_said_once(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    retweet = {"text": "RT @bob: the sea", "referenced_posts": [{"type": "retweeted", "id": "1"}]}
    first, second = page_of(retweet), page_of({"text": "and more of it", "id": "999"})
    first["meta"]["next_token"] = "next"
    x.play_pages(x.account("Ada"), [first, second])
    async with desk_at(tmp_path / "desk.db", x, clock) as desk:
        with structlog.testing.capture_logs() as logs:
            counts = (await desk.collector.fetch("ada")).counts
    assert (counts.retweets, counts.kept) == (1, 1)
    assert [line["advice"] for line in logs if "advice" in line] == ['set [x] vocabulary = "post"']


async def test_retweets_without_references_are_not_learned_and_that_is_said(
    x: LoopbackX, clock: FakeClock, desk: Desk
) -> None:
    x.play_pages(x.account("Ada"), [page_of({"text": "RT @bob: the sea"}, {"text": "my own words about the sea"})])
    with structlog.testing.capture_logs() as logs:
        counts = (await desk.collector.fetch("ada")).counts
    assert (counts.retweets, counts.kept) == (1, 1)
    assert [line["event"] for line in logs if "advice" in line] == [
        "X does not say what posts refer to; retweets are known by their first letters, replies are not"
    ]


async def test_fields_that_x_refuses_by_name_name_the_setting(x: LoopbackX, clock: FakeClock) -> None:
    async with XClient(keys_of(x), x.api_base) as client:
        x.fail_next(TIMELINE, XRefusal.UNKNOWN_FIELD)
        with pytest.raises(
            XError, match=r"does not know what was asked for \(400, .*; set \[x\] vocabulary to the other"
        ):
            await client.timeline_page(x.account("Ada").id, handle="Ada")


def test_recorded_pages_read_the_same_in_the_newer_words() -> None:
    for number in (1, 2, 3):
        page = recorded(f"api_v2/timeline_ObservatoryTeam/page{number}.json")
        older, newer = read_page(page, "ada"), read_page(in_post_words(page), "ada")
        assert older.tweets == newer.tweets
        assert older.included_ids == newer.included_ids
        assert (older.vocabulary, newer.vocabulary) == ("tweet", "post")


def test_half_an_emoji_becomes_a_mark_that_can_be_stored() -> None:
    post = {"id": "7", "text": "the moon \ud83d tonight", "created_at": "2026-11-01T10:00:00.000Z"}
    (tweet,) = read_page({"data": [post], "meta": {}}, "ada").tweets
    assert tweet.text == "the moon \ufffd tonight"
