"""What calls us, made of rooms and settings: what works on X, Discord, and the web page."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

import structlog

from bot.app import now
from bot.app.rooms import PICTURES, Rooms
from bot.app.upkeep import Bell
from bot.app.x_access import open_x, x_keys, x_windows
from bot.config import MAIN, Config, secret, x_accounts
from bot.errors import ConfigError
from bot.frontends.discord import sync as discord_sync
from bot.frontends.discord.frontend import DiscordFrontend
from bot.frontends.discord.operation import Operation
from bot.frontends.discord.services import Services
from bot.frontends.web.frontend import WebFrontend
from bot.frontends.x.frontend import XFrontend
from bot.frontends.x.listening import Listener
from bot.frontends.x.mentions import XMentions
from bot.replies.duels import Duels
from bot.replies.guessing import Guessing
from bot.replies.mentions import Mentions
from bot.replies.outbox import Outbox
from bot.training.purchases import Purchases
from bot.tweets.collecting import Collector
from bot.tweets.compliance import ComplianceCheck
from bot.tweets.x_api import XClient
from bot.tweets.x_bodies import VOCABULARIES
from bot.tweets.x_stream import MentionStream

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OnX:
    """What works on X."""

    collector: Collector
    check: ComplianceCheck
    frontends: Sequence[XFrontend]  # one for each account of ours
    mentions: Sequence[XMentions]  # one for each account of ours that answers
    listeners: Sequence[Listener]  # one for each of these whose mentions are streamed


async def open_on_x(stack: AsyncExitStack, rooms: Rooms, retraining: Bell) -> OnX:
    """Everything that works on X, on clients that the stack closes; `retraining` rings when tweets were stored."""
    config, settings = rooms.config, rooms.config.x
    accounts = x_accounts(settings)
    clients = {name: await stack.enter_async_context(open_x(config, rooms.database, name)) for name in accounts}
    main, ours = clients[MAIN], frozenset(client.own_id for client in clients.values() if client.own_id)
    answering = [_x_mentions(rooms, name, clients[name], ours) for name in accounts if accounts[name].reply_to_mentions]
    streamed = [each for each in answering if accounts[each.account].mentions_by == "stream"]
    return OnX(
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
        Outbox(rooms.database, name, now, rooms.said),
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
        Mentions(rooms.database, rooms.conversation.opt_outs, name, now, rooms.said),
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
    windows = x_windows(rooms.database, settings, x_keys(settings))
    stream = MentionStream(token, settings.api_base, VOCABULARIES[settings.vocabulary], windows=windows)
    await stack.enter_async_context(stream)
    return Listener(stream, client, mentions, rooms.ledger, settings.persona)


def discord_frontend(rooms: Rooms, purchases: Purchases, collector: Collector | None) -> DiscordFrontend:
    """Discord's front end. Raises `ConfigError` without a token."""
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


def _operation(rooms: Rooms, collector: Collector | None) -> Operation:
    """What Discord's front end is told about the service as a whole."""
    config = rooms.config

    async def next_fetch() -> datetime | None:
        return await collector.next_due() if collector is not None else None

    a_day = rooms.forecast.scheduled_a_day
    return Operation(now, now(), rooms.speaker.standing, next_fetch, a_day, config.replies.keep_days)


async def sync_commands(rooms: Rooms) -> list[str]:
    """Tell Discord the bot's commands now; their names."""
    token = secret(rooms.config.discord.token_env)
    if token is None:
        raise ConfigError(
            f"The environment variable {rooms.config.discord.token_env} is empty. Put the bot's token into it."
        )
    return await discord_sync.sync_commands(rooms.config.discord, token, rooms.database)


async def open_web_page(stack: AsyncExitStack, rooms: Rooms, purchases: Purchases) -> WebFrontend | None:
    """The web page, which the stack closes; None where it is off. The log says which front ends are off."""
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
