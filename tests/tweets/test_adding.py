"""Tweets of several sources on their way into the store: what is the same tweet, and all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from bot.database import Database
from bot.errors import NotPermitted, UnreadableSource
from bot.tweets.blocked import Blocked, Blocklist
from bot.tweets.store import TweetStore
from bot.tweets.tweet import Source, Tweet
from tests.fakes import FakeClock

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def a_tweet(
    number: int, text: str = "", *, handle: str = "ann", has_id: bool = True, has_time: bool = True, second: int = 0
) -> Tweet:
    """Tweet `number`, sent on day `number` at noon."""
    return Tweet(
        handle=handle,
        text=text or f"this is tweet number {number}",
        id=str(1000 + number) if has_id else None,
        created_at=NOON + timedelta(days=number, seconds=second) if has_time else None,
        is_retweet=False,
        reply_to=None,
        source=Source.ARCHIVE if has_id else Source.TABLE,
    )


@pytest.fixture
def store(database: Database, clock: FakeClock) -> TweetStore:
    return TweetStore(database, clock)


async def keys(database: Database) -> list[str]:
    return [row["key"] for row in await database.all("SELECT key FROM tweets ORDER BY handle, length(key), key")]


async def everything(database: Database) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await database.all("SELECT * FROM tweets ORDER BY handle, key")]


async def batches(*found: Sequence[Tweet], failure: Exception | None = None) -> AsyncIterator[Sequence[Tweet]]:
    for batch in found:
        await asyncio.sleep(0)
        yield batch
    if failure:
        raise failure


ARCHIVE = [a_tweet(number) for number in range(1, 6)]
TABLE = [a_tweet(number, has_id=False) for number in (2, 4, 6)]  # the same account, its ids ruined by a spreadsheet


@pytest.mark.parametrize(
    "order", [(ARCHIVE, TABLE), (TABLE, ARCHIVE), (TABLE, ARCHIVE, TABLE), (ARCHIVE, TABLE, TABLE)]
)
async def test_a_table_with_ruined_ids_and_the_archive_are_one_account(
    store: TweetStore, database: Database, order: Sequence[Sequence[Tweet]]
) -> None:
    for tweets in order:
        await store.add("ann", tweets)
    assert (await store.counts("ann")).kept == 6
    assert [key for key in await keys(database) if key.isdigit()] == ["1001", "1002", "1003", "1004", "1005"]
    before = await everything(database)
    for tweets in (ARCHIVE, TABLE):
        await store.add("ann", tweets)
    assert await everything(database) == before


async def test_entities_and_fractions_of_seconds_do_not_tell_tweets_apart(store: TweetStore) -> None:
    await store.add("ann", [a_tweet(1, "salt &amp; pepper &lt;3 on everything")])
    plain = a_tweet(1, " salt & pepper <3 on everything", has_id=False)
    await store.add("ann", [replace(plain, created_at=NOON + timedelta(days=1, milliseconds=250))])
    assert (await store.counts("ann")).downloaded == 1


@pytest.mark.parametrize("other", [a_tweet(1, has_id=False, second=1), a_tweet(1, "other words than it", has_id=False)])
async def test_another_second_or_another_text_is_another_tweet(store: TweetStore, other: Tweet) -> None:
    await store.add("ann", [a_tweet(1)])
    assert (await store.add("ann", [other])).downloaded == 2


async def test_a_tweet_without_id_and_time_is_stored_but_not_learned_twice(store: TweetStore) -> None:
    await store.add("ann", [a_tweet(1)])
    counts = await store.add("ann", [a_tweet(1, has_id=False, has_time=False)])
    assert (counts.downloaded, counts.kept, counts.duplicates) == (2, 1, 1)


async def test_of_alike_tweets_there_are_as_many_as_the_source_with_most_of_them_has(
    store: TweetStore, database: Database
) -> None:
    alike = [replace(a_tweet(1), id=id_) for id_ in ("2001", "2002")]
    bare = [a_tweet(1, has_id=False)] * 3
    for sources in permutations((alike, bare, bare[:2])):
        await store.remove(["ann"])
        for tweets in sources:
            await store.add("ann", tweets)
        assert (await store.counts("ann")).downloaded == 3
        assert [key for key in await keys(database) if key.isdigit()] == ["2001", "2002"]


async def test_accounts_do_not_mix(store: TweetStore) -> None:
    await store.add("bob", [a_tweet(1, handle="bob")])
    await store.add("ann", [a_tweet(1, has_id=False)])
    assert [(await store.counts(handle)).downloaded for handle in ("ann", "bob")] == [1, 1]


async def test_batches_of_several_accounts_are_stored_together(store: TweetStore, database: Database) -> None:
    found = await store.add_all(
        batches(
            [], [a_tweet(1), a_tweet(1, handle="bob")], [], [a_tweet(2), a_tweet(1)], [a_tweet(3, has_id=False)] * 2
        )
    )
    assert [(counts.handle, counts.downloaded, counts.kept) for counts in found] == [("ann", 4, 3), ("bob", 1, 1)]
    assert not await database.all("SELECT * FROM tweets WHERE verdict = ''")


async def test_what_fails_in_the_middle_leaves_everything_as_it_was(store: TweetStore, database: Database) -> None:
    await store.add("ann", [a_tweet(1)])
    before = await everything(database), await store.revision()
    damaged = batches([a_tweet(2)], [a_tweet(3, handle="bob")], failure=UnreadableSource("cut off."))
    with pytest.raises(UnreadableSource):
        await store.add_all(damaged)
    assert (await everything(database), await store.revision()) == before
    assert await store.handles() == ["ann"]
    assert (await store.add("ann", [a_tweet(2)])).downloaded == 2


async def test_a_blocked_account_among_others_stores_nothing(
    store: TweetStore, database: Database, clock: FakeClock
) -> None:
    await Blocklist(database, clock).add([Blocked("bob", None, "asked for it")])
    with pytest.raises(NotPermitted):
        await store.add_all(batches([a_tweet(1)], [a_tweet(1, handle="bob")]))
    assert await store.handles() == []


async def test_others_write_until_the_first_tweets_come(store: TweetStore) -> None:
    looked = asyncio.Event()

    async def slow() -> AsyncIterator[Sequence[Tweet]]:
        yield []
        await store.add("bob", [a_tweet(1, handle="bob")])  # would wait for ever if the transaction had begun
        looked.set()
        yield [a_tweet(1)]

    async with asyncio.timeout(30):
        await store.add_all(slow())
    assert looked.is_set()
    assert await store.handles() == ["ann", "bob"]


async def test_a_text_that_was_cut_gives_way_to_the_whole_one(store: TweetStore) -> None:
    cut = "these are the first words of a post that goes on… https://t.co/AbCdEfGhIj"
    whole = "these are the first words of a post that goes on for much longer than anybody would have thought possible"
    for text in (cut, whole, cut):
        await store.add("ann", [a_tweet(1, text)])
    assert await store.examples("ann", 1) == [whole]
