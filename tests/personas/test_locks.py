"""Whoever waits for a lock that another process holds keeps nobody else from it, whenever the waiting is broken off."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cut_off import cut_off
from tests.fakes import FakeClock
from tests.forgetting_stage import Town, town
from tests.processes import environment

LOCKS = ("trainings.lock", "evaluation.lock", "forget.lock")
HOLDING = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]).acquire(blocking=False):
    print("held", flush=True)
    sys.stdin.read()
"""


@asynccontextmanager
async def held(lock: Path) -> AsyncIterator[None]:
    """Another process has the lock while the body runs; it fails where the lock is not free."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDING, str(lock)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"held\n"
        yield
    finally:
        await process.communicate(b"")


def work_under(lock: str, place: Town) -> Awaitable[object]:
    """What needs that lock."""
    if lock == "trainings.lock":
        return place.trainings.run()
    if lock == "evaluation.lock":
        return place.rooms["trainings"].stop_learning(("nobody",))
    return place.takedowns.forget("nobody", "command")


@pytest.mark.parametrize("lock", LOCKS)
async def test_the_loop_runs_on_while_another_process_holds_the_lock(
    lock: str, tmp_path: Path, clock: FakeClock
) -> None:
    async with town(tmp_path, clock) as place:
        async with held(tmp_path / lock):
            waiting = asyncio.ensure_future(work_under(lock, place))
            await asyncio.sleep(0.3)
            assert not waiting.done()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        async with held(tmp_path / lock):
            pass


@pytest.mark.parametrize("lock", LOCKS)
async def test_work_that_is_cancelled_at_any_of_its_first_pauses_leaves_the_lock_free(
    lock: str, tmp_path: Path, clock: FakeClock
) -> None:
    async with town(tmp_path, clock) as place:
        for step in range(1, 5):
            await cut_off(work_under(lock, place), step)
            async with held(tmp_path / lock):
                pass
