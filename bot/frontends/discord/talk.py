"""Mentions, /tweet and /replay: what people say to the bot, and what it says back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import discord
import structlog

from bot.errors import MockingbirdError
from bot.frontends.discord import texts
from bot.frontends.discord.answers import AnswerDesk
from bot.frontends.discord.asking import asked_by, said_in
from bot.frontends.discord.context import said_before
from bot.frontends.discord.costume import LONGEST_IN_COSTUME, Costumes
from bot.frontends.discord.failures import Failures
from bot.frontends.discord.lasting import TROUBLE
from bot.frontends.discord.mentions import replied_in_costume
from bot.frontends.discord.steady import PATIENCE_S, steadily
from bot.generation.draft import Drafts
from bot.replies.conversation import Answer, Conversation
from bot.replies.drafting import Wanted, said_of
from bot.replies.incoming import Incoming, Platform

# A message that was answered before is silent, typing included, and is recognised sooner than this.
_TYPING_AFTER = 0.1  # seconds

_ONLY_THE_AUTHOR = discord.AllowedMentions(everyone=False, users=False, roles=False, replied_user=True)

log = structlog.get_logger(__name__)


class Talk:
    """Hands over what was said to the conversation, and its answers to Discord."""

    def __init__(
        self,
        conversation: Conversation,
        answers: AnswerDesk,
        costumes: Costumes,
        failures: Failures,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`patience_s`: for so long an answer is sent again while Discord fails."""
        self._conversation = conversation
        self._answers = answers
        self._costumes = costumes
        self._failures = failures
        self._patience_s = patience_s

    async def said_to_a_costume(self, message: discord.Message) -> str | None:
        """What a message says to one of our personas by replying to it; None where it does not."""
        text = replied_in_costume(message)
        if text is None or message.reference is None:
            return None
        kept = await self._conversation.answers.find(Platform.DISCORD, str(message.reference.message_id))
        return text if kept else None

    async def answer(self, message: discord.Message, text: str, bot_id: int) -> None:
        """Reply to a message that says `text` to the bot, unless it was answered before."""
        incoming = said_in(message, text)
        try:
            async with _typing(message.channel):
                incoming = said_in(message, text, await said_before(message, self._conversation, bot_id))
                answer = await self._conversation.answer(incoming)
        except MockingbirdError as error:
            await self._reply(message, str(error), "-no")
        except Exception as error:  # noqa: BLE001 - whatever it is, the person gets a sentence, the log the rest
            await self._reply(message, self._failures.sentence(error, message_id=message.id), "-no")
        else:
            if answer is not None:
                await self._deliver(message, incoming, answer)

    async def tweet(self, interaction: discord.Interaction[Any], wanted: Wanted) -> None:
        """Say drafts as they are wanted."""
        await interaction.response.defer()
        drafts = await self._conversation.drafts(asked_by(interaction), wanted)
        await self._answers.show(interaction, wanted, drafts)

    async def replay(self, interaction: discord.Interaction[Any], wanted: Wanted) -> None:
        """Say a draft once more."""
        await interaction.response.defer()
        drafts = await self._conversation.replay(asked_by(interaction), wanted)
        await self._answers.show(interaction, wanted, drafts)

    async def _deliver(self, message: discord.Message, incoming: Incoming, answer: Answer) -> None:
        sent = await self._say(message, answer)
        if sent:
            ids = [str(message.id) for message in sent]
            drafts = Drafts(answer.persona, answer.version, (answer.draft,))
            await self._conversation.delivered(incoming, *ids, said=said_of(drafts, ids[:1]))
            log.info("discord message answered", message_id=message.id, persona=answer.persona, version=answer.version)

    async def _say(self, message: discord.Message, answer: Answer) -> list[discord.Message]:
        """The answer's messages, as far as Discord took them: in costume where that is wanted and possible."""
        text, view = texts.plain(answer.draft.text), self._answers.buttons(message.id)
        first, *more = texts.pieces(text, LONGEST_IN_COSTUME)
        sent: list[discord.Message] = []
        try:
            said = await self._costumes.say(message.channel, answer.persona, first, ping=message.author, view=view)
            if said is None:
                return await self._reply(message, text, view=view)
            sent.append(said)
            for piece in more:
                said = await self._costumes.say(message.channel, answer.persona, piece)
                sent += [said] if said else []
        except TROUBLE as trouble:  # it may stand there or not: it is not said twice
            log.warning("discord would not take the answer", message_id=message.id, trouble=str(trouble))
        return sent

    async def _reply(
        self, message: discord.Message, text: str, kind: str = "", view: discord.ui.View | None = None
    ) -> list[discord.Message]:
        """The reply's messages, as far as Discord took them; `view` stands under the first.

        The nonce is derived from the message: if this is sent a second time within minutes (a retry after an error
        that came too late, a crash), Discord hands back the first one and posts nothing. `kind` tells a refusal from
        an answer, which may still come when the same message is delivered again.
        """
        first, *more = texts.pieces(text)
        sent: list[discord.Message] = []
        under: dict[str, Any] = {"view": view} if view else {}
        try:
            sent.append(
                await steadily(
                    message.reply,
                    first,
                    patience_s=self._patience_s,
                    nonce=f"{message.id}{kind}",
                    allowed_mentions=_ONLY_THE_AUTHOR,
                    mention_author=True,
                    suppress_embeds=True,
                    **under,
                )
            )
            for number, piece in enumerate(more, start=2):
                nonce = f"{message.id}{kind}-{number}"
                send = partial(message.channel.send, piece, nonce=nonce, suppress_embeds=True)
                sent.append(await steadily(send, patience_s=self._patience_s))
        except TROUBLE as trouble:
            # No permission to write here, the message or the channel is gone, or Discord is down for longer.
            log.warning("discord would not take the answer", message_id=message.id, trouble=str(trouble))
        return sent


@asynccontextmanager
async def _typing(channel: discord.abc.Messageable) -> AsyncIterator[None]:
    """Show "is typing…" while the body takes its time. The body never waits for it, nor fails with it."""
    task = asyncio.create_task(_keep_typing(channel), name="discord typing")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _keep_typing(channel: discord.abc.Messageable) -> None:
    await asyncio.sleep(_TYPING_AFTER)
    try:
        async with channel.typing():
            await asyncio.Event().wait()  # until cancelled
    except TROUBLE as trouble:
        log.debug("discord would not show typing", trouble=str(trouble))
