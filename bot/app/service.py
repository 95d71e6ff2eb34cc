"""The service, from the lock on its data folder to SIGTERM or SIGINT: every task has a name and an owner."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Collection, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from datetime import UTC

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from filelock import FileLock, Timeout

from bot.app import now
from bot.app.engines import open_engines
from bot.app.frontends import OnX, discord_frontend, open_on_x, open_web_page
from bot.app.rooms import Rooms, open_rooms
from bot.app.upkeep import Bell, keep_forgetting, keep_retraining, keep_sweeping, keep_telling
from bot.config import Config, x_accounts
from bot.errors import ConfigError, MockingbirdError
from bot.training.purchases import Purchases

SWEEP_MINUTES = 60.0  # between two looks for what has been kept long enough, which is counted in days

log = structlog.get_logger(__name__)


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
    rooms.pushes.sweep()
    retraining, sweeping = Bell(), Bell()
    x = await open_on_x(stack, rooms, retraining) if config.x.enabled else None
    collector = x.collector if x else None
    purchases = Purchases(rooms.database, rooms.store, rooms.ledger, rooms.trainings, collector, now)
    discord = discord_frontend(rooms, purchases, collector) if config.discord.enabled else None
    engines = await stack.enter_async_context(AsyncExitStack())  # outlives the front ends, which drain through it
    page = await open_web_page(stack, rooms, purchases)
    stack.enter_context(_scheduler(config, retraining, sweeping, x))
    async with asyncio.TaskGroup() as group:
        group.create_task(_speak(engines, rooms), name="engine")
        group.create_task(keep_forgetting(rooms, page.forget if page else _nothing), name="takedowns")
        group.create_task(rooms.trainings.run(), name="trainings")
        group.create_task(keep_sweeping(rooms, sweeping), name="sweep")
        group.create_task(keep_telling(rooms, discord.announce if discord else None), name="announcements")
        if config.retraining.enabled:
            group.create_task(keep_retraining(rooms, retraining), name="retraining")
        if x is not None:
            group.create_task(x.collector.run(), name="collector")
            group.create_task(x.check.run(), name="compliance check")
            for frontend in x.frontends:
                group.create_task(frontend.run(), name=f"x {frontend.account}")
            for each in x.mentions:
                group.create_task(each.run(), name=f"mentions of {each.account}")
            for listener in x.listeners:
                group.create_task(listener.run(), name=f"stream of mentions of {listener.account}")
            group.create_task(purchases.run(), name="purchases")
        if discord is not None:
            group.create_task(discord.run(), name="discord")


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
        opened = await engines.enter_async_context(open_engines(rooms.config, rooms.shelf, log.info))
    except MockingbirdError as error:
        log.error("no drafts can be made", reason=str(error))
        rooms.speaker.silent_because(str(error))
        return
    rooms.speaker.speak_with(opened)
    log.info("ready to speak", personas=rooms.shelf.personas(), base=opened.first.base.record.spec)


def _nothing(personas: Collection[str]) -> None:
    """Where there is no page, nothing was shown on it."""


@contextmanager
def _scheduler(config: Config, retraining: Bell, sweeping: Bell, x: OnX | None) -> Iterator[None]:
    """Bells at intervals. A job only rings: APScheduler cancels what still runs when it shuts down."""
    scheduler = AsyncIOScheduler(
        timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
    )
    bells: list[tuple[float, Callable[[], None]]] = [
        (config.retraining.check_every_minutes, retraining.ring),
        (SWEEP_MINUTES, sweeping.ring),
    ]
    if x is not None:
        bells += [
            (config.x.fetch_interval_minutes, x.collector.wake),
            (config.x.check_interval_hours * 60, x.check.wake),
            *((1.0, each.wake) for each in x.frontends),
        ]
        accounts = x_accounts(config.x)
        bells += [(accounts[each.account].mentions_every_minutes, each.wake) for each in x.mentions]
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
