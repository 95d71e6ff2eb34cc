"""Whether a message is said to the bot, and what it says. Pure.

No privileged intent is needed: Discord delivers the content of messages that mention the bot (a reply with its ping on
is one of them) and of direct messages in any case. Only a reply to a persona in costume needs it, unless it mentions
the bot.
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
    return without_mention(bot_id, message.content)


def replied_in_costume(message: discord.Message) -> str | None:
    """The text of a person's reply to a webhook's message; None of anything else.

    Whether that webhook is the bot's is not told here. A webhook can't be pinged, so such a reply does not mention the
    bot, and can be read only where the privileged intent is on.
    """
    if message.author.bot or message.webhook_id is not None or message.is_system() or message.mention_everyone:
        return None
    replied = message.reference.resolved if message.reference else None
    if not isinstance(replied, discord.Message) or replied.webhook_id is None:
        return None
    return message.content.strip() or None


def without_mention(bot_id: int, text: str) -> str:
    """The text without the mention of the bot."""
    return re.sub(rf"<@!?{bot_id}>", " ", text).strip()
