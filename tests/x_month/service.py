"""What is tried: the real parts of the service in a process of its own, which takes a turn when it is told the time.

Outcome: `Service` starts the process, has it take turns, and kills it at whatever moment. A life that was killed leaves
what it had written to the database and nothing else. Importing this module loads what is slow to load, so that a
process which was imported once can bear many lives.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path

import structlog

from bot.config import MAIN, Generation, Prices, Replies, X
from bot.database import Database
from bot.frontends.x.frontend import XFrontend
from bot.frontends.x.mentions import XMentions
from bot.generation.draft import Sampling
from bot.generation.safety import offence
from bot.replies.conversation import Conversation
from bot.replies.mentions import Mentions
from bot.replies.outbox import Outbox
from bot.replies.posts import Posts
from bot.shelf.shelf import Shelf
from bot.tweets.budget import Budget
from bot.tweets.costs import Ledger
from bot.tweets.languages import language
from bot.tweets.x_api import XClient
from bot.tweets.x_requests import XKeys
from bot.tweets.x_windows import Names, Windows
from tests.fakes import FakeClock
from tests.x_month.sentences import EverNew

SAMPLING = Sampling(1.0, 1.0, 0, 10)
_PROCESSES = multiprocessing.get_context("forkserver")
# What the script imports that runs the month, each life would else import anew.
_PROCESSES.set_forkserver_preload([__name__, "tests.x_month.audit", "pytest"])
_LATEST_S = 120.0  # real time for one turn; a service that hangs is a failure

offence()
language("what is slow is loaded once")


@dataclass(frozen=True, slots=True)
class Plan:
    """What the service is told at its start."""

    folder: Path
    name: str  # of the month, so that no two say the same
    api_base: str
    settings: Mapping[str, X]  # by account
    keys: Mapping[str, XKeys]  # likewise
    cap: Decimal  # US dollars a month
    reserve: Decimal  # of it: for posting
    timeout_s: float  # for one request, in real time

    @property
    def database(self) -> Path:
        """The file."""
        return self.folder / "month.db"

    @property
    def ours(self) -> frozenset[str]:
        """X's ids of our accounts."""
        return frozenset(keys.own_id for keys in self.keys.values() if keys.own_id)


class Service:
    """One life after the other."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lives = 0
        self._process: multiprocessing.process.BaseProcess | None = None
        self._orders: Connection

    @property
    def runs(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    async def turn(self, now: datetime) -> None:
        """It is `now`: every account takes a turn. Starts the process where there is none; raises `EOFError` where it
        ends instead.
        """
        if self._process is None:
            self._begin()
        orders, answer = self._orders, asyncio.Event()
        orders.send(now)
        asyncio.get_running_loop().add_reader(orders.fileno(), answer.set)
        try:
            async with asyncio.timeout(_LATEST_S):
                await answer.wait()
        finally:
            _look_away(orders)
        orders.recv()

    async def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.join)
            self._process.close()
            _look_away(self._orders)  # before its number is given out again
            self._orders.close()
            self._process = None

    def _begin(self) -> None:
        self._lives += 1
        self._orders, theirs = _PROCESSES.Pipe()
        self._process = _PROCESSES.Process(target=_live, args=(self._plan, self._lives, theirs), daemon=True)
        self._process.start()
        theirs.close()


def _look_away(orders: Connection) -> None:
    if not orders.closed:
        asyncio.get_running_loop().remove_reader(orders.fileno())


def _live(plan: Plan, life: int, orders: Connection) -> None:
    """What the process does until it is killed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    asyncio.run(_take_turns(plan, life, orders))


async def _take_turns(plan: Plan, life: int, orders: Connection) -> None:
    async with AsyncExitStack() as stack:
        clock = FakeClock(await asyncio.to_thread(orders.recv))
        turns = await _accounts(stack, plan, EverNew(f"{plan.name} life {life}"), clock)
        while True:
            await asyncio.gather(*(turn() for turn in turns))
            orders.send("done")
            clock.now = await asyncio.to_thread(orders.recv)


async def _accounts(
    stack: AsyncExitStack, plan: Plan, speaker: EverNew, clock: FakeClock
) -> list[Callable[[], Awaitable[datetime]]]:
    """What takes turns, wired as in the service, and recovered as it does at its start."""
    database = await stack.enter_async_context(Database(plan.database))
    ledger = Ledger(database, Prices(), plan.cap, clock, Budget(plan.cap, reserve=plan.reserve))
    posts = Posts(database, speaker, SAMPLING, 2, plan.settings, clock)
    shelf = Shelf(plan.folder / "models")
    conversation = Conversation(database, shelf, speaker, Generation(drafts=1), Replies(), clock)
    turns: list[Callable[[], Awaitable[datetime]]] = []
    for name, settings in plan.settings.items():
        windows = Windows(database, Names("bearer", "app", plan.keys[name].own_id or ""), clock)
        client = await stack.enter_async_context(
            XClient(plan.keys[name], plan.api_base, timeout_s=plan.timeout_s, windows=windows)
        )
        outbox = Outbox(database, name, clock)
        owns_app = name == MAIN
        posting = XFrontend(client, posts, outbox, ledger, settings, plan.folder, clock, owns_app)
        mentions = Mentions(database, conversation.opt_outs, name, clock)
        answering = XMentions(client, mentions, conversation, ledger, settings, plan.ours, clock, owns_app)
        await outbox.recover()
        await answering.recover()
        turns += [posting.turn, answering.turn]
    return turns
