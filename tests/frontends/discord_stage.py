"""The Discord front end between a loopback Discord and the real rooms; only the voice and the trainer are fakes.

Where the official document is at hand, every request is checked against it; see `staged`.
"""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.config import Discord, Generation, Judging, Prices, Replies, X
from bot.config import Training as Settings
from bot.database import Database
from bot.frontends.discord.frontend import DiscordFrontend
from bot.frontends.discord.services import Services
from bot.generation.draft import Sampling
from bot.loopback.discord import LoopbackDiscord, LoopbackInteraction, Message
from bot.loopback.openapi import OpenAPIContract
from bot.personas.takedown import Takedowns
from bot.replies.conversation import Conversation
from bot.replies.posts import Post, Posts
from bot.shelf.bases import Base
from bot.shelf.shelf import Shelf
from bot.training.blends import Blends
from bot.training.decisions import Decisions
from bot.training.evaluation import Evaluator, Sampled
from bot.training.purchases import Purchases
from bot.training.trainings import Training, Trainings, TrainingState
from bot.tweets.blocked import Blocklist
from bot.tweets.collecting import Collector
from bot.tweets.costs import Ledger
from bot.tweets.store import TweetStore
from tests.fakes import FakeClock, FakeSpeaker
from tests.loopback.songbird import PATIENCE, pointed_at
from tests.shelves import shelf_with

DOCUMENT = "discord-api-v10_2026-07-18_MIT.json"


class FakeTrainings:
    """One training that goes the way a test tells it to."""

    def __init__(self) -> None:
        self.requested: list[tuple[tuple[str, ...], str | None, str, str]] = []  # handles, name, cause, who
        self.failure: Exception | None = None  # of the next request
        self.now: Training | None = None
        self._steps = asyncio.Queue[Training]()

    def goes(self, training: Training) -> None:
        """From now on it stands like this."""
        self.now = training
        self._steps.put_nowait(training)

    async def request(self, handles: tuple[str, ...], name: str | None, cause: str, requested_by: str) -> Training:
        """The training as the test has set it up."""
        if self.failure is not None:
            raise self.failure
        self.requested.append((handles, name, cause, requested_by))
        assert self.now is not None
        return self.now

    async def training(self, number: int) -> Training:
        """As it stands."""
        assert self.now is not None
        return self.now

    def check_name(self, handles: Sequence[str], name: str | None) -> None:
        """Any name will do."""

    async def cancel(self, number: int) -> None:
        """It ends."""
        assert self.now is not None
        self.goes(replace(self.now, state=TrainingState.CANCELLED))

    async def watch(self, number: int) -> AsyncIterator[Training]:
        """Each step until it has ended."""
        while True:
            training = await self._steps.get()
            yield training
            if training.ended:
                return


