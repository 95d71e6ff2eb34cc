"""The tasks that have to end before the connection does.

discord.py runs each event in a task that nobody holds or waits for: it may vanish when the connection is closed, its
error with it. What matters is therefore held here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class InFlight:
    """Tasks under way; `drain` ends them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work`, which deals with its own errors, in a task of that name."""
        self._hold(asyncio.create_task(work, name=name))

    def join(self) -> None:
        """From now on the task that calls this is waited for, too."""
        task = asyncio.current_task()
        if task is not None:
            self._hold(task)

    async def drain(self, seconds: float) -> int:
        """Wait that long for all of them, then cancel the rest; how many were cut off. The caller isn't waited for."""
        tasks = self._tasks - {asyncio.current_task()}
        if not tasks:
            return 0
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
        return len(late)

    def _hold(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
