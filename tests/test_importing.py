"""Importing as the command does it: in threads, in batches, all or nothing."""

from __future__ import annotations

import asyncio
import json
import zipfile
from pathlib import Path

import pytest

from bot.app import in_threads
from bot.database import Database
from bot.errors import UnreadableSource
from bot.tweets.reading import opened
from bot.tweets.store import TweetStore
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
