"""Mentions and commands in, generated tweets out; the one place that every front end asks.

A message is recorded under its platform's id before anything is generated, so that a second delivery, a reconnect or
a restart is silent. Message texts are never stored: they are data for one answer only.

    received -> sending -> answered        an answer was made, was handed to the platform, was accepted by it
             -> refused                    quota, nothing fit to send; the author was told why

A message found in `received` after a crash may be answered on redelivery; one in `sending` may have been answered
already and is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from bot.config import Generation, Replies
from bot.database import Database
from bot.errors import Busy, Refused, UnknownPersona
from bot.generation.draft import Draft, Drafts, OnPartial, Sampling
from bot.personas.takedown import forgotten_personas, require_remembered, taken_down
from bot.replies.addressing import addressed_persona
from bot.replies.server_words import ServerWords
from bot.shelf.shelf import Shelf

LONGEST_SENDING = timedelta(minutes=5)  # what has been on its way for longer was cut off; libraries try a few times
_LOOK_S = 0.1  # between two looks whether what is on its way has arrived
_LOOKS = 450  # together longer than one request takes


class Platform(StrEnum):
    """Where something was said."""

    DISCORD = "discord"
    WEB = "web"
    X = "x"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that was said to the bot."""

    platform: Platform
    message_id: str  # the platform's own
    channel_id: str
    author_id: str
    text: str  # without the mention of the bot itself
    server_id: str = ""  # the platform's own, whose words are not said; empty in a direct message
    thread: tuple[str, ...] = ()  # what was said before it, the oldest first


@dataclass(frozen=True, slots=True)
class Answer:
    """What to say."""

    persona: str
    version: str
    draft: Draft


class Drafting(Protocol):
    """What is asked of whoever speaks; `bot.generation.speaker.Speaker` does."""

    async def drafts(
        self,
        persona: str,
        *,
        count: int,
        sampling: Sampling,
        start: str = "",
        seed: int | None = None,
        about: str = "",
        thread: Sequence[str] = (),
        urgent: bool = True,
        version: str | None = None,
        on_partial: OnPartial | None = None,
    ) -> Drafts: ...

    async def replay(self, persona: str, version: str, *, seed: int, sampling: Sampling, start: str = "") -> Drafts: ...


