"""The composition root: the only file that sees every room and says what is made of what.

`open_rooms` wires everything that needs no engine and no network; the command line stands on it. `serve` adds the
engine, the front ends, the scheduler and the tasks, each with a name and an owner, and takes them down in reverse.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from filelock import FileLock, Timeout

from bot.config import Config, secret
from bot.database import Database
from bot.errors import BaseUnavailable, ConfigError, DiskFull, MockingbirdError
from bot.frontends.discord import sync as discord_sync
from bot.frontends.discord.frontend import DiscordFrontend
from bot.frontends.web.frontend import WebFrontend
from bot.frontends.x.frontend import XFrontend
from bot.generation.draft import Sampling
from bot.generation.engine import Engine
from bot.generation.graph_description import graph_folder
from bot.generation.speaker import Speaker
from bot.replies.conversation import Conversation
from bot.replies.posts import Posts
from bot.shelf.bases import Base
from bot.shelf.shelf import Shelf
from bot.training.child import ensure_base, started
from bot.training.job import DISK_FULL
from bot.training.trainings import Training, Trainings
from bot.tweets.cleaning import Profile
from bot.tweets.collecting import Collector
from bot.tweets.compliance import ComplianceCheck
from bot.tweets.costs import Ledger
from bot.tweets.counts import AccountCounts
from bot.tweets.reading import Skipped, read
from bot.tweets.store import Basis, TweetStore
from bot.tweets.x_api import XClient, XKeys
from bot.tweets.x_bodies import VOCABULARIES

log = structlog.get_logger(__name__)


def now() -> datetime:
    """The service's clock, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything that works without an engine or a network."""

    config: Config
    database: Database
    store: TweetStore
    shelf: Shelf
    ledger: Ledger
    trainings: Trainings
    speaker: Speaker
    conversation: Conversation
    posts: Posts


@asynccontextmanager
async def open_rooms(config: Config, examples: bool = False) -> AsyncIterator[Rooms]:
    """The rooms around one open database, with the example accounts in it if it is empty and they are wanted."""
    async with Database(config.paths.data / "mockingbird.db") as database:
        store = TweetStore(database, now)
        shelf = Shelf(config.paths.models)
        speaker = Speaker(shelf, store, config.generation.min_novelty)
        sampling = Sampling.from_settings(config.generation)
        rooms = Rooms(
            config=config,
            database=database,
            store=store,
            shelf=shelf,
            ledger=Ledger(database, config.prices, config.x.monthly_budget_usd, now),
            trainings=Trainings(
                database, shelf, store, config.paths.data, config.model, config.training, config.retraining, now
            ),
            speaker=speaker,
            conversation=Conversation(database, shelf, speaker, config.generation, config.replies, now),
            posts=Posts(database, speaker, sampling, config.generation.drafts, config.x.approval, now),
        )
        if examples:
            await _import_examples(rooms)
        yield rooms


async def ready_base(config: Config, progress: Callable[[str], None]) -> Base:
    """The configured base with its graph, made now if need be, in child processes. Raises `BaseUnavailable`."""
    base = await ensure_base(config.model.base, config.paths.data, progress)
    folder = graph_folder(base.graphs, config.model.weights)
    if not (folder / "graph.json").is_file():
        progress("Building the graph that the engine runs")
        arguments = (str(base.model), str(folder), config.model.weights)
        async with started("bot.generation.graph", *arguments) as child:
            code = await child.ended()
        if code == DISK_FULL:
            raise DiskFull(child.last_words)
        if code:
            raise BaseUnavailable(child.last_words or "Building the engine's graph failed. Is there enough memory?")
    return base


@asynccontextmanager
async def open_engine(config: Config, progress: Callable[[str], None]) -> AsyncIterator[Engine]:
    """The engine on the configured base."""
    base = await ready_base(config, progress)
    folder = graph_folder(base.graphs, config.model.weights)
    async with Engine(base, folder, config.model.threads, config.generation.max_waiting) as engine:
        yield engine


