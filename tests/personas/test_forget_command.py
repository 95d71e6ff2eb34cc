"""`mockingbird forget`, `receipts` and `export` as an operator meets them, with posts that stand on X."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from bot.database import Database
from bot.loopback.x import LoopbackX
from bot.tweets.store import Basis, TweetStore
from tests.fakes import FakeClock
from tests.processes import mockingbird, write_config
from tests.shelves import shelf_with
from tests.training.material import sentences, tweets
from tests.tweets.desk import contracts


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Nell with tweets, a persona, and a post that was sent as number 17."""
    shelf_with(tmp_path / "models", "nell")
    async with Database(tmp_path / "data" / "mockingbird.db") as database:
        await TweetStore(database, FakeClock()).add("nell", tweets("nell", sentences(50)), Basis.OWN)
    return tmp_path


async def sent(folder: Path, platform_id: str) -> None:
    async with Database(folder / "data" / "mockingbird.db") as database, database.transaction() as transaction:
        number = await transaction.insert(
            "INSERT INTO posts (persona, version, seed, text, novelty, state, created_at, platform_id) "
            "VALUES ('nell', 'v1', 1, 'a post', 0.9, 'sent', '2026-11-01T12:00:00+00:00', ?)",
            (platform_id,),
        )
        await transaction.run(
            "INSERT INTO post_parts (post_id, number, text, platform_id) VALUES (?, 1, 'a post', ?)",
            (number, platform_id),
        )


@pytest.mark.slow
async def test_posts_are_deleted_after_their_price_was_said(folder: Path) -> None:
    async with LoopbackX(["bot", "ada"], *contracts()) as x:
        post = x.post_as("bot", "a post")
        await sent(folder, post.id)
        config = write_config(folder, {"x": {"api_base": x.api_base}})
        keys = {
            "X_CONSUMER_KEY": x.keys.consumer_key,
            "X_CONSUMER_SECRET": x.keys.consumer_secret,
            "X_ACCESS_TOKEN": x.keys.access_token,
            "X_ACCESS_TOKEN_SECRET": x.keys.access_token_secret,
        }
        refused = await mockingbird(config, "forget", "nell", "--delete-posts", "--yes")
        assert (refused.code, "four keys" in refused.err) == (2, True)
        assert len(x.timeline("bot")) == 1 and (folder / "models" / "nell").exists()
        done = await mockingbird(config, "forget", "nell", "--delete-posts", "--yes", "--json", extra=keys)
        assert done.code == 0, done.err
        assert not x.timeline("bot") and not x.violations
    assert "Deleting 1 post on X costs $0.01." in " ".join(done.err.split())
    receipt = json.loads(done.out)
    assert receipt["said"] == [{"platform": "x", "channel": "", "id": post.id, "outcome": "deleted"}]
    assert (receipt["found"]["tweets"], receipt["personas"]) == ({"tweets": 50}, ["nell"])
    shown = await mockingbird(config, "receipts", "@Nell", "--json")
    assert json.loads(shown.out) == {"receipts": [receipt]}
    plain = await mockingbird(config, "receipts")
    assert f"said on x: {post.id}, deleted" in plain.out


async def test_nothing_happens_without_a_yes(folder: Path) -> None:
    """Asked at the terminal, nobody answers."""
    config = write_config(folder, {})
    outcome = await mockingbird(config, "forget", "nell")
    assert outcome.code == 130
    assert "50 tweets; 1 version of nell" in outcome.err
    assert (folder / "models" / "nell").exists()
    assert json.loads((await mockingbird(config, "receipts", "--json")).out) == {"receipts": []}


async def test_what_is_held_is_handed_over_in_a_zip(folder: Path) -> None:
    config = write_config(folder, {})
    outcome = await mockingbird(config, "export", "nell", str(folder / "nell.zip"), "--json")
    assert outcome.code == 0, outcome.err
    with zipfile.ZipFile(folder / "nell.zip") as archive:
        assert archive.namelist() == json.loads(outcome.out)["files"]
        assert len(archive.read("tweets.jsonl").splitlines()) == 50
    assert (await mockingbird(config, "export", "nell", str(folder / "nell.zip"))).code == 2
    assert (await mockingbird(config, "export", "nobody")).code == 2
