"""What happened on the loopback server, in order, and waiting for what is yet to happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from bot.loopback.discord.world import Message

Found = TypeVar("Found")


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
    """Everything that happened, oldest first. Waiting never polls: each entry wakes whoever waits."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives seconds since the epoch."""
        self._clock = clock
        self._bell = asyncio.Event()
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
        """Append an entry and wake all who wait."""
        self.entries.append(Happening(kind, self._clock(), message, interaction_id, request, detail))
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    async def until(self, find: Callable[[], Found | None], within: float, awaited: str = "what was awaited") -> Found:
        """The first thing other than None that `find` gives, asked now and after every entry.

        Raises TimeoutError after `within` seconds, with the last happenings in its message.
        """
        try:
            async with asyncio.timeout(within):
                while (found := find()) is None:
                    await self._bell.wait()
                return found
        except TimeoutError:
            last = "; ".join(f"{h.kind} {h.detail}".strip() for h in self.entries[-8:])
            raise TimeoutError(f"{awaited} did not happen in {within} s; last: {last or 'nothing'}") from None
