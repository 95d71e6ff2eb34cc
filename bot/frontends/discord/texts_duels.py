"""How duels are put in words on Discord. Pure."""

from __future__ import annotations

from bot.frontends.discord.texts import LONGEST, pieces, plain
from bot.frontends.discord.texts_games import called
from bot.personas.name import display_name
from bot.replies.duels import Duel

MAY_NOT_WRITE = "I may not write in this channel. Begin the duel in another one, or ask who runs this server."
NOT_YOURS = "Only whoever began this duel, or may manage messages here, can stop it."

_LONGEST_TURN = LONGEST - 200  # UTF-16 code units; the rest is for the name, which may be escaped
_LONGEST_TOPIC = 200  # characters that are shown
_LONGEST_THREAD_NAME = 100  # characters


def opening(duel: Duel) -> str:
    """What the command shows."""
    about = f" about {plain(_cut(duel.topic, _LONGEST_TOPIC))}" if duel.topic else ""
    return f"**{called(duel.a)}** and **{called(duel.b)}** (both AI) talk{about}."


def stopped(duel: Duel) -> str:
    """The same once somebody has stopped them."""
    return f"**{called(duel.a)}** and **{called(duel.b)}** (both AI) talked until somebody stopped them."


def thread_name(duel: Duel) -> str:
    """Markdown has no meaning there."""
    about = f": {' '.join(duel.topic.split())}" if duel.topic else ""
    return _cut(f"{display_name(duel.a)} and {display_name(duel.b)}{about}", _LONGEST_THREAD_NAME)


def shown(text: str) -> str:
    """What a turn says."""
    return pieces(plain(text), _LONGEST_TURN)[0]


def plainly(persona: str, text: str) -> str:
    """A turn without costume."""
    return f"**{called(persona)} (AI)**: {shown(text)}"


def who_won(duel: Duel) -> str:
    """The last line."""
    return f"Who won? React with 🅰️ for **{called(duel.a)}** or 🅱️ for **{called(duel.b)}**."


def ended_early(reason: str) -> str:
    """The last line where something came in between."""
    return pieces(f"The duel ends here: {reason}")[0]


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
