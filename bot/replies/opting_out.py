"""What people say who want no more answers, and what they are told, in several languages. Pure.

The language is that of the words that they took: a short "stop" tells nothing else. Of words that two languages share
one is taken.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime

ENGLISH = "en"

# Whole texts that mean "no more of this", as `_bare` leaves them. A word of them in a longer text means nothing.
_WHOLE: Mapping[str, str] = {
    "en": "stop|stop it|optout|opt out|opt me out|i opt out|unsubscribe|unsubscribe me|leave me alone|go away|no more|"
    "no more replies|no replies|stop replying|stop responding|do not reply|don't reply|dont reply|stop all|stopall|"
    "quit|end|cancel",
    "de": "stopp|stopp das|aufhören|hör auf|abmelden|lass mich in ruhe|keine antworten",
    "fr": "arrête|arrete|arrêtez|arrêter|désabonner|laisse moi tranquille|laissez moi tranquille",
    "es": "para|para ya|basta|baja|alto|cancelar|déjame en paz|dejame en paz",
    "pt": "pare|parar|me deixe em paz|me deixa em paz",
    "it": "smettila|fermati|lasciami in pace",
    "tr": "dur|beni rahat bırak",
    "pl": "przestań|zostaw mnie",
    "ru": "стоп|хватит|отстань|отписаться",
    "ja": "やめて|やめてください|停止してください|返信しないで|返信しないでください",
    "zh": "停止|退订|退訂|不要回复我|不要回覆我",
    "ko": "그만|그만해|답장하지 마",
    "ar": "توقف|إلغاء الاشتراك",
}
_LANGUAGE_OF = {text: language for language, texts in _WHOLE.items() for text in texts.split("|")}
# What people put around these.
_AROUND = re.compile(
    r"\b(?:please|pls|plz|now|thanks|thank you|bot|bitte|jetzt|danke|s'il (?:te|vous) pla[iî]t|merci|por favor|gracias|"
    r"per favore|grazie|lütfen|proszę|пожалуйста|من فضلك)\b"
)
# Phrases that mean it wherever somebody is told so; "why did you stop replying to me?" is a complaint, and behind a
# quotation mark stands what somebody else said, or a title.
_TOLD = (
    r"(?:^|[^\w\s'\"“”„‟«»‘‚]|\b(?:please|and|just|i said|so|ok|okay|now|bot|(?:can|could|would|will) you(?: please)?|"
    r"need to|have to|(?:told|asked) you to|(?<!don't )(?<!not )want you to|why (?:ca|do|wo)n't you))\s*"
)
# "Don't answer me in English" asks for another answer.
_IN_A_LANGUAGE = (
    r" in (?:arabic|chinese|dutch|english|french|german|italian|japanese|korean|polish|portuguese|russian|spanish|"
    r"turkish)\b"
)
_CLEAR: Mapping[str, re.Pattern[str]] = {
    language: re.compile(phrases, re.IGNORECASE)
    for language, phrases in {
        "en": rf"{_TOLD}(?:"
        r"stop (?:replying|responding|writing|talking|tweeting|posting|answering|messaging|tagging|mentioning|"
        r"contacting|bothering)(?: to)? me|"
        r"(?:do not|don'?t|never) (?:ever )?(?:reply to|respond to|answer|mention|write to|tag|contact) me|"
        rf"leave me alone)\b(?!{_IN_A_LANGUAGE})|"
        r"\b(?:(?<!don't want to )(?<!not want to )opt (?:me )?out of (?:this|your|these)|"
        r"i(?: want to|'d like to| would like to) opt out|unsubscribe me)\b",
        "de": r"\b(?:antworte mir (?:bitte )?nicht mehr|schreib mir (?:bitte )?nicht mehr|"
        r"lass(?:t)? mich (?:bitte )?in ruhe|hört? (?:bitte )?auf,? mir zu (?:antworten|schreiben))\b",
        "fr": r"\b(?:(?<!tu )(?<!vous )ne me (?:réponds|répondez|reponds|repondez) plus|"
        r"arr[êe]tez? de me (?:répondre|repondre))\b",
        "es": r"\b(?:no me (?:respondas|contestes|escribas|menciones)|"
        r"deja de (?:responderme|contestarme|escribirme|mencionarme))\b",
        "pt": r"\b(?:não me responda|pare de me responder)\b",
        "it": r"\b(?:non rispondermi|smettila di rispondermi)\b",
    }.items()
}
_NAMES_AND_LINKS = re.compile(r"[@＠]\w+|https?://\S+")  # behind the words of a quote X puts a link to what is quoted
_SIGNS = re.compile(r"[^\w\s']|_")

# Several wordings each: of two people who say stop in one second the second is told the same in other words, since X
# takes no text twice.
_CONFIRMATIONS: Mapping[str, tuple[str, ...]] = {
    "en": (
        "As you asked at {at} UTC, this account will not reply to you again.",
        "This account will not reply to you again, as you asked at {at} UTC.",
        "Understood, {at} UTC: there will be no more replies to you from this account.",
    ),
    "de": (
        "Wie gewünscht antwortet dir dieses Konto nicht mehr ({at} UTC).",
        "Dieses Konto wird dir nicht mehr antworten, wie du es gewünscht hast ({at} UTC).",
    ),
    "fr": (
        "Comme demandé, ce compte ne vous répondra plus ({at} UTC).",
        "Ce compte ne vous répondra plus, comme vous l'avez demandé ({at} UTC).",
    ),
    "es": (
        "Como pediste, esta cuenta no volverá a responderte ({at} UTC).",
        "Esta cuenta no volverá a responderte, tal como pediste ({at} UTC).",
    ),
    "pt": (
        "Como você pediu, esta conta não vai mais responder a você ({at} UTC).",
        "Esta conta não vai mais responder a você, como você pediu ({at} UTC).",
    ),
    "it": (
        "Come richiesto, questo account non ti risponderà più ({at} UTC).",
        "Questo account non ti risponderà più, come hai chiesto ({at} UTC).",
    ),
    "tr": (
        "İsteğiniz üzerine bu hesap size bir daha yanıt vermeyecek ({at} UTC).",
        "Bu hesap, istediğiniz gibi, size bir daha yanıt vermeyecek ({at} UTC).",
    ),
    "pl": (
        "Zgodnie z prośbą to konto nie będzie już Ci odpowiadać ({at} UTC).",
        "To konto nie będzie już Ci odpowiadać, zgodnie z Twoją prośbą ({at} UTC).",
    ),
    "ru": (
        "По вашей просьбе этот аккаунт больше не будет вам отвечать ({at} UTC).",
        "Этот аккаунт больше не будет вам отвечать, как вы и просили ({at} UTC).",
    ),
    "ja": (
        "ご要望のとおり、このアカウントは今後あなたに返信しません ({at} UTC)。",
        "このアカウントは今後あなたに返信しません。ご要望のとおりです ({at} UTC)。",
    ),
    "zh": (
        "应您的要求，此账号不会再回复您 ({at} UTC)。",
        "此账号不会再回复您，这是应您的要求 ({at} UTC)。",
    ),
    "ko": (
        "요청하신 대로 이 계정은 더 이상 답글을 보내지 않습니다 ({at} UTC).",
        "이 계정은 더 이상 답글을 보내지 않습니다. 요청하신 대로입니다 ({at} UTC).",
    ),
    "ar": (
        "كما طلبت، لن يرد عليك هذا الحساب بعد الآن ({at} UTC).",
        "لن يرد عليك هذا الحساب بعد الآن، كما طلبت ({at} UTC).",
    ),
}  # fmt: skip


def opt_out_language(text: str) -> str | None:
    """In which language (ISO 639-1) its author asks for no more answers, by a word of it as the whole text or a phrase
    that is clear; None where nobody asks for that.
    """
    said = _NAMES_AND_LINKS.sub(" ", unicodedata.normalize("NFKC", text)).replace("’", "'")
    whole = _LANGUAGE_OF.get(_bare(said))
    if whole is not None:
        return whole
    said = " ".join(said.split())
    return next((language for language, phrases in _CLEAR.items() if phrases.search(said)), None)


def confirmations(language: str, asked_at: datetime) -> tuple[str, ...]:
    """What somebody is told once who wants no more answers: wordings in that language, then in English. The time (UTC)
    makes each text another one, as X asks.
    """
    wordings = _CONFIRMATIONS.get(language, ())
    if language != ENGLISH:
        wordings += _CONFIRMATIONS[ENGLISH]
    return tuple(each.format(at=f"{asked_at:%Y-%m-%d %H:%M:%S}") for each in wordings)


def _bare(text: str) -> str:
    """Its words alone, in small letters: without signs, marks that nobody sees, and what is said out of politeness."""
    seen = "".join(sign for sign in text if unicodedata.category(sign) != "Cf").casefold()
    return " ".join(_AROUND.sub(" ", " ".join(_SIGNS.sub(" ", seen).split())).split())
