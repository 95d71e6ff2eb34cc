"""Each decision about a version is a row, whatever happens in between.

The kills are real: a process of its own decides and is killed, by SIGKILL, at the first, the second, … of its steps on
the shelf.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bot.database import Database
from bot.errors import DamagedVersion, UnknownVersion
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import SHIPPED, STAGING, Shelf, file_sha256
from bot.training.decisions import Decisions, What
from bot.training.policy import to_prune
from tests.fakes import FakeClock
from tests.processes import ROOT, environment
from tests.shelves import manifest

WEIGHTS = "adapter_model.safetensors"
DECIDE = """
import asyncio, os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from bot.database import Database
from bot.shelf.shelf import Shelf
from bot.training.decisions import Decisions, What

folder, what, steps_left = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])


def count_down(event, arguments):
    global steps_left
    watched = ("os.rename", "os.remove", "os.rmdir") + (("open",) if what == "use" else ())
    path = str(arguments[0]) if arguments else ""
    on_shelf = event in watched and str(folder / "models" / "nell") in path and (what != "use" or "current" in path)
    if on_shelf and steps_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    steps_left -= on_shelf


async def main():
    async with Database(folder / "mockingbird.db") as database:
        decisions = Decisions(database, Shelf(folder / "models"), lambda: datetime.now(UTC))
        sys.addaudithook(count_down)
        if what == "use":
            await decisions.use("nell", "v2", What.USED, "It is better.", "command", training=7)
        else:
            await decisions.prune("nell", 1, "command")


asyncio.run(main())
"""


def add(shelf: Shelf, version: str, parent: str | None = None, persona: str = "nell") -> Manifest:
    """A version with weights, not yet in use."""
    staging = shelf.staging(persona, version)
    (staging / WEIGHTS).write_bytes(version.encode())
    digest = file_sha256(staging / WEIGHTS)
    made = manifest(persona, version).model_copy(update={"sha256": {WEIGHTS: digest}, "parent": parent})
    shelf.place(staging, made)
    return made


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Nell with v1 in use, and v2 beside it."""
    shelf = Shelf(tmp_path / "models")
    add(shelf, "v1")
    add(shelf, "v2", "v1")
    shelf.use("nell", "v1")
    return shelf


@pytest.fixture
def decisions(database: Database, shelf: Shelf, clock: FakeClock) -> Decisions:
    return Decisions(database, shelf, clock)


def killed(folder: Path, what: str, step: int) -> bool:
    """Decide in a process that is killed before that step on the shelf; False when it was done by then."""
    ended = subprocess.run(
        [sys.executable, "-c", DECIDE, str(folder), what, str(step)], env=environment(), check=False, timeout=60
    ).returncode
    assert ended in (0, -signal.SIGKILL)
    return ended != 0


# --- Putting in use, and going back ---


async def test_a_switch_is_a_row_with_its_reason(decisions: Decisions, shelf: Shelf, clock: FakeClock) -> None:
    await decisions.use("nell", "v2", What.USED, "It is better.", "discord:17", training=3)
    [row] = await decisions.of("nell")
    assert (row.from_version, row.to_version, row.what, row.why, row.by) == (
        *("v1", "v2", What.USED),
        *("It is better.", "discord:17"),
    )
    assert row.at == clock()
    assert shelf.current("nell").version == "v2"


async def test_going_back_is_a_row_that_says_from_where(decisions: Decisions, shelf: Shelf) -> None:
    await decisions.use("nell", "v2", What.USED, "It is better.", "command")
    back = await decisions.roll_back("nell", None, "command")
    assert back is not None
    assert (back.from_version, back.to_version, back.what, back.by) == ("v2", "v1", What.ROLLED_BACK, "command")
    assert shelf.current("nell").version == "v1"


async def test_what_is_in_use_already_is_no_decision(decisions: Decisions) -> None:
    assert await decisions.roll_back("nell", "v1", "command") is None
    assert await decisions.of("nell") == []
    with pytest.raises(UnknownVersion, match="no earlier version"):
        await decisions.roll_back("nell", None, "command")
    with pytest.raises(UnknownVersion, match="v9"):
        await decisions.roll_back("nell", "v9", "command")


async def test_a_training_decides_once(decisions: Decisions, shelf: Shelf) -> None:
    """It comes to the same point again when it was cut off just after."""
    for _ in range(2):
        await decisions.use("nell", "v2", What.USED, "It is better.", "command", training=3)
        await decisions.note(shelf.version("nell", "v2"), What.KEPT, "It is worse.", "command", training=4)
    assert [row.what for row in await decisions.of("nell")] == [What.USED, What.KEPT]


