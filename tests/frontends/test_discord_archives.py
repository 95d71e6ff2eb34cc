"""/train with an attached archive: it is read without X, counts as a permission, and bad input loses nothing."""

from __future__ import annotations

import dataclasses
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
from bot.replies.guessing import MAY_BE_SHOWN
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


async def offered(stage: Stage, who: str = "wren", **options: Any) -> Message:
    """Somebody attaches an archive; the question."""
    return await (await stage.use("train", who, **options)).answered(PATIENCE)


async def refused(stage: Stage, who: str = "wren", **options: Any) -> str:
    """Somebody attaches something that can't be; what is said to them only."""
    [problem] = await (await stage.use("train", who, **options)).followed_up(PATIENCE)
    assert MessageFlag.EPHEMERAL in problem.flags
    return problem.content


def let_manage(stage: Stage) -> None:
    """robin may manage the server from now on, as wren, to whom the bot belongs."""
    world = stage.server.world
    (guild,), robin, wren = world.guilds.values(), world.user("robin"), world.user("wren")
    guild.members[robin.id] = dataclasses.replace(guild.members[robin.id], roles=guild.members[wren.id].roles)


async def test_an_attached_archive_is_read_and_counts_as_permission_to_learn(stage: Stage) -> None:
    """No handle has to be named, and the file is deleted. Only the operator's own accounts are shown in /guess."""
    async with stage.running():
        message = await offered(stage, archive=ARCHIVE)
    assert message.content.startswith(
        "-# The archive of @ann is read and stored; the file is deleted.\n**Learn ann?**\n"
    )
    assert (await stage.store.counts("ann")).downloaded == 2
    assert await stage.store.basis("ann") is Basis.PERMISSION
    assert Basis.PERMISSION not in MAY_BE_SHOWN


async def test_whoever_has_handed_an_archive_in_may_do_so_again(stage: Stage) -> None:
    let_manage(stage)
    async with stage.running():
        await offered(stage, "robin", archive=ARCHIVE)
        await offered(stage, "robin", archive=ARCHIVE, handles="@Ann", name="annie")
    assert (await stage.store.counts("ann")).downloaded == 2


@pytest.mark.parametrize("basis", Basis)
async def test_nobody_adds_to_an_account_that_the_operator_knows(stage: Stage, basis: Basis) -> None:
    """Who manages some server can write whatever looks like an archive of it."""
    await stage.store.set_basis("ann", basis, "her letter")
    let_manage(stage)
    async with stage.running():
        assert "@ann is known here already" in await refused(stage, "robin", archive=ARCHIVE)
        assert await stage.store.stored(["ann"]) == 0
        await offered(stage, archive=ARCHIVE)  # by the bot's owner
    assert await stage.store.stored(["ann"]) == 2
    assert (await stage.store.basis("ann"), await stage.store.basis_note("ann")) == (basis, "her letter")


async def test_a_zip_that_would_fill_the_disk_is_not_read(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_UNPACKED", 100)
    async with stage.running():
        assert "which is more than is taken. Pack data/account.js" in await refused(stage, archive=ARCHIVE)
    assert await stage.store.handles() == []


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