class Conversation:
    """Answers messages at most once each, within each person's quota."""

    def __init__(
        self,
        database: Database,
        shelf: Shelf,
        speaker: Drafting,
        generation: Generation,
        settings: Replies,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._shelf = shelf
        self._speaker = speaker
        self._generation = generation
        self._settings = settings
        self._words = ServerWords(database, clock)
        self._clock = clock
        self._in_flight: set[tuple[str, str]] = set()

    async def answer(self, incoming: Incoming, on_partial: OnPartial | None = None) -> Answer | None:
        """The reply to a message, or None when it was answered (or is being answered) already.

        The caller sends it and then calls `delivered`. Raises `Refused`, `Busy`, `UnknownPersona`, each with a
        sentence for the author; the message then counts as dealt with, except after `Busy`. `on_partial` is told how
        far each row has come; what it is told is not for everybody's eyes.
        """
        key = (incoming.platform.value, incoming.message_id)
        began = self._clock().isoformat()
        if key in self._in_flight:
            return None
        self._in_flight.add(key)  # before the first await: two deliveries may come in one breath
        try:
            if not await self._record(incoming):
                return None
            answer = await self._make(incoming, on_partial)
            await self._move(incoming, "sending", answer, began)
            return answer
        except (Refused, UnknownPersona):
            await self._move(incoming, "refused", None)
            raise
        finally:
            self._in_flight.discard(key)

    async def delivered(self, incoming: Incoming, *answer_ids: str) -> None:
        """The platform accepted the answer under this id, or under several where it took more than one message."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE messages SET state = 'answered', answer_id = ?, finished_at = ? "
                "WHERE platform = ? AND message_id = ?",
                (" ".join(answer_ids), self._clock().isoformat(), incoming.platform, incoming.message_id),
            )

    async def drafts(
        self,
        platform: Platform,
        channel_id: str,
        author_id: str,
        request_id: str,
        persona: str | None = None,
        start: str = "",
        count: int = 1,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        server_id: str = "",
        on_partial: OnPartial | None = None,
    ) -> Drafts:
        """What `/tweet` gives: `count` drafts of the named persona (the channel's own when None), the best first.

        `request_id` is the command's id on its platform and counts against the author's quota. The caller shows them
        and then calls `shown`. `on_partial` is as with `answer`. Raises `Refused`, `Busy`, `UnknownPersona`.
        """
        incoming = Incoming(platform, request_id, channel_id, author_id, "", server_id)
        began = self._clock().isoformat()
        name, sampling = await self._asked(incoming, persona, temperature, top_p)
        drafts = await self._speaker.drafts(
            name, start=start, count=count, sampling=sampling, seed=seed, on_partial=on_partial
        )
        await self._move(incoming, "answered", Answer(drafts.persona, drafts.version, drafts.drafts[0]), began)
        return drafts

    async def replay(
        self,
        platform: Platform,
        channel_id: str,
        author_id: str,
        request_id: str,
        persona: str,
        version: str,
        seed: int,
        start: str = "",
        temperature: float | None = None,
        top_p: float | None = None,
        server_id: str = "",
    ) -> Drafts:
        """What `/replay` gives: the one draft that this version gives with this seed, beginning and sampling.

        Everything else is as with `drafts`. Raises `Refused` when that draft is not fit to be shown, `UnknownVersion`.
        """
        incoming = Incoming(platform, request_id, channel_id, author_id, "", server_id)
        began = self._clock().isoformat()
        name, sampling = await self._asked(incoming, persona, temperature, top_p)
        drafts = await self._speaker.replay(name, version.strip().lower(), seed=seed, sampling=sampling, start=start)
        await self._move(incoming, "answered", Answer(drafts.persona, drafts.version, drafts.drafts[0]), began)
        return drafts

    async def shown(self, platform: Platform, request_id: str, *answer_ids: str) -> None:
        """The platform shows the drafts that were asked for with `request_id`, under these ids."""
        await self.delivered(Incoming(platform, request_id, "", "", ""), *answer_ids)

    async def speaks(self, incoming: Incoming, answer_id: str, persona: str, version: str, since: datetime) -> None:
        """A message that the platform shows already, under `answer_id`, is about to speak in a voice that was there at
        `since` (UTC), in answer to `incoming`. Raises `UnknownPersona` when it was forgotten since.
        """
        await self._record(incoming)
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

    async def channel_persona(self, platform: Platform, channel_id: str) -> str:
        """Who answers in that channel when nobody is named."""
        row = await self._database.one(
            "SELECT persona FROM channels WHERE platform = ? AND channel_id = ?", (platform, channel_id)
        )
        return row["persona"] if row else self._settings.default_persona

    async def set_channel_persona(self, platform: Platform, channel_id: str, persona: str) -> None:
        """From now on that persona answers there. Raises `UnknownPersona`."""
        await self.require_here(persona)
        self._shelf.current(persona)
        async with self._database.transaction() as transaction:
            await transaction.run(
                "INSERT INTO channels (platform, channel_id, persona) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET persona = excluded.persona",
                (platform, channel_id, persona),
            )

    async def _asked(
        self, incoming: Incoming, persona: str | None, temperature: float | None, top_p: float | None
    ) -> tuple[str, Sampling]:
        """Who is to speak and how, once the request is on record. Raises `Refused`, `UnknownPersona`."""
        await self._record(incoming)
        await self._check_quota(incoming.platform, incoming.author_id)
        here = incoming.platform, incoming.channel_id
        name = persona.lower().removeprefix("@") if persona else await self.channel_persona(*here)
        await self.require_here(name)
        banned = await self._words.of(incoming.platform, incoming.server_id)
        return name, Sampling.from_settings(self._generation, temperature=temperature, top_p=top_p, banned=banned)

    async def _make(self, incoming: Incoming, on_partial: OnPartial | None) -> Answer:
        await self._check_quota(incoming.platform, incoming.author_id)
        names = {*self._shelf.personas(), *await forgotten_personas(self._database)}
        persona, text = addressed_persona(incoming.text, names)
        persona = persona or await self.channel_persona(incoming.platform, incoming.channel_id)
        await self.require_here(persona)
        banned = await self._words.of(incoming.platform, incoming.server_id)
        sampling = Sampling.from_settings(self._generation, banned=banned)
        drafts = await self._speaker.drafts(
            persona,
            count=self._generation.drafts,
            sampling=sampling,
            about=text,
            thread=incoming.thread,
            on_partial=on_partial,
        )
        return Answer(drafts.persona, drafts.version, drafts.drafts[0])

    # --- Forgetting, and handing over what is held ---

    async def said_as(self, personas: Sequence[str]) -> list[dict[str, object]]:
        """Every answer in these voices: platform, channel_id, answer_id (several ids with a blank between, None when
        it was never learned), state, persona, version, finished_at. Nothing about whom it answered.
        """
        rows = await self._database.all(
            "SELECT platform, channel_id, answer_id, state, persona, version, finished_at FROM messages "
            f"WHERE state IN ('sending', 'answered') AND {_one_of(personas)} ORDER BY finished_at",
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
                f"SELECT 1 FROM messages WHERE state = 'sending' AND finished_at > ? AND {_one_of(personas)}",
                (since, *personas),
            )
            return row is not None

        await until_arrived(on_its_way)

    async def channels_with(self, platform: str, persona: str) -> list[str]:
        """The channels on that platform in which this persona was chosen."""
        rows = await self._database.all(
            "SELECT channel_id FROM channels WHERE platform = ? AND persona = ? ORDER BY channel_id",
            (platform, persona),
        )
        return [row["channel_id"] for row in rows]

    async def channels_of(self, personas: Sequence[str]) -> int:
        """In how many channels one of these personas was chosen."""
        row = await self._database.one(f"SELECT count(*) FROM channels WHERE {_one_of(personas)}", personas)
        return int(row[0]) if row else 0

    async def forget(self, personas: Sequence[str]) -> None:
        """Let no record speak of these personas. That a message was answered stays, so that none is answered twice."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE messages SET persona = NULL, version = NULL, seed = NULL, answer_id = NULL "
                f"WHERE {_one_of(personas)}",
                personas,
            )
            await transaction.run(f"DELETE FROM channels WHERE {_one_of(personas)}", personas)

    async def require_here(self, persona: str) -> None:
        """Say so when the persona was taken down; raises `UnknownPersona`."""
        if persona not in self._shelf.personas() and persona in await forgotten_personas(self._database):
            raise UnknownPersona(taken_down(persona))

    async def _record(self, incoming: Incoming) -> bool:
        """Whether the message is still to be answered; it is on record afterwards."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "INSERT OR IGNORE INTO messages (platform, message_id, channel_id, author_id, state, received_at) "
                "VALUES (?, ?, ?, ?, 'received', ?)",
                (
                    incoming.platform,
                    incoming.message_id,
                    incoming.channel_id,
                    incoming.author_id,
                    self._clock().isoformat(),
                ),
            )
            row = await transaction.one(
                "SELECT state FROM messages WHERE platform = ? AND message_id = ?",
                (incoming.platform, incoming.message_id),
            )
        return row is not None and row["state"] == "received"

    async def _move(self, incoming: Incoming, state: str, answer: Answer | None, since: str = "") -> None:
        """Write down where the message stands; with an answer that was begun at `since`. Raises `UnknownPersona`."""
        async with self._database.transaction() as transaction:
            if answer is not None:
                await require_remembered(transaction, answer.persona, since)
            await transaction.run(
                "UPDATE messages SET state = ?, persona = ?, version = ?, seed = ?, finished_at = ? "
                "WHERE platform = ? AND message_id = ?",
                (
                    state,
                    answer and answer.persona,
                    answer and answer.version,
                    answer and answer.draft.seed,
                    self._clock().isoformat(),
                    incoming.platform,
                    incoming.message_id,
                ),
            )

    async def _check_quota(self, platform: Platform, author_id: str) -> None:
        """The message at hand is on record already, so a full hour holds one more than the quota."""
        now = self._clock()
        rows = await self._database.all(
            "SELECT received_at FROM messages WHERE platform = ? AND author_id = ? AND received_at > ? "
            "AND state != 'refused' ORDER BY received_at",
            (platform, author_id, (now - timedelta(hours=1)).isoformat()),
        )
        if len(rows) > self._settings.requests_per_hour:
            free_at = datetime.fromisoformat(rows[0]["received_at"]) + timedelta(hours=1)
            minutes = max(1, round((free_at - now).total_seconds() / 60))
            raise Refused(
                f"That was a lot of tweets: {self._settings.requests_per_hour} an hour is the limit here. "
                f"Ask again in {minutes} min."
            )


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


def _one_of(personas: Sequence[str]) -> str:
    """The condition that a row is about one of these personas, which are its parameters."""
    return f"persona IN ({', '.join('?' * len(personas))})"
