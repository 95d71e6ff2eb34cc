"""The rooms, made of each other around one open database: all that needs neither an engine nor a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from bot.app import now
from bot.app.engines import build_graph, draw_samples
from bot.app.x_access import main_id, open_x
from bot.config import Config, x_accounts
from bot.database import Database
from bot.errors import NotPermitted
from bot.forgetting.rooms import rooms_to_empty
from bot.frontends.discord.outlet import DiscordOutlet
from bot.frontends.x.outlet import XOutlet
from bot.generation.draft import Sampling
from bot.generation.speaker import Speaker
from bot.personas.takedown import Outlet, Room, Takedowns
from bot.replies.changes import Changes
from bot.replies.conversation import Conversation
from bot.replies.incoming import Platform
from bot.replies.posts import Posts
from bot.replies.similar import SaidBefore
from bot.shelf.shelf import Shelf
from bot.training.adoptions import Adoptions
from bot.training.blends import Blends
from bot.training.decisions import Decisions
from bot.training.evaluation import Evaluator
from bot.training.evaluations import Evaluations
from bot.training.exploring import Explorer
from bot.training.pushing import HUB, HubOutlet, Pushes
from bot.training.tracking import Trackers
from bot.training.trainings import Trainings
from bot.tweets import importing
from bot.tweets.blocked import Blocklist
from bot.tweets.budget import budget_of
from bot.tweets.collecting import Collector
from bot.tweets.costs import Ledger
from bot.tweets.forecast import Forecast
from bot.tweets.store import Basis, TweetStore

PICTURES = "pictures"  # of posts, a folder in [paths] data

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything that works without an engine or a network."""

    config: Config
    database: Database
    store: TweetStore
    shelf: Shelf
    ledger: Ledger
    forecast: Forecast
    trainings: Trainings
    evaluator: Evaluator
    evaluations: Evaluations
    adoptions: Adoptions
    blends: Blends
    decisions: Decisions
    changes: Changes
    explorer: Explorer
    speaker: Speaker
    conversation: Conversation
    said: SaidBefore  # on X, by any account: one for all, since texts take room
    posts: Posts
    pushes: Pushes
    blocklist: Blocklist
    takedowns: Takedowns
    emptied: Mapping[str, Room]  # what a takedown empties and an export reads, by name


@asynccontextmanager
async def open_rooms(config: Config, examples: bool = False) -> AsyncIterator[Rooms]:
    """The rooms around one open database, with the example accounts in it if it is empty and they are wanted."""
    async with Database(config.paths.data / "mockingbird.db") as database:
        store = TweetStore(database, now)
        await store.judge_again()
        rooms = _wired(config, database, store)
        if examples:
            await _import_examples(rooms)
        yield rooms


async def _import_examples(rooms: Rooms) -> None:
    """Into an empty database, the invented accounts that come with the project, so that there is something to try."""
    if await rooms.store.handles():
        return
    for archive in sorted(rooms.config.paths.examples.glob("*.zip")):
        try:
            await importing.import_file(rooms.store, archive, None, Basis.INVENTED)
        except NotPermitted as error:  # it was forgotten
            log.info("example account left out", reason=str(error))
        else:
            log.info("example account imported", handle=archive.stem)


@asynccontextmanager
async def open_collector(rooms: Rooms) -> AsyncIterator[Collector]:
    """What fetches from X on request."""
    async with open_x(rooms.config, rooms.database) as client:
        yield Collector(client, rooms.store, rooms.database, rooms.ledger, rooms.config.x, now)


def _wired(config: Config, database: Database, store: TweetStore) -> Rooms:
    """What is made of what."""
    data, keep = config.paths.data, config.shelf.keep_versions
    shelf = Shelf(config.paths.models)
    ledger = Ledger(database, config.prices, config.x.monthly_budget_usd, now, budget_of(config.x))
    speaker = Speaker(shelf, store, config.generation, config.safety)
    said = SaidBefore()
    conversation = Conversation(database, shelf, speaker, config.generation, config.replies, now, said)
    sampling = Sampling.from_settings(config.generation)
    posts = Posts(database, speaker, sampling, config.generation.drafts, x_accounts(config.x), now, said)
    evaluator = _evaluator(config, shelf, store)
    evaluations, decisions = Evaluations(database, now), Decisions(database, shelf, now)
    forecast = Forecast(database, ledger, config.x, config.prices, now, partial(main_id, config, database))
    trainings = _trainings(config, database, shelf, store, evaluator, forecast)
    pushes = Pushes(database, store, shelf, data, config.hub, config.generation, now)
    blends = Blends(shelf, store, data, evaluator, decisions, keep, now)
    blocklist = Blocklist(database, now)
    emptied = rooms_to_empty(
        posts,
        conversation,
        shelf,
        evaluations,
        decisions,
        trainings,
        evaluator,
        database,
        store,
        ledger,
        pushes,
        blends,
        data / PICTURES,
    )
    return Rooms(
        config=config,
        database=database,
        store=store,
        shelf=shelf,
        ledger=ledger,
        forecast=forecast,
        trainings=trainings,
        evaluator=evaluator,
        evaluations=evaluations,
        adoptions=_adoptions(config, shelf, store, evaluator, decisions),
        blends=blends,
        decisions=decisions,
        changes=Changes(decisions, shelf, speaker, sampling),
        explorer=Explorer(shelf, database.path, config.training),
        speaker=speaker,
        conversation=conversation,
        said=said,
        posts=posts,
        pushes=pushes,
        blocklist=blocklist,
        takedowns=Takedowns(database, store, blocklist, emptied, _outlets(config, database, ledger), data, now),
        emptied=emptied,
    )


def _evaluator(config: Config, shelf: Shelf, store: TweetStore) -> Evaluator:
    paths = config.paths
    drawn = partial(draw_samples, config)
    return Evaluator(shelf, store, paths.data, paths.examples, config.training, config.judging, drawn)


def _trainings(
    config: Config, database: Database, shelf: Shelf, store: TweetStore, evaluator: Evaluator, forecast: Forecast
) -> Trainings:
    return Trainings(
        database,
        shelf,
        store,
        config.paths.data,
        config.model,
        config.training,
        config.retraining,
        now,
        evaluator=evaluator,
        trackers=Trackers(config.tracking, config.paths.data),
        keep_versions=config.shelf.keep_versions,
        coming=forecast.coming,
    )


def _adoptions(
    config: Config, shelf: Shelf, store: TweetStore, evaluator: Evaluator, decisions: Decisions
) -> Adoptions:
    built = partial(build_graph, config)
    data, base = config.paths.data, config.model.base
    return Adoptions(shelf, store, data, base, config.training, evaluator, built, now, decisions)


def _outlets(config: Config, database: Database, ledger: Ledger) -> dict[str, Outlet]:
    """Where something that was said may stand, and has to be taken back."""
    return {
        Platform.X: XOutlet(lambda account: open_x(config, database, account), list(x_accounts(config.x)), ledger),
        Platform.DISCORD: DiscordOutlet(config.discord),
        HUB: HubOutlet(config.hub),
    }