async def test_a_training_that_was_cut_off_after_its_decision_undoes_nothing_decided_since(
    decisions: Decisions, shelf: Shelf
) -> None:
    await decisions.use("nell", "v2", What.USED, "It is better.", "command", training=3)
    await decisions.roll_back("nell", None, "command")
    await decisions.use("nell", "v2", What.USED, "It is better.", "command", training=3)
    assert shelf.current("nell").version == "v1"
    assert [row.what for row in await decisions.of("nell")] == [What.USED, What.ROLLED_BACK]


async def test_a_damaged_version_is_not_put_in_use(decisions: Decisions, shelf: Shelf) -> None:
    (shelf.folder / "nell" / "v2" / WEIGHTS).write_bytes(b"v3")
    with pytest.raises(DamagedVersion, match=r"nell v2 is damaged on disk \(adapter_model.safetensors\)"):
        await decisions.use("nell", "v2", What.USED, "It is better.", "command")
    assert shelf.current("nell").version == "v1"
    assert await decisions.of("nell") == []


async def test_a_switch_that_fails_leaves_no_row(decisions: Decisions, shelf: Shelf) -> None:
    (shelf.folder / "nell" / ".current-new").mkdir()
    with pytest.raises(Exception, match="could not be put in use"):
        await decisions.use("nell", "v2", What.USED, "It is better.", "command")
    assert await decisions.of("nell") == []


@pytest.mark.slow
async def test_a_kill_at_any_step_loses_no_decision_and_invents_none(tmp_path: Path, clock: FakeClock) -> None:
    outcomes = []
    for step in count():
        folder = tmp_path / str(step)
        shelf = Shelf(folder / "models")
        add(shelf, "v1")
        add(shelf, "v2", "v1")
        shelf.use("nell", "v1")
        was_killed = await asyncio.to_thread(killed, folder, "use", step)
        async with Database(folder / "mockingbird.db") as database:
            rows = await Decisions(database, shelf, clock).of("nell")
            left_open = await database.all("SELECT * FROM decisions WHERE NOT done")
        in_use = shelf.current("nell").version
        assert [(row.from_version, row.to_version) for row in rows] == ([("v1", "v2")] if in_use == "v2" else [])
        assert left_open == []
        outcomes.append(in_use)
        if not was_killed:
            break
    assert outcomes[-1] == "v2" and outcomes.count("v1") >= 2


async def test_a_kill_between_the_switch_and_its_mark_is_mended(
    decisions: Decisions, shelf: Shelf, database: Database
) -> None:
    """The row was open, and the shelf tells what became of it."""
    for version in ("v1", "v2"):
        await decisions._write("nell", "v1", version, What.USED, version, "command", None, done=False)
    shelf.use("nell", "v2")
    assert [row.why for row in await decisions.of("nell")] == ["v2"]
    assert await database.all("SELECT * FROM decisions WHERE NOT done") == []


async def test_two_processes_decide_one_after_the_other(tmp_path: Path, clock: FakeClock, shelf: Shelf) -> None:
    """Neither mends what the other is about to do."""
    async with Database(tmp_path / "mockingbird.db") as database:
        decisions = Decisions(database, shelf, clock)
        there = await asyncio.create_subprocess_exec(
            sys.executable, "-c", DECIDE, str(tmp_path), "use", "1000000", env=environment(), cwd=ROOT
        )
        ours = 0
        while there.returncode is None:
            ours += await decisions.roll_back("nell", "v1", "command") is not None
            await asyncio.sleep(0)
        ours += await decisions.roll_back("nell", "v1", "command") is not None
        rows = await decisions.of("nell")
    assert there.returncode == os.EX_OK
    assert [row.what for row in rows] == [What.USED, What.ROLLED_BACK] and ours == 1


# --- Pruning ---


@pytest.mark.parametrize(
    ("current", "keep", "pruned"),
    [
        pytest.param("v6", 0, [], id="all are kept"),
        pytest.param("v6", 2, ["v1", "v2", "v3", "v4"], id="the newest"),
        pytest.param("v6", 1, ["v1", "v2", "v3", "v4"], id="and the one before"),
        pytest.param("v2", 2, ["v3", "v4"], id="an older one is in use"),
        pytest.param("v6", 9, [], id="fewer than that"),
    ],
)
def test_the_version_in_use_the_one_before_it_and_the_newest_are_kept(
    current: str, keep: int, pruned: list[str]
) -> None:
    made = [manifest("nell", f"v{n}").model_copy(update={"parent": f"v{n - 1}"}) for n in range(6, 0, -1)]
    assert to_prune(made, current, keep) == pruned


