"""The composition root: the only file that sees every room and says what is made of what.

`open_rooms` wires everything that needs no engine and no network; the command line stands on it. `serve` adds the
engine, the front ends, the scheduler and the tasks, each with a name and an owner, and takes them down in reverse.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from filelock import FileLock, Timeout

from bot import doctor
from bot.config import MAIN, Config, X, secret, x_accounts
from bot.database import Database
from bot.errors import ConfigError, MockingbirdError, NotPermitted, Refused
from bot.forgetting import rooms_to_empty
from bot.frontends.discord import sync as discord_sync
from bot.frontends.discord.frontend import DiscordFrontend
from bot.frontends.discord.operation import Operation
from bot.frontends.discord.outlet import DiscordOutlet
from bot.frontends.discord.services import Services
from bot.frontends.web.frontend import WebFrontend
from bot.frontends.x.frontend import XFrontend
from bot.frontends.x.listening import Listener
from bot.frontends.x.login import logged_in
from bot.frontends.x.mentions import XMentions
from bot.frontends.x.outlet import XOutlet
from bot.generation.draft import Sampling
from bot.generation.engine import Engine
from bot.generation.engines import Engines, ready_graph
from bot.generation.graph_description import graph_folder
from bot.generation.samples import Order, sample
from bot.generation.speaker import Speaker
from bot.personas.takedown import Outlet, Room, Takedown, Takedowns
from bot.replies.changes import Change, Changes
from bot.replies.conversation import Conversation, Platform
from bot.replies.duels import Duels
from bot.replies.guessing import Guessing
from bot.replies.mentions import Mentions
from bot.replies.outbox import Outbox
from bot.replies.posts import Posts
from bot.shelf.bases import Base
from bot.shelf.forms import form_of, whole_model
from bot.shelf.shelf import Shelf
from bot.training.adoptions import Adoptions
from bot.training.blends import Blends
from bot.training.child import ensure_base
from bot.training.decisions import Decision, Decisions
from bot.training.evaluation import Evaluator, Sampled
from bot.training.evaluations import Evaluations
from bot.training.exploring import Explorer
from bot.training.purchases import Purchases
from bot.training.pushing import HUB, HubOutlet, Pushes
from bot.training.tracking import Trackers
from bot.training.trainings import Training, Trainings
from bot.tweets import importing
from bot.tweets.blocked import Blocklist
from bot.tweets.budget import budget_of
from bot.tweets.charges import Charges
from bot.tweets.collecting import Collector
from bot.tweets.compliance import ComplianceCheck
from bot.tweets.costs import Ledger
from bot.tweets.forecast import Forecast, a_day, followed
from bot.tweets.store import Basis, TweetStore
from bot.tweets.x_api import XClient, XKeys
from bot.tweets.x_bodies import VOCABULARIES
from bot.tweets.x_logins import JustLoggedIn, Login, Logins, UserTokens, alone
from bot.tweets.x_oauth2 import OAuth2App, Tokens, new_verifier, renewed, revoke
from bot.tweets.x_stream import MentionStream
from bot.tweets.x_windows import Names, Windows

LOOK_S = 1.0  # how often the service looks for takedowns, which another process may have begun
WAIT_S = 900.0  # before another try with a takedown that has to wait
SWEEP_MINUTES = 60.0  # between two looks for what has been kept long enough, which is counted in days
PICTURES = "pictures"  # of posts, a folder in [paths] data
LOGINS_LOCK = "x-logins.lock"  # in [paths] data
DROP_AGAIN_S = 60.0  # before another try to let go of what is held in memory

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


def _wired(config: Config, database: Database, store: TweetStore) -> Rooms:
    """What is made of what."""
    data, keep = config.paths.data, config.shelf.keep_versions
    shelf = Shelf(config.paths.models)
    ledger = Ledger(database, config.prices, config.x.monthly_budget_usd, now, budget_of(config.x))
    speaker = Speaker(shelf, store, config.generation, config.safety)
    conversation = Conversation(database, shelf, speaker, config.generation, config.replies, now)
    sampling = Sampling.from_settings(config.generation)
    posts = Posts(database, speaker, sampling, config.generation.drafts, x_accounts(config.x), now)
    evaluator = _evaluator(config, shelf, store)
    evaluations, decisions = Evaluations(database, now), Decisions(database, shelf, now)
    trainings = _trainings(config, database, shelf, store, evaluator)
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
        forecast=Forecast(database, ledger, config.x, config.prices, now),
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
        posts=posts,
        pushes=pushes,
        blocklist=blocklist,
        takedowns=Takedowns(database, store, blocklist, emptied, _outlets(config, database, ledger), data, now),
        emptied=emptied,
    )


def _evaluator(config: Config, shelf: Shelf, store: TweetStore) -> Evaluator:
    paths = config.paths
    drawn = partial(_sample, config)
    return Evaluator(shelf, store, paths.data, paths.examples, config.training, config.judging, drawn)


def _trainings(config: Config, database: Database, shelf: Shelf, store: TweetStore, evaluator: Evaluator) -> Trainings:
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
    )


def _adoptions(
    config: Config, shelf: Shelf, store: TweetStore, evaluator: Evaluator, decisions: Decisions
) -> Adoptions:
    built = partial(_build_graph, config)
    data, base = config.paths.data, config.model.base
    return Adoptions(shelf, store, data, base, config.training, evaluator, built, now, decisions)


def _outlets(config: Config, database: Database, ledger: Ledger) -> dict[str, Outlet]:
    """Where something that was said may stand, and has to be taken back."""
    return {
        Platform.X: XOutlet(lambda account: open_x(config, database, account), list(x_accounts(config.x)), ledger),
        Platform.DISCORD: DiscordOutlet(config.discord),
        HUB: HubOutlet(config.hub),
    }


async def _sample(
    config: Config, base: Base, adapter: Path, texts: Path, count: int, seed: int, sampling: Mapping[str, float]
) -> Sampled:
    """What a version says by itself, drawn from the graph of its base: a `Sampler`."""
    if form_of(adapter) == "whole":
        async with Shelf(config.paths.models).building():
            await ready_graph(whole_model(adapter), config.model.weights, log.info)
    else:
        await ready_graph(base, config.model.weights, log.info)
    return await sample(
        Order(
            data=config.paths.data,
            base=base.record.spec,
            weights=config.model.weights,
            threads=config.judging.threads,
            adapter=adapter,
            texts=texts,
            count=count,
            seed=seed,
            settings=config.generation.model_copy(update={**sampling}),
        )
    )


async def _build_graph(config: Config, folder: Path) -> None:
    """Of the whole model in that folder, which is not on the shelf yet."""
    await ready_graph(whole_model(folder), config.model.weights, log.info)


async def ready_base(config: Config, progress: Callable[[str], None]) -> Base:
    """The configured base with its graph, made now if need be, in child processes. Raises `BaseUnavailable`."""
    base = await ensure_base(config.model.base, config.paths.data, progress)
    await ready_graph(base, config.model.weights, progress)
    return base


@asynccontextmanager
async def open_engines(rooms: Rooms, progress: Callable[[str], None]) -> AsyncIterator[Engines]:
    """What speaks: the engine on the configured base, and with it those that are opened when they are asked for."""
    config, waiting = rooms.config, rooms.config.generation.max_waiting
    base = await ready_base(config, progress)
    folder = graph_folder(base.graphs, config.model.weights)
    async with (
        Engine(base, folder, config.model.threads, waiting, config.model.rows) as first,
        Engines(first, rooms.shelf, config.paths.data, config.model, waiting, progress) as engines,
    ):
        yield engines


@asynccontextmanager
async def open_collector(rooms: Rooms) -> AsyncIterator[Collector]:
    """What fetches from X on request."""
    async with open_x(rooms.config, rooms.database) as client:
        yield Collector(client, rooms.store, rooms.database, rooms.ledger, rooms.config.x, now)


def _x_keys(settings: X) -> XKeys:
    """The keys of an account, which the environment holds under the names that its settings give."""
    return XKeys(
        bearer_token=secret(settings.bearer_token_env),
        consumer_key=secret(settings.consumer_key_env),
        consumer_secret=secret(settings.consumer_secret_env),
        access_token=secret(settings.access_token_env),
        access_token_secret=secret(settings.access_token_secret_env),
    )


def oauth2_app(settings: X) -> OAuth2App:
    """The app by which accounts are logged in. Raises `ConfigError` when its client id is not set."""
    client_id = secret(settings.oauth2_client_id_env)
    if client_id is None:
        raise ConfigError(
            f"A login needs the client id of the app in the variable {settings.oauth2_client_id_env}; set it "
            "(docs/x.md says where it stands)."
        )
    return OAuth2App(client_id, secret(settings.oauth2_client_secret_env), settings.api_base, settings.login_base)


def x_logins(config: Config, database: Database) -> Logins:
    """The logins of our accounts on X."""
    variable = config.x.token_key_env
    return Logins(database, secret(variable), variable, now)


@asynccontextmanager
async def open_x(config: Config, database: Database, account: str = MAIN) -> AsyncIterator[XClient]:
    """The client for X with the login of the account where somebody has logged it in, else with its keys."""
    settings = _x_settings(config, account)
    logins = x_logins(config, database)
    login = await logins.find(account)
    tokens: UserTokens | None = None
    if login is not None:
        tokens = UserTokens(login, logins, partial(_renewed, settings), config.paths.data / LOGINS_LOCK, now)
    words, keys = VOCABULARIES[settings.vocabulary], _x_keys(settings)
    windows = _windows(database, settings, keys, login)
    async with XClient(keys, settings.api_base, words, login=tokens, windows=windows) as client:
        yield client


def _windows(database: Database, settings: X, keys: XKeys, login: Login | None = None) -> Windows:
    """What X takes yet of whoever asks with these keys or that login."""
    app = settings.consumer_key_env if login is None else settings.oauth2_client_id_env
    user = keys.own_id if login is None else login.user_id
    return Windows(database, Names(settings.bearer_token_env, app, user or ""), now)


async def log_in(rooms: Rooms, account: str, show: Callable[[str], None]) -> Login:
    """Log an account of ours in on X: `show` is told the address where a person agrees. Costs one user read.

    Raises `UsageError` where there is no such account or nowhere to keep tokens, and what X answers.
    """
    config, settings = rooms.config, _x_settings(rooms.config, account)
    app, logins = oauth2_app(settings), x_logins(config, rooms.database)
    await logins.require_place()
    await rooms.ledger.check(config.prices.user_read, "Asking X whose login it is")
    tokens = await logged_in(app, settings.login_port, secrets.token_urlsafe(32), new_verifier(), show, now)
    price, what = config.prices.user_read, "Asking X whose login it is"
    async with (
        XClient(_x_keys(settings), settings.api_base, login=JustLoggedIn(tokens)) as client,
        rooms.ledger.hold("look up", account, price, what, account=account) as call,
    ):
        user = await client.me()
        async with rooms.database.transaction() as transaction:
            billed = len(await Charges(now).users(transaction, [user.id]))  # X charges for an account once a day
            await call.settle(billed, billed * price, transaction)
    async with alone(config.paths.data / LOGINS_LOCK):
        await logins.keep(account, user.id, user.handle, tokens)
    kept = await logins.find(account)
    assert kept is not None
    return kept


async def log_out(rooms: Rooms, account: str) -> str:
    """Forget the login of an account of ours, and tell X; what became of it, in a sentence. Raises `Refused`."""
    settings, logins = _x_settings(rooms.config, account), x_logins(rooms.config, rooms.database)
    login = await logins.find(account)
    if login is None:
        raise Refused(f"The account {account} is not logged in. `mockingbird doctor` says how each is connected.")
    async with alone(rooms.config.paths.data / LOGINS_LOCK):
        try:
            tokens = await logins.tokens(account)
            for token in (tokens.refresh_token, tokens.access_token):
                await revoke(oauth2_app(settings), token)
            told = "X was told."
        except MockingbirdError as error:
            told = f"X could not be told: take the app's access back in the account's settings on X. ({error})"
        await logins.forget(account)
    return f"{account} (@{login.handle}) is logged out, and its tokens are deleted here. {told}"


async def x_findings(config: Config, ask_x: bool) -> list[doctor.Finding]:
    """How our accounts are connected with X, and, asked for, what X has counted and what their bios say, which costs a
    user read each.
    """
    path = config.paths.data / "mockingbird.db"
    if not path.is_file():
        return await doctor.connections(config, None)
    async with Database(path) as database:
        found = await doctor.connections(config, x_logins(config, database))
        if ask_x:
            ledger = Ledger(database, config.prices, config.x.monthly_budget_usd, now, budget_of(config.x))
            for account in x_accounts(config.x):
                async with open_x(config, database, account) as client:
                    if account == MAIN:
                        found.append(await doctor.usage(client, ledger))
                    if client.own_id is not None:
                        found.append(await doctor.label(client, ledger, account, now))
        return found


def _x_settings(config: Config, account: str) -> X:
    accounts = x_accounts(config.x)
    if account not in accounts:
        raise ConfigError(f"There is no account {account} in the settings; known are {', '.join(accounts)}.")
    return accounts[account]


async def _renewed(settings: X, refresh_token: str) -> Tokens:
    return await renewed(oauth2_app(settings), refresh_token, now)


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


async def train(rooms: Rooms, handles: Sequence[str], name: str | None, show: Callable[[Training], None]) -> Training:
    """Train here and now, or have the running service do it where there is one; how it ended."""
    requested = await rooms.trainings.request(handles, name, "command", "")
    worker = asyncio.create_task(rooms.trainings.run(), name="trainings")
    try:
        async for training in rooms.trainings.watch(requested.id):
            show(training)
        await rooms.trainings.tracked()
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    return await rooms.trainings.training(requested.id)


async def keep_forgetting(rooms: Rooms, dropped: Callable[[Collection[str]], None]) -> None:
    """Go on with takedowns that were interrupted, here or in another process, and let go of what is held in memory of
    personas that were taken down, which `dropped` is told too. Until cancelled.
    """
    clock = asyncio.get_running_loop().time
    seen: list[Takedown] = []
    waiting: set[int] = set()  # for trouble to pass
    try_again_at = drop_again_at = 0.0
    while True:
        stand = await rooms.takedowns.all()
        if stand != seen and clock() >= drop_again_at:
            try:
                await rooms.speaker.drop_what_is_gone()
                dropped({name for takedown in stand for name in takedown.receipt.personas} - {*rooms.shelf.personas()})
                seen = stand
            except Exception:  # a fault of ours; whoever was taken down is not called any more, all the same
                log.exception("what was taken down could not be let go of")
                drop_again_at = clock() + DROP_AGAIN_S
        unfinished = {takedown.id for takedown in stand if takedown.finished_at is None}
        if unfinished - waiting or (unfinished and clock() >= try_again_at):
            try:
                await rooms.takedowns.go_on()
                waiting = set()
            except MockingbirdError:  # the log has it
                waiting, try_again_at = unfinished, clock() + WAIT_S
            except Exception:  # a fault of ours; what was to be forgotten does not speak, whatever happens here
                log.exception("a takedown broke off")
                waiting, try_again_at = unfinished, clock() + WAIT_S
        await asyncio.sleep(LOOK_S)


async def keep_telling(rooms: Rooms, tell: Callable[[Decision, Change | None], Awaitable[None]] | None) -> None:
    """Say it in the log, and to `tell`, when a persona speaks as another version from now on, or was taught anew and
    does not, in whatever process that was decided. Until cancelled.
    """
    seen = await rooms.decisions.newest()
    while True:
        for decision in await rooms.decisions.outcomes_since(seen):
            seen = decision.id
            if decision.is_switch:
                _log_switch(decision)
            change = await rooms.changes.after(decision)
            if change is not None:
                _log_change(change)
            if tell is not None and (change is not None or decision.is_switch):
                await tell(decision, change)
        await asyncio.sleep(LOOK_S)


def _log_switch(decision: Decision) -> None:
    log.info(
        "a persona speaks as another version",
        persona=decision.persona,
        version=decision.to_version,
        before=decision.from_version,
        what=decision.what.value,
        by=decision.by,
    )


def _log_change(change: Change) -> None:
    """The figures and the reason. The samples stand beside the decision, with which a takedown removes them."""
    decision = change.decision
    log.info(
        "a retraining was judged",
        persona=decision.persona,
        version=decision.to_version,
        before=decision.from_version,
        adopted=change.is_adopted,
        new_tweets=change.new_tweets,
        loss=change.loss,
        loss_before=change.loss_before,
        why=decision.why,
    )


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
    rooms.pushes.sweep()
    retraining, sweeping = Bell(), Bell()
    x = await _x(stack, rooms, retraining) if config.x.enabled else None
    collector = x.collector if x else None
    purchases = open_purchases(rooms, collector)
    discord = _discord(rooms, purchases, collector) if config.discord.enabled else None
    engines = await stack.enter_async_context(AsyncExitStack())  # outlives the front ends, which drain through it
    page = await _web(stack, rooms, purchases)
    stack.enter_context(_scheduler(config, retraining, sweeping, x))
    async with asyncio.TaskGroup() as group:
        group.create_task(_speak(engines, rooms), name="engine")
        group.create_task(keep_forgetting(rooms, page.forget if page else _nothing), name="takedowns")
        group.create_task(rooms.trainings.run(), name="trainings")
        group.create_task(_sweep(rooms, sweeping), name="sweep")
        group.create_task(keep_telling(rooms, discord.announce if discord else None), name="announcements")
        if config.retraining.enabled:
            group.create_task(_retrain(rooms, retraining), name="retraining")
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


@dataclass(frozen=True, slots=True)
class _X:
    """What works on X."""

    collector: Collector
    check: ComplianceCheck
    frontends: Sequence[XFrontend]  # one for each account of ours
    mentions: Sequence[XMentions]  # one for each account of ours that answers
    listeners: Sequence[Listener]  # one for each of these whose mentions are streamed


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
        opened = await engines.enter_async_context(open_engines(rooms, log.info))
    except MockingbirdError as error:
        log.error("no drafts can be made", reason=str(error))
        rooms.speaker.silent_because(str(error))
        return
    rooms.speaker.speak_with(opened)
    log.info("ready to speak", personas=rooms.shelf.personas(), base=opened.first.base.record.spec)


async def _retrain(rooms: Rooms, bell: Bell) -> None:
    """Whenever the bell rings, put every persona in line that is due."""
    while True:
        try:
            for training in await rooms.trainings.request_due():
                log.info("a persona is due", persona=training.persona, run=training.id)
        except MockingbirdError as error:
            log.warning("retraining put off", reason=str(error))
        await bell.wait()


async def sweep(rooms: Rooms) -> None:
    """Forget what has been kept long enough: servers that removed the bot, what was said, and who had asked for it."""
    config, conversation = rooms.config, rooms.conversation
    gone = await conversation.servers.forget_those_gone(Platform.DISCORD, config.discord.forget_server_after_days)
    if gone:
        log.info("servers that removed the bot are forgotten", servers=gone)
    await conversation.answers.forget_old(config.replies.keep_days)


async def _sweep(rooms: Rooms, bell: Bell) -> None:
    """Whenever the bell rings. Not at once: who has invited the bot again is known only when it is connected."""
    while True:
        await bell.wait()
        try:
            await sweep(rooms)
        except MockingbirdError as error:
            log.warning("what is old was not forgotten yet", reason=str(error))


async def _x(stack: AsyncExitStack, rooms: Rooms, retraining: Bell) -> _X:
    config, settings = rooms.config, rooms.config.x
    accounts = x_accounts(settings)
    clients = {name: await stack.enter_async_context(open_x(config, rooms.database, name)) for name in accounts}
    main, ours = clients[MAIN], frozenset(client.own_id for client in clients.values() if client.own_id)
    answering = [_x_mentions(rooms, name, clients[name], ours) for name in accounts if accounts[name].reply_to_mentions]
    streamed = [each for each in answering if accounts[each.account].mentions_by == "stream"]
    return _X(
        Collector(main, rooms.store, rooms.database, rooms.ledger, settings, now, retraining.ring),
        ComplianceCheck(main, rooms.store, rooms.database, rooms.ledger, settings, now),
        [_x_posts(rooms, name, client) for name, client in clients.items()],
        answering,
        [await _listener(stack, rooms, each, clients[each.account]) for each in streamed],
    )


def _x_posts(rooms: Rooms, name: str, client: XClient) -> XFrontend:
    """What posts on one account."""
    return XFrontend(
        client,
        rooms.posts,
        Outbox(rooms.database, name, now),
        rooms.ledger,
        x_accounts(rooms.config.x)[name],
        rooms.config.paths.data / PICTURES,
        now,
        owns_app=_owns_app(rooms.config, name),
    )


def _x_mentions(rooms: Rooms, name: str, client: XClient, ours: frozenset[str]) -> XMentions:
    """What answers on one account; `ours` are the ids of all our accounts."""
    return XMentions(
        client,
        Mentions(rooms.database, rooms.conversation.opt_outs, name, now),
        rooms.conversation,
        rooms.ledger,
        x_accounts(rooms.config.x)[name],
        ours,
        now,
        owns_app=_owns_app(rooms.config, name),
    )


def _owns_app(config: Config, name: str) -> bool:
    """Whether an account owns the app of its keys: to its owner alone X gives the lower price for own posts."""
    return name == MAIN or x_accounts(config.x)[name].consumer_key_env != config.x.consumer_key_env


async def _listener(stack: AsyncExitStack, rooms: Rooms, mentions: XMentions, client: XClient) -> Listener:
    """What listens for mentions of an account. Raises `ConfigError` without a bearer token."""
    settings = x_accounts(rooms.config.x)[mentions.account]
    token = secret(settings.bearer_token_env)
    if token is None:
        raise ConfigError(
            f"Streaming mentions needs the bearer token in the variable {settings.bearer_token_env}. Set it, or set "
            '[x] mentions_by = "polling".'
        )
    windows = _windows(rooms.database, settings, _x_keys(settings))
    stream = MentionStream(token, settings.api_base, VOCABULARIES[settings.vocabulary], windows=windows)
    await stack.enter_async_context(stream)
    return Listener(stream, client, mentions, rooms.ledger, settings.persona)


def open_purchases(rooms: Rooms, collector: Collector | None) -> Purchases:
    """What is bought from X before a training; nothing is where X is off."""
    return Purchases(rooms.database, rooms.store, rooms.ledger, rooms.trainings, collector, now)


def _operation(rooms: Rooms, collector: Collector | None) -> Operation:
    """What Discord's front end is told about the service as a whole."""
    config = rooms.config

    async def next_fetch() -> datetime | None:
        return await collector.next_due() if collector is not None else None

    async def usd_a_day() -> Decimal:
        return a_day(await followed(rooms.database), config.x, config.prices)

    return Operation(now, now(), rooms.speaker.standing, next_fetch, usd_a_day, config.replies.keep_days)


