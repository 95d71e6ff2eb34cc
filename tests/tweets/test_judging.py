"""Judging in parts, and only what has to be judged, with the real database."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.database import Database
from bot.tweets.cleaning import RULES, Profile, judge
from bot.tweets.counts import count
from bot.tweets.judging import judge_account, stale_accounts
from bot.tweets.store import TweetStore
from bot.tweets.tweet import Source, Tweet
from tests.fakes import FakeClock

DAY = datetime(2024, 1, 1, tzinfo=UTC)
TEXTS = (
    "we have seen the first light of a new day",
    "we have seen the first light of a new day again",
    "We have seen the first light of a new DAY!",
    "we have seen the last light of an old year",
    "RT @bob: his words",
    '"@bob: his words" thanks',
    "hi there",
)


def tweets(texts: Sequence[str], first: int = 0) -> list[Tweet]:
    """One tweet a day, the ids growing with time."""
    return [
        Tweet("ann", text, str(10**9 + day), DAY + timedelta(days=day), False, None, Source.TABLE)
        for day, text in enumerate(texts, start=first)
    ]


@pytest.fixture
def store(database: Database, clock: FakeClock) -> TweetStore:
    return TweetStore(database, clock)


async def verdicts(database: Database) -> list[str]:
    return [row["verdict"] for row in await database.all("SELECT verdict FROM tweets ORDER BY key")]


class Statements:
    """What SQLite was told to do, by the first words of each statement."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def __call__(self, statement: str) -> None:
        self.seen[" ".join(statement.split()[:2])] += 1


@pytest.fixture
async def statements(database: Database) -> AsyncIterator[Statements]:
    seen = Statements()
    await database._writer.set_trace_callback(seen)
    yield seen


@given(st.lists(st.sampled_from(TEXTS), max_size=25), st.integers(1, 30), st.sampled_from(Profile))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_size_of_the_parts_changes_no_verdict(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], part: int, profile: Profile
) -> None:
    given_ = tweets(texts)
    async with Database(tmp_path_factory.mktemp("parts") / "mockingbird.db") as database:
        counts = await TweetStore(database, FakeClock()).add("ann", given_, profile=profile)
        at_once = await verdicts(database)
        async with database.transaction() as transaction:
            await transaction.run("UPDATE tweets SET verdict = '', cleaned = ''")
            assert await judge_account(transaction, "ann", part) == counts
        assert await verdicts(database) == at_once == [each.verdict for each in judge(given_, profile)]
        assert counts == count("ann", judge(given_, profile))


@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=20), st.integers(1, 6))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_page_by_page_and_all_again_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], page: int
) -> None:
    clock = FakeClock()
    async with Database(tmp_path_factory.mktemp("pages") / "mockingbird.db") as database:
        store = TweetStore(database, clock)
        for start in range(0, len(texts), page):
            await store.add("ann", tweets(texts[start : start + page], start))
            clock.advance(minutes=1)
        page_by_page = await verdicts(database)
        async with database.transaction() as transaction:
            await transaction.run("UPDATE accounts SET judged = NULL")
            await judge_account(transaction, "ann")
        assert await verdicts(database) == page_by_page


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_files_imported_in_any_order_are_judged_by_the_order_of_import_and_then_of_time(
    database: Database, store: TweetStore, clock: FakeClock, order: tuple[int, ...]
) -> None:
    files = [tweets([TEXTS[0], TEXTS[3]]), tweets([TEXTS[2], TEXTS[4]], 10), tweets([TEXTS[1], TEXTS[6]], 20)]
    for place in order:
        await store.add("ann", list(reversed(files[place])))
        clock.advance(minutes=1)
    kept = {tweet.cleaned for tweet in await store.kept("ann")}
    first = (TEXTS[0], TEXTS[2], TEXTS[1])[order[0]]
    assert kept == {first, TEXTS[3]}


async def test_what_is_added_is_judged_without_judging_the_rest_again(
    store: TweetStore, database: Database, clock: FakeClock
) -> None:
    many = ["there is fog over the harbour", "nobody has seen the ferry", "gulls are up early", "one more quiet day"]
    await store.add("ann", tweets(many))
    async with database.transaction() as transaction:  # what cleaning would never leave: seen again if not judged again
        await transaction.run("UPDATE tweets SET cleaned = cleaned || '  '")
    clock.advance(minutes=1)
    counts = await store.add("ann", tweets(["One more quiet DAY!"], 10))
    assert (counts.kept, counts.duplicates) == (4, 1)
    assert {tweet.cleaned for tweet in await store.kept("ann")} == {f"{text}  " for text in many}
    await store.add("ann", tweets(many))
    assert {tweet.cleaned for tweet in await store.kept("ann")} == {f"{text}  " for text in many}


async def test_only_what_changed_is_written(store: TweetStore, database: Database, statements: Statements) -> None:
    await store.add("ann", tweets(TEXTS))
    assert statements.seen["UPDATE tweets"] == len(TEXTS)
    async with database.transaction() as transaction:
        await transaction.run("UPDATE accounts SET judged = NULL")
        await judge_account(transaction, "ann")
    assert statements.seen["UPDATE tweets"] == len(TEXTS)


async def test_a_tweet_that_was_changed_or_removed_has_the_rest_judged_again(
    store: TweetStore, database: Database, clock: FakeClock
) -> None:
    await store.add("ann", tweets([TEXTS[0], TEXTS[3], TEXTS[2]]))
    clock.advance(minutes=1)
    await store.add("ann", tweets([TEXTS[1]], 5))
    assert await verdicts(database) == ["kept", "kept", "duplicate", "near_duplicate"]
    first = tweets([TEXTS[0]])[0]
    flagged = Tweet("ann", first.text, first.id, first.created_at, True, None, Source.ARCHIVE)
    await store.add("ann", [flagged])
    assert await verdicts(database) == ["retweet", "kept", "kept", "near_duplicate"]
    async with database.transaction() as transaction:
        assert first.id is not None
        assert await store.discard_within(transaction, "ann", [str(int(first.id) + 2)]) == 1
    assert await verdicts(database) == ["retweet", "kept", "kept"]


async def test_a_clock_that_went_back_has_everything_judged_again(
    store: TweetStore, database: Database, clock: FakeClock
) -> None:
    await store.add("ann", tweets([TEXTS[2]], 5))
    clock.advance(hours=-1)
    await store.add("ann", tweets([TEXTS[0]]))
    assert await verdicts(database) == ["kept", "duplicate"]


@pytest.mark.parametrize("judged", [None, f"mockingbird {RULES - 1} {len(TEXTS)}"])
async def test_what_a_program_with_other_rules_stored_is_judged_again(
    store: TweetStore, database: Database, judged: str | None
) -> None:
    await store.add("ann", tweets(TEXTS))
    before = await verdicts(database)
    revision = await store.revision()
    assert await stale_accounts(database) == []
    await store.judge_again()
    assert await store.revision() == revision
    async with database.transaction() as transaction:
        await transaction.run("UPDATE accounts SET judged = ?", (judged,))
        await transaction.run("UPDATE tweets SET verdict = 'short', cleaned = 'as it was said by older rules'")
    assert await stale_accounts(database) == ["ann"]
    await store.judge_again()
    assert await verdicts(database) == before
    assert await stale_accounts(database) == []
    assert await store.revision() != revision
