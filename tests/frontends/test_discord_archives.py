"""/train with an attached archive: it is read without X, counts as the owner's own, and bad input loses nothing."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.database import Database
from bot.errors import UnknownHandle
from bot.frontends.discord import archives
from bot.loopback.discord import Message
from bot.loopback.discord.messages import MessageFlag, UploadedFile
from bot.tweets.store import Basis
from tests.frontends.discord_stage import Stage, staged
from tests.loopback.songbird import PATIENCE
from tests.tweets.archives import entry, modern, script, zip_bytes

ARCHIVE = UploadedFile("twitter-2026.zip", zip_bytes(modern()), "application/zip")


@pytest.fixture
async def stage(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    (tmp_path / "attached").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "attached"))
    async with staged(tmp_path, database) as ready:
        yield ready
    assert list((tmp_path / "attached").iterdir()) == []


async def offered(stage: Stage, **options: Any) -> Message:
    """wren attaches an archive; the question."""
    return await (await stage.use("train", **options)).answered(PATIENCE)


async def refused(stage: Stage, **options: Any) -> str:
    """wren attaches something that can't be; what is said to them only."""
    [problem] = await (await stage.use("train", **options)).followed_up(PATIENCE)
    assert MessageFlag.EPHEMERAL in problem.flags
    return problem.content


async def test_an_attached_archive_is_read_and_counts_as_its_owners_own(stage: Stage) -> None:
    """No handle has to be named, and the file is deleted."""
    async with stage.running():
        message = await offered(stage, archive=ARCHIVE)
    assert message.content.startswith(
        "-# The archive of @ann is read and stored; the file is deleted.\n**Learn ann?**\n"
    )
    assert (await stage.store.counts("ann")).downloaded == 2
    assert await stage.store.basis("ann") is Basis.OWN


async def test_what_is_known_of_an_account_stays_when_its_archive_comes(stage: Stage) -> None:
    await stage.store.set_basis("ann", Basis.PERMISSION, "her letter")
    async with stage.running():
        await offered(stage, archive=ARCHIVE, handles="@Ann", name="annie")
        await offered(stage, archive=ARCHIVE)  # once more
    assert (await stage.store.counts("ann")).downloaded == 2
    assert await stage.store.basis("ann") is Basis.PERMISSION


async def test_an_archive_of_somebody_who_was_not_named_is_not_stored(stage: Stage) -> None:
    async with stage.running():
        said = await refused(stage, archive=ARCHIVE, handles="bob, nasa")
    assert "This is the archive of @ann, whom you did not name." in said
    assert await stage.store.handles() == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.zip", b"", "empty.zip is empty."),
        ("photo.png", b"\x89PNG....", "photo.png is no archive from X"),
        ("my broken.zip", zip_bytes(modern())[:-40], "my_broken.zip is cut off or damaged."),
        ("pages.zip", zip_bytes({"index.html": "<p>"}), "no X archive"),
        ("table.zip", zip_bytes({"tweets.csv": "user,text\nann,hello there again\n"}), "no archive from X"),
        (
            "whose.zip",
            zip_bytes({"data/tweets.js": script("window.YTD.tweets.part0", [{"tweet": entry(1, "one")}])}),
            "does not say whose archive it is. Leave data/account.js in it",
        ),
        ("none.zip", zip_bytes(modern(**{"data/tweets.js": script("window.YTD.tweets.part0", [])})), "holds no tweets"),
        ("cut.zip", zip_bytes(modern(**{"data/tweets.js": 'window.YTD.tweets.part0 = [{"tweet": {'})), "is damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value and " " not in value else "",
)
async def test_what_is_no_archive_is_a_sentence_and_stores_nothing(
    stage: Stage, name: str, content: bytes, said: str
) -> None:
    async with stage.running():
        problem = await refused(stage, archive=UploadedFile(name, content, "application/zip"))
    assert said in problem and "Something went wrong" not in problem
    assert await stage.store.handles() == []


async def test_what_is_larger_than_everybody_may_send_is_not_even_fetched(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "LARGEST", 100)
    async with stage.running():
        problem = await refused(stage, archive=ARCHIVE)
    assert "and 10 are taken. Pack data/account.js and data/tweets.js of it alone into a zip" in problem
    assert await stage.store.handles() == []


async def test_an_account_named_beside_the_archive_has_to_be_stored(stage: Stage) -> None:
    """The archive is kept all the same: nobody has to attach it once more."""
    stage.trainings.failure = UnknownHandle("No tweets of @nasa are stored.")
    async with stage.running():
        assert "No tweets of @nasa are stored." in await refused(stage, archive=ARCHIVE, handles="ann nasa")
    assert await stage.store.handles() == ["ann"]


async def test_nobody_who_may_not_train_has_an_archive_read(stage: Stage) -> None:
    async with stage.running():
        interaction = await stage.use("train", "robin", archive=ARCHIVE)
        assert interaction.original is not None and MessageFlag.EPHEMERAL in interaction.original.flags
    assert await stage.store.handles() == []
