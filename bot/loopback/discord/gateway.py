"""The gateway: the socket over which Discord tells a bot what happens.

A session outlives its connection. Every event gets the session's next number and is kept; a client that lost its
connection names the last number it saw, and is sent the rest. What a session is told depends on the intents that the
client identified with, and what a message says depends on the privileged message-content intent.

What it does not do: it never times a session out, never insists on heartbeats, and counts no identifies.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Any

from aiohttp import WSMsgType, web

from bot.loopback.discord.journal import Journal, Kind
from bot.loopback.discord.world import Guild, Message, World, new_token, timestamp

# discord.py notes when it sent a heartbeat only after sending it: an answer that comes at once seems one interval late.
HEARTBEAT_ACK_S = 0.05


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
    GUILD_PRESENCES = 1 << 8
    GUILD_MESSAGES = 1 << 9
    DIRECT_MESSAGES = 1 << 12
    MESSAGE_CONTENT = 1 << 15


PRIVILEGED = Intent.GUILD_MEMBERS | Intent.GUILD_PRESENCES | Intent.MESSAGE_CONTENT
_KNOWN_INTENTS = (1 << 26) - 1


@dataclass(slots=True, eq=False)
class Connection:
    """One socket. With zlib-stream, all that is sent over it is one compressed stream, flushed after each payload."""

    socket: web.WebSocketResponse
    transport: asyncio.Transport
    compressor: zlib._Compress | None  # None: plain text
    session: Session | None = None  # None until the client identified or resumed

    async def send(self, payload: dict[str, Any]) -> None:
        """Send one payload. A connection that is lost swallows it: the session keeps it for the client's return."""
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
    sent: list[dict[str, Any]] = field(default_factory=list)  # every event; the one numbered n stands at n - 1
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # keeps events in order while they are sent

    async def tell(self, event: str, data: dict[str, Any]) -> None:
        """Send an event, or keep it for the client's return."""
        async with self.turn:
            self.sent.append({"op": Op.DISPATCH, "t": event, "s": len(self.sent) + 1, "d": data})
            if self.connection is not None:
                await self.connection.send(self.sent[-1])

    async def go_on(self, connection: Connection, seen: int) -> int:
        """Send everything after the event numbered `seen` over a new connection; the count of events sent again."""
        async with self.turn:
            self.connection = connection
            missed = self.sent[seen:]
            for payload in missed:
                await connection.send(payload)
            return len(missed)

    def serves(self, guild_id: int | None) -> bool:
        """Whether this shard is the one for a guild; direct messages belong to shard 0."""
        number, count = self.shard
        return number == (0 if guild_id is None else (guild_id >> 22) % count)


