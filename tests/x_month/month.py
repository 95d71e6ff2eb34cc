"""The month itself: time goes on in steps, and in each the world moves and the service takes a turn or dies."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from bot.config import X
from bot.database import Database
from bot.loopback.openapi import OpenAPIContract
from bot.loopback.x import LoopbackX
from bot.replies.posts import Posts
from bot.tweets.x_requests import XKeys
from tests.fakes import FakeClock
from tests.shelves import shelf_with
from tests.x_month.desk import Desk
from tests.x_month.kills import Kills
from tests.x_month.people import People
from tests.x_month.sentences import EverNew
from tests.x_month.service import SAMPLING, Plan, Service
from tests.x_month.weather import Weather, evening_of

BEGIN = datetime(2026, 12, 1, tzinfo=UTC)
HANDLES = {"main": "Nell", "crumb": "Crumb", "otis": "Otis"}
SETTINGS = {
    "main": X(
        persona="nell",
        post_every_minutes=60.0,
        approved_for_hours=9.0,
        reply_to_mentions=True,
        mentions_every_minutes=10.0,
    ),
    "crumb": X(
        persona="crumb",
        post_every_minutes=60.0,
        jitter_minutes=10.0,
        quiet_hours="23:00-06:00",
        time_zone="Europe/Berlin",
        approved_for_hours=14.0,
        reply_to_mentions=True,
        mentions_every_minutes=10.0,
        most_turns=2,
    ),
    "otis": X(
        persona="otis",
        post_at=tuple(f"{hour:02d}:00" for hour in range(24)),
        jitter_minutes=15.0,
        time_zone="America/New_York",
        posts_per_day=20,
        approval=False,
        approved_for_hours=6.0,
        reply_to_mentions=True,
        mentions_every_minutes=10.0,
    ),
}
SETTLING = timedelta(hours=20)  # in good weather, until nothing is under way
_QUICK, _USUAL = (1, 2, 6), (10, 12, 15, 20)  # minutes of a step


@dataclass(frozen=True, slots=True)
class Size:
    """How long and how bad."""

    days: float
    mentions: int
    kills: int
    outages: int
    mishaps: int
    cap: str = "150.00"  # US dollars a month
    reserve: str = "40.00"  # of it: for posting


DAY = Size(days=1.5, mentions=100, kills=10, outages=2, mishaps=4)
SHORT = replace(DAY, cap="5.00", reserve="4.70")  # of money: main reads for a while, the others never
MONTH = Size(days=30, mentions=2_000, kills=200, outages=32, mishaps=80)


@dataclass(frozen=True, slots=True)
class World:
    """All that there is."""

    x: LoopbackX
    clock: FakeClock
    database: Database  # the service's, looked into by the desk and the audit
    desk: Desk
    people: People
    weather: Weather
    kills: Kills
    service: Service
    chance: random.Random
    deleted_on_x: set[str]  # ids of posts of ours that somebody deleted there


@asynccontextmanager
async def month(folder: Path, seed: int, size: Size, contract: OpenAPIContract | None = None) -> AsyncIterator[World]:
    """The world at the beginning."""
    chance, clock = random.Random(seed), FakeClock(BEGIN)
    shelf_with(folder / "models", *(settings.persona for settings in SETTINGS.values()))
    async with LoopbackX(HANDLES.values(), contract, clock=clock, limits={"POST /2/tweets": 12}) as x:
        cap, reserve = Decimal(size.cap), Decimal(size.reserve)
        plan = Plan(folder, f"{seed}", x.api_base, SETTINGS, _keys(x), cap, reserve, timeout_s=10.0)
        service, end = Service(plan), BEGIN + timedelta(days=size.days)
        people = People(x, [*HANDLES.values()], _moments(chance, size.mentions, BEGIN, end), chance)
        weather = Weather(x, BEGIN + timedelta(hours=2), end, size.outages, size.mishaps, chance)
        kills = Kills(x, service, _moments(chance, size.kills, BEGIN, end), chance)
        try:
            async with Database(plan.database) as database:
                posts = Posts(database, EverNew(f"{seed} desk"), SAMPLING, 1, SETTINGS, clock)
                yield World(x, clock, database, Desk(posts, chance), people, weather, kills, service, chance, set())
        finally:
            await kills.give_up()
            await service.kill()


async def live(world: World, size: Size) -> None:
    """All of it, and the time afterwards in which everything settles."""
    end = BEGIN + timedelta(days=size.days)
    quick = 0
    while world.clock.now < end or not world.kills.are_over:
        now = world.clock.now
        world.weather.change(now)
        calm = quick <= 0 and world.weather.is_fine
        world.people.speak(now, calm)
        await world.desk.look(now, calm)
        if calm:
            _delete_on_x(world)
        if await world.kills.turn(now):
            quick = 4  # as soon as it is gone, it is started again
            if world.chance.random() < 0.15:  # nobody is there to start it again
                away = timedelta(minutes=world.chance.uniform(30, 600))
                world.clock.now = min(now + away, evening_of(now))
        world.clock.advance(minutes=world.chance.choice(_QUICK if quick > 0 else _USUAL))
        quick -= 1
    world.weather.clear()
    await world.kills.give_up()
    settled = world.clock.now + SETTLING
    while world.clock.now < settled:
        world.people.speak(world.clock.now, calm=True)
        await world.service.turn(world.clock.now)
        world.clock.advance(minutes=15)


def _delete_on_x(world: World) -> None:
    """Now and then a post of ours is deleted in the app."""
    if world.chance.random() > 0.004:
        return
    handle = world.chance.choice([*HANDLES.values()])
    posts = [
        each for each in world.x.timeline(handle)[:20] if each.reply_to is None and not world.x.answers_to(each.id)
    ]
    if posts:
        gone = world.chance.choice(posts).id
        world.x.delete_behind(gone)
        world.deleted_on_x.add(gone)


def _keys(x: LoopbackX) -> dict[str, XKeys]:
    """OAuth 1.0a alone."""
    keys = {}
    for name, handle in HANDLES.items():
        own = x.keys_of(handle)
        keys[name] = XKeys(None, own.consumer_key, own.consumer_secret, own.access_token, own.access_token_secret)
    return keys


def _moments(chance: random.Random, count: int, begin: datetime, end: datetime) -> list[datetime]:
    return sorted(begin + (end - begin) * chance.random() for _ in range(count))
