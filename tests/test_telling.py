"""What the running service says in its log about versions and retrainings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from structlog.testing import capture_logs

from bot.app import now
from bot.app.rooms import Rooms, open_rooms
from bot.app.upkeep import keep_telling
from bot.config import Config, Paths
from bot.errors import Busy
from bot.replies.changes import Change
from bot.training.decisions import Decision, What, still_news
from tests.replies.test_changes import taught
from tests.shelves import shelf_with


async def test_the_log_says_what_a_retraining_has_changed_and_why_without_any_text(tmp_path: Path) -> None:
    shelf_with(tmp_path / "models", "nell")
    config = Config(paths=Paths(data=tmp_path / "data", models=tmp_path / "models"))
    told = asyncio.Event()

    async def tell(decision: Decision, change: Change | None) -> None:
        assert change is not None
        told.set()

    async with open_rooms(config) as rooms:
        rooms.speaker.silent_because("No engine is needed here.")  # else samples would wait for one
        with capture_logs() as lines:
            async with telling(rooms, tell):
                await rooms.decisions.note(taught(rooms.shelf), What.KEPT, "It is worse.", "retraining", 7)
                await asyncio.wait_for(told.wait(), 60)
    [line] = [line for line in lines if line["event"] == "a retraining was judged"]
    assert {key: line[key] for key in line if key not in ("log_level", "event")} == {
        "persona": "nell",
        "version": "v2",
        "before": "v1",
        "adopted": False,
        "new_tweets": 27,
        "loss": 2.9,
        "loss_before": 3.1,
        "why": "It is worse.",
    }


Tell = Callable[[Decision, Change | None], Awaitable[None]]


@asynccontextmanager
async def telling(rooms: Rooms, tell: Tell | None) -> AsyncIterator[None]:
    """A service that tells, from its start until it is stopped."""
    task = asyncio.create_task(keep_telling(rooms, tell))
    try:
        async with asyncio.timeout(60):
            while await rooms.decisions.told() is None:  # noqa: ASYNC110 - a row
                await asyncio.sleep(0.01)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def told_after(rooms: Rooms, count: int, notes: bool = True) -> list[int]:
    """The numbers of the decisions that a start tells, once there are so many; `notes`: and that it notes."""
    numbers: list[int] = []
    enough = asyncio.Event()

    async def tell(decision: Decision, change: Change | None) -> None:
        numbers.append(decision.id)
        if notes:
            await rooms.decisions.note_told(decision.id)
        if len(numbers) == count:
            enough.set()

    async with telling(rooms, tell):
        await asyncio.wait_for(enough.wait(), 60)
    return numbers


async def test_what_was_decided_before_a_stop_is_told_after_it_and_once(tmp_path: Path) -> None:
    """What was handed over and not noted, since Discord was not there, is told again; the first start tells nothing."""
    shelf_with(tmp_path / "models", "nell")
    config = Config(paths=Paths(data=tmp_path / "data", models=tmp_path / "models"))
    async with open_rooms(config) as rooms:
        rooms.speaker.silent_because("No engine is needed here.")  # else samples would wait for one
        await rooms.decisions.note(taught(rooms.shelf), What.KEPT, "Long before an upgrade.", "retraining", 7)
        async with telling(rooms, None):
            pass
        await rooms.decisions.use("nell", "v2", What.USED, "It is better.", "retraining")
        assert await told_after(rooms, 1, notes=False) == [2]
        assert await told_after(rooms, 1) == [2]
        await rooms.decisions.roll_back("nell", "v1", "command")
        assert await told_after(rooms, 1) == [3]


async def test_telling_outlives_a_database_that_another_process_is_writing_to(tmp_path: Path) -> None:
    """What could not be noted or shown meanwhile is told when it is free again."""
    shelf_with(tmp_path / "models", "nell")
    config = Config(paths=Paths(data=tmp_path / "data", models=tmp_path / "models"))
    async with open_rooms(config) as rooms:
        rooms.speaker.silent_because("No engine is needed here.")  # else samples would wait for one
        await rooms.decisions.note_told(0)
        await rooms.decisions.note(taught(rooms.shelf), What.KEPT, "It is worse.", "retraining", 7)
        after, tries = rooms.changes.after, 0

        async def busy_at_first(decision: Decision) -> Change | None:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise Busy("Another process has been writing for 10 seconds.", 10.0)
            return await after(decision)

        rooms.changes.after = busy_at_first  # type: ignore[method-assign]
        assert await told_after(rooms, 1) == [1]


def test_after_a_long_stop_only_the_newest_of_each_persona_is_told() -> None:
    long_ago, lately = now() - timedelta(days=2), now() - timedelta(hours=2)
    decided = [
        Decision(number, persona, "v1", "v2", What.USED, "", "command", at)
        for number, (persona, at) in enumerate(
            [("nell", long_ago), ("otis", long_ago), ("nell", long_ago), ("ada", lately), ("ada", lately)], start=1
        )
    ]
    assert [each.id for each in still_news(decided, now())] == [2, 3, 4, 5]
