"""A soak of the bot on Discord: people on many servers ask for all kinds of things, while connections break, events
come twice and Discord fails now and then.

    python benchmarks/soak.py [--requests 10000 | --minutes 60] [--servers 200] [--document DISCORDS_OPENAPI.json]

Outcome: one JSON document with how many were answered once, twice or never, how long acknowledging took, how much
memory and how many tasks the service had early and late, and what Discord's official document has against its requests.
`mockingbird serve` runs in a process of its own, with the real engine on a tiny base that is made and trained on here;
Discord is played in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bot.loopback.discord import Kind, LoopbackDiscord, Message  # noqa: E402
from bot.loopback.discord.people import User  # noqa: E402
from bot.loopback.discord.places import Channel  # noqa: E402
from bot.loopback.openapi import OpenAPIContract  # noqa: E402
from bot.shelf.bases import base_folder  # noqa: E402
from tests.processes import Service, mockingbird, service, write_config  # noqa: E402
from tests.tiny_base import make_tiny_gpt2  # noqa: E402

PERSONA = "lighthouse_nell"
PEOPLE = 5  # on each server
WINDOW = 48  # requests under way at once
ACKNOWLEDGE_S = 3.0  # of a command, by Discord's rule
PATIENCE_S = 180.0  # for one answer, since libraries wait out Discord's trouble
WARM = 0.2  # the share of requests after which memory is looked at for the first time
ROUGH = 0.01  # the share of requests that Discord fails
LOST = 0.3  # of these, the share of answers that are lost after the request took effect
SETTINGS: dict[str, dict[str, Any]] = {
    "training": {"epochs": 1, "layers": 1, "rank": 2, "batch_tokens": 2048},
    "generation": {"drafts": 2, "max_tokens": 24, "max_waiting": 500},
    "replies": {"requests_per_hour": 100_000, "most_requests_per_hour": 100_000, "server_requests_per_hour": 1_000_000},
    "log": {"format": "json"},
}


@dataclass(slots=True)
class Tally:
    """What came of it so far."""

    asked: Counter[str] = field(default_factory=Counter)  # by kind
    messages: list[int] = field(default_factory=list)  # ids of messages that are to be answered
    acknowledged: list[float] = field(default_factory=list)  # seconds
    never: list[str] = field(default_factory=list)  # what was not answered, in words
    commands: int = 0  # that were answered
    lost: int = 0  # commands that came while a connection was broken, and were given once more
    late: list[str] = field(default_factory=list)  # commands that were not acknowledged in time for another reason


@asynccontextmanager
async def prepared(folder: Path, discord: LoopbackDiscord) -> AsyncIterator[Service]:
    """The service with a tiny base and a persona that was trained on it, connected."""
    await asyncio.to_thread(make_tiny_gpt2, base_folder(folder / "data", "tiny"), "tiny")
    config = write_config(folder, SETTINGS)
    for command in (["import", str(ROOT / "examples" / f"{PERSONA}.zip")], ["train", PERSONA]):
        outcome = await mockingbird(config, *command)
        if outcome.code:
            sys.exit(outcome.err)
    on_discord = {"enabled": True, "api_base": discord.api_base, "gateway_url": discord.gateway_url}
    config = write_config(folder, {**SETTINGS, "discord": on_discord})
    async with service(config, {"DISCORD_TOKEN": discord.token}) as running:
        page = await running.logged("the web page is on")
        await running.logged("ready to speak")
        await discord.bot_ready(120)
        running.lines.append(page)
        draining = asyncio.create_task(_drain(running), name="log")
        try:
            yield running
        finally:
            draining.cancel()
            await asyncio.wait([draining])


async def _drain(running: Service) -> None:
    """Read the log away, or the service would wait for it; what went wrong is passed on."""
    assert running.process.stderr is not None
    async for line in running.process.stderr:
        if b'"level": "error"' in line or b'"level":"error"' in line:
            sys.stderr.write(line.decode())


class Crowd:
    """People who ask."""

    def __init__(self, discord: LoopbackDiscord, servers: int, seed: int) -> None:
        self.discord = discord
        self.chance = random.Random(seed)
        self.tally = Tally()
        self.places: list[tuple[Channel, list[User]]] = []
        self._answers: list[Message] = []  # that can be replied to
        world = discord.world
        for number in range(servers):
            people = [User(world.snowflakes.next(), f"p{number}_{each}", f"P {each}") for each in range(PEOPLE)]
            guild = world.add_guild(f"Server {number}", people, ["general", "talk"], time.time())
            self.places += [(channel, people) for channel in world.channels_of(guild)]

    async def ask(self) -> None:
        """One request of any kind, to its answer."""
        channel, people = self.chance.choice(self.places)
        person = self.chance.choice(people)
        kinds = {"mention": 55, "reply": 12, "direct": 5, "tweet": 16, "personas": 4, "help": 4, "status": 4}
        [kind] = self.chance.choices(list(kinds), list(kinds.values()))
        self.tally.asked[kind] += 1
        try:
            if kind in ("mention", "reply", "direct"):
                await self._say(kind, channel, person)
            else:
                await self._use(kind, channel, person)
        except TimeoutError as error:
            self.tally.never.append(f"{kind}: {error}"[:300])

    async def _say(self, kind: str, channel: Channel, person: User) -> None:
        target = None
        if kind == "direct":
            channel = self.discord.world.direct(person)
        elif kind == "reply" and self._answers:
            answer = self.chance.choice(self._answers)
            channel, target = answer.channel, answer.id
        number = self.chance.randrange(10_000)
        said = await self.discord.say(channel, person, f"what about number {number}?", reply_to=target)
        self.tally.messages.append(said)
        if self.chance.random() < 0.05:  # an event may come twice
            await self.discord.redeliver(said)
        answered = await self.discord.reply_to(said, PATIENCE_S)
        self._answers = [*self._answers[-200:], answered]
        if self.chance.random() < 0.03:  # or long after
            await self.discord.redeliver(said)

    async def _use(self, kind: str, channel: Channel, person: User) -> None:
        """A command that is lost while a connection is broken is given again, as a person does who sees that."""
        while True:
            used = await self.discord.slash(channel, person, kind, {"count": 2} if kind == "tweet" else {})
            try:
                self.tally.acknowledged.append(await used.acknowledged(ACKNOWLEDGE_S))
                break
            except TimeoutError as error:
                if not self._was_broken():
                    self.tally.late.append(str(error)[:300])
                self.tally.lost += 1
        await used.answered(PATIENCE_S)
        if kind == "tweet" and used.original is not None and "novelty" in used.original.content:
            await used.followed_up(PATIENCE_S)
        self.tally.commands += 1

    def _was_broken(self) -> bool:
        """Whether a connection of the bot's was not there at some moment of the last seconds."""
        since = time.time() - 2 * ACKNOWLEDGE_S
        kinds = (Kind.DISCONNECTED, Kind.CONNECTED, Kind.RESUMED)
        for happening in reversed(self.discord.journal.entries):
            if happening.at < since:
                return False
            if happening.kind in kinds:
                return True
        return False


