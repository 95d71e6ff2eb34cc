"""/queue: the posts that wait for approval, one at a time, with buttons that work for ever and for the right people.

A button knows the post and the fingerprint of what was shown: who approves has seen exactly what goes out.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Self

import discord

from bot.errors import Refused
from bot.frontends.discord import texts_approvals as texts
from bot.frontends.discord.approval_forms import DecisionForm, EditForm, LaterForm, RefuseForm
from bot.frontends.discord.failures import Failures, say_privately
from bot.frontends.discord.rights import Rights
from bot.frontends.discord.served import Served
from bot.frontends.discord.texts import pieces
from bot.replies.desk import Shown
from bot.replies.posts import Post, Posts, PostState
from bot.replies.servers import Action
from bot.tweets.costs import Ledger, dollars

_MOST_LISTED = 25  # options of a menu


class Wish(StrEnum):
    """What a button under a post does."""

    APPROVE = "yes"
    EDIT = "edit"
    LATER = "later"
    ANOTHER = "another"
    REFUSE = "no"
    DELETE = "delete"  # ask whether it is meant
    SURELY = "surely"  # it is
    SHOW = "show"


_FORMS = {Wish.EDIT: EditForm, Wish.LATER: LaterForm, Wish.REFUSE: RefuseForm}
_STYLES = {Wish.APPROVE: discord.ButtonStyle.success, Wish.SURELY: discord.ButtonStyle.danger}


class DecisionButton(
    Served,
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"post:(?P<number>[0-9]{1,18}):(?P<wish>yes|no|edit|later|another|delete|surely|show)(?::(?P<seen>\w*))?",
):
    """One wish about one post. Everything it knows stands in its custom id, so it outlives the process."""

    def __init__(self, number: int, wish: Wish, seen: str = "", label: str = "…", row: int | None = None) -> None:
        style = _STYLES.get(wish, discord.ButtonStyle.secondary)
        custom_id = f"post:{number}:{wish}:{seen}"
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=custom_id, row=row))
        self.number = number
        self.wish = wish
        self.seen = seen  # fingerprint of the post as it was shown

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that somebody has pressed."""
        return cls(int(match["number"]), Wish(match["wish"]), match["seen"] or "")

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand over to the desk of the client that heard of it."""
        interaction.client.replies.join()
        desk: ApprovalDesk = interaction.client.desks.approvals
        await desk.press(interaction, self.number, self.wish, self.seen)


class PostMenu(Served, discord.ui.DynamicItem[discord.ui.Select[discord.ui.View]], template=r"posts:choose"):
    """Other posts to look at: those that wait, and the newest of the rest."""

    def __init__(self, waiting: Sequence[Post] = (), decided: Sequence[Post] = ()) -> None:
        listed = [(post, True) for post in waiting] + [(post, False) for post in decided]
        options = [
            discord.SelectOption(label=texts.option(post, is_waiting), value=str(post.id))
            for post, is_waiting in listed[:_MOST_LISTED]
        ]
        super().__init__(
            discord.ui.Select(custom_id="posts:choose", placeholder="Look at another post", options=options, row=2)
        )

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The menu that somebody has used."""
        return cls()

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand over to the desk of the client that heard of it."""
        interaction.client.replies.join()
        desk: ApprovalDesk = interaction.client.desks.approvals
        await desk.press(interaction, int(self.item.values[0]), Wish.SHOW, "")


class ApprovalDesk:
    """Shows the list and takes decisions."""

    def __init__(self, posts: Posts, ledger: Ledger | None, rights: Rights, failures: Failures) -> None:
        """`ledger` None: X is off, so nothing costs anything."""
        self._posts = posts
        self._ledger = ledger
        self._rights = rights
        self._failures = failures

    async def show(self, interaction: discord.Interaction[Any]) -> None:
        """Show what waits. Raises `NotPermitted`."""
        await self._rights.require(interaction, Action.POST)
        await interaction.response.defer()
        await self._render(interaction)

    async def press(self, interaction: discord.Interaction[Any], number: int, wish: Wish, seen: str) -> None:
        """Do what a button says, if the person may."""
        try:
            await self._rights.require(interaction, Action.POST)
            if wish in _FORMS:
                await self._ask(interaction, number, wish, seen)
                return
            await interaction.response.defer()
            if wish in (Wish.SHOW, Wish.DELETE):
                await self._render(interaction, look_at=number, is_asked=wish is Wish.DELETE)
                return
            look_at, verdict = await self._verdict(interaction.user, number, wish, seen)
            await self._render(interaction, verdict, look_at)
        except Exception as error:  # noqa: BLE001 - the edge: nothing above would tell the person
            await self._failures.tell(interaction, error)

    async def filled_in(self, interaction: discord.Interaction[Any], form: DecisionForm) -> None:
        """Do what a form says, if the person still may; who filled it in for nothing gets it back."""
        try:
            await self._rights.require(interaction, Action.POST)
            await interaction.response.defer()
            look_at, verdict = await form.decide(self._posts, interaction.user)
        except Refused as error:
            await self._failed(interaction, form, error)
        except Exception as error:  # noqa: BLE001 - the edge: nothing above would tell the person
            await self._failures.tell(interaction, error)
        else:
            await self._render(interaction, verdict, look_at)

    async def _failed(self, interaction: discord.Interaction[Any], form: DecisionForm, error: Refused) -> None:
        await say_privately(interaction, texts.not_taken(str(error), form.typed))
        await self._render(interaction, look_at=form.number)

    async def _ask(self, interaction: discord.Interaction[Any], number: int, wish: Wish, seen: str) -> None:
        post = await self._posts.post(number)
        may = (PostState.DRAFTED, PostState.APPROVED) if wish is Wish.REFUSE else (PostState.DRAFTED,)
        if post.state not in may:
            await interaction.response.defer()
            await self._render(interaction, f"Post {number} is {post.state} already, so nothing was changed.", number)
            return
        zone = self._posts.zone_of(post.account).key
        await _FORMS[wish](self.filled_in, post, seen, zone).show(interaction)

    async def _verdict(self, who: discord.abc.User, number: int, wish: Wish, seen: str) -> tuple[int | None, str]:
        """The post to look at next, None for the first that waits, and what happened."""
        by = f"discord:{who.id}"
        try:
            if wish is Wish.APPROVE:
                return None, texts.approved(who.mention, await self._posts.approve(number, by, seen=seen))
            if wish is Wish.ANOTHER:
                new = await self._posts.another(number, by)
                return new.id, texts.replaced(who.mention, number, new.id)
            await self._posts.delete(number, by)
            return number, texts.deleting(who.mention, number)
        except Refused as error:  # somebody was quicker
            return number, str(error)

    async def _render(
        self,
        interaction: discord.Interaction[Any],
        verdict: str = "",
        look_at: int | None = None,
        is_asked: bool = False,
    ) -> None:
        """Show one post; `is_asked`: with the question whether it is really to be deleted."""
        waiting = await self._posts.waiting()
        post = await self._posts.post(look_at) if look_at is not None else next(iter(waiting), None)
        others, rest = [
            [each for each in group if each != post] for group in (waiting, await self._posts.decided(_MOST_LISTED))
        ]
        shown = Shown.of(post, tuple(await self._posts.parts(post.id))) if post is not None else None
        view = self._buttons(shown, waiting, is_asked) if shown else discord.ui.View(timeout=None)
        if others or rest:
            view.add_item(PostMenu(others, rest))
        content = texts.queue(shown, len(waiting), verdict)
        if shown and shown.can_be_refused and not shown.taken and self._ledger is not None:
            month, cap = await self._ledger.month_total(), self._ledger.monthly_budget
            content += f"\n{texts.price(shown, self._ledger.prices, month, cap)}"
        content += f"\n{texts.SURELY}" if is_asked else ""
        buttons = view if view.children else None
        await interaction.edit_original_response(content=pieces(content)[0], view=buttons, attachments=_files(shown))

    def _buttons(self, shown: Shown, waiting: list[Post], is_asked: bool) -> discord.ui.View:
        view, number, seen = discord.ui.View(timeout=None), shown.post.id, shown.post.fingerprint

        def add(wish: Wish, label: str, about: int = number, row: int = 0) -> None:
            view.add_item(DecisionButton(about, wish, seen if about == number else "", label, row))

        ids = [each.id for each in waiting]
        if number in ids:
            add(Wish.APPROVE, f"Approve {number}")
            add(Wish.EDIT, "Edit")
            add(Wish.LATER, "Later")
            add(Wish.ANOTHER, "Another")
        if number in ids or (shown.can_be_refused and shown.post.state is PostState.APPROVED):
            add(Wish.REFUSE, f"Refuse {number}")
        if is_asked and shown.can_be_deleted and self._ledger is not None:
            price = dollars(self._ledger.prices.post_delete * shown.standing)
            add(Wish.SURELY, f"Delete {number} for {price}")
            add(Wish.SHOW, "Keep it")
        elif shown.can_be_deleted and self._ledger is not None:
            add(Wish.DELETE, f"Delete {number} from X")
        before, after = [each for each in ids if each < number], [each for each in ids if each > number]
        if before:
            add(Wish.SHOW, "◀", before[-1], row=1)
        if after:
            add(Wish.SHOW, "▶", after[0], row=1)
        return view


def _files(shown: Shown | None) -> list[discord.File]:
    """The whole text, where the message has only its beginning."""
    if shown is None or not texts.is_cut(shown):
        return []
    return [discord.File(io.BytesIO(texts.in_full(shown).encode()), f"post-{shown.post.id}.txt")]