@asynccontextmanager
async def open_collector(rooms: Rooms) -> AsyncIterator[Collector]:
    """What fetches from X on request."""
    async with open_x(rooms.config) as client:
        yield Collector(client, rooms.store, rooms.database, rooms.ledger, rooms.config.x, now)


@asynccontextmanager
async def open_x(config: Config) -> AsyncIterator[XClient]:
    """The client for X with the keys that the environment holds."""
    keys = XKeys(
        bearer_token=secret(config.x.bearer_token_env),
        consumer_key=secret(config.x.consumer_key_env),
        consumer_secret=secret(config.x.consumer_secret_env),
        access_token=secret(config.x.access_token_env),
        access_token_secret=secret(config.x.access_token_secret_env),
    )
    async with XClient(keys, config.x.api_base, VOCABULARIES[config.x.vocabulary]) as client:
        yield client


async def import_file(
    rooms: Rooms, path: Path, handle: str | None, basis: Basis | None, profile: Profile | None = None
) -> tuple[list[AccountCounts], tuple[Skipped, ...]]:
    """Read a file or folder of tweets and store it: the counts of each account, and what could not be read."""
    reading = await asyncio.to_thread(read, path, handle)
    counts = [
        await rooms.store.add(account, tweets, basis=basis, profile=profile)
        for account, tweets in reading.tweets.items()
    ]
    return counts, tuple(reading.skipped)


async def _import_examples(rooms: Rooms) -> None:
    """Into an empty database, the invented accounts that come with the project, so that there is something to try."""
    if await rooms.store.handles():
        return
    for archive in sorted(rooms.config.paths.examples.glob("*.zip")):
        await import_file(rooms, archive, None, Basis.INVENTED)
        log.info("example account imported", handle=archive.stem)


async def train(rooms: Rooms, handles: Sequence[str], name: str | None, show: Callable[[Training], None]) -> Training:
    """Train here and now, or have the running service do it where there is one; how it ended."""
    requested = await rooms.trainings.request(handles, name, "command", "")
    worker = asyncio.create_task(rooms.trainings.run(), name="trainings")
    try:
        async for training in rooms.trainings.watch(requested.id):
            show(training)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    return await rooms.trainings.training(requested.id)


class Bell:
    """Rings for one task: a tick of the scheduler or an event wakes it; rings while it works are one ring."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the task now, or as soon as it waits again."""
        self._rung.set()

    async def wait(self) -> None:
        """Until it rings."""
        await self._rung.wait()
        self._rung.clear()


async def serve(config: Config) -> None:
    """Run the service until SIGTERM or SIGINT; then stop intake, drain, and close everything in reverse order."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        async with AsyncExitStack() as stack:
            _only_one(stack, config)
            await _serve(stack, config)
    log.info("stopped")


async def _serve(stack: AsyncExitStack, config: Config) -> None:
    rooms = await stack.enter_async_context(open_rooms(config, examples=True))
    retraining = Bell()
    x = await _x(stack, rooms, retraining) if config.x.enabled else None
    discord = _discord(rooms) if config.discord.enabled else None
    engines = await stack.enter_async_context(AsyncExitStack())  # outlives the front ends, which drain through it
    await _web(stack, rooms)
    stack.enter_context(_scheduler(config, retraining, x))
    async with asyncio.TaskGroup() as group:
        group.create_task(_speak(engines, rooms), name="engine")
        group.create_task(rooms.trainings.run(), name="trainings")
        if config.retraining.enabled:
            group.create_task(_retrain(rooms, retraining), name="retraining")
        if x is not None:
            group.create_task(x.collector.run(), name="collector")
            group.create_task(x.check.run(), name="compliance check")
            group.create_task(x.frontend.run(), name="x")
        if discord is not None:
            group.create_task(discord.run(), name="discord")


@dataclass(frozen=True, slots=True)
class _X:
    """What works on X."""

    collector: Collector
    check: ComplianceCheck
    frontend: XFrontend


def _only_one(stack: AsyncExitStack, config: Config) -> None:
    """Two services on one database would answer everything twice. Raises `ConfigError`."""
    config.paths.data.mkdir(parents=True, exist_ok=True)
    try:
        stack.enter_context(FileLock(config.paths.data / "serve.lock").acquire(blocking=False))
    except Timeout as error:
        raise ConfigError(
            f"A service runs on {config.paths.data} already. Stop it first, or name another [paths] data."
        ) from error


async def _speak(engines: AsyncExitStack, rooms: Rooms) -> None:
    """Bring the engine up; a base that can't be had leaves everything else running and is told to whoever asks."""
    try:
        engine = await engines.enter_async_context(open_engine(rooms.config, log.info))
    except MockingbirdError as error:
        log.error("no drafts can be made", reason=str(error))
        rooms.speaker.silent_because(str(error))
        return
    rooms.speaker.speak_with(engine)
    log.info("ready to speak", personas=rooms.shelf.personas(), base=engine.base.record.spec)


