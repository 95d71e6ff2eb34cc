"""How much one person, and one server, may ask for: what is on record is counted, nothing else is kept.

The operator sets the limits ([replies] in config.toml). A server can set others for its own people, for all of them or
by role, up to what the operator lets it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from bot.config import Replies
from bot.database import Database
from bot.errors import Refused
from bot.replies.incoming import Incoming
from bot.replies.servers import Servers, ServerSettings

_HOUR = timedelta(hours=1)


class Quota:
    """Says no, with the time of the next try."""

    def __init__(self, database: Database, settings: Replies, servers: Servers, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._settings = settings
        self._servers = servers
        self._clock = clock

    async def check(self, incoming: Incoming) -> None:
        """Raises `Refused` when the author or the server has asked for too much already, or too soon.

        The request at hand is on record already, so a full hour holds one more than the quota.
        """
        chosen = await self._servers.settings(incoming.platform, incoming.server_id) if incoming.server_id else None
        await self._check_cooldown(incoming, chosen)
        limit = self.for_person(chosen, incoming.roles)
        sentence = f"That was a lot of tweets: {limit:,} an hour is the limit here."
        theirs = {"author_id": incoming.author_id}
        if limit != self._settings.requests_per_hour:  # a server's own number is about what is asked for there
            theirs["server_id"] = incoming.server_id
        await self._check(theirs, incoming, limit, sentence)
        if incoming.server_id:
            limit = self.for_server(chosen)
            sentence = f"This server has asked for a lot: {limit:,} tweets an hour is its limit."
            await self._check({"server_id": incoming.server_id}, incoming, limit, sentence)

    def for_person(self, chosen: ServerSettings | None, roles: tuple[str, ...]) -> int:
        """How many requests an hour a person with these roles may make on a server that has chosen this."""
        own = self._settings.requests_per_hour
        if chosen is None:
            return own
        by_role = [chosen.role_requests_per_hour[role] for role in roles if role in chosen.role_requests_per_hour]
        wanted = max(by_role) if by_role else chosen.requests_per_hour
        return own if wanted is None else min(wanted, max(own, self._settings.most_requests_per_hour))

    def for_server(self, chosen: ServerSettings | None) -> int:
        """How many requests an hour such a server may make in all."""
        most = self._settings.server_requests_per_hour
        wanted = chosen.server_requests_per_hour if chosen else None
        return most if wanted is None else min(wanted, most)

    @property
    def most_for_person(self) -> int:
        """More requests an hour than this no server can let one person make."""
        return max(self._settings.requests_per_hour, self._settings.most_requests_per_hour)

    def cooldown(self, chosen: ServerSettings | None) -> float:
        """Seconds between two requests of one person on a server that has chosen this."""
        wanted = chosen.cooldown_seconds if chosen else None
        return max(self._settings.cooldown_seconds, wanted or 0)

    async def set_for_person(self, platform: str, server_id: str, limit: int) -> ServerSettings:
        """From now on one person may make so many requests an hour there; 0 is the operator's number.

        Raises `Refused` above what the operator lets a server choose.
        """
        _require_at_most(limit, self.most_for_person)
        return await self._servers.change(platform, server_id, requests_per_hour=limit or None)

    async def set_for_role(self, platform: str, server_id: str, role_id: str, limit: int) -> ServerSettings:
        """Likewise for people with that role; 0 is what all people there may. Raises `Refused`."""
        _require_at_most(limit, self.most_for_person)
        return await self._servers.limit_role(platform, server_id, role_id, limit or None)

    async def set_for_server(self, platform: str, server_id: str, limit: int) -> ServerSettings:
        """Likewise for all people there together. Raises `Refused`."""
        _require_at_most(limit, self._settings.server_requests_per_hour)
        return await self._servers.change(platform, server_id, server_requests_per_hour=limit or None)

    async def set_cooldown(self, platform: str, server_id: str, seconds: float) -> ServerSettings:
        """From now on so much time passes there between two requests of one person; 0 is the operator's number.

        Raises `Refused` below that.
        """
        least = self._settings.cooldown_seconds
        if 0 < seconds < least:
            raise Refused(f"The operator lets {least:g} s pass between two requests. Choose as much or more.")
        return await self._servers.change(platform, server_id, cooldown_seconds=seconds or None)

    async def _check_cooldown(self, incoming: Incoming, chosen: ServerSettings | None) -> None:
        seconds = self.cooldown(chosen)
        if not seconds:
            return
        there = ""
        values = [incoming.platform, incoming.author_id, incoming.message_id]
        if seconds != self._settings.cooldown_seconds:  # likewise
            there += " AND server_id = ?"
            values.append(incoming.server_id)
        if incoming.persona:  # one post may call two of our accounts, and each answers it
            there += " AND channel_id = ?"
            values.append(incoming.channel_id)
        row = await self._database.one(
            "SELECT max(received_at) AS at FROM messages WHERE platform = ? AND author_id = ? AND message_id != ? "
            f"AND state != 'refused'{there}",
            values,
        )
        if row is not None and row["at"]:
            left = datetime.fromisoformat(row["at"]) + timedelta(seconds=seconds) - self._clock()
            if left > timedelta(0):
                raise Refused(f"One at a time: ask again in {max(1, round(left.total_seconds()))} s.")

    async def _check(self, whose: Mapping[str, str], incoming: Incoming, limit: int, sentence: str) -> None:
        """Raises `Refused` where the last hour holds more than `limit` requests that were not refused.

        `whose` are columns with their values.
        """
        columns = " AND ".join(f"{column} = ?" for column in whose)
        asked = (
            f"FROM messages WHERE platform = ? AND {columns} AND received_at > ? AND state != 'refused'",
            (incoming.platform, *whose.values(), (self._clock() - _HOUR).isoformat()),
        )
        row = await self._database.one(f"SELECT count(*) AS number {asked[0]}", asked[1])
        if row is None or row["number"] <= limit:
            return
        oldest = await self._database.one(
            f"SELECT received_at {asked[0]} ORDER BY received_at DESC LIMIT 1 OFFSET {limit:d}", asked[1]
        )
        free_at = datetime.fromisoformat(oldest["received_at"] if oldest else self._clock().isoformat()) + _HOUR
        minutes = max(1, round((free_at - self._clock()).total_seconds() / 60))
        raise Refused(f"{sentence} Ask again in {minutes} min.")


def _require_at_most(limit: int, most: int) -> None:
    if limit > most:
        raise Refused(f"The operator allows {most:,} requests an hour at most. Choose that or less.")
