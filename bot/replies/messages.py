"""The table `messages`: where each message stands, so that none is answered twice. Texts are never stored.

    received -> sending -> answered        an answer was made, was handed to the platform, was accepted by it
             -> refused                    quota, nothing fit to send; the author was told why

A message found in `received` after a crash may be answered on redelivery; one in `sending` may have been answered
already and is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from bot.database import Database
from bot.errors import Busy, Refused, UnknownPersona, UnknownVersion
from bot.personas.takedown import require_remembered
from bot.replies.answers import Answers, Said
from bot.replies.incoming import Incoming, Platform

LONGEST_SENDING = timedelta(minutes=5)  # what has been on its way for longer was cut off; libraries try a few times
_LOOK_S = 0.1  # between two looks whether what is on its way has arrived
_LOOKS = 450  # together longer than one request takes


class Messages:
    """Rows of messages, by their platform's ids."""

    def __init__(self, database: Database, answers: Answers, clock: Callable[[], datetime]) -> None:
        """`answers` keeps what an answer that arrived says."""
        self._database = database
        self._answers = answers
        self._clock = clock

    async def record(self, incoming: Incoming) -> bool:
        """Whether the message is still to be answered; it is on record afterwards."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "INSERT OR IGNORE INTO messages "
                "(platform, message_id, channel_id, author_id, server_id, state, received_at) "
                "VALUES (?, ?, ?, ?, ?, 'received', ?)",
                (
                    incoming.platform,
                    incoming.message_id,
                    incoming.channel_id,
                    incoming.author_id,
                    incoming.server_id,
                    self._clock().isoformat(),
                ),
            )
            row = await transaction.one(
                "SELECT state FROM messages WHERE platform = ? AND message_id = ?",
                (incoming.platform, incoming.message_id),
            )
        return row is not None and row["state"] == "received"

    @asynccontextmanager
    async def noting_refusal(self, incoming: Incoming) -> AsyncIterator[None]:
        """What the body refuses does not count against anybody's quota."""
        try:
            yield
        except (Refused, UnknownPersona, UnknownVersion):
            async with self._database.transaction() as transaction:
                await transaction.run(
                    "UPDATE messages SET state = 'refused', finished_at = ? "
                    "WHERE platform = ? AND message_id = ? AND state = 'received'",
                    (self._clock().isoformat(), incoming.platform, incoming.message_id),
                )
            raise

    async def move(self, incoming: Incoming, state: str, persona: str, version: str, seed: int, since: str) -> None:
        """Write down where the message stands, with an answer that was begun at `since`. Raises `UnknownPersona`."""
        async with self._database.transaction() as transaction:
            await require_remembered(transaction, persona, since)
            await transaction.run(
                "UPDATE messages SET state = ?, persona = ?, version = ?, seed = ?, finished_at = ? "
                "WHERE platform = ? AND message_id = ?",
                (
                    state,
                    persona,
                    version,
                    seed,
                    self._clock().isoformat(),
                    incoming.platform,
                    incoming.message_id,
                ),
            )

    async def answered(self, incoming: Incoming, *answer_ids: str, said: Sequence[Said] = ()) -> None:
        """The platform accepted the answer under this id, or under several where it took more than one message.

        `said` is what those of them say that buttons, replies and votes are to know. Of whoever was forgotten while it
        was on its way nothing is kept.
        """
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE messages SET state = 'answered', answer_id = ?, finished_at = ? "
                "WHERE platform = ? AND message_id = ?",
                (" ".join(answer_ids), self._clock().isoformat(), incoming.platform, incoming.message_id),
            )
            row = await transaction.one(
                "SELECT 1 FROM messages WHERE platform = ? AND message_id = ? AND persona IS NOT NULL",
                (incoming.platform, incoming.message_id),
            )
            if row is not None:
                await self._answers.keep(transaction, incoming, said)

    async def take_back(self, platform: Platform, message_id: str) -> None:
        """It is certain that the platform has not got the answer; the message may be answered anew."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE messages SET state = 'received', persona = NULL, version = NULL, seed = NULL "
                "WHERE platform = ? AND message_id = ? AND state = 'sending'",
                (platform, message_id),
            )

    async def speaks(self, incoming: Incoming, answer_id: str, persona: str, version: str, since: datetime) -> None:
        """A message that the platform shows already, under `answer_id`, is about to speak in a voice that was there at
        `since` (UTC), in answer to `incoming`. Raises `UnknownPersona` when it was forgotten since.
        """
        await self.record(incoming)
        async with self._database.transaction() as transaction:
            await require_remembered(transaction, persona, since.isoformat())
            await transaction.run(
                "UPDATE messages SET state = 'answered', persona = ?, version = ?, answer_id = ?, finished_at = ? "
                "WHERE platform = ? AND message_id = ?",
                (
                    persona,
                    version,
                    answer_id,
                    self._clock().isoformat(),
                    incoming.platform,
                    incoming.message_id,
                ),
            )

    # --- Forgetting, and handing over what is held ---

    async def said_as(self, personas: Sequence[str]) -> list[dict[str, object]]:
        """Every answer in these voices: platform, channel_id, answer_id (several ids with a blank between, None when
        it was never learned), state, persona, version, finished_at. Nothing about whom it answered.
        """
        rows = await self._database.all(
            "SELECT platform, channel_id, answer_id, state, persona, version, finished_at FROM messages "
            f"WHERE state IN ('sending', 'answered') AND {one_of(personas)} ORDER BY finished_at",
            personas,
        )
        return [dict(row) for row in rows]

    async def settled(self, personas: Sequence[str]) -> None:
        """Return once no answer in these voices is on its way, or has been for longer than an answer takes.

        Raises `Busy` when one is on its way for long.
        """

        async def on_its_way() -> bool:
            since = (self._clock() - LONGEST_SENDING).isoformat()
            row = await self._database.one(
                f"SELECT 1 FROM messages WHERE state = 'sending' AND finished_at > ? AND {one_of(personas)}",
                (since, *personas),
            )
            return row is not None

        await until_arrived(on_its_way)

    async def forget(self, personas: Sequence[str]) -> None:
        """Let no record speak of these personas. That a message was answered stays, so that none is answered twice."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE messages SET persona = NULL, version = NULL, seed = NULL, answer_id = NULL "
                f"WHERE {one_of(personas)}",
                personas,
            )
            await transaction.run(f"UPDATE channels SET persona = NULL WHERE {one_of(personas)}", personas)
            await transaction.run(f"DELETE FROM answers WHERE {one_of(personas)}", personas)
            await transaction.run(f"DELETE FROM guess_games WHERE {one_of(personas)}", personas)
            await transaction.run(f"DELETE FROM duels WHERE {one_of(personas, 'a')}", personas)
            await transaction.run(f"DELETE FROM duels WHERE {one_of(personas, 'b')}", personas)


async def until_arrived(on_its_way: Callable[[], Awaitable[bool]]) -> None:
    """Return once nothing is on its way any more. Raises `Busy` when something is for longer than a request takes."""
    for _ in range(_LOOKS):
        if not await on_its_way():
            return
        await asyncio.sleep(_LOOK_S)
    minutes = LONGEST_SENDING.total_seconds() / 60
    raise Busy(
        "Something is being sent to its platform at this moment. "
        f"Try again in {minutes:.0f} minutes; a running service goes on by itself.",
        LONGEST_SENDING.total_seconds(),
    )


def one_of(personas: Sequence[str], column: str = "persona") -> str:
    """The condition that a row is about one of these personas, which are its parameters."""
    return f"{column} IN ({', '.join('?' * len(personas))})"
