"""Importing as the command does it: in threads, in batches, all or nothing."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bot.app import now
from bot.app.rooms import open_rooms
from bot.config import load
from bot.database import Database
from bot.errors import NotPermitted, UnreadableSource
from bot.tweets.cleaning import Profile
from bot.tweets.counts import AccountCounts
from bot.tweets.importing import import_file, in_threads
from bot.tweets.reading import opened
from bot.tweets.store import Basis, TweetStore
from bot.tweets.tweet import Tweet
from tests.fakes import FakeClock
from tests.processes import mockingbird, write_config
from tests.tweets.archives import modern, script, zipped

COUNT = 20_000


@pytest.fixture
def store(database: Database, clock: FakeClock) -> TweetStore:
    return TweetStore(database, clock)


def large(folder: Path, spoil: str = "") -> Path:
    """An archive that is read in several batches; `spoil` goes into its last tweet."""
    tweets = [
        {"tweet": {"id_str": str(10**17 + number), "full_text": f"words of tweet {number} and {number * 7919:x}"}}
        for number in range(COUNT)
    ]
    text = script("window.YTD.tweets.part0", tweets)
    return zipped(folder, modern(**{"data/tweets.js": text[:-20] + spoil + text[-20:]}))


async def test_the_loop_goes_on_while_an_archive_is_read_and_progress_is_told(
    tmp_path: Path, store: TweetStore
) -> None:
    told: list[tuple[str, float]] = []
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.001)
            beats += 1

    heart = asyncio.create_task(beat())
    with opened(large(tmp_path)) as source:
        counts = await store.add_all(in_threads(source, lambda what, share: told.append((what, share))))
    heart.cancel()
    assert [(each.handle, each.downloaded) for each in counts] == [("ann", COUNT)]
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert told[-1] == ("cleaning", 1.0)
    assert any(0 < share < 1 for share in shares)
    assert beats > 10


@pytest.mark.parametrize("batch", [1, 2, 3])
async def test_an_import_that_is_cancelled_at_any_batch_stores_nothing(
    tmp_path: Path, store: TweetStore, batch: int
) -> None:
    told: list[str] = []

    def stop(what: str, share: float) -> None:
        told.append(what)
        if len(told) == batch:
            task.cancel()

    with opened(large(tmp_path)) as source:
        task = asyncio.create_task(store.add_all(in_threads(source, stop)))
        with pytest.raises(asyncio.CancelledError):
            await task
    assert set(told) == {"reading"}
    assert await store.handles() == []


async def test_an_archive_that_is_damaged_at_its_end_stores_nothing(tmp_path: Path, store: TweetStore) -> None:
    with opened(large(tmp_path, spoil='"')) as source, pytest.raises(UnreadableSource):
        await store.add_all(in_threads(source))
    assert await store.handles() == []


async def test_the_command_counts_what_it_skipped_and_stores_nothing_of_a_damaged_file(tmp_path: Path) -> None:
    config = write_config(tmp_path, {})
    rows = "ann,some words of a tweet\n" + "ann,\n" * 300 + "ann,a,b\n"
    with zipfile.ZipFile(tmp_path / "tables.zip", "w") as archive:
        archive.writestr("tweets.csv", f"user,text\n{rows}")
    outcome = await mockingbird(config, "import", str(tmp_path / "tables.zip"), "--json")
    document = json.loads(outcome.out)
    assert document["skipped_counts"] == {"it has no text": 300, "it has more fields than the first line names": 1}
    assert len(document["skipped"]) == 200
    assert document["skipped"][0] == {"where": "line 3", "reason": "it has no text"}
    outcome = await mockingbird(config, "import", str(large(tmp_path, spoil='"')), "--handle", "eve")
    assert outcome.code == 2
    assert "is damaged. Download the archive again." in outcome.err.replace("\n", " ")
    outcome = await mockingbird(config, "tweets", "eve")
    assert outcome.code == 2


async def test_who_is_forgotten_while_an_archive_is_stored_is_not_stored_again(tmp_path: Path) -> None:
    """The takedown comes between the tweets and the note on why they may be learned."""
    async with open_rooms(load(write_config(tmp_path, {}), {})) as rooms:

        class Store(TweetStore):
            async def add_all(
                self,
                batches: AsyncIterator[Sequence[Tweet]],
                basis: Basis | None = None,
                profile: Profile | None = None,
            ) -> list[AccountCounts]:
                counts = await super().add_all(batches, basis, profile)
                await rooms.takedowns.forget("ann", "command")
                return counts

        archive = zipped(tmp_path, modern())
        with pytest.raises(NotPermitted, match="@ann is blocked"):
            await import_file(Store(rooms.database, now), archive, None, None)
        assert await rooms.store.handles() == []
