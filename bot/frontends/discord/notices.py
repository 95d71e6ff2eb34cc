"""What the servers' log channels are told when it is noticed: posts that wait, and shares of X's cap that are spent.

Each once, over restarts; in whatever process it came about.
"""

from __future__ import annotations

import discord

from bot.frontends.discord import texts_servers as texts
from bot.frontends.discord.marks import Marks
from bot.frontends.discord.server_log import ServerLog
from bot.replies.posts import Posts
from bot.tweets.costs import Ledger

_POSTS_TOLD = "discord-posts-told"  # the mark: the newest post of which log channels were told
_COSTS_TOLD = "discord-costs-told"  # the mark: the month and the largest share of its cap


class Notices:
    """Looks, and tells what is new."""

    def __init__(self, posts: Posts, ledger: Ledger | None, marks: Marks, server_log: ServerLog) -> None:
        """`ledger` None: X is off, so nothing costs anything."""
        self._posts = posts
        self._ledger = ledger
        self._marks = marks
        self._server_log = server_log

    async def look(self, client: discord.Client) -> None:
        """Tell what came up since the last look."""
        await self._look_at_posts(client)
        if self._ledger is not None:
            await self._look_at_costs(client, self._ledger)

    async def _look_at_posts(self, client: discord.Client) -> None:
        waiting = await self._posts.waiting()
        newest = max((post.id for post in waiting), default=0)
        if newest > int(await self._marks.get(_POSTS_TOLD) or 0):
            await self._marks.set(_POSTS_TOLD, str(newest))
            await self._server_log.tell_all(client, texts.posts_wait(len(waiting)))

    async def _look_at_costs(self, client: discord.Client, ledger: Ledger) -> None:
        passed = await ledger.warnings()
        if not passed:
            return
        month = await ledger.month()
        of, _, told = (await self._marks.get(_COSTS_TOLD) or "").partition(" ")
        if of == month.month and float(told) >= passed[-1]:
            return
        await self._marks.set(_COSTS_TOLD, f"{month.month} {passed[-1]:g}")
        await self._server_log.tell_all(client, texts.share_spent(passed[-1], month.spent + month.under_way, month.cap))
