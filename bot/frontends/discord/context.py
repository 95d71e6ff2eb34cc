"""What was said before a message: the chain of replies that leads to it.

What one of our answers answers is on record, for those in costume, too, which can't be replies. What somebody else
wrote is fetched message by message and kept nowhere.
"""

from __future__ import annotations

import asyncio

import discord
import structlog

from bot.frontends.discord.lasting import TROUBLE
from bot.frontends.discord.mentions import without_mention
from bot.replies.conversation import Conversation
from bot.replies.incoming import Platform

MOST = 8  # messages
_LONGEST_FETCH = 3.0  # seconds that an answer waits for its context

log = structlog.get_logger(__name__)


async def said_before(message: discord.Message, conversation: Conversation, bot_id: int) -> tuple[str, ...]:
    """What was said before that message, the oldest first; as much as can be read."""
    words: list[str] = []
    try:
        async with asyncio.timeout(_LONGEST_FETCH):
            await _walk(message, conversation, bot_id, words)
    except (*TROUBLE, TimeoutError) as trouble:  # gone, not to be seen, or Discord has a bad moment
        log.debug("discord context ends early", message_id=message.id, trouble=str(trouble))
    return tuple(reversed(words))


async def _walk(message: discord.Message, conversation: Conversation, bot_id: int, words: list[str]) -> None:
    """Collect what was said before, the newest first, until nothing can be read any more."""
    known, number = _replied_to(message)
    while number and len(words) < MOST:
        kept = await conversation.answers.find(Platform.DISCORD, str(number))
        if kept is not None:
            words.append(kept.said.text)
            known, number = None, int(kept.message_id) if kept.message_id.isdecimal() else 0
            continue
        found = known or await message.channel.fetch_message(number)
        text = without_mention(bot_id, found.content)
        if not text or await conversation.opt_outs.has(Platform.DISCORD, str(found.author.id)):
            return
        words.append(text)
        known, number = _replied_to(found)


def _replied_to(message: discord.Message) -> tuple[discord.Message | None, int]:
    """The message that this one replies to, where it came along, and its id; 0 where it replies to none."""
    reference = message.reference
    if reference is None or reference.type is not discord.MessageReferenceType.reply:
        return None, 0
    resolved = reference.resolved
    return resolved if isinstance(resolved, discord.Message) else None, reference.message_id or 0
