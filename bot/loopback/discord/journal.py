"""What happened on the loopback server, in order, and waiting for what is yet to happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from bot.loopback.discord.messages import Message

Found = TypeVar("Found")

_SLACK = 0.1  # the share by which the journal grows before the oldest entries are dropped again


class Kind(StrEnum):
    """What a happening is about."""

    CONNECTED = "connected"  # a gateway socket was opened
    IDENTIFIED = "identified"  # a session began
    RESUMED = "resumed"  # a session went on, and what it had missed was sent again
    DISCONNECTED = "disconnected"  # a gateway socket was closed, by whichever side
    REQUESTED = "requested"  # a REST request was answered
    TYPED = "typed"  # the bot showed that it is typing
    COMMANDS_WRITTEN = "commands written"  # the bot registered its commands
    CREATED = "message created"  # anybody's message; a deferred answer counts once it has something to show
    EDITED = "message edited"
    DELETED = "message deleted"
    INVOKED = "command invoked"  # a person used a command
    ACKNOWLEDGED = "interaction acknowledged"  # the bot answered or deferred in time
    REACTED = "reacted"  # anybody reacted to a message, or took it back
    THREADED = "thread changed"  # a thread was begun, renamed, archived or the like
    JOINED = "guild joined"  # the bot came into a guild
    LEFT = "guild left"  # the bot left a guild, or was made to


@dataclass(frozen=True, slots=True)
class Request:
    """One REST request with its answer's status. The authorization header is not kept."""

    method: str  # "POST"
    path: str  # without the base path, such as "/channels/1/messages"
    route: str  # the path's template, such as "/channels/{channel_id}/messages"
    query: Mapping[str, list[str]]
    body: object | None  # parsed; of a multipart request its payload_json
    files: tuple[str, ...]  # names of the files sent with it
    status: int  # of the answer


@dataclass(frozen=True, slots=True)
class Happening:
    """One entry of the journal."""

    kind: Kind
    at: float  # seconds since the epoch, by the server's clock
    message: Message | None = None  # the message concerned, if it is about one
    interaction_id: int | None = None  # the interaction concerned, if it is about one
    request: Request | None = None  # the request, for REQUESTED
    detail: str = ""  # what else there is to say, for people


class Journal:
    """What happened, oldest first. Waiting never polls: each entry wakes whoever waits for anything like it."""

    def __init__(self, clock: Callable[[], float], keeps: int = 10_000) -> None:
        """`clock` gives seconds since the epoch; about `keeps` entries are kept."""
        self._clock = clock
        self._keeps = keeps
        self._bells: dict[int | None, asyncio.Event] = {}  # by what those who wait for are about; None: about anything
        self._dropped = 0  # the oldest entries, which are no longer kept
        self.entries: list[Happening] = []

    def record(
        self,
        kind: Kind,
        *,
        message: Message | None = None,
        interaction_id: int | None = None,
        request: Request | None = None,
        detail: str = "",
    ) -> None:
        """Append an entry and wake those who wait for anything, or for what it is about."""
        self.entries.append(Happening(kind, self._clock(), message, interaction_id, request, detail))
        if len(self.entries) > self._keeps * (1 + _SLACK):
            self._dropped += len(self.entries) - self._keeps
            del self.entries[: -self._keeps]
        self._ring(None)
        self._ring(interaction_id)
        if message is not None:
            self._ring(message.replies_to)
            self._ring(None if message.interaction is None else int(message.interaction["id"]))

    async def until(
        self,
        find: Callable[[], Found | None],
        within: float,
        awaited: str = "what was awaited",
        about: int | None = None,
    ) -> Found:
        """The first thing other than None that `find` gives, asked now and after every entry.

        With `about`, the id of an interaction or of a message that is replied to, it is asked only after entries
        about that. Raises TimeoutError after `within` seconds, with the last happenings in its message.
        """
        try:
            async with asyncio.timeout(within):
                while (found := find()) is None:
                    await self._bells.setdefault(about, asyncio.Event()).wait()
                return found
        except TimeoutError:
            last = "; ".join(f"{h.kind} {h.detail}".strip() for h in self.entries[-8:])
            raise TimeoutError(f"{awaited} did not happen in {within} s; last: {last or 'nothing'}") from None

    async def wait_for(self, predicate: Callable[[Happening], bool], within: float, awaited: str) -> Happening:
        """The first entry, past or to come, that `predicate` accepts; it is asked once about each."""
        asked = self._dropped

        def accepted() -> Happening | None:
            nonlocal asked
            asked = max(asked, self._dropped)
            while asked < self._dropped + len(self.entries):
                asked += 1
                if predicate(entry := self.entries[asked - 1 - self._dropped]):
                    return entry
            return None

        return await self.until(accepted, within, awaited)

    def _ring(self, about: int | None) -> None:
        bell = self._bells.pop(about, None)
        if bell is not None:
            bell.set()
