"""Two personas talk to each other: each answers what the other said last.

Outcome: a duel is a row that holds what was said so far. A turn is written down before it is sent, and again with the
id that the platform gave it, so a restart goes on where it was. It has a hard end, after 12 turns at most. When it has
ended, nothing is kept of who began it and with which topic.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from bot.database import Database, Row
from bot.errors import Refused, UnknownPersona
from bot.generation.draft import Draft, Drafts
from bot.personas.takedown import require_remembered
from bot.replies.conversation import Conversation
from bot.replies.drafting import Wanted, said_of
from bot.replies.incoming import Incoming, Platform
from bot.shelf.shelf import Shelf

FEWEST_TURNS, MOST_TURNS, USUAL_TURNS = 2, 12, 6
MOST_AN_HOUR = 6  # of one server

_HOUR = timedelta(hours=1)
_UNDER_WAY = "Two personas are talking in this channel already. Wait for their end, or press **Stop**."
_GONE_PERSONA = "one of them was taken down"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one of them said."""

    persona: str
    version: str
    text: str
    seed: int
    novelty: float
    nearest: str | None
    message_id: str = ""  # the platform's; empty until it was sent

    @property
    def drafts(self) -> Drafts:
        """As the conversation keeps it."""
        return Drafts(self.persona, self.version, (Draft(self.text, self.seed, self.novelty, self.nearest),))


@dataclass(frozen=True, slots=True)
class Duel:
    """One duel as it stands."""

    id: int
    platform: Platform
    server_id: str
    channel_id: str  # where it was asked for
    message_id: str  # which opens it there; empty until there is one
    thread_id: str  # where they talk
    a: str  # who begins
    b: str
    topic: str
    turns: int  # how many are wanted in all
    said: tuple[Turn, ...]
    started_by: str  # an id of the platform's; empty once it is over
    started_at: datetime  # UTC
    ended: bool

    @property
    def in_replies(self) -> bool:
        """Whether there is no thread, so that each turn replies to the one before."""
        return self.thread_id == self.channel_id

    @property
    def is_said(self) -> bool:
        """Whether everything that was written down was sent."""
        return all(turn.message_id for turn in self.said)


