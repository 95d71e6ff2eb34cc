"""The gateway: the socket over which Discord tells a bot what happens.

A session outlives its connection. Every event gets the session's next number and is kept; a client that lost its
connection names the last number it saw, and is sent the rest. What a session is told depends on the intents that the
client identified with, and what a message says depends on the privileged message-content intent.

What it does not do: it never times a session out, never insists on heartbeats, and lets any number of shards identify
at the same time.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from aiohttp import WSMsgType, web

from bot.loopback.discord.journal import Journal, Kind
from bot.loopback.discord.sessions import KNOWN_INTENTS, PRIVILEGED, Close, Connection, Intent, Op, Session
from bot.loopback.discord.world import Guild, Message, World, new_token, timestamp, without_content

__all__ = ["Gateway", "Intent"]

# discord.py notes when it sent a heartbeat only after sending it: an answer that comes at once seems one interval late.
HEARTBEAT_ACK_S = 0.05

IDENTIFIES_A_DAY = 1000


class Gateway:
    """Accepts connections and spreads events over the sessions that may see them."""

    def __init__(
        self,
        world: World,
        journal: Journal,
        token: str,
        *,
        privileged: Intent,
        heartbeat_interval: float,
        keeps: int,
    ) -> None:
        """`privileged` are the privileged intents switched on for the application; the interval is in seconds.

        `keeps` is how many events of each session are there for a client's return.
        """
        self._world = world
        self._journal = journal
        self._token = token
        self._privileged = privileged
        self._heartbeat_interval = heartbeat_interval
        self._keeps = keeps
        self._connections: list[Connection] = []
        self.identifies_left = IDENTIFIES_A_DAY
        self.sessions: dict[str, Session] = {}
        self.url = ""  # where clients connect; known once the server listens

    @property
    def has_listener(self) -> bool:
        """Whether some client is connected with all its shards, and each has been told about itself and its guilds."""
        live = {session.shard for session in self.sessions.values() if session.live}
        return any(all((number, count) in live for number in range(count)) for _, count in live)

    # Telling

    def listeners(self, intent: Intent, guild_id: int | None) -> Iterator[Session]:
        """The sessions of the right shard that asked for the intent, unless the bot has no business there."""
        guild = None if guild_id is None else self._world.guilds[guild_id]
        if guild is not None and self._world.bot.id not in guild.members:
            return
        for session in list(self.sessions.values()):
            if session.serves(guild_id) and intent in session.intents:
                yield session

    async def publish(self, event: str, data: dict[str, Any], *, intent: Intent, guild_id: int | None) -> None:
        """Tell an event to every session of the right shard that asked for the intent."""
        for session in self.listeners(intent, guild_id):
            await session.tell(event, data)

    async def publish_message(self, event: str, message: Message) -> None:
        """Tell MESSAGE_CREATE or MESSAGE_UPDATE, without the content where a session may not read it."""
        guild_id = message.channel.guild_id
        intent = Intent.DIRECT_MESSAGES if guild_id is None else Intent.GUILD_MESSAGES
        data = self._world.gateway_message(message)
        for session in self.listeners(intent, guild_id):
            readable = Intent.MESSAGE_CONTENT in session.intents or guild_id is None
            await session.tell(event, data if readable else without_content(data, self._world.bot))

    async def welcome(self, guild: Guild) -> None:
        """Tell that the bot has come into a guild."""
        for session in self.listeners(Intent.GUILDS, guild.id):
            data = self._guild_create(guild, session.intents)
            del data["unavailable"]  # with it, it would be a guild that was there before
            await session.tell("GUILD_CREATE", data)

    # Disturbing

    def drop_connections(self) -> None:
        """Cut every socket without a word, as a broken network does. The sessions stay."""
        for connection in list(self._connections):
            self._forget(connection)
            connection.transport.abort()

    def go_silent(self) -> None:
        """Let nothing that is sent over the sockets of now arrive, as with a connection that is half open."""
        for connection in self._connections:
            connection.silent = True

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
        session = connection.session
        if socket.close_code in (1000, 1001) and session is not None and session.connection is connection:
            self.sessions.pop(session.id, None)  # a client that says goodbye doesn't come back
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
        if not isinstance(intents, int) or intents & ~KNOWN_INTENTS:
            return Close.INVALID_INTENTS
        if Intent(intents) & PRIVILEGED & ~self._privileged:
            return Close.DISALLOWED_INTENTS
        session = Session(new_token(), Intent(intents), (shard[0], shard[1]), connection, keeps=self._keeps)
        self.identifies_left -= 1
        connection.session = self.sessions[session.id] = session
        await self._introduce(session)
        session.introduced = True
        self._journal.record(Kind.IDENTIFIED, detail=f"shard {shard[0]} of {shard[1]}")
        return None

    async def _introduce(self, session: Session) -> None:
        """READY, and one GUILD_CREATE for each guild."""
        guilds = [guild for guild in self._world.bot_guilds if session.serves(guild.id)]
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
            "threads": [thread.payload(bot) for thread in self._world.active_threads(guild)],
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
        if session is None or (isinstance(seen, int) and 0 < seen < session.dropped):
            await connection.send({"op": Op.INVALID_SESSION, "d": False})
            return None
        if not isinstance(seen, int) or not session.dropped <= seen <= session.last:
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
