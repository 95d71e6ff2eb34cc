"""Killing the service at moments that are dangerous, and at any others."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from bot.loopback.x import Hold, LoopbackX, Moment
from tests.x_month.service import Service
from tests.x_month.weather import DELETE, MENTIONS, PEOPLE, POST, TIMELINE, evening_of


class Way(StrEnum):
    """When it dies."""

    TAKEN = "X has done it, the answer is under way"
    ANSWERED = "the answer has just gone out"
    ARRIVED = "the request has arrived; X does it afterwards"
    LATE = "the request has arrived; X does it minutes later"
    WORKING = "somewhere within a turn"
    IDLE = "between two turns"


_WAYS = {Way.TAKEN: 8, Way.ANSWERED: 5, Way.ARRIVED: 3, Way.LATE: 1, Way.WORKING: 4, Way.IDLE: 1}
_ROUTES = {POST: 12, MENTIONS: 3, TIMELINE: 2, PEOPLE: 2, DELETE: 1}
_PATIENCE = timedelta(hours=1.5)  # for the request at which it is to die
_LATEST = timedelta(minutes=4)  # the service waits five for what it has sent to be seen


class Kills:
    """So many of them, each at its time or when the moment comes after it."""

    def __init__(self, x: LoopbackX, service: Service, moments: Sequence[datetime], chance: random.Random) -> None:
        """From each of `moments` on the next chance is taken."""
        self._x = x
        self._service = service
        self._moments = list(moments)
        self._chance = chance
        self._way: Way | None = None
        self._hold: Hold | None = None
        self._aimed_at = datetime.min
        self._late: list[tuple[datetime, Hold]] = []
        self.done: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.done.values())

    @property
    def are_over(self) -> bool:
        """Whether there will be no more."""
        return not self._moments and self._way is None

    async def turn(self, now: datetime) -> bool:
        """A turn of the service; whether it died in it."""
        await self._let_go(now)
        if now >= evening_of(now):
            if self._way is not None:  # tomorrow
                self._moments.insert(0, now)
            self._x.forget_holds()
            self._way = self._hold = None
        elif self._way is None and self._moments and self._moments[0] <= now:
            self._moments.pop(0)
            self._aim()
            self._aimed_at = now
        if self._hold is not None and now - self._aimed_at > _PATIENCE:  # no such request has come
            self._x.forget_holds()
            self._way, self._hold = Way.WORKING, None
        if self._way is None:
            await self._service.turn(now)
            return False
        if self._way is Way.IDLE:
            return await self._kill()
        turn = asyncio.create_task(self._service.turn(now), name="a turn")
        if self._hold is None:
            await asyncio.wait([turn], timeout=self._chance.uniform(0, 0.08))
            return await self._die(turn)
        arrived = asyncio.create_task(self._hold.arrived.wait(), name="a request has arrived")
        await asyncio.wait([turn, arrived], return_when=asyncio.FIRST_COMPLETED)
        arrived.cancel()
        if not self._hold.arrived.is_set():
            await turn
            return False
        return await self._die_at(turn, self._hold, now)

    async def give_up(self) -> None:
        """No more of them."""
        self._moments, self._way, self._hold = [], None, None
        self._x.forget_holds()
        for _, hold in self._late:
            hold.release.set()

    def _aim(self) -> None:
        self._way = self._chance.choices([*_WAYS], [*_WAYS.values()])[0]
        if self._way in (Way.WORKING, Way.IDLE):
            return
        route = POST if self._way is Way.LATE else self._chance.choices([*_ROUTES], [*_ROUTES.values()])[0]
        moment = Moment.AFTER if self._way in (Way.TAKEN, Way.ANSWERED) else Moment.BEFORE
        self._hold = self._x.hold_next(route, moment)

    async def _die_at(self, turn: asyncio.Task[None], hold: Hold, now: datetime) -> bool:
        if self._way is Way.ANSWERED:
            hold.release.set()
            await asyncio.wait([turn], timeout=self._chance.uniform(0, 0.01))
        way, route = self._way, hold.route
        await self._die(turn, f", {route}")
        if way is Way.LATE and now + 2 * _LATEST < evening_of(now):  # else it would be X that posts in quiet hours
            self._late.append((now, hold))
        else:
            hold.release.set()
            for _ in range(20):  # what X does with it, it has done before the service is back
                await asyncio.sleep(0)
        return True

    async def _die(self, turn: asyncio.Task[None], where: str = "") -> bool:
        if turn.done():
            turn.result()
        await self._kill(where)
        turn.cancel()
        await asyncio.gather(turn, return_exceptions=True)
        return True

    async def _kill(self, where: str = "") -> bool:
        await self._service.kill()
        self.done[f"{self._way}{where}"] += 1
        self._way = self._hold = None
        return True

    async def _let_go(self, now: datetime) -> None:
        """X does what had arrived before: minutes later, but before its timeline is believed to be complete."""
        for since, hold in [each for each in self._late if now - each[0] > _LATEST]:
            self._late.remove((since, hold))
            hold.release.set()
            await asyncio.sleep(0.02)