@dataclass(frozen=True, slots=True)
class Stage:
    """A loopback Discord and the rooms behind the front end."""

    server: LoopbackDiscord
    database: Database
    shelf: Shelf
    speaker: FakeSpeaker
    conversation: Conversation
    posts: Posts
    trainings: FakeTrainings
    purchases: Purchases
    blends: Blends
    takedowns: Takedowns
    ledger: Ledger
    store: TweetStore
    decisions: Decisions

    def frontend(self, token: str | None = None, drain_seconds: float = PATIENCE) -> DiscordFrontend:
        """A front end that isn't running yet."""
        settings = Discord(enabled=True, api_base=self.server.api_base, gateway_url=self.server.gateway_url)
        return DiscordFrontend(
            settings,
            self.server.token if token is None else token,
            Services(
                database=self.database,
                store=self.store,
                shelf=self.shelf,
                ledger=self.ledger,
                conversation=self.conversation,
                posts=self.posts,
                trainings=self.trainings,
                purchases=self.purchases,
                blends=self.blends,
                decisions=self.decisions,
                takedowns=self.takedowns,
            ),
            drain_seconds,
            edit_every_seconds=0,
            first_wait_seconds=0.05,
            new_id=lambda: "e1",
        )

    @asynccontextmanager
    async def running(self, drain_seconds: float = PATIENCE) -> AsyncIterator[asyncio.Task[None]]:
        """The front end connected, and stopped at the end."""
        task = asyncio.create_task(self.frontend(drain_seconds=drain_seconds).run(), name="discord")
        try:
            await self.server.bot_ready(PATIENCE)
            yield task
        finally:
            await stop(task)

    async def say(self, text: str, **options: Any) -> int:
        """robin says that in #talk, to the bot unless told otherwise; the message's id."""
        world = self.server.world
        return await self.server.say(world.channel("talk"), world.user("robin"), text, **options)

    async def reply(self, message: int) -> Message:
        """The bot's reply to that message, once it is there."""
        return await self.server.reply_to(message, PATIENCE)

    async def use(self, command: str, who: str = "wren", **options: Any) -> LoopbackInteraction:
        """Somebody uses a command in #talk; acknowledged when this returns."""
        world = self.server.world
        interaction = await self.server.slash(world.channel("talk"), world.user(who), command, options)
        await interaction.acknowledged(PATIENCE)
        return interaction

    async def propose(self, count: int) -> list[Post]:
        """Posts that wait for approval."""
        return [await self.posts.propose("main", "nell") for _ in range(count)]

    def requests(self, method: str, route: str) -> Sequence[Any]:
        """The bodies of the bot's requests to a route that were served, in order."""
        return [
            request.body
            for request in self.server.requests
            if (request.method, request.route) == (method, route) and request.status < 300
        ]


async def stop(task: asyncio.Task[None]) -> None:
    """Cancel the front end as the service does, and wait until it is done."""
    task.cancel()
    await asyncio.wait([task], timeout=2 * PATIENCE)
    assert task.done()
    assert task.cancelled() or task.exception() is None


async def _never(
    base: Base, adapter: Path, texts: Path, count: int, seed: int, sampling: Mapping[str, float]
) -> Sampled:
    raise AssertionError("nothing is judged here")


@functools.cache
def contract() -> OpenAPIContract | None:
    """Discord's official document; None where it is not at hand."""
    folder = os.environ.get("MOCKINGBIRD_TEST_SPECS")
    return None if folder is None else OpenAPIContract.load(Path(folder) / DOCUMENT)


@asynccontextmanager
async def staged(
    folder: Path,
    database: Database,
    replies: Replies | None = None,
    says: Sequence[str] = (),
    late: float = 0,
    collector: Collector | None = None,
    ledger: Ledger | None = None,
    trainings: Trainings | None = None,
    clock: FakeClock | None = None,
) -> AsyncIterator[Stage]:
    """The stage with the personas nell, who answers by default, and crumb; `says` are the first things they say.

    Discord's clock is `late` seconds behind, so that its interactions look so old to the bot. X is off without a
    `collector`.
    """
    clock, speaker, shelf = clock or FakeClock(), FakeSpeaker(says), shelf_with(folder / "models", "nell", "crumb")
    settings = replies or Replies(default_persona="nell")
    conversation = Conversation(database, shelf, speaker, Generation(), settings, clock)
    posts = Posts(database, speaker, Sampling.from_settings(Generation()), 1, {"main": X()}, clock)
    learning: Any = trainings or FakeTrainings()
    ledger = ledger or Ledger(database, Prices(), Decimal("20.00"), clock)
    purchases = Purchases(
        database,
        TweetStore(database, clock),
        ledger,
        learning,
        collector,
        clock,
    )
    store, decisions = TweetStore(database, clock), Decisions(database, shelf, clock)
    evaluator = Evaluator(shelf, store, folder, folder / "examples", Settings(), Judging(), _never)
    blends = Blends(shelf, store, folder, evaluator, decisions, 0, clock)
    takedowns = Takedowns(database, TweetStore(database, clock), Blocklist(database, clock), {}, {}, folder, clock)
    async with LoopbackDiscord(contract(), clock=lambda: time.time() - late) as server:
        with pointed_at(server):
            yield Stage(
                server,
                database,
                shelf,
                speaker,
                conversation,
                posts,
                learning,
                purchases,
                blends,
                takedowns,
                ledger,
                store,
                decisions,
            )
        assert server.violations == []
        assert server.own_violations == []
