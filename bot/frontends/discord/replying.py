"""/reply and "Answer as…": a persona answers any text or message. What others wrote is data for that one answer, and
kept nowhere; nobody is pinged, and whoever wants no answers gets none.
"""

from __future__ import annotations

import asyncio
from typing import Any

import discord

from bot.errors import DiscordError, Refused
from bot.frontends.discord import texts, texts_replies
from bot.frontends.discord.answers import AnswerDesk, Wish
from bot.frontends.discord.asking import asked_by
from bot.frontends.discord.failures import Failures
from bot.frontends.discord.forms import Form
from bot.frontends.discord.lasting import TROUBLE
from bot.frontends.discord.message_links import link_in, linked_message, require_writing
from bot.generation.draft import Drafts
from bot.personas.name import display_name
from bot.replies.conversation import Conversation
from bot.replies.drafting import Wanted, said_of
from bot.replies.incoming import Platform
from bot.shelf.shelf import Shelf

_LONGEST_LABEL = 100  # characters of an option


class AnswerAsForm(Form):
    """Asks who shall answer a message."""

    def __init__(self, desk: ReplyDesk, message: discord.Message, personas: list[str], more: bool) -> None:
        """`personas` are offered, the first unless another is chosen; `more`: there are others."""
        super().__init__("Answer as…")
        self._desk = desk
        self._message = message
        options = [
            discord.SelectOption(label=display_name(name)[:_LONGEST_LABEL], value=name, default=name == personas[0])
            for name in personas
        ]
        self._who: discord.ui.Select[Any] = discord.ui.Select(custom_id="persona", options=options)
        description = texts_replies.MANY_PERSONAS if more else None
        self.add_item(discord.ui.Label(text="Who answers?", description=description, component=self._who))

    async def filled_in(self, interaction: discord.Interaction[Any]) -> None:
        """Let that persona answer."""
        await self._desk.answer_as(interaction, self._message, self._who.values[0])


class ReplyDesk:
    """Has a persona answer what somebody points at."""

    def __init__(self, conversation: Conversation, shelf: Shelf, answers: AnswerDesk, failures: Failures) -> None:
        self._conversation = conversation
        self._shelf = shelf
        self._answers = answers
        self._failures = failures

    async def reply(self, interaction: discord.Interaction[Any], text: str, persona: str | None) -> None:
        """Answer the text here; where it is a link, the message that it leads to, there."""
        link = link_in(text)
        if link is None:
            await interaction.response.defer()
            await self._answer_text(interaction, text, persona)
            return
        await interaction.response.defer(ephemeral=True)
        message = await linked_message(interaction, *link)
        await self._require_answerable(message, texts_replies.UNREADABLE)
        await self._answer_message(interaction, message, persona)

    async def ask_who(self, interaction: discord.Interaction[Any], message: discord.Message) -> None:
        """Show a form with the personas, this channel's first."""
        require_writing(interaction, message.channel.id, interaction.permissions, interaction.app_permissions)
        await self._require_answerable(message, texts_replies.NO_WORDS)
        names = await asyncio.to_thread(self._shelf.personas)
        if not names:
            raise Refused(texts_replies.NOBODY_YET)
        here = await self._conversation.persona_here(asked_by(interaction))
        names.sort(key=lambda name: name != here)
        offered = names[: texts.MOST_LISTED]
        await AnswerAsForm(self, message, offered, more=len(names) > len(offered)).show(interaction)

    async def answer_as(self, interaction: discord.Interaction[Any], message: discord.Message, persona: str) -> None:
        """Answer the message as that persona."""
        try:
            await interaction.response.defer(ephemeral=True, thinking=True)
            await self._require_answerable(message, texts_replies.NO_WORDS)  # the author may have opted out meanwhile
            await self._answer_message(interaction, message, persona)
        except Exception as error:  # noqa: BLE001 - the edge: nothing above would tell the person
            await self._failures.tell(interaction, error)

    async def _answer_text(self, interaction: discord.Interaction[Any], text: str, persona: str | None) -> None:
        incoming, wanted = asked_by(interaction), Wanted(persona, about=text)
        drafts = await self._conversation.drafts(incoming, wanted)
        first, *more = texts_replies.answer_to(text, drafts)
        # What was asked is nowhere, so nothing else can answer it.
        view = self._answers.buttons(interaction.id, without=(Wish.ANOTHER,))
        ids = [str((await interaction.edit_original_response(content=first, view=view)).id)]
        said = said_of(drafts, ids, wanted)
        await self._conversation.delivered(incoming, *ids, said=said)
        for piece in more:
            ids.append(str((await interaction.followup.send(piece, wait=True)).id))
            await self._conversation.delivered(incoming, *ids, said=said)

    async def _answer_message(
        self, interaction: discord.Interaction[Any], message: discord.Message, persona: str | None
    ) -> None:
        incoming, wanted = asked_by(interaction), Wanted(persona, about=message.clean_content)
        drafts = await self._conversation.drafts(incoming, wanted)
        sent = await _send(message, drafts, str(interaction.id), self._answers.buttons(message.id))
        ids = [str(each.id) for each in sent]
        await self._conversation.delivered(incoming, *ids, said=said_of(drafts, ids[:1], wanted))
        await interaction.edit_original_response(content=texts_replies.answered(sent[0].jump_url))

    async def _require_answerable(self, message: discord.Message, no_words: str) -> None:
        """Raises `Refused` for what bots and Discord itself say, for people who want no answers, and without words."""
        if message.author.bot or message.webhook_id is not None or message.is_system():
            raise Refused(texts_replies.NOT_A_PERSONS)
        if await self._conversation.opt_outs.has(Platform.DISCORD, str(message.author.id)):
            raise Refused(texts_replies.OPTED_OUT)
        if not message.content.strip():
            raise Refused(no_words)


async def _send(message: discord.Message, drafts: Drafts, nonce: str, view: discord.ui.View) -> list[discord.Message]:
    """The messages of a reply, which pings nobody. Discord posts one nonce once. Raises `DiscordError`."""
    first, *more = texts_replies.answer(drafts)
    try:
        sent = [await message.reply(first, nonce=nonce, view=view, mention_author=False, suppress_embeds=True)]
        for number, piece in enumerate(more, start=2):
            sent.append(await message.channel.send(piece, nonce=f"{nonce}-{number}", suppress_embeds=True))
    except TROUBLE as trouble:
        raise DiscordError(texts_replies.NOT_TAKEN) from trouble
    return sent
