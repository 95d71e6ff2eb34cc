"""Whether a message is said to the bot, and what it says. Pure.

No privileged intent is needed: Discord delivers the content of messages that mention the bot (a reply with its ping on
is one of them) and of direct messages in any case.
"""

from __future__ import annotations

import re

import discord


def said_to(bot_id: int, message: discord.Message) -> str | None:
    """The text without the mention of the bot, or None when the bot has nothing to do with the message.

    Other bots, webhooks (the bot's own among them), Discord's notices and everything said to @everyone are never
    answered.
    """
    if message.author.bot or message.webhook_id is not None or message.is_system() or message.mention_everyone:
        return None
    # `message.guild` is no sign of a direct message: it is None for a guild that isn't known yet, too.
    private = isinstance(message.channel, discord.DMChannel)
    if not private and all(user.id != bot_id for user in message.mentions):
        return None
    return re.sub(rf"<@!?{bot_id}>", " ", message.content).strip()