def _discord(rooms: Rooms, purchases: Purchases, collector: Collector | None) -> DiscordFrontend:
    settings = rooms.config.discord
    token = secret(settings.token_env)
    if token is None:
        raise ConfigError(
            f"[discord] is enabled, but the environment variable {settings.token_env} is empty. "
            "Put the bot's token into it, or set [discord] enabled = false."
        )
    services = Services(
        database=rooms.database,
        store=rooms.store,
        shelf=rooms.shelf,
        ledger=rooms.ledger,
        conversation=rooms.conversation,
        posts=rooms.posts,
        trainings=rooms.trainings,
        purchases=purchases,
        blends=rooms.blends,
        decisions=rooms.decisions,
        takedowns=rooms.takedowns,
        guessing=Guessing(rooms.database, rooms.store, rooms.shelf, rooms.conversation, now, random.Random()),
        duels=Duels(rooms.database, rooms.shelf, rooms.conversation, now),
        operation=_operation(rooms, collector),
    )
    return DiscordFrontend(settings, token, services, rooms.config.replies.drain_seconds)


def _nothing(personas: Collection[str]) -> None:
    """Where there is no page, nothing was shown on it."""


async def _web(stack: AsyncExitStack, rooms: Rooms, purchases: Purchases) -> WebFrontend | None:
    config = rooms.config
    if not config.discord.enabled:
        log.info("Discord is off: [discord] enabled is false")
    if not config.x.enabled:
        log.info("X is off: [x] enabled is false")
    if not config.web.enabled:
        log.info("the web page is off: [web] enabled is false")
        return None
    password = secret(config.web.password_env)
    drain = config.replies.drain_seconds
    page = WebFrontend(
        config.web,
        password,
        rooms.conversation,
        rooms.posts,
        rooms.trainings,
        purchases,
        rooms.ledger,
        rooms.shelf,
        rooms.store,
        rooms.explorer,
        rooms.decisions,
        rooms.speaker.refusals,
        drain,
        forecast=rooms.forecast,
        pictures=config.paths.data / PICTURES,
        changes=rooms.changes,
    )
    return await stack.enter_async_context(page)


@contextmanager
def _scheduler(config: Config, retraining: Bell, sweeping: Bell, x: _X | None) -> Iterator[None]:
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


async def sync_commands(rooms: Rooms) -> list[str]:
    """Tell Discord the bot's commands now; their names."""
    token = secret(rooms.config.discord.token_env)
    if token is None:
        raise ConfigError(
            f"The environment variable {rooms.config.discord.token_env} is empty. Put the bot's token into it."
        )
    return await discord_sync.sync_commands(rooms.config.discord, token, rooms.database)
