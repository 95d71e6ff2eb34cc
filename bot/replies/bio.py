"""What the bio of an account that posts by itself has to say, as X asks: that it is a bot, and who runs it.

What it does not know: the label "Automated by @you", which X's API does not tell.
"""

from __future__ import annotations

import re
from dataclasses import replace

from bot.replies.summons import is_bot
from bot.tweets.x_mentions import Author

_NAME = re.compile(r"[@＠](\w{1,15})")
_OWNER = re.compile(
    r"\b(?:run|operated|made|built|managed|maintained|owned|created) by\b|\b(?:owner|operator|contact)\b\W*:|"
    r"\b(?:betrieben|gemacht|gebaut) von\b|\b(?:créé|géré|fait) par\b|\b(?:creado|hecho|gestionado) por\b",
    re.IGNORECASE,
)


def says_bot(author: Author) -> bool:
    """Whether the account's name or bio says that it is automated."""
    return is_bot(replace(author, handle=""))


def names_owner(author: Author) -> bool:
    """Whether the bio names another account, or says by whom this one is run."""
    others = {name.lower() for name in _NAME.findall(author.description)} - {author.handle.lower()}
    return bool(others) or _OWNER.search(author.description) is not None


def missing_from_bio(author: Author) -> str:
    """What the bio leaves out, in words; empty where it says all."""
    missing = [] if says_bot(author) else ["say that it is automated"]
    missing += [] if names_owner(author) else ["name who runs it"]
    return " or ".join(missing)