async def _retrain(rooms: Rooms, bell: Bell) -> None:
    """Whenever the bell rings, put every persona in line that is due."""
    while True:
        try:
            for training in await rooms.trainings.request_due():
                log.info("a persona is due", persona=training.persona, run=training.id)
        except MockingbirdError as error:
            log.warning("retraining put off", reason=str(error))
        await bell.wait()


async def _x(stack: AsyncExitStack, rooms: Rooms, retraining: Bell) -> _X:
    settings = rooms.config.x
    client = await stack.enter_async_context(open_x(rooms.config))
    collector = Collector(client, rooms.store, rooms.database, rooms.ledger, settings, now, retraining.ring)
    check = ComplianceCheck(client, rooms.store, rooms.database, rooms.ledger, settings, now)
    return _X(collector, check, XFrontend(client, rooms.posts, rooms.ledger, settings, now))


def _discord(rooms: Rooms) -> DiscordFrontend:
    settings = rooms.config.discord
    token = secret(settings.token_env)
    if token is None:
        raise ConfigError(
            f"[discord] is enabled, but the environment variable {settings.token_env} is empty. "
            "Put the bot's token into it, or set [discord] enabled = false."
        )
    return DiscordFrontend(
        settings,
        token,
        rooms.conversation,
        rooms.posts,
        rooms.trainings,
        rooms.shelf,
        rooms.database,
        rooms.config.replies.drain_seconds,
    )


async def _web(stack: AsyncExitStack, rooms: Rooms) -> None:
    config = rooms.config
    if not config.discord.enabled:
        log.info("Discord is off: [discord] enabled is false")
    if not config.x.enabled:
        log.info("X is off: [x] enabled is false")
    if not config.web.enabled:
        log.info("the web page is off: [web] enabled is false")
        return
    password = secret(config.web.password_env)
    drain = config.replies.drain_seconds
    page = WebFrontend(
        config.web, password, rooms.conversation, rooms.posts, rooms.trainings, rooms.shelf, rooms.store, drain
    )
    await stack.enter_async_context(page)


@contextmanager
def _scheduler(config: Config, retraining: Bell, x: _X | None) -> Iterator[None]:
    """Bells at intervals. A job only rings: APScheduler cancels what still runs when it shuts down."""
    scheduler = AsyncIOScheduler(
        timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
    )
    bells: list[tuple[float, Callable[[], None]]] = [(config.retraining.check_every_minutes, retraining.ring)]
    if x is not None:
        bells += [
            (config.x.fetch_interval_minutes, x.collector.wake),
            (config.x.check_interval_hours * 60, x.check.wake),
            (config.x.post_every_minutes, x.frontend.wake),
        ]
    for minutes, ring in bells:
        if minutes:

            async def job(ring: Callable[[], None] = ring) -> None:  # a plain function would run in another thread
                ring()

            scheduler.add_job(job, "interval", minutes=minutes)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)


async def sync_commands(rooms: Rooms) -> list[str]:
    """Tell Discord the bot's commands now; their names."""
    token = secret(rooms.config.discord.token_env)
    if token is None:
        raise ConfigError(
            f"The environment variable {rooms.config.discord.token_env} is empty. Put the bot's token into it."
        )
    return await discord_sync.sync_commands(rooms.config.discord, token, rooms.database)
