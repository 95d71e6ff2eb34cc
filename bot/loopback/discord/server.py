"""A Discord on 127.0.0.1: start it, point a bot at it, and be the people who talk to the bot."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from aiohttp import web

from bot.loopback.discord.applications import ApplicationRoutes
from bot.loopback.discord.callbacks import CallbackRoutes
from bot.loopback.discord.channels import ChannelRoutes
from bot.loopback.discord.crowd import Crowd
from bot.loopback.discord.gateway import Gateway
from bot.loopback.discord.guilds import GuildRoutes
from bot.loopback.discord.interactions import LoopbackInteraction
from bot.loopback.discord.journal import Happening, Journal, Request
from bot.loopback.discord.limits import Limits
from bot.loopback.discord.messages import Message
from bot.loopback.discord.places import Channel
from bot.loopback.discord.reactions import ReactionRoutes
from bot.loopback.discord.rest import BASE_PATH, Handler, RestServer
from bot.loopback.discord.sessions import Intent
from bot.loopback.discord.stage import Stage
from bot.loopback.discord.threads import ThreadRoutes
from bot.loopback.discord.weather import PlannedAnswer, RoughWeather
from bot.loopback.discord.webhook_messages import WebhookMessageRoutes
from bot.loopback.discord.webhooks import WebhookRoutes
from bot.loopback.discord.world import KEEPS, World, aviary
from bot.loopback.openapi import OpenAPIContract


class LoopbackDiscord(Crowd):
    """An async context manager that listens while it is open.

    `api_base` and `gateway_url` are where a bot has to connect, with `token`. `world` is who and what there is,
    `journal` what happened, `violations` what the official document has against the bot's requests. What the people
    do is in `Crowd`.
    """

    def __init__(
        self,
        contract: OpenAPIContract | None = None,
        *,
        token: str = "loopback-bot-token",
        privileged: Intent = Intent.NONE,
        heartbeat_interval: float = 41.25,
        clock: Callable[[], float] = time.time,
        shards: int = 1,
        max_concurrency: int = 1,
        limits: Mapping[str, tuple[int, float]] | None = None,
        global_limit: int | None = None,
        keeps: int = KEEPS,
    ) -> None:
        """`contract` checks every request. `privileged` are the privileged intents switched on for the application.

        The heartbeat interval is in seconds; `clock` gives seconds since the epoch and decides about the 3 seconds
        and 15 minutes of an interaction. `shards` and `max_concurrency` are what a bot is told to connect with.

        `limits` says how many requests in how many seconds a route such as "POST /channels/{channel_id}/messages"
        takes for each channel, guild or webhook, `global_limit` how many all routes together take in one second.
        `keeps` is how many messages, interactions, happenings and events of a session are remembered.
        """
        self.token = token
        self.world: World = aviary(clock, keeps)
        self.journal = Journal(clock, keeps)
        self._gateway = Gateway(
            self.world,
            self.journal,
            token,
            privileged=privileged,
            heartbeat_interval=heartbeat_interval,
            keeps=keeps,
        )
        reads_all = Intent.MESSAGE_CONTENT in privileged
        self._stage = Stage(self.world, self.journal, self._gateway, clock, reads_all=reads_all, keeps=keeps)
        application = ApplicationRoutes(self._stage, privileged, shards, max_concurrency)
        counted = Limits(limits or {}, global_limit, clock)
        routes = {**application.routes(), **_routes(self._stage)}
        self._rest = RestServer(routes, token, self.journal, counted, contract)
        self._runner: web.AppRunner | None = None
        self.api_base = ""  # known once it listens
        self.gateway_url = ""

    async def __aenter__(self) -> LoopbackDiscord:
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.router.add_get("/gateway", self._gateway.accept)
        app.router.add_get("/gateway/", self._gateway.accept)
        app.router.add_get("/attachments/{channel_id}/{attachment_id}/{name}", self._download)
        self._rest.install(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.api_base = f"http://{host}:{port}{BASE_PATH}"
        self.gateway_url = self._gateway.url = f"ws://{host}:{port}/gateway"
        self.world.media_base = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gateway.drop_connections()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _download(self, request: web.Request) -> web.StreamResponse:
        attachment_id = request.match_info["attachment_id"]
        known = self.world.archive.attachments
        attachment = known.get(int(attachment_id)) if attachment_id.isdecimal() else None
        if attachment is None or attachment.file.name != request.match_info["name"]:
            raise web.HTTPNotFound
        return web.Response(body=attachment.file.content, headers={"Content-Type": attachment.file.content_type})

    # Looking

    @property
    def requests(self) -> list[Request]:
        """Every REST request so far, in the order of their answers."""
        return [entry.request for entry in self.journal.entries if entry.request is not None]

    @property
    def violations(self) -> list[str]:
        """What the official document has against the bot's requests; empty without a document."""
        return self._rest.violations

    @property
    def own_violations(self) -> list[str]:
        """What the official document has against the answers given here: a defect of this server, not of the bot."""
        return self._rest.own_violations

    @property
    def interactions(self) -> list[LoopbackInteraction]:
        """What people used, as far as it is remembered, oldest first."""
        return list(self._stage.interactions.values())

    def message(self, message_id: int) -> Message:
        """The message with this id; LookupError if there is none."""
        return self.world.messages[message_id]

    def messages_in(self, channel: Channel) -> list[Message]:
        """What stands in a channel now, oldest first, answers that only one person sees included."""
        kept = self.world.archive.in_channel(channel.id).values()
        return [message for message in kept if not message.deleted and not message.loading]

    # Waiting: each raises TimeoutError, with the last happenings in its message, when it takes longer than `within` s

    async def until(
        self, condition: Callable[[], bool], within: float = 10.0, awaited: str = "what was awaited"
    ) -> None:
        """Wait until `condition` holds; it is asked now and after everything that happens."""
        await self.journal.until(lambda: condition() or None, within, awaited)

    async def wait_for(
        self, predicate: Callable[[Happening], bool], within: float = 10.0, awaited: str = "what was awaited"
    ) -> Happening:
        """Wait for the first happening, past or to come, that `predicate` accepts, and return it."""
        return await self.journal.wait_for(predicate, within, awaited)

    async def bot_ready(self, within: float = 10.0) -> None:
        """Wait until a bot is connected with all its shards and has been told about its guilds."""
        await self.until(lambda: self._gateway.has_listener, within, "a bot's connection")

    async def reply_to(self, message_id: int, within: float = 10.0) -> Message:
        """Wait for the bot's first reply to a message, and return it."""

        def reply() -> Message | None:
            replies = self.world.archive.replies_to(message_id)
            return next((message for message in replies if message.author.id == self.world.bot.id), None)

        return await self.journal.until(reply, within, "a reply by the bot", message_id)

    # Being the weather

    def refuse_next(
        self, route: str, status: int, *, retry_after: float = 0.05, everywhere: bool = False, times: int = 1
    ) -> None:
        """Refuse the next requests to a route such as "POST /channels/{channel_id}/messages".

        `status` is 429 (with `retry_after` seconds; `everywhere` makes it a global limit) or a server error.
        """
        for _ in range(times):
            self._rest.plan(PlannedAnswer(route, status, retry_after, everywhere))

    def rough_weather(
        self,
        share: float,
        statuses: Sequence[int] = (500, 502, 503, 429),
        seed: int = 1,
        *,
        lost: float = 0.0,
        callbacks: bool = False,
        retry_after: float = 0.05,
    ) -> None:
        """From now on refuse that share of requests by chance, with one of the statuses.

        A server error comes before the request takes effect, but for the share `lost` of them, where only the answer
        is lost. The first answers to interactions are left alone unless `callbacks` is true.
        """
        self._rest.weather = RoughWeather(share, statuses, lost, callbacks, retry_after, random.Random(seed))

    def calm_weather(self) -> None:
        """Answer every request again."""
        self._rest.weather = None

    def go_silent(self) -> None:
        """Let all gateway sockets of now hang: they stay open, but nothing arrives over them any more.

        The bot notices by its unanswered heartbeats. What it misses is sent again when it resumes.
        """
        self._gateway.go_silent()

    def drop_connections(self) -> None:
        """Cut every gateway socket without a word, so that the bot must resume."""
        self._gateway.drop_connections()

    async def ask_to_reconnect(self) -> None:
        """Ask the bot to reconnect and resume, as Discord does every few hours."""
        await self._gateway.ask_to_reconnect()

    async def invalidate_sessions(self) -> None:
        """Make the bot identify anew; what it misses meanwhile is lost to it."""
        await self._gateway.invalidate_sessions()


def _routes(stage: Stage) -> dict[str, Handler]:
    """Every route but those about the application."""
    groups = (
        GuildRoutes(stage),
        ChannelRoutes(stage),
        ThreadRoutes(stage),
        ReactionRoutes(stage),
        CallbackRoutes(stage),
        WebhookRoutes(stage),
        WebhookMessageRoutes(stage),
    )
    return {name: handler for group in groups for name, handler in group.routes().items()}
