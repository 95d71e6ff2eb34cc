"""What is stored of an account, with the real database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from bot.database import Database
from bot.errors import UnknownHandle
from bot.tweets.cleaning import Profile, judge
from bot.tweets.counts import count
from bot.tweets.store import Basis, TweetStore
from bot.tweets.tweet import Source, Tweet
from tests.fakes import FakeClock

DAY = datetime(2024, 1, 1, tzinfo=UTC)


def a_tweet(number: int, text: str = "", *, id_: str | None = "", is_retweet: bool = False) -> Tweet:
    """Tweet `number`, sent on day `number`."""
    return Tweet(
        handle="ann",
        text=text or f"this is tweet number {number}",
        id=str(1000 + number) if id_ == "" else id_,
        created_at=DAY + timedelta(days=number),
        is_retweet=is_retweet,
        reply_to=None,
        source=Source.TABLE,
    )


@pytest.fixture
def store(database: Database, clock: FakeClock) -> TweetStore:
    return TweetStore(database, clock)


async def everything(database: Database) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await database.all("SELECT * FROM tweets ORDER BY handle, key")]


async def cleaned(store: TweetStore) -> list[str]:
    return [tweet.cleaned for tweet in await store.kept("ann")]


async def test_the_counts_are_those_of_the_tweets(store: TweetStore) -> None:
    tweets = [
        a_tweet(1),
        a_tweet(2, "hi"),
        a_tweet(3, "RT @bob: his words"),
        a_tweet(4, "This is TWEET number 1"),
        a_tweet(5, "one\nfine day", is_retweet=True),
        a_tweet(6, "one\nfine day 👩‍🚀"),
    ]
    added = await store.add("@Ann", tweets)
    assert added == await store.counts("ann") == count("ann", judge(tweets, Profile.MOCKINGBIRD))
    assert (added.downloaded, added.retweets, added.short, added.duplicates, added.kept) == (6, 2, 1, 1, 2)
    assert (added.first, added.last) == (DAY + timedelta(days=1), DAY + timedelta(days=6))


async def test_the_same_again_changes_nothing(store: TweetStore, database: Database, clock: FakeClock) -> None:
    tweets = [
        a_tweet(1),
        a_tweet(2),
        a_tweet(2, "twice without id", id_=None),
        a_tweet(2, "twice without id", id_=None),
    ]
    first = await store.add("ann", tweets)
    before = await everything(database)
    clock.advance(days=1)
    assert await store.add("ann", tweets) == first
    assert await everything(database) == before


async def test_alike_tweets_without_id_are_counted_each_and_kept_once(store: TweetStore) -> None:
    tweets = [a_tweet(1, id_=None), a_tweet(1, id_=None), a_tweet(1, id_=None)]
    counts = await store.add("ann", tweets)
    assert (counts.downloaded, counts.duplicates, counts.kept) == (3, 2, 1)
    assert (await store.add("ann", tweets, profile=Profile.HUGGINGTWEETS)).kept == 3


async def test_two_sources_of_an_account_merge_by_id(store: TweetStore) -> None:
    await store.add("ann", [a_tweet(1), a_tweet(2)])
    counts = await store.add("ann", [a_tweet(2), a_tweet(3)])
    assert counts.downloaded == 3
    assert await cleaned(store) == [f"this is tweet number {number}" for number in (1, 2, 3)]


async def test_a_second_source_fills_in_what_the_first_lacked(store: TweetStore, database: Database) -> None:
    bare = Tweet("ann", "a long text that is cut…", "7", None, False, None, Source.X_API)
    full = Tweet("ann", "a long text that is cut off no more", "7", DAY, False, "bob", Source.ARCHIVE)
    for tweet in (bare, full, bare):
        await store.add("ann", [tweet])
    row = await database.one("SELECT text, created_at, reply_to, source FROM tweets")
    assert row is not None
    assert tuple(row) == (full.text, DAY.isoformat(), "bob", "archive")
    assert await cleaned(store) == [full.text]


async def test_of_equal_texts_the_one_that_was_stored_first_stays_kept(store: TweetStore, clock: FakeClock) -> None:
    await store.add("ann", [a_tweet(5, "one fine day")])
    moment = clock()
    clock.advance(hours=1)
    counts = await store.add("ann", [a_tweet(1, "One fine day"), a_tweet(2)])
    assert (counts.kept, counts.duplicates) == (2, 1)
    assert await store.new_since(["ann"], moment) == 1
    assert await cleaned(store) == ["this is tweet number 2", "one fine day"]


async def test_kept_tweets_come_the_oldest_first_and_those_without_a_time_before_all(
    store: TweetStore, clock: FakeClock
) -> None:
    undated = [
        Tweet("ann", f"undated tweet with id {id_}", id_, None, False, None, Source.TABLE) for id_ in ("100", "99")
    ]
    await store.add("ann", [a_tweet(3), a_tweet(1), *undated, a_tweet(2)])
    kept = await store.kept("ann")
    assert [tweet.key for tweet in kept] == ["99", "100", "1001", "1002", "1003"]
    assert kept[0].created_at is None
    assert kept[4].created_at == DAY + timedelta(days=3)
    assert {tweet.added_at for tweet in kept} == {clock()}


async def test_new_means_kept_and_stored_later_than_the_moment(store: TweetStore, clock: FakeClock) -> None:
    await store.add("ann", [a_tweet(1)])
    await store.add("bob", [a_tweet(1), a_tweet(2)])
    moment = clock()
    assert await store.new_since(["ann", "bob"], moment) == 0
    clock.advance(seconds=0.5)
    await store.add("ann", [a_tweet(1), a_tweet(2), a_tweet(3, "RT @bob: x"), a_tweet(4, "hi")])
    await store.add("bob", [a_tweet(3)])
    assert await store.new_since(["ann"], moment) == 1
    assert await store.new_since(["@Ann", "bob"], moment) == 2
    assert await store.new_since(["ann", "nobody"], clock()) == 0
    assert await store.new_since([], moment) == 0


async def test_another_profile_judges_what_is_stored_again(store: TweetStore) -> None:
    await store.add("ann", [a_tweet(1, "@bob one fine day &quot;"), a_tweet(2, "@eve one fine day &quot;")])
    assert await cleaned(store) == ['one fine day "']
    counts = await store.add("ann", [], profile=Profile.HUGGINGTWEETS)
    assert await cleaned(store) == ["@bob one fine day &quot;", "@eve one fine day &quot;"]
    assert counts == await store.counts("ann")


async def test_examples_are_the_newest(store: TweetStore) -> None:
    await store.add("ann", [a_tweet(number) for number in range(1, 6)])
    assert await store.examples("Ann", 2) == ["this is tweet number 5", "this is tweet number 4"]


async def test_an_unknown_handle_is_answered_with_the_known_ones(store: TweetStore) -> None:
    with pytest.raises(UnknownHandle, match="no account is known yet"):
        await store.counts("eve")
    await store.add("bob", [a_tweet(1)])
    await store.add("ann", [a_tweet(1)])
    assert await store.handles() == ["ann", "bob"]
    for question in (store.counts("@Eve"), store.kept("eve"), store.examples("eve", 1), store.basis("eve")):
        with pytest.raises(UnknownHandle, match=r"@eve .* known are ann, bob\. .*`mockingbird import FILE`"):
            await question


async def test_an_account_without_tweets_has_empty_counts(store: TweetStore) -> None:
    assert (await store.add("ann", [])).as_json() == (await store.counts("ann")).as_json()
    assert await store.kept("ann") == []


async def test_the_basis_stays_until_another_is_given(store: TweetStore) -> None:
    await store.add("ann", [a_tweet(1)])
    assert await store.basis("ann") is None
    await store.add("ann", [a_tweet(2)], basis=Basis.OWN)
    await store.add("ann", [a_tweet(3)])
    assert await store.basis("@Ann") is Basis.OWN
    await store.set_basis("ann", Basis.PERMISSION)
    assert await store.basis("ann") is Basis.PERMISSION


async def test_a_basis_may_come_before_the_tweets(store: TweetStore) -> None:
    await store.set_basis("@Ann", Basis.PUBLIC_OFFICIAL)
    await store.add("ann", [a_tweet(1)])
    assert await store.basis("ann") is Basis.PUBLIC_OFFICIAL


async def test_pages_are_judged_when_all_have_come_or_at_the_next_start(store: TweetStore, database: Database) -> None:
    """Until then they are neither counted nor learned."""
    await store.add("ann", [a_tweet(1)])
    for number in (2, 3):
        async with database.transaction() as transaction:
            await store.add_within(transaction, "ann", [a_tweet(number)])
        assert (await store.counts("ann")).kept == 1
    assert (await store.judge("@Ann")).kept == 3
    async with database.transaction() as transaction:
        await store.add_within(transaction, "ann", [a_tweet(4)])
    await store.judge_again()
    assert (await store.counts("ann")).kept == 4


async def test_what_is_added_within_a_transaction_falls_with_it(store: TweetStore, database: Database) -> None:
    await store.add("ann", [a_tweet(1)])
    with pytest.raises(LookupError):
        async with database.transaction() as transaction:
            await store.add_within(transaction, "ann", [a_tweet(2)])
            await transaction.run("UPDATE accounts SET page_token = 'next' WHERE handle = 'ann'")
            raise LookupError
    assert (await store.counts("ann")).kept == 1
    assert await everything(database) == [row for row in await everything(database) if row[1] == "1001"]


async def test_adding_that_is_cancelled_stores_nothing(store: TweetStore, database: Database) -> None:
    task = asyncio.create_task(store.add("ann", [a_tweet(number) for number in range(3_000)]))
    while not task.done():
        await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.handles() == []
    assert (await store.add("ann", [a_tweet(1)])).kept == 1


async def test_the_loop_goes_on_while_many_tweets_come_in(store: TweetStore) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.001)
            beats += 1

    def many() -> Sequence[Tweet]:
        return [a_tweet(number) for number in range(10_000)]

    heart = asyncio.create_task(beat())
    counts = await store.add("ann", await asyncio.to_thread(many))
    heart.cancel()
    assert counts.kept == 10_000
    assert beats > 10  # it would be a handful if cleaning held the loop


async def test_an_account_keeps_its_profile_when_more_tweets_come(database: Database, clock: FakeClock) -> None:
    store = TweetStore(database, clock)
    first, second = (
        Tweet("nell", f"@gull &amp; {word} is what the log says today", str(number), None, False, None, Source.TABLE)
        for number, word in enumerate(("rain", "fog"))
    )
    await store.add("nell", [first], profile=Profile.HUGGINGTWEETS)
    await store.add("nell", [second])
    assert await store.examples("nell", 2) == [
        "@gull & fog is what the log says today",
        "@gull & rain is what the log says today",
    ]


async def test_the_revision_moves_with_every_change(database: Database, clock: FakeClock) -> None:
    store = TweetStore(database, clock)
    before = await store.revision()
    await store.add("nell", [Tweet("nell", "fog again, all day long", "1", None, False, None, Source.TABLE)])
    assert await store.revision() != before
