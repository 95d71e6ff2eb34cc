"""Who said what to the bot, and where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Platform(StrEnum):
    """Where something was said."""

    DISCORD = "discord"
    WEB = "web"
    X = "x"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that was said to the bot, or a command that was given to it."""

    platform: Platform
    message_id: str  # the platform's own, of the message or the command; on X with the name of our account in front
    channel_id: str
    author_id: str
    text: str = ""  # without the mention of the bot itself; empty for a command
    server_id: str = ""  # the platform's own, whose settings hold; empty in a direct message
    thread: tuple[str, ...] = ()  # what was said before it, the oldest first
    roles: tuple[str, ...] = ()  # the platform's ids of the roles that the author has on that server
    parent_id: str = ""  # of the channel in which this one is a thread; what was chosen there holds here, too
    continues: str = ""  # the platform's id of our message that it replies to; empty where it replies to none
    persona: str = ""  # who answers, where the account that it was said to has one; empty: see `Conversation`
    in_its_language: bool = False  # of several drafts one in the message's language is taken, where there is one
