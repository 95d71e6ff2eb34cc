"""`/login`: the password, where one is set."""

from __future__ import annotations

import aiohttp_jinja2
from aiohttp import web

from bot.errors import Busy
from bot.frontends.web.guard import VISITOR, Guard, remember
from bot.frontends.web.rendering import field, see
from bot.frontends.web.sessions import Sessions, Visitor


class LoginPage:
    """Asks for the password and lets go again."""

    def __init__(self, guard: Guard, sessions: Sessions) -> None:
        self._guard = guard
        self._sessions = sessions

    def routes(self) -> list[web.AbstractRouteDef]:
        """Where this page is found."""
        return [web.get("/login", self.show), web.post("/login", self.log_in), web.post("/logout", self.log_out)]

    async def show(self, request: web.Request) -> web.Response:
        """The form."""
        if not self._guard.asks_for_password or self._sessions.has(request[VISITOR]):
            return see("/")
        return self._form(request)

    async def log_in(self, request: web.Request) -> web.Response:
        """Let in whoever knows the password."""
        try:
            visitor = self._guard.log_in(await field(request, "password"))
        except Busy as error:
            return self._form(request, str(error), status=429)
        if visitor is None:
            return self._form(request, "That is not the password. Try again.", status=403)
        response = see("/")
        remember(response, visitor)
        return response

    async def log_out(self, request: web.Request) -> web.Response:
        """Forget the visitor and the channel."""
        self._sessions.close(request[VISITOR])
        response = see("/login")
        remember(response, Visitor.fresh())
        return response

    def _form(self, request: web.Request, problem: str = "", status: int = 200) -> web.Response:
        context = {"token": request[VISITOR].token, "problem": problem}
        return aiohttp_jinja2.render_template("login.html", request, context, status=status)
