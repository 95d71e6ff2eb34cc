"""Portraits of stored accounts, made in a real process beside the one that asks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from bot.database import Database
from bot.errors import PortraitFailed, UnknownHandle
from bot.tweets.cleaning import Verdict
from bot.tweets.languages import language
from bot.tweets.portrait import portray
from bot.tweets.portraying import portrait, stored
from bot.tweets.store import Basis, TweetStore
from bot.tweets.tweet import Source, Tweet
from tests.fakes import FakeClock

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
TEXTS = (
    "The ferry is late again and nobody on the pier seems to mind. https://t.co/abc",
    "Ich glaube, wir brauchen heute alle noch mehr Kaffee 😀",
    "RT @bob: somebody else's words, all of them",
    "wow",
)


@pytest.fixture
def store(database: Database, clock: FakeClock) -> TweetStore:
    return TweetStore(database, clock)


def some(*texts: str) -> list[Tweet]:
    return [
        Tweet("ann", text, str(number), FIRST + timedelta(days=number), False, None, Source.TABLE)
        for number, text in enumerate(texts, 1)
    ]


async def test_the_portrait_is_that_of_what_is_stored(store: TweetStore, database: Database) -> None:
    counts = await store.add("ann", some(*TEXTS))
    drawn = await store.portrait("@Ann")
    assert drawn == portray("ann", stored(database.path, "ann"), language)
    assert (drawn.handle, drawn.tweets, drawn.verdicts[Verdict.KEPT]) == ("ann", counts.downloaded, counts.kept)
    assert (drawn.first, drawn.last) == (counts.first, counts.last)
    assert drawn.languages.counts == {"de": 1, "en": 1}
    assert (drawn.habits.links, drawn.habits.emoji) == (1, 1)


async def test_an_account_without_tweets_has_an_empty_portrait(store: TweetStore) -> None:
    await store.set_basis("ann", Basis.OWN)
    assert (await store.portrait("ann")).tweets == 0


async def test_nobody_has_no_portrait(store: TweetStore) -> None:
    with pytest.raises(UnknownHandle):
        await store.portrait("nobody")


async def test_it_sees_what_was_committed_a_moment_ago(store: TweetStore) -> None:
    await store.add("ann", some(*TEXTS[:1]))
    assert (await store.portrait("ann")).tweets == 1
    await store.add("ann", some(*TEXTS))
    assert (await store.portrait("ann")).tweets == 4


async def test_several_at_once_take_turns(store: TweetStore) -> None:
    await store.add("ann", some(*TEXTS))
    drawn = await asyncio.gather(store.portrait("ann"), store.portrait("ann"))
    assert drawn[0] == drawn[1]


async def test_a_failure_is_a_sentence_and_says_no_tweet(store: TweetStore, database: Database) -> None:
    await store.add("ann", some(*TEXTS))
    async with database.transaction() as transaction:
        await transaction.run("UPDATE tweets SET verdict = 'secret words' WHERE key = '1'")
    with capture_logs() as logs, pytest.raises(PortraitFailed, match="The portrait of @ann could not be made"):
        await store.portrait("ann")
    assert [entry["event"] for entry in logs] == ["a portrait failed"]
    assert any("portraying.py" in place for place in logs[0]["places"])
    assert "secret words" not in str(logs)


async def test_it_reads_and_can_not_write(store: TweetStore, database: Database, tmp_path: Path) -> None:
    await store.add("ann", some(*TEXTS))
    before = [tuple(row) for row in await database.all("SELECT * FROM tweets ORDER BY key")]
    await store.portrait("ann")
    assert [tuple(row) for row in await database.all("SELECT * FROM tweets ORDER BY key")] == before
    with pytest.raises(PortraitFailed):
        await portrait(tmp_path / "none.db", "ann")
    assert not (tmp_path / "none.db").exists()


def portraying() -> list[psutil.Process]:
    """The processes that make a portrait at this moment."""
    return [child for child in psutil.Process().children() if "bot.tweets.portraying" in child.cmdline()]


async def test_whoever_stops_waiting_leaves_no_process_behind(store: TweetStore) -> None:
    await store.add("ann", some(*TEXTS))
    waiting = asyncio.create_task(store.portrait("ann"))
    async with asyncio.timeout(20):
        while not portraying():  # noqa: ASYNC110 - nothing tells when a process is there
            await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert portraying() == []
    assert (await store.portrait("ann")).tweets == 4


def test_the_detector_is_loaded_by_nobody_else() -> None:
    code = "import bot.app.service, bot.cli, sys; sys.exit('py3langid' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
