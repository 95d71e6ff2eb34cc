"""`/`: the channel to talk in."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from bot.errors import UsageError
from bot.frontends.web.chat import Chat
from bot.frontends.web.guard import VISITOR
from bot.frontends.web.rendering import Renderer, field, see
from bot.frontends.web.sessions import Kind, Line, Session
from bot.frontends.web.streams import Event, send_events
from bot.replies.conversation import Conversation
from bot.replies.incoming import Platform
from bot.shelf.shelf import Shelf

LONGEST = 2_000  # characters of a message, as on Discord

_MESSAGE_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class ChannelPage:
    """Shows the channel, takes messages, and tells open pages what is new."""

    def __init__(
        self, renderer: Renderer, chat: Chat, conversation: Conversation, shelf: Shelf, closing: asyncio.Event
    ) -> None:
        self._renderer = renderer
        self._chat = chat
        self._conversation = conversation
        self._shelf = shelf
        self._closing = closing

    def routes(self) -> list[web.AbstractRouteDef]:
        """Where this page is found."""
        return [web.get("/", self.show), web.post("/say", self.say), web.get("/events", self.events)]

    async def show(self, request: web.Request) -> web.Response:
        """The page; `?to=persona` offers that persona first."""
        session = self._renderer.session(request)
        personas = self._shelf.personas()
        chosen = request.query.get("to", "")
        if chosen not in personas:
            chosen = await self._conversation.channel_persona(Platform.WEB, request[VISITOR].author_id)
        return await self._renderer.page(
            request,
            "channel.html",
            lines=session.lines,
            revision=session.revision,
            is_waiting=any(line.kind is Kind.THINKING for line in session.lines),
            personas=personas,
            chosen=chosen,
            message_id=str(uuid.uuid4()),
            longest=LONGEST,
        )

    async def say(self, request: web.Request) -> web.Response:
        """Take a message; its answer appears in the channel. The script gets the id for the next one."""
        text, message_id = await field(request, "text"), await field(request, "message_id")
        if not text or len(text) > LONGEST or not _MESSAGE_ID.fullmatch(message_id):
            raise UsageError(f"Write something of at most {LONGEST:,} characters, then send it.")
        author_id = request[VISITOR].author_id
        await self._choose(author_id, await field(request, "persona"))
        await self._chat.take(self._renderer.session(request), author_id, message_id, text)
        if "json" in request.headers.get("Accept", ""):
            return web.json_response({"next_message_id": str(uuid.uuid4())})
        return see("/#composer")

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Every line that changed since the revision that the page shows, and then each change."""
        session = self._renderer.session(request)
        since = request.headers.get("Last-Event-ID", request.query.get("since", ""))
        revision = int(since) if since.isascii() and since.isdigit() else 0
        return await send_events(request, self._closing, self._news(request, session, revision))

    async def _choose(self, author_id: str, persona: str) -> None:
        if persona and persona != await self._conversation.channel_persona(Platform.WEB, author_id):
            await self._conversation.set_channel_persona(Platform.WEB, author_id, persona)

    async def _news(self, request: web.Request, session: Session, revision: int) -> AsyncGenerator[Event]:
        if revision > session.revision:  # the page is from before a restart: nothing that it waits for will come
            yield Event("restarted", {}, session.revision)
            revision = session.revision
        async with aclosing(session.changes(revision)) as changes:
            async for changed_at, line in changes:
                yield Event("line", {"id": line.id, "html": self._html(request, line)}, changed_at)

    def _html(self, request: web.Request, line: Line) -> str:
        return self._renderer.piece(request, "_line.html", line=line)
