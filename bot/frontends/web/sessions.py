"""Who is at the page and what was said there, in memory only: a message's text never reaches the disk.

A visitor is known by a random key in a cookie. Everything else is derived from the key: the token that each form must
carry (another site can't read it) and the author's id for quotas (which, unlike the key, may be written down). So a
page that was open while the service restarted goes on working.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.generation.draft import Draft
from bot.personas.takedown import taken_down
from bot.replies.conversation import Answer
from bot.training.trainings import Training

MOST_LINES = 100  # of one channel; older ones are forgotten
MOST_SESSIONS = 200  # the one that was quiet longest is forgotten

_REPLY = "-reply"
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser."""

    key: str  # the cookie's value; a secret

    @classmethod
    def from_cookie(cls, value: str | None) -> Visitor | None:
        """The visitor, or None when the cookie is missing or none of ours."""
        return cls(value) if value and _KEY.fullmatch(value) else None

    @classmethod
    def fresh(cls) -> Visitor:
        """Somebody who was never here."""
        return cls(secrets.token_urlsafe(32))

    @property
    def token(self) -> str:
        """What every form of this visitor carries."""
        return hashlib.sha256(f"form {self.key}".encode()).hexdigest()

    @property
    def author_id(self) -> str:
        """The same person's id in every record; the key can't be told from it."""
        return hashlib.sha256(f"author {self.key}".encode()).hexdigest()[:24]


class Kind(StrEnum):
    """What a line of the channel is."""

    SAID = "said"  # by the visitor
    THINKING = "thinking"  # an answer is being made
    ANSWER = "answer"  # a generated tweet
    NOTE = "note"  # from the house: an explanation
    PROBLEM = "problem"  # from the house: what went wrong and what to do
    TRAINING = "training"  # how a training goes


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of a channel; it is replaced under its id when there is news."""

    id: str  # of a message: the form's; of what follows it: `reply_id`
    kind: Kind
    at: datetime  # UTC
    text: str = ""  # of an answer that is being made: how far it has come, unfiltered
    persona: str | None = None  # who thinks or answers
    answer: Answer | None = None
    training: Training | None = None
    purchase: int | None = None  # what has to be agreed to before a training
    samples: tuple[Draft, ...] = ()  # of what was learned
    try_again: str = ""  # the message to send once more, where the problem may be gone in a moment

    @property
    def message_id(self) -> str:
        """The id of the message that this line is or follows."""
        return self.id.removesuffix(_REPLY)


def reply_id(message_id: str) -> str:
    """The id of the line that follows a message."""
    return message_id + _REPLY


@dataclass(frozen=True, slots=True)
class Notice:
    """What the next page says about the form that led to it."""

    text: str
    is_problem: bool


class Session:
    """One visitor's channel."""

    def __init__(self) -> None:
        self.notice: Notice | None = None
        self.revision = 0  # counts changes; a page that shows revision n lacks what `since(n)` gives
        self._lines: OrderedDict[str, tuple[int, Line]] = OrderedDict()
        self._bell = asyncio.Event()

    @property
    def lines(self) -> list[Line]:
        """The channel from the oldest line to the newest."""
        return [line for _, line in self._lines.values()]

    def line(self, line_id: str) -> Line | None:
        """The line of that id, if it is still remembered."""
        entry = self._lines.get(line_id)
        return entry[1] if entry else None

    def put(self, line: Line) -> None:
        """Append the line, or replace the one of the same id where it stands; every open page gets it."""
        self.revision += 1
        self._lines[line.id] = (self.revision, line)
        while len(self._lines) > MOST_LINES:
            self._lines.popitem(last=False)
        self._bell.set()
        self._bell = asyncio.Event()

    def since(self, revision: int) -> list[tuple[int, Line]]:
        """Lines that changed after that revision, in the order of their last change."""
        return sorted((entry for entry in self._lines.values() if entry[0] > revision), key=lambda entry: entry[0])

    async def changes(self, revision: int) -> AsyncGenerator[tuple[int, Line]]:
        """The same, and then each change as it happens, for ever."""
        while True:
            bell = self._bell
            for changed_at, line in self.since(revision):
                revision = changed_at
                yield changed_at, line
            await bell.wait()

    def forget(self, personas: Collection[str]) -> None:
        """Replace every line in which one of these personas speaks or learns by a note."""
        for line in self.lines:
            speaker = line.training.persona if line.training else line.persona
            if speaker is not None and speaker in personas:
                self.put(Line(line.id, Kind.NOTE, line.at, taken_down(speaker)))

    def take_notice(self) -> Notice | None:
        """The notice, once."""
        notice, self.notice = self.notice, None
        return notice


class Sessions:
    """Every visitor's channel."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def has(self, visitor: Visitor) -> bool:
        """Whether this visitor's channel is open."""
        return visitor.key in self._sessions

    def of(self, visitor: Visitor) -> Session:
        """This visitor's channel, opened if need be."""
        session = self._sessions.setdefault(visitor.key, Session())
        self._sessions.move_to_end(visitor.key)
        if len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def forget(self, personas: Collection[str]) -> None:
        """Replace what these personas said, for every visitor."""
        for session in self._sessions.values():
            session.forget(personas)

    def close(self, visitor: Visitor) -> None:
        """Forget this visitor and everything said."""
        self._sessions.pop(visitor.key, None)
