"""`/posts`: what waits for a person's yes or no, and what became of the rest."""

from __future__ import annotations

from aiohttp import web

from bot.frontends.web.rendering import Renderer, field
from bot.frontends.web.sessions import Notice
from bot.replies.posts import Post, Posts, PostState
from bot.shelf.shelf import Shelf

DECIDED_BY = "web"


class ApprovalPage:
    """Shows posts and takes decisions about them."""

    def __init__(self, renderer: Renderer, posts: Posts, shelf: Shelf) -> None:
        self._renderer = renderer
        self._posts = posts
        self._shelf = shelf

    def routes(self) -> list[web.AbstractRouteDef]:
        """Where this page is found."""
        return [
            web.get("/posts", self.show),
            web.post("/posts", self.propose),
            web.post(r"/posts/{number:\d{1,18}}/{decision:approve|refuse}", self.decide),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """The page."""
        recent = [post for post in await self._posts.recent() if post.state is not PostState.DRAFTED]
        waiting = await self._posts.waiting()
        personas = self._shelf.personas()
        return await self._renderer.page(request, "posts.html", waiting=waiting, recent=recent, personas=personas)

    async def decide(self, request: web.Request) -> web.Response:
        """Approve or refuse one post."""
        return await self._renderer.after(request, self._decide(request), "/posts")

    async def propose(self, request: web.Request) -> web.Response:
        """Have a persona write a post for the list."""
        return await self._renderer.after(request, self._propose(request), "/posts")

    async def _decide(self, request: web.Request) -> Notice:
        number = int(request.match_info["number"])
        if request.match_info["decision"] == "approve":
            await self._posts.approve(number, DECIDED_BY)
            return Notice(f"Post {number} is approved and goes out in its turn.", is_problem=False)
        await self._posts.refuse(number, DECIDED_BY)
        return Notice(f"Post {number} is refused and will not go out.", is_problem=False)

    async def _propose(self, request: web.Request) -> Notice:
        persona = await field(request, "persona")
        post: Post = await self._posts.propose(self._posts.account_of(persona), persona)
        return Notice(f"{post.persona} wrote post {post.id}.", is_problem=False)