async def test_each_pruned_version_is_a_row(decisions: Decisions, shelf: Shelf) -> None:
    for number in (3, 4, 5):
        add(shelf, f"v{number}", f"v{number - 1}")
    await decisions.use("nell", "v5", What.USED, "It is better.", "command")
    assert await decisions.prune("nell", 0, "retraining") == []
    assert await decisions.prune("nell", 2, "retraining") == ["v1", "v2", "v3"]
    assert [each.version for each in shelf.versions("nell")] == ["v4", "v5"]
    rows = [row for row in await decisions.of("nell") if row.what is What.PRUNED]
    assert [(row.to_version, row.from_version, row.why) for row in rows] == [
        (version, "v5", "[shelf] keep_versions is 2.") for version in ("v1", "v2", "v3")
    ]
    assert shelf.next_version("nell") == "v6"


class HeldThreads(ThreadPoolExecutor):
    """Whatever is begun in a thread waits there until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.go_on = threading.Event()

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        loop = asyncio.get_running_loop()

        def held() -> Any:
            loop.call_soon_threadsafe(self.begun.set)
            self.go_on.wait()
            return function(*arguments, **named)

        return super().submit(held)


async def test_who_is_cancelled_while_pruning_loses_no_row(
    decisions: Decisions, shelf: Shelf, database: Database
) -> None:
    """Files take their time to be deleted, in a thread that goes on when nobody waits for it any more."""
    for number in (3, 4):
        add(shelf, f"v{number}", f"v{number - 1}")
    await decisions.use("nell", "v4", What.USED, "It is better.", "command")
    with HeldThreads() as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        pruning = asyncio.create_task(decisions.prune("nell", 1, "command"))
        await threads.begun.wait()
        pruning.cancel()
        await asyncio.gather(pruning, return_exceptions=True)
        threads.go_on.set()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
    left = [each.version for each in shelf.versions("nell")]
    pruned = [row.to_version for row in await decisions.of("nell") if row.what is What.PRUNED]
    assert pruning.cancelled()
    assert sorted([*left, *pruned]) == ["v1", "v2", "v3", "v4"]


async def test_the_voice_that_came_with_the_project_is_never_pruned(
    decisions: Decisions, shelf: Shelf, database: Database
) -> None:
    [(persona, shipped)] = SHIPPED
    for number in (1, 2, 3, 4):
        add(shelf, f"v{number}", persona=persona)
    await decisions.use(persona, "v4", What.USED, "It is better.", "command")
    assert await decisions.prune(persona, 1, "command") == ["v2", "v3"]
    assert shelf.version(persona, shipped).version == shipped


@pytest.mark.slow
async def test_a_kill_while_pruning_leaves_a_version_whole_or_gone(tmp_path: Path, clock: FakeClock) -> None:
    seen = set()
    for step in count():
        folder = tmp_path / str(step)
        shelf = Shelf(folder / "models")
        for number in (1, 2, 3):
            add(shelf, f"v{number}")
        shelf.use("nell", "v3")
        was_killed = await asyncio.to_thread(killed, folder, "prune", step)
        left = shelf.versions("nell")
        assert not [name for each in left for name in shelf.damaged(each)]
        async with Database(folder / "mockingbird.db") as database:
            rows = await Decisions(database, shelf, clock).of("nell")
        gone = {"v1", "v2"} - {each.version for each in left}
        assert {row.to_version for row in rows} == gone
        seen.add(len(gone))
        shelf.sweep()
        assert not list((folder / "models" / "nell").glob(f"{STAGING}*"))
        if not was_killed:
            break
    assert seen == {0, 1, 2}


# --- Forgetting ---


async def test_decisions_go_with_their_persona(decisions: Decisions, shelf: Shelf, database: Database) -> None:
    add(shelf, "v1", persona="otis")
    await decisions.use("otis", "v1", What.ADOPTED, "Its owner brought it.", "command")
    await decisions.use("nell", "v2", What.USED, "It is better.", "command")
    assert [(row["persona"], "by" in row) for row in await decisions.about(["nell"])] == [("nell", False)]
    await decisions.remove(["nell"])
    assert await decisions.of("nell") == [] and len(await decisions.of("otis")) == 1
