"""Whether a mention is answered, told from what stands in it and who wrote it. Pure.

X lets an app answer whoever has called it: a post that names the account in its own words, or quotes it. A reply to a
post of the account speaks to it as well: X writes the account's name in front because of that. A name that X only
carries along, in a reply to somebody else, calls nobody.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.replies.opt_outs import WANTS_NO_ANSWERS
from bot.tweets.x_mentions import Author, Mention

TOO_OLD = timedelta(days=1)  # an answer to what was said before that comes too late to be one

_BOT = re.compile(r"\b(?:ro)?bots?\b|\bautomated (?:account|by)\b|🤖", re.IGNORECASE)
_NO_BOT = re.compile(r"\b(?:not? (?:a |an )?|isn['’]?t a |kein |pas un )(?:ro)?bots?\b", re.IGNORECASE)
_BOT_HANDLE = re.compile(r"(?:_[Bb]ot|_BOT|[a-z0-9]Bot)\d*$|^[Bb]ot_")

# Whole texts that mean "no more of this", as `_bare` leaves them. A word of them in a longer text means nothing.
_OPT_OUTS = frozenset(
    """
    stop|stop it|optout|opt out|opt me out|i opt out|unsubscribe|unsubscribe me|leave me alone|go away|no more|
    no more replies|no replies|stop replying|stop responding|do not reply|don't reply|dont reply|stop all|stopall|quit|
    end|cancel|stopp|stopp das|aufhören|hör auf|abmelden|lass mich in ruhe|keine antworten|
    arrête|arrete|arrêtez|arrêter|désabonner|laisse moi tranquille|laissez moi tranquille|
    para|para ya|basta|baja|alto|cancelar|déjame en paz|dejame en paz|pare|parar|me deixe em paz|me deixa em paz|
    smettila|fermati|lasciami in pace|dur|beni rahat bırak|przestań|zostaw mnie|стоп|хватит|отстань|отписаться|
    やめて|やめてください|停止|退订|退訂|停止してください|返信しないで|返信しないでください|不要回复我|不要回覆我|
    그만|그만해|답장하지 마|توقف|إلغاء الاشتراك
    """.replace("\n", "")
    .replace("    ", "")
    .split("|")
)
# What people put around these.
_AROUND = re.compile(
    r"\b(?:please|pls|plz|now|thanks|thank you|bot|bitte|jetzt|danke|s'il (?:te|vous) pla[iî]t|merci|por favor|gracias|"
    r"per favore|grazie|lütfen|proszę|пожалуйста|من فضلك)\b"
)
# Phrases that mean it wherever somebody is told so; "why did you stop replying to me?" is a complaint.
_TOLD = (
    r"(?:^|[^\w\s]|\b(?:please|and|just|said|so|ok|okay|now|bot|(?:can|could|would|will) you(?: please)?|need to|"
    r"have to|(?:told|asked) you to|(?<!don't )(?<!not )want you to|why (?:ca|do|wo)n't you))\s*"
)
_CLEAR = re.compile(
    rf"{_TOLD}(?:stop (?:replying|responding|writing|talking|tweeting|posting|answering|messaging|tagging|mentioning|"
    r"contacting|bothering)(?: to)? me|"
    r"(?:do not|don'?t|never) (?:ever )?(?:reply to|respond to|answer|mention|write to|tag|contact) me|"
    r"leave me alone)\b|"
    r"\b(?:(?:i (?:want|would like|wish) to |let me |please )?opt (?:me )?out of (?:this|your|these|the)|"
    r"i(?: want to|'d like to| would like to) opt out|unsubscribe me|"
    r"antworte mir (?:bitte )?nicht mehr|schreib mir (?:bitte )?nicht mehr|lass(?:t)? mich (?:bitte )?in ruhe|"
    r"hört? (?:bitte )?auf,? mir zu (?:antworten|schreiben)|"
    r"(?<!tu )(?<!vous )ne me (?:réponds|répondez|reponds|repondez) plus|arr[êe]tez? de me (?:répondre|repondre)|"
    r"no me (?:respondas|contestes|escribas|menciones)|deja de (?:responderme|contestarme|escribirme|mencionarme)|"
    r"não me responda|pare de me responder|non rispondermi|smettila di rispondermi)\b",
    re.IGNORECASE,
)
_NAMES_AND_LINKS = re.compile(r"[@＠]\w+|https?://\S+")  # behind the words of a quote X puts a link to what is quoted
_SIGNS = re.compile(r"[^\w\s']|_")


def is_opt_out(text: str) -> bool:
    """Whether its author asks for no more answers: a word of it as the whole text, or a phrase that is clear."""
    said = _NAMES_AND_LINKS.sub(" ", unicodedata.normalize("NFKC", text)).replace("’", "'")
    return _bare(said) in _OPT_OUTS or _CLEAR.search(" ".join(said.split())) is not None


def _bare(text: str) -> str:
    """Its words alone, in small letters: without signs, marks that nobody sees, and what is said out of politeness."""
    seen = "".join(sign for sign in text if unicodedata.category(sign) != "Cf").casefold()
    return " ".join(_AROUND.sub(" ", " ".join(_SIGNS.sub(" ", seen).split())).split())


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
