"""What stands under each answer: buttons for more of it, where it comes from, deleting it, sending it to X. And votes.

Discord's message is what a button is about; what it says is looked up among the answers. So a button works after a
restart, and for as long as the answer is known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, Self

import discord
import structlog

from bot.errors import Refused, UnknownVersion
from bot.frontends.discord import texts, texts_answers
from bot.frontends.discord.asking import asked_by
from bot.frontends.discord.context import said_before
from bot.frontends.discord.failures import Failures, say_privately
from bot.frontends.discord.lasting import TROUBLE
from bot.frontends.discord.mentions import without_mention
from bot.frontends.discord.rights import Rights, moderates
from bot.frontends.discord.served import Served
from bot.generation.draft import Drafts
from bot.replies.addressing import addressed_persona
from bot.replies.answers import Kept, beginning_of, vote_of
from bot.replies.conversation import Conversation
from bot.replies.drafting import Wanted, said_of
from bot.replies.incoming import Incoming, Platform
from bot.replies.posts import Posts
from bot.replies.servers import Action
from bot.shelf.shelf import Shelf

_MORE = 3  # drafts
_MOST_IN_DIGEST = 5
_LOOKED_THROUGH = 50  # of the best, to find some that everybody may see

log = structlog.get_logger(__name__)


class Wish(StrEnum):
    """What a button under an answer does."""

    ANOTHER = "another"
    MORE = "more"
    ORIGINAL = "original"
    DELETE = "delete"
    POST = "post"


_LABELS = {
    Wish.ANOTHER: "Another",
    Wish.MORE: "More like this",
    Wish.ORIGINAL: "Original?",
    Wish.DELETE: "Delete",
    Wish.POST: "Send to X",
}


class AnswerButton(
    Served,
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"answer:(?P<wish>another|more|original|delete|post):(?P<about>[0-9]+)",
):
    """One wish about the message that it stands under; `about` is the id of the message that that answers, or 0."""

    def __init__(self, wish: Wish, about: int) -> None:
        style = discord.ButtonStyle.danger if wish is Wish.DELETE else discord.ButtonStyle.secondary
        super().__init__(discord.ui.Button(label=_LABELS[wish], style=style, custom_id=f"answer:{wish}:{about}"))
        self.wish = wish
        self.about = about

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that somebody has pressed."""
        return cls(Wish(match["wish"]), int(match["about"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand over to the desk of the client that heard of it."""
        interaction.client.replies.join()
        desk: AnswerDesk = interaction.client.desks.answers
        await desk.press(interaction, self.wish, self.about)


class AnswerDesk:
    """Shows drafts with buttons, does what the buttons say, and counts votes."""

    def __init__(
        self, conversation: Conversation, shelf: Shelf, posts: Posts, rights: Rights, failures: Failures, on_x: bool
    ) -> None:
        """`on_x`: whether something can be sent to X."""
        self._conversation = conversation
        self._shelf = shelf
        self._posts = posts
        self._rights = rights
        self._failures = failures
        self._on_x = on_x

    def buttons(self, about: int = 0, *, without: Sequence[Wish] = ()) -> discord.ui.View:
        """What stands under a message of ours that answers the message `about`, or none; `without` some of it."""
        view = discord.ui.View(timeout=None)
        for wish in Wish:
            if wish not in without and (wish is not Wish.POST or self._on_x):
                view.add_item(AnswerButton(wish, about))
        return view

    async def show(self, interaction: discord.Interaction[Any], wanted: Wanted, drafts: Drafts, about: int = 0) -> None:
        """The answer to a deferred command or button: each draft in a message of its own, so that each can be answered,
        voted for and deleted by itself. Each is on record as soon as it is sent, whatever happens to the next.
        """
        asked, ids = asked_by(interaction), list[str]()
        for piece in texts.drafts(drafts):
            view, first = self.buttons(about), not ids
            try:
                if first:
                    sent: discord.Message = await interaction.edit_original_response(content=piece, view=view)
                else:
                    sent = await interaction.followup.send(piece, view=view, wait=True)
            except TROUBLE as trouble:
                if first:
                    raise
                log.warning("discord took some drafts only", interaction_id=interaction.id, trouble=str(trouble))
                return  # an error would be told in the place of the first
            ids.append(str(sent.id))
            await self._conversation.delivered(asked, *ids, said=said_of(drafts, ids, wanted))

    async def press(self, interaction: discord.Interaction[Any], wish: Wish, about: int) -> None:
        """Do what a button says about the message that it stands under."""
        try:
            message = interaction.message
            kept = await self._conversation.answers.find(Platform.DISCORD, str(message.id)) if message else None
            if wish is Wish.DELETE:
                await self._delete(interaction)
            elif kept is None:
                await say_privately(interaction, texts_answers.UNKNOWN)
            elif wish is Wish.ANOTHER:
                await self._another(interaction, kept, about)
            elif wish is Wish.MORE:
                await self._more(interaction, kept)
            elif wish is Wish.ORIGINAL:
                await say_privately(interaction, texts_answers.original(kept, is_reply=about != 0))
            else:
                await self._post(interaction, kept)
        except Exception as error:  # noqa: BLE001 - the edge: nothing above would tell the person
            await self._failures.tell(interaction, error)

    async def vote(self, payload: discord.RawReactionActionEvent) -> None:
        """Count a reaction, or take it back. What people who have opted out think is not kept."""
        emoji = payload.emoji.name if payload.emoji.is_unicode_emoji() else ""
        if not emoji or not vote_of(emoji) or (payload.member is not None and payload.member.bot):
            return
        answers, voter = self._conversation.answers, str(payload.user_id)
        if payload.event_type == "REACTION_REMOVE":
            await answers.take_back(Platform.DISCORD, str(payload.message_id), voter, emoji)
        elif not await self._conversation.opt_outs.has(Platform.DISCORD, voter):
            await answers.vote(Platform.DISCORD, str(payload.message_id), voter, emoji)

    async def gone(self, message_id: int) -> None:
        """Forget what a deleted message said. Most that are deleted aren't ours: looking first saves a write."""
        if await self._conversation.answers.find(Platform.DISCORD, str(message_id)) is not None:
            await self._conversation.answers.remove(Platform.DISCORD, str(message_id))

    async def digest(self, interaction: discord.Interaction[Any], days: int) -> None:
        """Show what this server liked best."""
        await interaction.response.defer()
        server = str(interaction.guild_id)
        best = await self._conversation.answers.best(Platform.DISCORD, server, days, _LOOKED_THROUGH)
        seen = [kept for kept in best if _may_be_shown(interaction, int(kept.channel_id))][:_MOST_IN_DIGEST]
        first, *more = texts.pieces(texts_answers.digest(seen, days))
        await interaction.edit_original_response(content=first)
        for piece in more:
            await interaction.followup.send(piece, suppress_embeds=True)

    async def _another(self, interaction: discord.Interaction[Any], kept: Kept, about: int) -> None:
        await interaction.response.defer(thinking=True)
        asked, said = asked_by(interaction), kept.said
        wanted = Wanted(
            said.persona, self._version(kept), start=said.start, temperature=said.temperature, top_p=said.top_p
        )
        question = await self._question(interaction, about)
        if question is not None:
            wanted = replace(wanted, about=question.text)
            asked = replace(asked, thread=question.thread)
        drafts = await self._conversation.drafts(asked, wanted)
        await self.show(interaction, wanted, drafts, about if question else 0)

    async def _more(self, interaction: discord.Interaction[Any], kept: Kept) -> None:
        await interaction.response.defer(thinking=True)
        wanted = Wanted(kept.said.persona, self._version(kept), beginning_of(kept.said.text), count=_MORE)
        await self.show(interaction, wanted, await self._conversation.drafts(asked_by(interaction), wanted))

    async def _delete(self, interaction: discord.Interaction[Any]) -> None:
        """By the interaction's own token, which needs no permission, for a message in costume neither."""
        number, user = str(interaction.message.id) if interaction.message else "", interaction.user
        if not moderates(interaction) and not await self._conversation.answers.is_for(
            Platform.DISCORD, number, str(user.id)
        ):
            await say_privately(interaction, texts_answers.NOT_YOURS)
            return
        await interaction.response.defer()
        await interaction.delete_original_response()
        await self._conversation.answers.remove(Platform.DISCORD, number)

    async def _post(self, interaction: discord.Interaction[Any], kept: Kept) -> None:
        await self._rights.require(interaction, Action.POST)
        if not self._on_x:  # it was when the button was shown
            raise Refused("X is switched off here, so nothing is sent there.")
        said = kept.said
        account, by = self._posts.account_of(said.persona), f"discord:{interaction.user.id}"
        post = await self._posts.submit(account, said.persona, said.version, said.seed, said.text, said.novelty, by)
        await say_privately(interaction, texts_answers.submitted(post.id))

    def _version(self, kept: Kept) -> str | None:
        """The version that said it; None, which is the one in use, where it was deleted since."""
        try:
            return self._shelf.version(kept.said.persona, kept.said.version).version
        except UnknownVersion:
            return None

    async def _question(self, interaction: discord.Interaction[Any], about: int) -> Incoming | None:
        """What was answered, with what was said before it; None where it can't be read any more, or its author has
        opted out.
        """
        channel, bot_id = interaction.channel, interaction.client.user.id if interaction.client.user else 0
        if not about or not isinstance(channel, discord.abc.Messageable):
            return None
        try:
            message = await channel.fetch_message(about)
        except TROUBLE:
            return None
        _, text = addressed_persona(without_mention(bot_id, message.content), self._shelf.personas())
        if not text or await self._conversation.opt_outs.has(Platform.DISCORD, str(message.author.id)):
            return None
        thread = await said_before(message, self._conversation, bot_id)
        return replace(asked_by(interaction), text=text, thread=thread)


def _may_be_shown(interaction: discord.Interaction[Any], channel_id: int) -> bool:
    """Whether what was said in that channel may be shown in this one: it is the same, or everybody may see it."""
    if channel_id == interaction.channel_id:
        return True
    guild = interaction.guild
    channel = guild.get_channel_or_thread(channel_id) if guild else None
    if isinstance(channel, discord.Thread) and channel.is_private():
        return False
    return channel is not None and guild is not None and channel.permissions_for(guild.default_role).view_channel
