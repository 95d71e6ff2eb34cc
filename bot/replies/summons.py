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

# Whole texts that mean "no more of this", without their punctuation. A word of them in a longer text means nothing.
_OPT_OUTS = frozenset(
    """
    stop|stop it|please stop|stop please|stop now|optout|opt out|opt me out|unsubscribe|unsubscribe me|leave me alone|
    please leave me alone|go away|no more|no more replies|stop all|stopall|quit|end|cancel|
    stopp|stopp das|aufhören|hör auf|bitte aufhören|abmelden|lass mich in ruhe|
    arrête|arrete|arrêtez|arrêter|désabonner|laisse-moi tranquille|laissez-moi tranquille|
    para|para ya|basta|baja|alto|cancelar|déjame en paz|dejame en paz|pare|parar|me deixe em paz|me deixa em paz|
    smettila|fermati|lasciami in pace|dur|beni rahat bırak|przestań|zostaw mnie|стоп|хватит|отстань|отписаться|
    やめて|やめてください|停止|退订|停止してください|그만|그만해|توقف|إلغاء الاشتراك
    """.replace("\n", "")
    .replace("    ", "")
    .split("|")
)
# Phrases that mean it wherever they stand.
_CLEAR = re.compile(
    r"\b(?:(?:please )?stop (?:replying|responding|writing|talking|tweeting|posting|answering|messaging)(?: to)? me|"
    r"(?:i (?:want|would like|wish) to |let me |please )?opt (?:me )?out of (?:this|your|these|the)\b|"
    r"i(?: want to|['’]d like to| would like to) opt out|"
    r"(?:do not|don['’]?t) (?:ever )?(?:reply to|answer|mention|write to|tag) me(?: again| any ?more| ever)?|"
    r"(?<!never )(?<!not )(?<!n't )(?<!n’t )(?<!to )(?<!will )leave me alone|unsubscribe me|"
    r"antworte mir nicht mehr|schreib mir nicht mehr|lass mich in ruhe|"
    r"ne me (?:réponds|répondez|reponds|repondez) plus|no me (?:respondas|contestes) más|"
    r"não me responda mais|non rispondermi più)\b",
    re.IGNORECASE,
)
_NAMES = re.compile(r"[@＠]\w+")
_SIGNS = re.compile(r"[^\w\s'’-]|_")


def is_opt_out(text: str) -> bool:
    """Whether its author asks for no more answers: a word of it as the whole text, or a phrase that is clear."""
    bare = " ".join(_SIGNS.sub(" ", _NAMES.sub(" ", text)).split()).casefold().replace("’", "'")
    return bare in _OPT_OUTS or _CLEAR.search(_NAMES.sub(" ", text)) is not None


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
