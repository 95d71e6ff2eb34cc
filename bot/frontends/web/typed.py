"""What was typed into the channel, told from its text alone. The commands are Discord's."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from bot.tweets.tweet import normalise_handle

COMMANDS = ("/tweet", "/train", "/personas", "/help")


@dataclass(frozen=True, slots=True)
class Say:
    """A message to answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Tweet:
    """`/tweet [persona] [start…]`."""

    persona: str | None  # None is the channel's own
    start: str  # how the tweet begins; may be empty


@dataclass(frozen=True, slots=True)
class Train:
    """`/train handle…`."""

    handles: tuple[str, ...]  # lower case, no @; at least one


@dataclass(frozen=True, slots=True)
class ListPersonas:
    """`/personas`."""


@dataclass(frozen=True, slots=True)
class Explain:
    """`/help`, and anything that looks like a command and is none."""

    problem: str | None  # what was wrong, in a sentence


Typed = Say | Tweet | Train | ListPersonas | Explain


def understood(text: str, personas: Collection[str]) -> Typed:
    """The command in `text`, or a message when it does not begin with a slash.

    The first word after `/tweet` is a persona when there is one of that name or when it has an @; else the tweet
    begins with it.
    """
    text = text.strip()
    if not text.startswith("/"):
        return Say(text)
    name, _, rest = text.partition(" ")
    rest = rest.strip()
    match name.lower():
        case "/tweet":
            return _tweet(rest, personas)
        case "/train":
            handles = tuple(dict.fromkeys(filter(None, map(normalise_handle, re.split(r"[\s,]+", rest)))))
            return Train(handles) if handles else Explain("/train needs a handle whose tweets are here.")
        case "/personas":
            return ListPersonas()
        case "/help":
            return Explain(None)
    return Explain(f"{name[:40]} is no command here.")


def _tweet(rest: str, personas: Collection[str]) -> Tweet:
    first, _, start = rest.partition(" ")
    name = normalise_handle(first)
    if name and (name in personas or first.startswith("@")):
        return Tweet(name, start.strip())
    return Tweet(None, rest)
