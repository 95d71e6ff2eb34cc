"""The Discord front end between a loopback Discord and the real rooms; only the voice and the trainer are fakes.

Where the official document is at hand, every request is checked against it; see `staged`.
"""

from __future__ import annotations

import asyncio
import functools
import os
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.config import Discord, Generation, Judging, Prices, Replies, X
from bot.config import Training as Settings
from bot.database import Database
from bot.frontends.discord.frontend import DiscordFrontend
from bot.frontends.discord.operation import Operation
from bot.frontends.discord.services import Services
from bot.generation.draft import Sampling
from bot.generation.speaker import Standing
from bot.loopback.discord import LoopbackDiscord, LoopbackInteraction, Message
from bot.loopback.discord.sessions import Intent
from bot.loopback.openapi import OpenAPIContract
from bot.personas.takedown import Takedowns
from bot.replies.conversation import Conversation
from bot.replies.duels import Duels
from bot.replies.guessing import Guessing
from bot.replies.posts import Post, Posts
from bot.shelf.bases import Base
from bot.shelf.shelf import Shelf
from bot.training import policy
from bot.training.blends import Blends
from bot.training.decisions import Decisions
from bot.training.evaluation import Evaluator, Sampled
from bot.training.plan import Plan
from bot.training.purchases import Purchases
from bot.training.trainings import Training, Trainings, TrainingState
from bot.tweets.blocked import Blocklist
from bot.tweets.collecting import Collector
from bot.tweets.costs import Ledger
from bot.tweets.counts import AccountCounts, Enough
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

    async def plan(self, handles: Sequence[str], name: str | None) -> Plan:
        """273 tweets of each account, and one training before it."""
        if self.failure is not None:
            raise self.failure
        accounts = tuple(
            AccountCounts(each, 300, 20, 5, 2, 273, 28_301, None, None, Enough.LITTLE) for each in sorted(handles)
        )
        return Plan(name or accounts[0].handle, accounts, dict.fromkeys(handles, "invented"), 1, 720.0)

    async def training(self, number: int) -> Training:
        """As it stands."""
        assert self.now is not None
        return self.now

    def check_name(self, handles: Sequence[str], name: str | None) -> None:
        """Any name will do."""

    async def outlook(self, persona: str) -> policy.Outlook:
        """Some have come."""
        return policy.Outlook(policy.Decision(False, "3 of 50 new tweets have come."), 240.0)

    async def recent(self, limit: int) -> list[Training]:
        """The one, where there is one."""
        return [] if self.now is None else [self.now]

    async def cancel(self, number: int) -> None:
        """It ends."""
        assert self.now is not None
        if self.failure is not None:
            raise self.failure
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
    guessing: Guessing
    duels: Duels
    clock: FakeClock
    message_content: bool = False  # the setting
    heartbeat_timeout: float = 60.0  # seconds

    def frontend(
        self,
        token: str | None = None,
        drain_seconds: float = PATIENCE,
        patience_seconds: float = 60,
        chosen: Mapping[str, Any] | None = None,
    ) -> DiscordFrontend:
        """A front end that isn't running yet; `chosen` are settings of [discord]."""
        settings = Discord(
            enabled=True,
            api_base=self.server.api_base,
            gateway_url=self.server.gateway_url,
            **{"message_content": self.message_content, **(chosen or {})},
        )
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
                guessing=self.guessing,
                duels=self.duels,
                operation=Operation(self.clock, self.clock(), self.standing, self.next_fetch, self.usd_a_day, 90),
            ),
            drain_seconds,
            edit_every_seconds=0,
            duel_pause_seconds=0,
            look_every_seconds=0.02,
            first_wait_seconds=0.05,
            patience_seconds=patience_seconds,
            heartbeat_timeout_seconds=self.heartbeat_timeout,
            new_id=lambda: "e1",
        )

    def standing(self) -> Standing:
        """The engine, which is a fake."""
        return Standing("songs", 2)

    async def next_fetch(self) -> datetime | None:
        """In an hour."""
        return self.clock() + timedelta(hours=1)

    async def usd_a_day(self) -> Decimal:
        """A quarter of a dollar."""
        return Decimal("0.25")

    @asynccontextmanager
    async def running(
        self, drain_seconds: float = PATIENCE, patience_seconds: float = 60, **chosen: Any
    ) -> AsyncIterator[asyncio.Task[None]]:
        """A front end connected, and stopped at the end; `chosen` are settings of [discord]."""
        async with self.connected(self.frontend(None, drain_seconds, patience_seconds, chosen)) as task:
            yield task

    @asynccontextmanager
    async def connected(self, frontend: DiscordFrontend) -> AsyncIterator[asyncio.Task[None]]:
        """That front end connected, and stopped at the end."""
        task = asyncio.create_task(frontend.run(), name="discord")
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

    async def answer(self, text: str, **options: Any) -> Message:
        """The bot's reply to robin who says that, once the bot has written down what it said."""
        reply = await self.reply(await self.say(text, **options))
        await self.known(reply)
        return reply

    async def said_in_costume(self, text: str, count: int = 1, **options: Any) -> Message:
        """What a persona answers in costume in #talk, as its number `count`, once that is written down."""
        await self.say(text, **options)
        talk = self.server.world.channel("talk")

        def costumed() -> list[Message]:
            return [each for each in self.server.messages_in(talk) if each.webhook_id in self.server.world.webhooks]

        await self.server.until(lambda: len(costumed()) == count, PATIENCE, "an answer in costume")
        await self.known(costumed()[-1])
        return costumed()[-1]

    async def known(self, message: Message) -> None:
        """Wait until the bot has written down what that message says, which it does just after it was sent."""
        async with asyncio.timeout(PATIENCE):
            while await self.conversation.answers.find("discord", str(message.id)) is None:  # noqa: ASYNC110 - a row
                await asyncio.sleep(0.01)

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
    message_content: bool = False,
    privileged: Intent | None = None,
    heartbeat_interval: float = 41.25,
) -> AsyncIterator[Stage]:
    """The stage with the personas nell, who answers by default, and crumb; `says` are the first things they say.

    Discord's clock is `late` seconds behind, so that its interactions look so old to the bot. X is off without a
    `collector`. `message_content` is the setting, `privileged` what is switched on at Discord's for the bot.
    The bot takes a connection for dead that says nothing for three times `heartbeat_interval` (seconds).
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
    async with LoopbackDiscord(
        contract(),
        clock=lambda: time.time() - late,
        privileged=privileged or Intent.NONE,
        heartbeat_interval=heartbeat_interval,
    ) as server:
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
                Guessing(database, store, shelf, conversation, clock, random.Random(4)),
                Duels(database, shelf, conversation, clock),
                clock,
                message_content,
                3 * heartbeat_interval,
            )
        assert server.violations == [], server.violations
        assert server.own_violations == []


async def press(stage: Stage, message: Message, who: str, label: str) -> Message:
    """Somebody presses a button; the bot's answer to it, which for a button that worked is the message itself."""
    interaction = await stage.server.press(message, stage.server.world.user(who), label)
    await interaction.acknowledged(PATIENCE)
    assert interaction.original is not None
    return interaction.original


async def edited(stage: Stage, message: Message, text: str) -> None:
    """Wait until the message says that."""
    await stage.server.wait_for(lambda h: h.message is message and text in message.content, PATIENCE)