async def disturb(discord: LoopbackDiscord, chance: random.Random, every_s: float) -> None:
    """Break connections in turn, until cancelled."""
    while True:
        await asyncio.sleep(every_s * chance.uniform(0.5, 1.5))
        if chance.random() < 0.5:
            discord.drop_connections()
        else:
            await discord.ask_to_reconnect()


async def look(running: Service) -> dict[str, float]:
    """Memory in MB and the number of tasks, as the service stands."""
    (page,) = [line for line in running.lines if line["event"] == "the web page is on"][:1]
    async with aiohttp.ClientSession() as session, session.get(f"{page['url']}/healthz") as answer:
        tasks = (await answer.json())["tasks"]
    return {"memory_mb": psutil.Process(running.process.pid).memory_info().rss / 1e6, "tasks": tasks}


async def soak(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The whole run; its figures."""
    contract = OpenAPIContract.load(asked.document) if asked.document else None
    async with LoopbackDiscord(contract, shards=2, max_concurrency=16, keeps=20_000) as discord:
        crowd = Crowd(discord, asked.servers, asked.seed)
        async with prepared(folder, discord) as running:
            idle = await look(running)
            discord.rough_weather(ROUGH, (500, 502, 503, 429), asked.seed, lost=LOST)
            disturbing = asyncio.create_task(disturb(discord, random.Random(asked.seed), asked.break_every_s))
            early, seconds = await _crowd_at_work(crowd, running, asked)
            disturbing.cancel()
            discord.calm_weather()
            await asyncio.sleep(5)  # what is still under way ends
            late = await look(running)
            running.process.terminate()
            code = await running.process.wait()
        return _figures(crowd, idle, early, late, seconds, code)


async def _crowd_at_work(crowd: Crowd, running: Service, asked: argparse.Namespace) -> tuple[dict[str, float], float]:
    """Ask until enough was asked; how the service stood early on, and how many seconds it took."""
    began, early = time.monotonic(), None
    under_way: set[asyncio.Task[None]] = set()
    while True:
        done = sum(crowd.tally.asked.values())
        passed = (time.monotonic() - began) / 60
        share = passed / asked.minutes if asked.minutes else done / asked.requests
        if share >= 1:
            break
        if early is None and share >= WARM:
            early = await look(running)
        under_way.add(asyncio.create_task(crowd.ask(), name="person"))
        if len(under_way) >= WINDOW:
            finished, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                task.result()
    await asyncio.gather(*under_way)
    return early or await look(running), time.monotonic() - began


def _figures(
    crowd: Crowd,
    idle: dict[str, float],
    early: dict[str, float],
    late: dict[str, float],
    seconds: float,
    code: int,
) -> dict[str, Any]:
    tally, discord = crowd.tally, crowd.discord
    replies = Counter({said: len(_replies(discord, said)) for said in tally.messages})
    times = sorted(tally.acknowledged)
    return {
        "asked": dict(tally.asked),
        "seconds": round(seconds, 1),
        "a_second": round(sum(tally.asked.values()) / seconds, 1),
        "messages": len(tally.messages),
        "answered_once": sum(count == 1 for count in replies.values()),
        "answered_more_than_once": sum(count > 1 for count in replies.values()),
        "commands_answered": tally.commands,
        "commands_lost_with_a_connection": tally.lost - len(tally.late),
        "commands_acknowledged_late": tally.late,
        "never_answered": tally.never,
        "acknowledged_s": {
            "median": statistics.median(times) if times else None,
            "p99": times[int(len(times) * 0.99)] if times else None,
            "worst": times[-1] if times else None,
        },
        "idle": idle,
        "early": early,
        "late": late,
        "exit_code": code,
        "violations": discord.violations[:20],
        "own_violations": discord.own_violations[:20],
    }


def _replies(discord: LoopbackDiscord, said: int) -> list[Message]:
    bot = discord.world.bot
    return [each for each in discord.world.archive.replies_to(said) if each.author.id == bot.id]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=0.0, help="instead of a number of requests")
    parser.add_argument("--servers", type=int, default=200)
    parser.add_argument("--document", type=Path, help="Discord's official OpenAPI document")
    parser.add_argument("--break-every-s", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(soak(asked, Path(folder))), indent=1))


if __name__ == "__main__":
    main()
