"""The forms of /queue: another text, a time, a reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import discord

from bot.errors import Refused
from bot.frontends.discord import texts_approvals as texts
from bot.frontends.discord.forms import Form
from bot.replies.posts import Post, Posts

_LONGEST = 4000  # characters of a field
_LONGEST_REASON = 500
_LONGEST_TIME = 40

Desk = Callable[[discord.Interaction[Any], "DecisionForm"], Awaitable[None]]


class DecisionForm(Form):
    """A form about one post, with one field."""

    def __init__(self, desk: Desk, title: str, post: Post, seen: str) -> None:
        """`seen` is the fingerprint of the post as it was shown."""
        super().__init__(title)
        self._desk = desk
        self.number = post.id
        self.seen = seen
        self._field: discord.ui.TextInput[Any] | None = None

    @property
    def typed(self) -> list[str]:
        """What was filled in."""
        return [self.text]

    @property
    def text(self) -> str:
        """What stands in the field."""
        return self._field.value if self._field is not None else ""

    def ask(self, label: str, field: discord.ui.TextInput[Any], description: str | None = None) -> None:
        """Show this field."""
        self._field = field
        self.add_item(discord.ui.Label(text=label, description=description, component=field))

    async def filled_in(self, interaction: discord.Interaction[Any]) -> None:
        """Hand over to the desk."""
        await self._desk(interaction, self)

    async def decide(self, posts: Posts, who: discord.abc.User) -> tuple[int | None, str]:
        """Do it; the post to look at next, None for the first that waits, and what happened. Raises `Refused`."""
        raise NotImplementedError


class EditForm(DecisionForm):
    """Another text."""

    def __init__(self, desk: Desk, post: Post, seen: str, zone: str) -> None:
        super().__init__(desk, f"Edit post {post.id}", post, seen)
        if len(post.text) > _LONGEST:
            raise Refused(texts.TOO_LONG_FOR_A_FORM)
        style = discord.TextStyle.paragraph
        field = discord.ui.TextInput[Any](custom_id="text", style=style, default=post.text, max_length=_LONGEST)
        self.ask("Text", field, "What is longer than 280 becomes a thread.")

    async def decide(self, posts: Posts, who: discord.abc.User) -> tuple[int | None, str]:
        """The post still waits, with this text."""
        await posts.edit(self.number, self.text, f"discord:{who.id}", seen=self.seen)
        return self.number, texts.edited(who.mention, self.number)


class LaterForm(DecisionForm):
    """A moment to come."""

    def __init__(self, desk: Desk, post: Post, seen: str, zone: str) -> None:
        super().__init__(desk, f"Approve post {post.id} for later", post, seen)
        self._account = post.account
        field = discord.ui.TextInput[Any](
            custom_id="at", placeholder="18:05, or 2026-11-30 18:05", max_length=_LONGEST_TIME
        )
        self.ask("When", field, f"In the account's time zone, {zone}."[:100])

    async def decide(self, posts: Posts, who: discord.abc.User) -> tuple[int | None, str]:
        """It is approved and goes out from then on."""
        at = posts.later(self._account, self.text)
        return None, texts.approved(
            who.mention, await posts.approve(self.number, f"discord:{who.id}", at, seen=self.seen)
        )


class RefuseForm(DecisionForm):
    """Why it is refused."""

    def __init__(self, desk: Desk, post: Post, seen: str, zone: str) -> None:
        super().__init__(desk, f"Refuse post {post.id}", post, seen)
        style = discord.TextStyle.paragraph
        field = discord.ui.TextInput[Any](custom_id="reason", style=style, required=False, max_length=_LONGEST_REASON)
        self.ask("Why", field, "Kept with the post. You may leave it empty.")

    async def decide(self, posts: Posts, who: discord.abc.User) -> tuple[int | None, str]:
        """It will not go out."""
        reason = self.text.strip() or None
        return None, texts.refused(who.mention, await posts.refuse(self.number, f"discord:{who.id}", reason))
