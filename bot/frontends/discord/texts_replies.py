"""How answers to any text or message are put in words on Discord. Pure."""

from __future__ import annotations

from bot.frontends.discord.texts import LONGEST, drafts, pieces, quoted
from bot.generation.draft import Drafts

NO_SUCH_MESSAGE = "There is no such message, or you or I may not see it. Copy the link of a message in this server."
MAY_NOT_WRITE = "You or I may not write in that channel, so nothing is answered there. Choose a message elsewhere."
NOT_A_PERSONS = "Only people's messages are answered, and no notices. Choose somebody's message."
OPTED_OUT = "Whoever wrote that wants no answers from me, so there is none. Choose another message."
NO_WORDS = "That message has no words that I could answer. Choose another one."
UNREADABLE = (
    "Discord lets me read only messages that mention me. Open that message's menu and choose Apps → Answer as…, which "
    "shows it to me, or copy its words into `/reply`."
)
NOT_TAKEN = "Discord did not take the answer; the message may be gone. Try it with another one."
NOBODY_YET = "Nobody has been learned yet. `/train` with a handle makes the first persona."
MANY_PERSONAS = "Some of them. /reply takes any."  # under the menu of a form, where no markdown is shown

_LONGEST_QUESTION = 300  # characters that are shown


def answer(made: Drafts) -> list[str]:
    """The answer, with who gave it."""
    return pieces(drafts(made)[0])


def answer_to(question: str, made: Drafts) -> list[str]:
    """The same below what was asked, which nobody else would know."""
    words = " ".join(question.split())
    shown = f"{words[:_LONGEST_QUESTION]}…" if len(words) > _LONGEST_QUESTION else words
    return pieces(f"{quoted(shown)}\n{drafts(made)[0]}", LONGEST)


def answered(link: str) -> str:
    """What the person alone is told."""
    return f"Answered: {link}"
