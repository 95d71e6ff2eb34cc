"""The person at the desk: looks at the list now and then, and remembers what was decided."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.errors import Refused
from bot.replies.post import Post, PostState
from bot.replies.posts import Posts
from tests.x_month.sentences import sentence

_WAKES, _SLEEPS = 7, 22  # hours of the day, UTC


@dataclass(frozen=True, slots=True)
class Approved:
    """What may stand on X."""

    account: str
    text: str
    at: datetime
    not_before: datetime | None = None


class Desk:
    """Somebody who decides, and what that was."""

    def __init__(self, posts: Posts, chance: random.Random) -> None:
        self._posts = posts
        self._chance = chance
        self._next: datetime | None = None
        self.approved: dict[int, Approved] = {}  # by the post's number
        self.refused: set[int] = set()
        self.taken_back: set[int] = set()  # numbers of posts that are to be deleted from X

    async def look(self, now: datetime, calm: bool) -> None:
        """Decide about what waits, if it is time to; what stands on X is taken back when it is calm, as people do."""
        if not _WAKES <= now.hour < _SLEEPS or (self._next and now < self._next):
            return
        self._next = now + timedelta(minutes=self._chance.uniform(20, 150))
        for post in await self._posts.waiting():
            await self._decide(post, now)
        if calm and self._chance.random() < 0.15:
            await self._take_back()

    async def _decide(self, post: Post, now: datetime) -> None:
        what = self._chance.random()
        if what < 0.72:
            await self._approve(post, now)
        elif what < 0.79:
            await self._approve(post, now, now + timedelta(minutes=self._chance.uniform(10, 400)))
        elif what < 0.90:
            await self._approve(await self._posts.edit(post.id, self._written(), "ann"), now)
        elif what < 0.95:
            await self._posts.refuse(post.id, "ann", "dull")
            self.refused.add(post.id)
        elif what < 0.97:
            await self._posts.another(post.id, "ann")
            self.refused.add(post.id)

    def _written(self) -> str:
        """What a person writes: one sentence, one with a link, or a long text."""
        what = self._chance.random()
        if what < 0.3:
            return sentence(self._chance)
        if what < 0.5:
            return f"{sentence(self._chance)} https://example.org/{self._chance.randrange(10**6)}"
        return " ".join(sentence(self._chance) for _ in range(self._chance.randint(5, 9)))

    async def _approve(self, post: Post, now: datetime, not_before: datetime | None = None) -> None:
        approved = await self._posts.approve(post.id, "ann", not_before)
        self.approved[post.id] = Approved(approved.account, approved.text, now, not_before)

    async def _take_back(self) -> None:
        sent = [post for post in await self._posts.recent(60) if post.state is PostState.SENT]
        if sent:
            number = self._chance.choice(sent).id
            try:
                await self._posts.delete(number, "ann")
            except Refused:  # it has gone meanwhile
                return
            self.taken_back.add(number)
