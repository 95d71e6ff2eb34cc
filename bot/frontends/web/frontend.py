"""The web page's server: put together, started, stopped."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from aiohttp import web

from bot.config import Web
from bot.errors import ConfigError, PortInUse
from bot.frontends.web.accounts import AccountsPage
from bot.frontends.web.approval import ApprovalPage
from bot.frontends.web.channel import ChannelPage
from bot.frontends.web.chat import Chat
from bot.frontends.web.data import DataPage
from bot.frontends.web.guard import Guard, Handler, is_loopback
from bot.frontends.web.health import Health, Refusals
from bot.frontends.web.learning import Learning
from bot.frontends.web.login import LoginPage
from bot.frontends.web.personas import PersonasPage
from bot.frontends.web.post import UPLOAD, PostPage
from bot.frontends.web.problems import problems
from bot.frontends.web.purchases import CostsPage, PurchasePage
from bot.frontends.web.rendering import STATIC, Renderer, set_up_templates
from bot.frontends.web.sessions import Sessions
from bot.frontends.web.trainings import TrainingsPage
from bot.replies.changes import Changes
from bot.replies.conversation import Conversation
from bot.replies.pictures import LARGEST
from bot.replies.posts import Posts
from bot.shelf.shelf import Shelf
from bot.training.decisions import Decisions
from bot.training.exploring import Explorer
from bot.training.purchases import Purchases
from bot.tweets.costs import Ledger
from bot.tweets.forecast import Forecast
from bot.tweets.store import TweetStore

MOST_BYTES = 64 * 1024  # of a request
LINGER_S = 2.0  # how long a request under way may take when the server stops

log = structlog.get_logger(__name__)


@web.middleware
async def uploads(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Where a picture is uploaded, and nowhere else, a request may be as large as a picture."""
    route = request.match_info.route.resource
    if route is None or route.canonical != UPLOAD or request.method != "POST":
        return await handler(request)
    request = request.clone(client_max_size=LARGEST + MOST_BYTES)
    form = await request.post()
    try:
        return await handler(request)
    finally:
        for upload in form.values():
            if isinstance(upload, web.FileField):
                upload.file.close()  # aiohttp closes those of the request that was cloned


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class WebFrontend:
    """`async with WebFrontend(...) as page`: serving at `page.url`. Raises `ConfigError`, `PortInUse`.

    `refusals` are the speaker's own counts, looked at whenever a page is shown. Answers under way at the end are waited
    for, at most `drain_seconds`.
    """

    def __init__(
        self,
        settings: Web,
        password: str | None,
        conversation: Conversation,
        posts: Posts,
        trainings: Learning,
        purchases: Purchases,
        ledger: Ledger,
        shelf: Shelf,
        store: TweetStore,
        explorer: Explorer,
        decisions: Decisions,
        refusals: Refusals,
        drain_seconds: float = 10.0,
        clock: Callable[[], datetime] = utc_now,
        forecast: Forecast | None = None,
        *,
        pictures: Path,
        changes: Changes | None = None,
    ) -> None:
        """`pictures` is the folder that pictures of posts are in."""
        self._settings = settings
        self._password = password
        self._drain_seconds = drain_seconds
        self._stack = AsyncExitStack()
        self._closing = asyncio.Event()
        self._chat = Chat(conversation, trainings, purchases, shelf.personas, clock)
        sessions = self._sessions = Sessions()
        guard = Guard(password, sessions, clock)
        renderer = Renderer(sessions, posts, guard.asks_for_password, ledger, purchases.is_on)
        self._app = web.Application(middlewares=[problems, uploads, guard.middleware], client_max_size=MOST_BYTES)
        self._app.on_response_prepare.append(guard.add_headers)
        self._app.on_shutdown.append(self._end_streams)
        set_up_templates(self._app)
        for page in (
            ChannelPage(renderer, self._chat, conversation, shelf, self._closing),
            PersonasPage(renderer, shelf, store, trainings, purchases, decisions, refusals),
            PurchasePage(renderer, purchases, self._closing),
            CostsPage(renderer, ledger, forecast),
            AccountsPage(renderer, store, forecast),
            DataPage(renderer, shelf, store, explorer),
            TrainingsPage(renderer, trainings, self._closing, changes),
            ApprovalPage(renderer, posts, shelf),
            PostPage(renderer, posts, pictures, clock),
            LoginPage(guard, sessions),
        ):
            self._app.add_routes(page.routes())
        self._app.add_routes([Health(refusals).route(), web.static("/static", STATIC)])
        self.url = ""  # where the page is found; empty until the server runs

    async def __aenter__(self) -> Self:
        host = self._settings.host
        if self._password is None and not is_loopback(host):
            raise ConfigError(
                f"[web] host is {host}, where others can reach the page, and there is no password. "
                f'Set one in the environment variable {self._settings.password_env}, or set host to "127.0.0.1".'
            )
        async with AsyncExitStack() as stack:
            runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=LINGER_S)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            stack.push_async_callback(self._chat.finish, self._drain_seconds)  # before it, so that open pages hear
            port = await self._listen(runner)
            self._stack = stack.pop_all()
        self.url = _url(host, port)
        log.info("the web page is on", url=self.url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def forget(self, personas: Collection[str]) -> None:
        """Let no open page show anything that these personas said."""
        self._sessions.forget(personas)

    async def _listen(self, runner: web.AppRunner) -> int:
        """Begin to serve; the port, which the system has chosen where 0 is configured."""
        host, port = self._settings.host, self._settings.port
        try:
            await web.TCPSite(runner, host, port).start()
        except socket.gaierror as error:
            raise ConfigError(
                f"[web] host {host} is not known to this machine. Set it to an address it has."
            ) from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(
                    f"Port {port} on {host} is taken by another program. Stop that, or set [web] port to a free one."
                ) from error
            raise ConfigError(
                f"The web page can't listen on {host}, port {port} ({error.strerror}). Change [web] host or port."
            ) from error
        address: tuple[str, int] = runner.addresses[0]
        return address[1]

    async def _end_streams(self, app: web.Application) -> None:
        self._closing.set()


def _url(host: str, port: int) -> str:
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
