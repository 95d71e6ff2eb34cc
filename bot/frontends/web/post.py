"""`/posts/NUMBER`: one post with all that is known of it, and the decisions that need words.

Whatever is refused comes back with what was typed, so that nobody writes anything twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from bot.errors import MockingbirdError, Refused
from bot.frontends.web.approval import DECIDED_BY
from bot.frontends.web.rendering import Renderer, field, see
from bot.frontends.web.sessions import Notice
from bot.replies.desk import Shown
from bot.replies.pictures import keep_picture, require_alt_text
from bot.replies.posts import Post, Posts

LONGEST_REASON = 500  # characters
UPLOAD = "/posts/{number}/picture"  # the place where a request may be as large as a picture
_TYPED = ("text", "at", "reason", "alt_text")  # fields that come back when something is wrong with one


class PostPage:
    """Shows one post and does what its forms ask for."""

    def __init__(self, renderer: Renderer, posts: Posts, pictures: Path, clock: Callable[[], datetime]) -> None:
        """`pictures` is the folder that pictures of posts are in."""
        self._renderer = renderer
        self._posts = posts
        self._pictures = pictures
        self._clock = clock

    def routes(self) -> list[web.AbstractRouteDef]:
        """Where this page is found."""
        return [
            web.get(r"/posts/{number:\d{1,18}}", self.show),
            web.post(r"/posts/{number:\d{1,18}}/edit", self.edit),
            web.post(r"/posts/{number:\d{1,18}}/later", self.later),
            web.post(r"/posts/{number:\d{1,18}}/refuse", self.refuse),
            web.post(r"/posts/{number:\d{1,18}}/delete", self.delete),
            web.post(r"/posts/{number:\d{1,18}}/picture", self.attach),
            web.get(r"/pictures/{name:[0-9a-f]{32}\.(?:png|jpg|webp)}", self.picture),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """The page."""
        return await self._page(request, dict.fromkeys(_TYPED, ""))

    async def edit(self, request: web.Request) -> web.Response:
        """Another text; the page then shows how it goes out."""
        return await self._after(request, self._edit(request), "/posts/{number}")

    async def later(self, request: web.Request) -> web.Response:
        """Approve it for a moment to come."""
        return await self._after(request, self._later(request), "/posts")

    async def refuse(self, request: web.Request) -> web.Response:
        """It will not go out."""
        return await self._after(request, self._refuse(request), "/posts")

    async def delete(self, request: web.Request) -> web.Response:
        """Take it back from X."""
        return await self._after(request, self._delete(request), "/posts/{number}")

    async def attach(self, request: web.Request) -> web.Response:
        """A picture, what is to be seen on it, or none any more."""
        return await self._after(request, self._attach(request), "/posts/{number}")

    async def picture(self, request: web.Request) -> web.StreamResponse:
        """A picture that goes with a post."""
        path = self._pictures / request.match_info["name"]
        if not path.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(path)

    async def _page(self, request: web.Request, typed: Mapping[str, str], problem: str = "") -> web.Response:
        post = await self._posts.post(_number(request))
        shown = Shown.of(post, tuple(await self._posts.parts(post.id)))
        zone, now = self._posts.zone_of(post.account), self._clock()
        response = await self._renderer.page(
            request,
            "post.html",
            shown=shown,
            post=post,
            is_waiting=shown.is_waiting(now),
            zone=zone.key,
            earliest=f"{(now + timedelta(minutes=1)).astimezone(zone):%Y-%m-%dT%H:%M}",
            typed=typed,
            problem=problem,
        )
        if problem:
            response.set_status(HTTPStatus.CONFLICT)
        return response

    async def _after(self, request: web.Request, deed: Awaitable[Notice], back_to: str) -> web.Response:
        """Show what came of it; where nothing did, the page with what was typed."""
        try:
            notice = await deed
        except MockingbirdError as error:
            return await self._page(request, {name: await _as_typed(request, name) for name in _TYPED}, str(error))
        self._renderer.session(request).notice = notice
        return see(back_to.format(number=_number(request)))

    async def _edit(self, request: web.Request) -> Notice:
        text = (await _as_typed(request, "text")).replace("\r\n", "\n")
        post = await self._posts.edit(_number(request), text, DECIDED_BY, seen=await field(request, "seen"))
        return Notice(f"Post {post.id} has the new text, and still waits for your yes.", is_problem=False)

    async def _later(self, request: web.Request) -> Notice:
        post = await self._posts.post(_number(request))
        at = self._posts.later(post.account, await field(request, "at"))
        await self._posts.approve(post.id, DECIDED_BY, at, seen=await field(request, "seen"))
        zone = self._posts.zone_of(post.account)
        when = at.astimezone(zone)
        return Notice(
            f"Post {post.id} is approved and goes out from {when.day} {when:%b %Y, %H:%M} ({zone.key}) on.",
            is_problem=False,
        )

    async def _refuse(self, request: web.Request) -> Notice:
        number, reason = _number(request), await field(request, "reason")
        if len(reason) > LONGEST_REASON:
            raise Refused(f"The reason has more than {LONGEST_REASON} characters. Shorten it.")
        await self._posts.refuse(number, DECIDED_BY, reason or None)
        return Notice(f"Post {number} is refused and will not go out.", is_problem=False)

    async def _delete(self, request: web.Request) -> Notice:
        number = _number(request)
        await self._posts.delete(number, DECIDED_BY)
        return Notice(f"Post {number} is taken back from X at the account's next turn.", is_problem=False)

    async def _attach(self, request: web.Request) -> Notice:
        """What was uploaded is kept before the words are looked at: a browser can't fill in a file again."""
        before = await self._posts.post(_number(request))
        form = await request.post()
        upload = form.get("picture")
        name = before.picture
        if form.get("step") == "remove":
            await self._keep(before, None, None)
            return Notice(f"Post {before.id} goes without a picture.", is_problem=False)
        if isinstance(upload, web.FileField) and upload.filename:
            name = await asyncio.to_thread(keep_picture, upload.file.read(), self._pictures)
            await self._keep(before, name, before.alt_text)
        if name is None:
            raise Refused("No picture was chosen. Choose a PNG, JPEG or WebP file.")
        await self._posts.attach(before.id, name, require_alt_text(await field(request, "alt_text")) or None)
        return Notice(f"Post {before.id} goes with this picture.", is_problem=False)

    async def _keep(self, before: Post, picture: str | None, alt_text: str | None) -> None:
        """In the place of the picture from before, of which nothing stays where no other post has it."""
        try:
            await self._posts.attach(before.id, picture, alt_text)
        finally:
            used = await self._posts.pictures()
            for name in {before.picture, picture} - used - {None}:
                (self._pictures / str(name)).unlink(missing_ok=True)


async def _as_typed(request: web.Request, name: str) -> str:
    """A field just as it was filled in."""
    value = (await request.post()).get(name, "")
    return value if isinstance(value, str) else ""


def _number(request: web.Request) -> int:
    return int(request.match_info["number"])