class Duels:
    """The table `duels`."""

    def __init__(
        self, database: Database, shelf: Shelf, conversation: Conversation, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._shelf = shelf
        self._conversation = conversation
        self._clock = clock

    async def begin(self, incoming: Incoming, a: str, b: str, topic: str, turns: int) -> Duel:
        """A duel with its first turn, which is still to be sent.

        `incoming` is the command, which counts against the author's quota; so does each further turn, but none of them
        is refused. Raises `Refused`, `Busy`, `UnknownPersona`.
        """
        first, second = (name.strip().lower().removeprefix("@") for name in (a, b))
        for name in (first, second):
            await self._conversation.require_here(name)
            self._shelf.current(name)
        if first == second:
            raise Refused("It takes two different personas to talk to each other. Name another one.")
        await self._require_free(incoming)
        since = self._clock()
        drafts = await self._conversation.drafts(incoming, Wanted(first, about=topic))
        try:
            async with self._database.transaction() as transaction:
                for name in (first, second):
                    await require_remembered(transaction, name, since.isoformat())
                number = await transaction.insert(
                    "INSERT INTO duels (platform, server_id, channel_id, a, b, topic, turns, said, started_by, "
                    "started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        incoming.platform,
                        incoming.server_id,
                        incoming.channel_id,
                        first,
                        second,
                        topic,
                        min(max(turns, FEWEST_TURNS), MOST_TURNS),
                        _written((_turn(drafts),)),
                        incoming.author_id,
                        self._clock().isoformat(),
                    ),
                )
        except sqlite3.IntegrityError as error:  # the index that lets one duel be under way in a channel
            raise Refused(_UNDER_WAY) from error
        return await self.duel(number)

    async def takes_place(self, number: int, message_id: str, thread_id: str, most_turns: int) -> Duel:
        """The duel was opened by that message, and they talk in that thread, or in the channel itself."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE duels SET message_id = ?, thread_id = ?, turns = min(turns, ?) WHERE id = ?",
                (message_id, thread_id, most_turns, number),
            )
        return await self.duel(number)

    async def duel(self, number: int) -> Duel:
        """Raises `Refused` when there is none of that number any more."""
        row = await self._database.one("SELECT * FROM duels WHERE id = ?", (number,))
        if row is None:
            raise Refused("This duel is over. `/duel` begins another one.")
        return _duel(row)

    async def under_way(self, platform: str) -> list[int]:
        """The duels that go on. Those that were cut off before they were opened are ended."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                f"UPDATE duels SET {_END} WHERE platform = ? AND ended_at IS NULL AND message_id IS NULL",
                (self._clock().isoformat(), "it was cut off before it began", platform),
            )
        rows = await self._database.all(
            "SELECT id FROM duels WHERE platform = ? AND ended_at IS NULL ORDER BY id", (platform,)
        )
        return [row["id"] for row in rows]

    async def to_be_said(self, number: int) -> Duel | None:
        """The duel with a last turn that is still to be sent, generated where need be; None when it is over.

        Raises `Refused`, `Busy`, `UnknownPersona`.
        """
        duel = await self._found(number)
        if duel is None or duel.ended or (duel.is_said and len(duel.said) >= duel.turns):
            return None
        if not duel.is_said:
            return duel
        await self._require_on(duel)
        words = tuple(turn.text for turn in duel.said)
        before = (duel.topic, *words[:-1]) if duel.topic else words[:-1]
        wanted = Wanted((duel.a, duel.b)[len(words) % 2], about=words[-1], goes_on=True)
        incoming = replace(_asked(duel, len(words)), thread=before)
        turn = _turn(await self._conversation.drafts(incoming, wanted))
        return await self._wrote(duel, (*duel.said, turn))

    async def was_said(self, duel: Duel, message_id: str) -> None:
        """The last turn was sent under that id, which is on record also where the duel was stopped meanwhile.

        Raises `UnknownPersona` where whoever said it was forgotten meanwhile.
        """
        place = len(duel.said) - 1
        turn = replace(duel.said[place], message_id=message_id)
        await self._wrote(duel, (*duel.said[:place], turn))
        incoming = _asked(duel, place)
        await self._conversation.messages.speaks(incoming, message_id, turn.persona, turn.version, duel.started_at)
        await self._conversation.delivered(incoming, message_id, said=said_of(turn.drafts, [message_id]))

    async def end(self, number: int, reason: str | None = None) -> bool:
        """The duel is over, early where there is a reason; whether it went on until now."""
        async with self._database.transaction() as transaction:
            changed = await transaction.run(
                f"UPDATE duels SET {_END} WHERE id = ? AND ended_at IS NULL",
                (self._clock().isoformat(), reason, number),
            )
        return changed > 0

    async def _found(self, number: int) -> Duel | None:
        row = await self._database.one("SELECT * FROM duels WHERE id = ?", (number,))
        return _duel(row) if row else None

    async def _wrote(self, duel: Duel, said: tuple[Turn, ...]) -> Duel | None:
        """The duel with that said; None when it was ended or forgotten in the meantime."""
        async with self._database.transaction() as transaction:
            changed = await transaction.run(
                "UPDATE duels SET said = ? WHERE id = ? AND ended_at IS NULL", (_written(said), duel.id)
            )
        return replace(duel, said=said) if changed else None

    async def _require_free(self, incoming: Incoming) -> None:
        here = (incoming.platform, incoming.channel_id)
        if await self._database.one(
            "SELECT 1 FROM duels WHERE platform = ? AND channel_id = ? AND ended_at IS NULL", here
        ):
            raise Refused(_UNDER_WAY)
        rows = await self._database.all(
            "SELECT started_at FROM duels WHERE platform = ? AND server_id = ? AND started_at > ? ORDER BY started_at",
            (incoming.platform, incoming.server_id, (self._clock() - _HOUR).isoformat()),
        )
        if len(rows) >= MOST_AN_HOUR:
            free_at = datetime.fromisoformat(rows[-MOST_AN_HOUR]["started_at"]) + _HOUR
            minutes = max(1, round((free_at - self._clock()).total_seconds() / 60))
            raise Refused(f"{MOST_AN_HOUR} duels an hour are the limit of a server. Ask again in {minutes} min.")

    async def _require_on(self, duel: Duel) -> None:
        """Raises `Refused` where the bot was switched off since, `UnknownPersona` where one of them was taken down."""
        if (await self._conversation.channels.get(duel.platform, duel.channel_id)).is_off:
            raise Refused("the bot was switched off in this channel")
        here = self._shelf.personas()
        if duel.a not in here or duel.b not in here:
            raise UnknownPersona(_GONE_PERSONA)


_END = "ended_at = ?, reason = ?, topic = '', said = '[]', started_by = ''"


def _asked(duel: Duel, turn: int) -> Incoming:
    """The request for one turn, counted from 0: the starter's, on record where the turn stands."""
    return Incoming(duel.platform, f"duel-{duel.id}-{turn}", duel.thread_id, duel.started_by, server_id=duel.server_id)


def _turn(drafts: Drafts) -> Turn:
    best = drafts.drafts[0]
    return Turn(drafts.persona, drafts.version, best.text, best.seed, best.novelty, best.nearest)


def _written(said: tuple[Turn, ...]) -> str:
    return json.dumps([asdict(turn) for turn in said])


def _duel(row: Row) -> Duel:
    return Duel(
        id=row["id"],
        platform=Platform(row["platform"]),
        server_id=row["server_id"],
        channel_id=row["channel_id"],
        message_id=row["message_id"] or "",
        thread_id=row["thread_id"] or row["channel_id"],
        a=row["a"],
        b=row["b"],
        topic=row["topic"],
        turns=row["turns"],
        said=tuple(Turn(**each) for each in json.loads(row["said"])),
        started_by=row["started_by"],
        started_at=datetime.fromisoformat(row["started_at"]),
        ended=row["ended_at"] is not None,
    )
