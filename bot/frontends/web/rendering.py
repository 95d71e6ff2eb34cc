"""From values to pages: the templates, and what every page shows around its own content."""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import web

from bot.errors import MockingbirdError
from bot.frontends.web import words
from bot.frontends.web.guard import VISITOR
from bot.frontends.web.pictures import avatar
from bot.frontends.web.sessions import Notice, Session, Sessions
from bot.replies.posts import Posts
from bot.tweets.costs import Ledger

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"


def set_up_templates(app: web.Application) -> None:
    """Make the templates known to the application; whatever they show is escaped."""
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        undefined=jinja2.StrictUndefined,
        filters=words.FILTERS,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["avatar"] = avatar


class Renderer:
    """Makes pages and pieces of pages."""

    def __init__(self, sessions: Sessions, posts: Posts, asks_for_password: bool, ledger: Ledger, pays: bool) -> None:
        """`pays`: X is on, so that pages on which something is paid say what the month has cost."""
        self._sessions = sessions
        self._posts = posts
        self._asks_for_password = asks_for_password
        self._ledger = ledger
        self._pays = pays

    def session(self, request: web.Request) -> Session:
        """The visitor's channel."""
        return self._sessions.of(request[VISITOR])

    async def page(self, request: web.Request, template: str, **context: Any) -> web.Response:
        """A whole page, with the navigation and the notice that waits for this visitor."""
        around = {
            "token": request[VISITOR].token,
            "notice": self.session(request).take_notice(),
            "here": request.path,
            "waiting_count": len(await self._posts.waiting()),
            "can_log_out": self._asks_for_password,
            "month": await self._ledger.month() if self._pays else None,
            "prices": self._ledger.prices,
        }
        return aiohttp_jinja2.render_template(template, request, around | context)

    def piece(self, request: web.Request, template: str, **context: Any) -> str:
        """A piece of a page, for a page that is open already."""
        return aiohttp_jinja2.render_string(template, request, {"token": request[VISITOR].token} | context)

    async def after(self, request: web.Request, deed: Awaitable[Notice | None], back_to: str) -> web.Response:
        """Do what a form asked for, then show the page it belongs to, with what came of it."""
        try:
            notice = await deed
        except MockingbirdError as error:
            notice = Notice(str(error), is_problem=True)
        self.session(request).notice = notice
        return see(back_to)


def see(path: str) -> web.Response:
    """Send the browser on to a page of ours; a reload there repeats nothing."""
    return web.Response(status=303, headers={"Location": path})


async def field(request: web.Request, name: str) -> str:
    """A text field of the form that was posted, stripped; empty when it has none of that name."""
    value = (await request.post()).get(name, "")
    return value.strip() if isinstance(value, str) else ""