class Gateway:
    """Accepts connections and spreads events over the sessions that may see them."""

    def __init__(
        self, world: World, journal: Journal, token: str, *, privileged: Intent, heartbeat_interval: float
    ) -> None:
        """`privileged` are the privileged intents switched on for the application; the interval is in seconds."""
        self._world = world
        self._journal = journal
        self._token = token
        self._privileged = privileged
        self._heartbeat_interval = heartbeat_interval
        self._connections: list[Connection] = []
        self.sessions: dict[str, Session] = {}
        self.url = ""  # where clients connect; known once the server listens

    @property
    def has_listener(self) -> bool:
        """Whether some client is connected and has been told about itself and its guilds."""
        return any(session.introduced and session.connection is not None for session in self.sessions.values())

    # Telling

    async def publish(self, event: str, data: dict[str, Any], *, intent: Intent, guild_id: int | None) -> None:
        """Tell an event to every session of the right shard that asked for the intent."""
        for session in list(self.sessions.values()):
            if session.serves(guild_id) and intent in session.intents:
                await session.tell(event, data)

    async def publish_message(self, event: str, message: Message) -> None:
        """Tell MESSAGE_CREATE or MESSAGE_UPDATE, without the content where a session may not read it."""
        guild_id = message.channel.guild_id
        intent = Intent.DIRECT_MESSAGES if guild_id is None else Intent.GUILD_MESSAGES
        data = self._world.gateway_message(message)
        for session in list(self.sessions.values()):
            if session.serves(guild_id) and intent in session.intents:
                readable = Intent.MESSAGE_CONTENT in session.intents or guild_id is None
                await session.tell(event, data if readable else self._without_content(data))

    def _without_content(self, data: dict[str, Any]) -> dict[str, Any]:
        """A message as seen without the message-content intent: whole only if the bot wrote it or is mentioned."""
        bot_id = str(self._world.bot.id)
        replied = data.get("referenced_message")
        if replied is not None:
            data = data | {"referenced_message": self._without_content(replied)}
        if data["author"]["id"] == bot_id or any(user["id"] == bot_id for user in data["mentions"]):
            return data
        return data | {"content": "", "embeds": [], "attachments": [], "components": []}

    # Disturbing

    def drop_connections(self) -> None:
        """Cut every socket without a word, as a broken network does. The sessions stay."""
        for connection in list(self._connections):
            self._forget(connection)
            connection.transport.abort()

    async def ask_to_reconnect(self) -> None:
        """Tell every client to reconnect and resume, as Discord does before it restarts a machine."""
        for connection in list(self._connections):
            await connection.send({"op": Op.RECONNECT, "d": None})

    async def invalidate_sessions(self) -> None:
        """End every session: the clients must identify anew, and what they have missed is lost."""
        self.sessions.clear()
        for connection in list(self._connections):
            await connection.send({"op": Op.INVALID_SESSION, "d": False})

    # Listening

    async def accept(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection until either side ends it."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        assert request.transport is not None
        stream = zlib.compressobj() if request.query.get("compress") == "zlib-stream" else None
        connection = Connection(socket, request.transport, stream)
        if request.query.get("v") != "10" or request.query.get("encoding", "json") != "json":
            await socket.close(code=Close.INVALID_VERSION)
            return socket
        self._connections.append(connection)
        self._journal.record(Kind.CONNECTED)
        await connection.send({"op": Op.HELLO, "d": {"heartbeat_interval": int(self._heartbeat_interval * 1000)}})
        async for payload in self._payloads(socket):
            code = await self._receive(connection, payload)
            if code is not None:
                await socket.close(code=code, message=code.name.encode())
        if socket.close_code in (1000, 1001) and connection.session is not None:
            self.sessions.pop(connection.session.id, None)  # a client that says goodbye doesn't come back
        self._forget(connection)
        return socket

    async def _payloads(self, socket: web.WebSocketResponse) -> AsyncIterator[dict[str, Any]]:
        async for message in socket:
            try:
                payload = json.loads(message.data) if message.type is WSMsgType.TEXT else None
            except json.JSONDecodeError:
                payload = None
            if not isinstance(payload, dict):
                await socket.close(code=Close.DECODE_ERROR)
                return
            yield payload

    async def _receive(self, connection: Connection, payload: dict[str, Any]) -> Close | None:
        """Act on what a client sent; the code to close the connection with, if it did something wrong."""
        op, data = payload.get("op"), payload.get("d")
        if op == Op.HEARTBEAT:
            await asyncio.sleep(HEARTBEAT_ACK_S)
            await connection.send({"op": Op.HEARTBEAT_ACK, "d": None})
            return None
        if op == Op.IDENTIFY and isinstance(data, dict):
            return await self._identify(connection, data)
        if op == Op.RESUME and isinstance(data, dict):
            return await self._resume(connection, data)
        if op == Op.PRESENCE_UPDATE:
            return None if connection.session is not None else Close.NOT_AUTHENTICATED
        return Close.UNKNOWN_OPCODE

    async def _identify(self, connection: Connection, data: dict[str, Any]) -> Close | None:
        if connection.session is not None:
            return Close.ALREADY_AUTHENTICATED
        shard, intents = data.get("shard", [0, 1]), data.get("intents")
        if data.get("token") != self._token:
            return Close.AUTHENTICATION_FAILED
        if not 0 <= shard[0] < shard[1]:
            return Close.INVALID_SHARD
        if not isinstance(intents, int) or intents & ~_KNOWN_INTENTS:
            return Close.INVALID_INTENTS
        if Intent(intents) & PRIVILEGED & ~self._privileged:
            return Close.DISALLOWED_INTENTS
        session = Session(new_token(), Intent(intents), (shard[0], shard[1]), connection)
        connection.session = self.sessions[session.id] = session
        await self._introduce(session)
        session.introduced = True
        self._journal.record(Kind.IDENTIFIED, detail=f"shard {shard[0]} of {shard[1]}")
        return None

    async def _introduce(self, session: Session) -> None:
        """READY, and one GUILD_CREATE for each guild."""
        guilds = [guild for guild in self._world.guilds.values() if session.serves(guild.id)]
        ready = {
            "v": 10,
            "user": self._world.bot.payload() | {"mfa_enabled": False, "verified": True, "email": None},
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "shard": list(session.shard),
            "application": {"id": str(self._world.bot.id), "flags": 0},
        }
        await session.tell("READY", ready)
        if Intent.GUILDS in session.intents:
            for guild in guilds:
                await session.tell("GUILD_CREATE", self._guild_create(guild, session.intents))

    def _guild_create(self, guild: Guild, intents: Intent) -> dict[str, Any]:
        everybody = Intent.GUILD_MEMBERS in intents
        bot = self._world.bot
        members = [m for m in guild.members.values() if everybody or m.user.id == bot.id]
        channels = self._world.channels_of(guild)
        return guild.payload() | {
            "joined_at": timestamp(guild.members[bot.id].joined),
            "large": False,
            "unavailable": False,
            "member_count": len(guild.members),
            "members": [member.payload() for member in members],
            "channels": [channel.payload(bot, position) for position, channel in enumerate(channels)],
            "threads": [],
            "presences": [],
            "voice_states": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }

    async def _resume(self, connection: Connection, data: dict[str, Any]) -> Close | None:
        if data.get("token") != self._token:
            return Close.AUTHENTICATION_FAILED
        session, seen = self.sessions.get(str(data.get("session_id"))), data.get("seq")
        if session is None:
            await connection.send({"op": Op.INVALID_SESSION, "d": False})
            return None
        if not isinstance(seen, int) or not 0 <= seen <= len(session.sent):
            return Close.INVALID_SEQUENCE
        connection.session = session
        missed = await session.go_on(connection, seen)
        await session.tell("RESUMED", {})
        self._journal.record(Kind.RESUMED, detail=f"{missed} events sent again")
        return None

    def _forget(self, connection: Connection) -> None:
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        if connection.session is not None and connection.session.connection is connection:
            connection.session.connection = None
        self._journal.record(Kind.DISCONNECTED)
