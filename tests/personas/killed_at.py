"""`python -m tests.personas.killed_at FOLDER STEP`: goes on with takedowns and kills itself at the STEP-th thing done.

Exits with 0 when it came to the end before.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bot.personas.takedown import Room, Said, Subject
from tests.forgetting_stage import town


class Deadly(Room):
    """A room that is emptied, and after a number of steps in all rooms the process is gone."""

    steps = 0

    def __init__(self, room: Room, last: int) -> None:
        self._room = room
        self._last = last

    async def personas(self, handles: Sequence[str]) -> Iterable[str]:
        return await self._room.personas(handles)

    async def stop_learning(self, handles: Sequence[str]) -> None:
        await self._room.stop_learning(handles)
        self._step()

    async def stop_speaking(self, subject: Subject) -> None:
        await self._room.stop_speaking(subject)
        self._step()

    async def find(self, subject: Subject) -> dict[str, object]:
        return dict(await self._room.find(subject))

    async def said(self, subject: Subject) -> Iterable[Said]:
        said = await self._room.said(subject)
        self._step()
        return said

    async def remove(self, subject: Subject) -> None:
        await self._room.remove(subject)
        self._step()

    def _step(self) -> None:
        Deadly.steps += 1
        if Deadly.steps == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


async def main(folder: Path, last: int) -> None:
    async with town(folder) as place:
        for name, room in place.rooms.items():
            place.rooms[name] = Deadly(room, last)
        assert await place.takedowns.go_on()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
