"""Logging an account in: a small server on this machine to which X sends the browser back, with a code.

Outcome: `logged_in` shows the address where a person agrees, waits for the browser to come back to
http://127.0.0.1:PORT/callback, and gives the tokens that X changes the code for. Only 127.0.0.1 can reach the server,
it answers only whoever brings the state that was sent along, and it is gone when this ends.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from aiohttp import web

from bot.errors import PortInUse, Refused
from bot.tweets.x_oauth2 import OAuth2App, Tokens, consent_address, tokens_for_code

_PATH = "/callback"
_PATIENCE_S = 600.0  # for a person who looks for a password


def redirect_uri(port: int) -> str:
    """Where X sends the browser back to; the app's settings in X's console have to name it."""
    return f"http://127.0.0.1:{port}{_PATH}"


async def logged_in(
    app: OAuth2App,
    port: int,
    state: str,
    verifier: str,
    show: Callable[[str], None],
    clock: Callable[[], datetime],
    patience_s: float = _PATIENCE_S,
) -> Tokens:
    """The tokens of whoever agrees at the address that `show` is given.

    `state` and `verifier` are secrets made for this one login. Raises `Refused` when the person says no or does not
    come back, `PortInUse`, and what X answers.
    """
    back = redirect_uri(port)
    come_back: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with _server(port, state, come_back):
        show(consent_address(app, back, state, verifier))
        try:
            async with asyncio.timeout(patience_s):
                code = await come_back
        except TimeoutError as error:
            raise Refused("Nobody has agreed on X, so nothing was logged in; try again.") from error
    return await tokens_for_code(app, code, back, verifier, clock)


@asynccontextmanager
async def _server(port: int, state: str, come_back: asyncio.Future[str]) -> AsyncIterator[None]:
    async def callback(request: web.Request) -> web.Response:
        return _answer(request, state, come_back)

    application = web.Application()
    application.router.add_get(_PATH, callback)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=2.0)  # a log would show the code
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            raise PortInUse(
                f"Another process listens on port {port} of this machine; name another one in [x] login_port, and as "
                "the callback in X's console."
            ) from error
        yield
    finally:
        await runner.cleanup()


def _answer(request: web.Request, state: str, come_back: asyncio.Future[str]) -> web.Response:
    query = request.query
    if not hmac.compare_digest(query.get("state", "").encode(), state.encode()):
        return web.Response(status=400, text="This is not the login that was begun here. Nothing was done.")
    if come_back.done():
        return web.Response(status=400, text="This login was answered before. Look at the terminal.")
    if "code" in query:
        come_back.set_result(query["code"])
        return web.Response(text="Done. You can close this page and go back to the terminal.")
    come_back.set_exception(Refused("X was told not to let this app act for the account, so nothing was logged in."))
    return web.Response(text="Nothing was logged in. You can close this page.")
