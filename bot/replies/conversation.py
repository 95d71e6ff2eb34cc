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
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from bot.config import Generation, Replies
from bot.database import Database
from bot.errors import Busy, Refused, UnknownPersona, UnknownVersion
from bot.generation.choosing import in_language_of
from bot.generation.draft import Draft, Drafts, OnPartial, Sampling
from bot.personas.takedown import forgotten_personas, require_remembered, taken_down
from bot.replies.addressing import addressed_persona
from bot.replies.answers import Answers, Said
from bot.replies.channels import Channels
from bot.replies.incoming import Incoming, Platform
from bot.replies.opt_outs import OptOuts
from bot.replies.quota import Quota
from bot.replies.server_words import ServerWords
from bot.replies.servers import Servers
from bot.shelf.shelf import Shelf
from bot.tweets.languages import language

__all__ = ["Answer", "Conversation", "Drafting", "Incoming", "Platform", "Wanted", "said_of"]

LONGEST_SENDING = timedelta(minutes=5)  # what has been on its way for longer was cut off; libraries try a few times
_LOOK_S = 0.1  # between two looks whether what is on its way has arrived
_LOOKS = 450  # together longer than one request takes


@dataclass(frozen=True, slots=True)
class Answer:
    """What to say."""

    persona: str
    version: str
    draft: Draft


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a command asks for."""

    persona: str | None = None  # the channel's own when None
    version: str | None = None  # the one in use when None
    start: str = ""  # how each draft begins
    about: str = ""  # a message to answer
    count: int = 1
    temperature: float | None = None  # the configured one when None
    top_p: float | None = None  # likewise
    seed: int | None = None  # drawn when None
    goes_on: bool = False  # a further part of a request that was let through: it counts, but is not refused


def said_of(drafts: Drafts, answer_ids: Sequence[str], wanted: Wanted | None = None) -> list[Said]:
    """The drafts as they stand in these messages, one in each."""
    asked = wanted or Wanted()
    return [
        Said(
            answer_id=answer_id,
            persona=drafts.persona,
            version=drafts.version,
            seed=draft.seed,
            text=draft.text,
            novelty=draft.novelty,
            nearest=draft.nearest,
            start=asked.start,
            temperature=asked.temperature,
            top_p=asked.top_p,
        )
        for answer_id, draft in zip(answer_ids, drafts.drafts, strict=False)
    ]


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
        self._clock = clock
        self._in_flight: set[tuple[str, str]] = set()
        self.words = ServerWords(database, clock)
        self.servers = Servers(database, clock)
        self.channels = Channels(database)
        self.answers = Answers(database, clock)
        self.opt_outs = OptOuts(database, clock)
        self.quota = Quota(database, settings, self.servers, clock)

    async def answer(self, incoming: Incoming, on_partial: OnPartial | None = None) -> Answer | None:
        """The reply to a message, or None when it was answered (or is being answered) already, when its author wants no
        answers, and where nobody is answered.

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
            if await self._is_unwanted(incoming) or not await self._record(incoming):
                return None
            async with self._noting_refusal(incoming):
                answer = await self._make(incoming, on_partial)
                await self._move(incoming, "sending", answer, began)
            return answer
        finally:
            self._in_flight.discard(key)

    async def delivered(self, incoming: Incoming, *answer_ids: str, said: Sequence[Said] = ()) -> None:
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
                await self.answers.keep(transaction, incoming, said)

    async def not_delivered(self, platform: Platform, message_id: str) -> None:
        """It is certain that the platform has not got the answer; the message may be answered anew."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE messages SET state = 'received', persona = NULL, version = NULL, seed = NULL "
                "WHERE platform = ? AND message_id = ? AND state = 'sending'",
                (platform, message_id),
            )

    async def drafts(self, incoming: Incoming, wanted: Wanted, on_partial: OnPartial | None = None) -> Drafts:
        """What a command gives: drafts as they are wanted, the best first.

        `incoming` is the command, which counts against the author's quota. The caller shows them and then calls
        `delivered`. `on_partial` is as with `answer`. Raises `Refused`, `Busy`, `UnknownPersona`, `UnknownVersion`.
        """
        began = self._clock().isoformat()
        async with self._noting_refusal(incoming):
            name, sampling = await self._asked(incoming, wanted)
            drafts = await self._speaker.drafts(
                name,
                start=wanted.start,
                count=wanted.count,
                sampling=sampling,
                seed=wanted.seed,
                about=wanted.about,
                thread=incoming.thread,
                version=wanted.version,
                on_partial=on_partial,
            )
        await self._move(incoming, "answered", Answer(drafts.persona, drafts.version, drafts.drafts[0]), began)
        return drafts

    async def replay(self, incoming: Incoming, wanted: Wanted) -> Drafts:
        """What `/replay` gives: the one draft of the wanted version with the wanted seed, beginning and sampling.

        Everything else is as with `drafts`. Raises `Refused` when that draft is not fit to be shown, `UnknownVersion`.
        """
        began = self._clock().isoformat()
        async with self._noting_refusal(incoming):
            name, sampling = await self._asked(incoming, wanted)
            version = (wanted.version or self._shelf.current(name).version).strip().lower()
            seed = wanted.seed or 0
            drafts = await self._speaker.replay(name, version, seed=seed, sampling=sampling, start=wanted.start)
        await self._move(incoming, "answered", Answer(drafts.persona, drafts.version, drafts.drafts[0]), began)
        return drafts

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
        chosen = await self.channels.get(platform, channel_id)
        return chosen.persona or self._settings.default_persona

    async def persona_here(self, incoming: Incoming) -> str:
        """Who answers where that was said when nobody is named."""
        return (await self.channels.here(incoming)).persona or self._settings.default_persona

    async def set_channel_persona(self, platform: Platform, channel_id: str, persona: str, server_id: str = "") -> None:
        """From now on that persona answers there. Raises `UnknownPersona`."""
        await self.require_here(persona)
        self._shelf.current(persona)
        await self.channels.set_persona(platform, channel_id, persona, server_id)

    async def _is_unwanted(self, incoming: Incoming) -> bool:
        """Whether nobody is answered there, or the author does not want to be."""
        if (await self.channels.here(incoming)).is_off:
            return True
        return await self.opt_outs.has(incoming.platform, incoming.author_id)

    async def _asked(self, incoming: Incoming, wanted: Wanted) -> tuple[str, Sampling]:
        """Who is to speak and how, once the request is on record. Raises `Refused`, `UnknownPersona`."""
        if await self.opt_outs.has(incoming.platform, incoming.author_id):
            raise Refused("You have opted out, so nothing is done for you here. `/optout` takes you in again.")
        await self._record(incoming)
        if not wanted.goes_on:
            await self.quota.check(incoming)
        if (await self.channels.here(incoming)).is_off:
            raise Refused("The bot is switched off in this channel. Ask in another one.")
        persona = wanted.persona
        name = persona.strip().lower().removeprefix("@") if persona else await self.persona_here(incoming)
        await self.require_here(name)
        return name, await self._sampling(incoming, wanted.temperature, wanted.top_p)

    async def _sampling(
        self, incoming: Incoming, temperature: float | None = None, top_p: float | None = None
    ) -> Sampling:
        banned = await self.words.of(incoming.platform, incoming.server_id)
        return Sampling.from_settings(self._generation, temperature=temperature, top_p=top_p, banned=banned)

    async def _make(self, incoming: Incoming, on_partial: OnPartial | None) -> Answer:
        await self.quota.check(incoming)
        persona, version, text = await self._meant(incoming)
        await self.require_here(persona)
        drafts = await self._speaker.drafts(
            persona,
            count=self._generation.drafts,
            sampling=await self._sampling(incoming),
            about=text,
            thread=incoming.thread,
            version=version,
            on_partial=on_partial,
        )
        best = drafts.drafts[0]
        if incoming.in_its_language:  # the first time, the detector is loaded
            best = await asyncio.to_thread(in_language_of, text, drafts.drafts, language)
        return Answer(drafts.persona, drafts.version, best)

    async def _meant(self, incoming: Incoming) -> tuple[str, str | None, str]:
        """Who is to answer, as which version (None: the one in use), and what.

        Where the account that it was said to has a persona, that one does. Else whoever is named comes first, then who
        said what the message replies to, then the channel's persona.
        """
        if incoming.persona:
            return incoming.persona, None, incoming.text.strip()
        names = {*self._shelf.personas(), *await forgotten_personas(self._database)}
        persona, text = addressed_persona(incoming.text, names)
        if persona is not None:
            return persona, None, text
        kept = await self.answers.find(incoming.platform, incoming.continues) if incoming.continues else None
        if kept is None:
            return await self.persona_here(incoming), None, text
        try:
            return kept.said.persona, self._shelf.version(kept.said.persona, kept.said.version).version, text
        except UnknownVersion:  # it was deleted since
            return kept.said.persona, None, text

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

    async def require_here(self, persona: str) -> None:
        """Say so when the persona was taken down; raises `UnknownPersona`."""
        if persona not in self._shelf.personas() and persona in await forgotten_personas(self._database):
            raise UnknownPersona(taken_down(persona))

    async def _record(self, incoming: Incoming) -> bool:
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
    async def _noting_refusal(self, incoming: Incoming) -> AsyncIterator[None]:
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

    async def _move(self, incoming: Incoming, state: str, answer: Answer, since: str) -> None:
        """Write down where the message stands, with an answer that was begun at `since`. Raises `UnknownPersona`."""
        async with self._database.transaction() as transaction:
            await require_remembered(transaction, answer.persona, since)
            await transaction.run(
                "UPDATE messages SET state = ?, persona = ?, version = ?, seed = ?, finished_at = ? "
                "WHERE platform = ? AND message_id = ?",
                (
                    state,
                    answer.persona,
                    answer.version,
                    answer.draft.seed,
                    self._clock().isoformat(),
                    incoming.platform,
                    incoming.message_id,
                ),
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


def one_of(personas: Sequence[str], column: str = "persona") -> str:
    """The condition that a row is about one of these personas, which are its parameters."""
    return f"{column} IN ({', '.join('?' * len(personas))})"
