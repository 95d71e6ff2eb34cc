"""Whether a mention is answered, told from what stands in it and who wrote it. Pure.

X lets an app answer whoever has called it: a post that names the account in its own words, or quotes it. A reply to a
post of the account speaks to it as well: X writes the account's name in front because of that. A name that X only
carries along, in a reply to somebody else, calls nobody.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.replies.opt_outs import WANTS_NO_ANSWERS
from bot.tweets.x_mentions import Author, Mention

TOO_OLD = timedelta(days=1)  # an answer to what was said before that comes too late to be one

_BOT = re.compile(r"\b(?:ro)?bots?\b|\bautomated (?:account|by)\b|🤖", re.IGNORECASE)
_NO_BOT = re.compile(r"\b(?:not? (?:a |an )?|isn['’]?t a |kein |pas un )(?:ro)?bots?\b", re.IGNORECASE)
_BOT_HANDLE = re.compile(r"(?:_[Bb]ot|_BOT|[a-z0-9]Bot)\d*$|^[Bb]ot_")


def is_bot(author: Author) -> bool:
    """Whether an account says of itself that it is a bot, in its handle, its name or its description."""
    said = _NO_BOT.sub(" ", f"{author.name}\n{author.description}")
    return _BOT.search(said) is not None or _BOT_HANDLE.search(author.handle) is not None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known besides the mention itself."""

    own_id: str  # of the account that was mentioned
    ours: Set[str]  # ids of all our accounts
    is_quote_of_us: bool  # it quotes a post of the account
    opted_out: bool  # its author wants no answers
    turns: int  # answers that its author has had in this conversation
    most_turns: int
    now: datetime  # UTC


def summons(mention: Mention, own_id: str, is_quote_of_us: bool) -> bool:
    """Whether its author calls the account: by name, by quoting it, or by answering it."""
    if mention.is_retweet:
        return False
    return own_id in mention.named or is_quote_of_us or mention.answers_user == own_id


def left_alone_because(mention: Mention, known: Circumstances) -> str | None:
    """Why it is not answered, as far as that can be told without asking X who wrote it; None where nothing is."""
    if mention.author_id == known.own_id:
        return "it is the account's own"
    if mention.author_id in known.ours:
        return "it is by another account of ours"
    if known.opted_out:
        return WANTS_NO_ANSWERS
    if not summons(mention, known.own_id, known.is_quote_of_us):
        return "it does not call the account"
    if known.now - mention.created_at > TOO_OLD:
        return "it is older than a day"
    if known.turns >= known.most_turns:
        return f"its author has had {known.turns} answers in this conversation"
    return None


def author_left_alone_because(author: Author | None, answer_bots: bool) -> str | None:
    """Why its author is not answered; None where nothing speaks against it."""
    if author is None:
        return "its author is suspended or gone"
    if author.protected:
        return "its author is protected"
    if not answer_bots and is_bot(author):
        return "its author is a bot"
    return None
