"""Cancelling work at each place where it can be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any


async def cut_off(work: Awaitable[object], step: int) -> bool:
    """Run the work in a task that is cancelled at its `step`-th pause; whether it was still under way then.

    A pause is a moment at which the work gives the event loop a turn. What the work raises is raised.
    """

    async def run() -> None:
        await _CutOff(work, step)

    task = asyncio.create_task(run())
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return task.cancelled()


class _CutOff:
    """Hands the pauses of the work on to the event loop and counts them."""

    def __init__(self, work: Awaitable[object], step: int) -> None:
        self._work = work
        self._step = step

    def __await__(self) -> Generator[Any, Any, None]:
        task = asyncio.current_task()
        assert task is not None
        pauses = self._work.__await__()
        step = 0
        try:
            pause = pauses.send(None)
            while True:
                step += 1
                if step == self._step:
                    asyncio.get_running_loop().call_soon(task.cancel)
                try:
                    answer = yield pause
                except BaseException as error:  # noqa: BLE001 - it is passed on
                    pause = pauses.throw(error)
                else:
                    pause = pauses.send(answer)
        except StopIteration:
            return
