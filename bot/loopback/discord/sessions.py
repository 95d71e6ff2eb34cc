"""What a gateway connection and a session are: the socket that may be lost, and what outlives it."""

from __future__ import annotations

import asyncio
import json
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Any

from aiohttp import web


class Op(IntEnum):
    """Opcodes of the gateway."""

    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    PRESENCE_UPDATE = 3
    RESUME = 6
    RECONNECT = 7
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11


class Close(IntEnum):
    """Codes with which the gateway closes a connection."""

    UNKNOWN_OPCODE = 4001
    DECODE_ERROR = 4002
    NOT_AUTHENTICATED = 4003
    AUTHENTICATION_FAILED = 4004
    ALREADY_AUTHENTICATED = 4005
    INVALID_SEQUENCE = 4007
    INVALID_SHARD = 4010
    INVALID_VERSION = 4012
    INVALID_INTENTS = 4013
    DISALLOWED_INTENTS = 4014


class Intent(IntFlag):
    """The intents that something here depends on, with Discord's bits."""

    NONE = 0  # events that need no intent
    GUILDS = 1 << 0
    GUILD_MEMBERS = 1 << 1
    GUILD_WEBHOOKS = 1 << 5
    GUILD_PRESENCES = 1 << 8
    GUILD_MESSAGES = 1 << 9
    GUILD_MESSAGE_REACTIONS = 1 << 10
    DIRECT_MESSAGES = 1 << 12
    DIRECT_MESSAGE_REACTIONS = 1 << 13
    MESSAGE_CONTENT = 1 << 15


PRIVILEGED = Intent.GUILD_MEMBERS | Intent.GUILD_PRESENCES | Intent.MESSAGE_CONTENT
KNOWN_INTENTS = (1 << 26) - 1


_SLACK = 0.1  # the share by which a session's events grow before the oldest are dropped again


@dataclass(slots=True, eq=False)
class Connection:
    """One socket. With zlib-stream, all that is sent over it is one compressed stream, flushed after each payload."""

    socket: web.WebSocketResponse
    transport: asyncio.Transport
    compressor: zlib._Compress | None  # None: plain text
    session: Session | None = None  # None until the client identified or resumed
    silent: bool = False  # whether it is half open: nothing that is sent over it arrives

    async def send(self, payload: dict[str, Any]) -> None:
        """Send one payload. A connection that is lost swallows it: the session keeps it for the client's return."""
        if self.silent:
            return
        text = json.dumps(payload)
        with suppress(ConnectionError):
            if self.compressor is None:
                await self.socket.send_str(text)
            else:
                data = self.compressor.compress(text.encode()) + self.compressor.flush(zlib.Z_SYNC_FLUSH)
                await self.socket.send_bytes(data)


@dataclass(slots=True, eq=False)
class Session:
    """What one client, or one shard of it, has been told."""

    id: str
    intents: Intent
    shard: tuple[int, int]  # this shard's number, and how many there are
    connection: Connection | None
    introduced: bool = False  # whether it has been told about itself and its guilds
    keeps: int = 10_000  # events for the client's return
    dropped: int = 0  # the oldest events, which are no longer kept
    sent: list[dict[str, Any]] = field(default_factory=list)  # the kept events; the one numbered n at n - 1 - dropped
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # keeps events in order while they are sent

    @property
    def live(self) -> bool:
        """Whether its client is connected and has been told about itself and its guilds."""
        return self.introduced and self.connection is not None and not self.connection.silent

    @property
    def last(self) -> int:
        """The number of the newest event."""
        return self.dropped + len(self.sent)

    async def tell(self, event: str, data: dict[str, Any]) -> None:
        """Send an event, or keep it for the client's return."""
        async with self.turn:
            self.sent.append({"op": Op.DISPATCH, "t": event, "s": self.last + 1, "d": data})
            if len(self.sent) > self.keeps * (1 + _SLACK):
                self.dropped += len(self.sent) - self.keeps
                del self.sent[: -self.keeps]
            if self.connection is not None:
                await self.connection.send(self.sent[-1])

    async def go_on(self, connection: Connection, seen: int) -> int:
        """Send everything after the event numbered `seen` over a new connection; the count of events sent again."""
        async with self.turn:
            self.connection = connection
            missed = self.sent[seen - self.dropped :]
            for payload in missed:
                await connection.send(payload)
            return len(missed)

    def serves(self, guild_id: int | None) -> bool:
        """Whether this shard is the one for a guild; direct messages belong to shard 0."""
        number, count = self.shard
        return number == (0 if guild_id is None else (guild_id >> 22) % count)
