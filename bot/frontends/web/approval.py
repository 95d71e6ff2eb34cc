"""`/posts`: what waits for a person's yes or no, of all accounts, and what became of the rest."""

from __future__ import annotations

from aiohttp import web

from bot.frontends.web.rendering import Renderer, field
from bot.frontends.web.sessions import Notice
from bot.replies.desk import Shown
from bot.replies.posts import Post, Posts, PostState
from bot.shelf.shelf import Shelf

DECIDED_BY = "web"


class ApprovalPage:
    """Shows posts and takes the decisions that need no more than a button."""

    def __init__(self, renderer: Renderer, posts: Posts, shelf: Shelf) -> None:
        self._renderer = renderer
        self._posts = posts
        self._shelf = shelf

    def routes(self) -> list[web.AbstractRouteDef]:
        """Where this page is found."""
        return [
            web.get("/posts", self.show),
            web.post("/posts", self.propose),
            web.post(r"/posts/{number:\d{1,18}}/{decision:approve|another}", self.decide),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """The page."""
        return await self._renderer.page(
            request,
            "posts.html",
            waiting=[Shown.of(post) for post in await self._posts.waiting()],
            decided=[Shown.of(post) for post in await self._posts.decided()],
            ranking=await self._posts.ranking(),
            personas=self._shelf.personas(),
            accounts=self._posts.accounts,
        )

    async def decide(self, request: web.Request) -> web.Response:
        """Approve one post, or have another draft take its place."""
        return await self._renderer.after(request, self._decide(request), "/posts")

    async def propose(self, request: web.Request) -> web.Response:
        """Have a persona write a post for the list."""
        return await self._renderer.after(request, self._propose(request), "/posts")

    async def _decide(self, request: web.Request) -> Notice:
        number = int(request.match_info["number"])
        if request.match_info["decision"] == "another":
            new = await self._posts.another(number, DECIDED_BY)
            return Notice(f"Post {new.id} has taken the place of post {number}.", is_problem=False)
        await self._posts.approve(number, DECIDED_BY, seen=await field(request, "seen"))
        return Notice(f"Post {number} is approved and goes out in its turn.", is_problem=False)

    async def _propose(self, request: web.Request) -> Notice:
        persona = await field(request, "persona")
        account = await field(request, "account") or self._posts.account_of(persona)
        post: Post = await self._posts.propose(account, persona)
        goes_out = " It goes out at its account's next turn." if post.state is PostState.APPROVED else ""
        return Notice(f"{post.persona} wrote post {post.id}.{goes_out}", is_problem=False)
