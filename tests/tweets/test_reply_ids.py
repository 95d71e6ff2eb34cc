"""What a reply answers: its id from every source, and the tweet itself as long as it is stored beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bot.database import Database
from bot.migrations import STEPS
from bot.tweets.cleaning import Verdict
from bot.tweets.reading import read
from bot.tweets.store import TweetStore
from bot.tweets.tweet import Source, Tweet
from bot.tweets.x_bodies import read_page
from tests.fakes import FakeClock
from tests.tweets.archives import entry, modern, script, zipped
from tests.tweets.test_adding import a_tweet

FIRST, SECOND = str(10**17 + 1), str(10**17 + 2)


@pytest.fixture
def store(database: Database, clock: FakeClock) -> TweetStore:
    return TweetStore(database, clock)


def reply(number: int, to: int, **more: object) -> Tweet:
    """Tweet `number`, which answers tweet `to`, as `a_tweet` numbers them."""
    return replace(a_tweet(number), reply_to_id=str(1000 + to), **more)  # type: ignore[arg-type]


# --- The readers ---


@pytest.mark.parametrize("told", [{"in_reply_to_status_id_str": FIRST}, {"in_reply_to_status_id": int(FIRST)}])
def test_an_archive_tells_it(tmp_path: Path, told: Mapping[str, object]) -> None:
    entries = [{"tweet": entry(1, "one")}, {"tweet": entry(2, "two", in_reply_to_screen_name="Ann", **told)}]
    path = zipped(tmp_path, modern(**{"data/tweets.js": script("window.YTD.tweets.part0", entries)}))
    tweets = read(path).tweets["ann"]
    assert [(tweet.reply_to, tweet.reply_to_id) for tweet in tweets] == [(None, None), ("ann", FIRST)]


def test_an_archive_of_the_first_generation_tells_it(tmp_path: Path) -> None:
    month = [entry(2, "two", in_reply_to_status_id=int(FIRST), in_reply_to_status_id_str=FIRST)]
    files = {
        "data/js/user_details.js": script("var user_details", {"screen_name": "ann"}),
        "data/js/tweets/2015_04.js": script("Grailbird.data.tweets_2015_04", month),
    }
    assert [tweet.reply_to_id for tweet in read(zipped(tmp_path, files)).tweets["ann"]] == [FIRST]


@pytest.mark.parametrize(
    ("row", "reply_to_id"),
    [
        ({"in_reply_to_status_id": 886266357075128320}, "886266357075128320"),
        ({"in_reply_to_status_id_str": "886266357075128321", "in_reply_to_status_id": 1}, "886266357075128321"),
        ({"reply_to_status_id": "886266357075128320"}, "886266357075128320"),  # rtweet
        ({"inReplyToTweetId": 886266357075128320}, "886266357075128320"),  # snscrape
        ({"referenced_tweets.replied_to.id": "886266357075128320"}, "886266357075128320"),  # twarc-csv
        ({"referenced_tweets": [{"type": "replied_to", "id": "77"}]}, "77"),
        ({"referenced_posts": [{"type": "quoted", "id": "5"}, {"type": "replied_to", "id": "77"}]}, "77"),
        ({"in_reply_to_status_id": "8.862663570751283e+17"}, None),  # a spreadsheet has ruined it
        ({"in_reply_to_status_id": 8.862663570751283e17}, None),
        ({"in_reply_to_status_id": "NaN"}, None),
        ({"in_reply_to_user_id": "5", "in_reply_to_screen_name": "bob"}, None),  # a person, no tweet
        ({"referenced_tweets": [{"type": "quoted", "id": "77"}]}, None),
    ],
)
def test_a_table_tells_it_in_any_field(tmp_path: Path, row: Mapping[str, object], reply_to_id: str | None) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "@bob hi", "user": "ann", **row}))
    assert [tweet.reply_to_id for tweet in read(path).tweets["ann"]] == [reply_to_id]


def test_where_rows_are_merely_numbered_nothing_is_answered_by_its_id(tmp_path: Path) -> None:
    lines = [{"user": "ann", "text": f"number {n}", "id": n, "in_reply_to_status_id": n - 1} for n in range(1, 9)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    assert {(tweet.id, tweet.reply_to_id) for tweet in read(path).tweets["ann"]} == {(None, None)}


@pytest.mark.parametrize("key", ["referenced_tweets", "referenced_posts"])
def test_both_vocabularies_of_x_tell_it(key: str) -> None:
    post = {"id": "12", "text": "@Ann me", key: [{"type": "quoted", "id": "9"}, {"type": "replied_to", "id": "11"}]}
    assert [tweet.reply_to_id for tweet in read_page({"data": [post], "meta": {}}, "Ann").tweets] == ["11"]


# --- The store ---


async def test_a_second_import_fills_in_what_the_first_did_not_know(store: TweetStore, database: Database) -> None:
    """And what was judged before stays judged."""
    await store.add("ann", [a_tweet(1), a_tweet(2)])
    assert [tweet.prompt for tweet in await store.kept("ann")] == [None, None]
    async with database.transaction() as transaction:
        await store.add_within(transaction, "ann", [a_tweet(1), reply(2, to=1)])
    assert [tweet.prompt for tweet in await store.kept("ann")] == [None, "this is tweet number 1"]
    await store.add("ann", [a_tweet(1), a_tweet(2)])  # knows less, and takes nothing away
    assert [tweet.prompt for tweet in await store.kept("ann")] == [None, "this is tweet number 1"]


async def test_a_table_without_ids_finds_its_reply_in_the_archive(store: TweetStore) -> None:
    """The twin without an id may be the one that knows what is answered."""
    await store.add("ann", [a_tweet(1), a_tweet(2)])
    await store.add("ann", [replace(a_tweet(2, has_id=False), reply_to_id="1001")])
    assert [tweet.prompt for tweet in await store.kept("ann")] == [None, "this is tweet number 1"]


async def test_a_tweet_that_is_too_short_to_learn_can_be_answered_but_not_one_passed_on(store: TweetStore) -> None:
    """Cleaned as every tweet is: without addressees and links, in one line."""
    asked = a_tweet(1, "@bob Really?\nhttps://t.co/abc")
    passed_on = a_tweet(3, "RT @eve: the words of somebody else")
    await store.add("ann", [asked, reply(2, to=1), passed_on, reply(4, to=3)])
    assert [tweet.prompt for tweet in await store.kept("ann")] == ["Really?", None]


async def test_another_accounts_tweet_is_answered_only_where_both_are_learned_together(store: TweetStore) -> None:
    await store.add("bob", [a_tweet(1, "what is that light over there", handle="bob")])
    await store.add("ann", [reply(2, to=1)])
    assert [tweet.prompt for tweet in await store.kept("ann")] == [None]
    assert [tweet.prompt for tweet in await store.kept("ann", ["ann", "eve"])] == [None]
    assert [tweet.prompt for tweet in await store.kept("ann", ["ann", "@Bob"])] == ["what is that light over there"]


async def test_what_is_deleted_or_forgotten_is_answered_no_more(store: TweetStore, database: Database) -> None:
    """The reply itself stays."""
    await store.add("bob", [a_tweet(1, "what is that light over there", handle="bob")])
    await store.add("ann", [reply(2, to=1), a_tweet(3), reply(4, to=3)])
    assert [tweet.prompt for tweet in await store.kept("ann", ["bob"])] == [
        "what is that light over there",
        None,
        "this is tweet number 3",
    ]
    async with database.transaction() as transaction:
        await store.discard_within(transaction, "ann", ["1003"])
    await store.remove(["bob"])
    assert [(tweet.cleaned, tweet.prompt) for tweet in await store.kept("ann", ["bob"])] == [
        ("this is tweet number 2", None),
        ("this is tweet number 4", None),
    ]


async def test_what_was_fetched_before_knows_what_it_answers_after_the_upgrade(
    tmp_path: Path, clock: FakeClock
) -> None:
    """X's API has always told it as an id, so that nothing is to be paid for again; a file's name stays a name."""
    columns = "handle, key, text, cleaned, verdict, created_at, is_retweet, reply_to, source, added_at"
    rows = [
        (
            "ann",
            "1",
            "who is there",
            "who is there",
            Verdict.KEPT,
            None,
            0,
            None,
            Source.X_API,
            "2026-01-01T00:00:00+00:00",
        ),
        (
            "ann",
            "2",
            "it is me again",
            "it is me again",
            Verdict.KEPT,
            None,
            0,
            "1",
            Source.X_API,
            "2026-01-01T00:00:00+00:00",
        ),
        (
            "ann",
            "3",
            "and me as well",
            "and me as well",
            Verdict.KEPT,
            None,
            0,
            "1",
            Source.TABLE,
            "2026-01-01T00:00:00+00:00",
        ),
        (
            "ann",
            "4",
            "not me this time",
            "not me this time",
            Verdict.KEPT,
            None,
            0,
            "bob",
            Source.X_API,
            "2026-01-01T00:00:00+00:00",
        ),
    ]
    async with Database(tmp_path / "old.db", steps=STEPS[:2]) as database, database.transaction() as transaction:
        await transaction.run("INSERT INTO accounts (handle, added_at) VALUES ('ann', '2026-01-01T00:00:00+00:00')")
        await transaction.run_many(f"INSERT INTO tweets ({columns}) VALUES ({', '.join('?' * 10)})", rows)
    async with Database(tmp_path / "old.db") as database:
        kept = await TweetStore(database, clock).kept("ann")
    assert [tweet.prompt for tweet in kept] == [None, "who is there", None, None]
