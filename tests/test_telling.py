"""What the running service says in its log about versions and retrainings."""

from __future__ import annotations

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from bot.app.rooms import open_rooms
from bot.app.upkeep import keep_telling
from bot.config import Config, Paths
from bot.replies.changes import Change
from bot.training.decisions import Decision, What
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
        with capture_logs() as lines:
            telling = asyncio.create_task(keep_telling(rooms, tell))
            await asyncio.sleep(0)
            assert await rooms.decisions.newest() == 0  # the task has asked that before
            await rooms.decisions.note(taught(rooms.shelf), What.KEPT, "It is worse.", "retraining", 7)
            await asyncio.wait_for(told.wait(), 60)
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
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
