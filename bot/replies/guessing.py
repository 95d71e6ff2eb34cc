"""Real or bot: five texts, some real tweets of a persona's accounts, the others generated; people guess which is which.

Outcome: a game is a row, so a restart in the middle loses nothing, and whoever presses a button twice, or at the same
time as somebody else, changes nothing more. Real tweets stay in their table: a round keeps handle and key, and the text
is read when it is shown, so a tweet that was deleted since is passed over. They are shown only of accounts whose basis
allows it: the operator's own and invented ones. Permission to learn is none to show.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.database import Database, Row
from bot.errors import NotPermitted, Refused
from bot.generation.draft import Drafts
from bot.generation.safety import holds
from bot.personas.takedown import require_remembered
from bot.replies.conversation import Conversation
from bot.replies.drafting import Wanted
from bot.replies.guess_rounds import ROUNDS, Real, Round, could_be_generated, how_many_drafts, mixed, read, written
from bot.replies.incoming import Incoming
from bot.shelf.shelf import Shelf
from bot.tweets.store import Basis, TweetStore

ABANDONED_AFTER = timedelta(minutes=10)  # without a press; then anybody may end it
MAY_BE_SHOWN = (Basis.OWN, Basis.INVENTED)

_GONE = "This game is over. `/guess play` begins another one."


@dataclass(frozen=True, slots=True)
class Game:
    """One game as it stands."""

    id: int
    channel_id: str
    server_id: str
    persona: str
    started_by: str  # an id of the platform's; empty once the game is over
    moved_at: datetime  # UTC
    ended: bool
    round: int  # the one that is being played, from 0 on
    is_revealed: bool  # whether that one's answer is shown
    rounds: tuple[Round, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """How well somebody guesses."""

    player_id: str
    right: int
    guesses: int


class Guessing:
    """The tables `guess_games` and `guesses`."""

    def __init__(
        self,
        database: Database,
        store: TweetStore,
        shelf: Shelf,
        conversation: Conversation,
        clock: Callable[[], datetime],
        chance: random.Random,
    ) -> None:
        """`chance` draws which texts are real."""
        self._database = database
        self._store = store
        self._shelf = shelf
        self._conversation = conversation
        self._clock = clock
        self._chance = chance

    async def play(self, incoming: Incoming, persona: str | None) -> Game:
        """A new game in that channel about that persona; about the channel's own when None.

        `incoming` is the command, which counts against the author's quota. The caller shows the game and then calls
        the conversation's `delivered`. Raises `NotPermitted` where no real tweets may be shown, `Refused`, `Busy`,
        `UnknownPersona`.
        """
        await self._require_free(incoming.platform, incoming.channel_id)
        here = await self._conversation.persona_here(incoming)
        name = (persona or here).strip().lower().removeprefix("@")
        await self._conversation.require_here(name)
        since = self._clock()
        real = await self._real_ones(incoming, name)
        drafts = await self._conversation.drafts(incoming, Wanted(name, count=how_many_drafts(self._chance)))
        return await self._pass_over_what_is_gone(await self._start(incoming, drafts, real, since))

    async def _require_free(self, platform: str, channel_id: str) -> None:
        """Return unless a game is under way in the channel, else raise `Refused`; one that was abandoned is ended."""
        since = (self._clock() - ABANDONED_AFTER).isoformat()
        async with self._database.transaction() as transaction:
            await transaction.run(
                f"UPDATE guess_games SET {_END} "
                "WHERE platform = ? AND channel_id = ? AND ended_at IS NULL AND moved_at <= ?",
                (self._clock().isoformat(), platform, channel_id, since),
            )
            row = await transaction.one(
                "SELECT 1 FROM guess_games WHERE platform = ? AND channel_id = ? AND ended_at IS NULL",
                (platform, channel_id),
            )
        if row is not None:
            raise Refused(_UNDER_WAY)

    async def _real_ones(self, incoming: Incoming, persona: str) -> dict[Real, str]:
        """Real tweets that can be shown beside the persona's drafts, with their texts: none that holds a word which is
        not said on that server.

        Raises `NotPermitted` where the basis of an account does not allow it, `Refused` where there are too few,
        `UnknownPersona`.
        """
        handles = self._shelf.current(persona).handles
        known = set(await self._store.handles())
        texts: dict[Real, str] = {}
        for handle in handles:
            if handle not in known or await self._store.basis(handle) not in MAY_BE_SHOWN:
                raise NotPermitted(
                    f"Real tweets of @{handle} may be learned from, not shown, so nobody can guess about {persona}. "
                    "Choose a persona of the operator's own accounts, or an invented one: docs/discord.md says why."
                )
            texts |= {Real(handle, each.key): each.cleaned for each in await self._store.kept(handle)}
        banned = await self._conversation.words.of(incoming.platform, incoming.server_id)
        fit = {real: text for real, text in texts.items() if could_be_generated(text) and not holds(text, banned)}
        if len(fit) < ROUNDS:
            raise Refused(f"Too few tweets of {persona} are stored to guess about. Choose another persona.")
        return fit

    async def _start(self, incoming: Incoming, drafts: Drafts, real: Mapping[Real, str], since: datetime) -> Game:
        """Write the game down, unless another one was begun or the persona was forgotten in the meantime."""
        rounds = mixed([draft.text for draft in drafts.drafts], real, self._chance)
        now = self._clock().isoformat()
        try:
            async with self._database.transaction() as transaction:
                await require_remembered(transaction, drafts.persona, since.isoformat())
                number = await transaction.insert(
                    "INSERT INTO guess_games (platform, server_id, channel_id, persona, version, started_by, "
                    "started_at, moved_at, rounds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        incoming.platform,
                        incoming.server_id,
                        incoming.channel_id,
                        drafts.persona,
                        drafts.version,
                        incoming.author_id,
                        now,
                        now,
                        written(rounds),
                    ),
                )
        except sqlite3.IntegrityError as error:  # the index that lets one game be under way in a channel
            raise Refused(_UNDER_WAY) from error
        return await self.game(number)

    async def game(self, number: int) -> Game:
        """Raises `Refused` when there is none of that number any more."""
        row = await self._database.one("SELECT * FROM guess_games WHERE id = ?", (number,))
        if row is None:
            raise Refused(_GONE)
        return _game(row)

    async def text(self, game: Game) -> str | None:
        """What is shown in the round at hand; None when that tweet is gone, or may not be shown any more."""
        now = game.rounds[game.round]
        if now.real is None:
            return now.generated
        row = await self._database.one(
            "SELECT cleaned FROM tweets JOIN accounts USING (handle) "
            f"WHERE handle = ? AND key = ? AND cleaned != '' AND basis IN ({', '.join('?' * len(MAY_BE_SHOWN))})",
            (now.real.handle, now.real.key, *MAY_BE_SHOWN),
        )
        return row["cleaned"] if row else None

    async def guess(self, number: int, round_: int, player_id: str, says_real: bool) -> None:
        """The player's guess, in place of an earlier one. Raises `Refused` once the round's answer was shown."""
        async with self._database.transaction() as transaction:
            row = await transaction.one(
                "SELECT * FROM guess_games WHERE id = ? AND round = ? AND NOT is_revealed AND ended_at IS NULL",
                (number, round_),
            )
            if row is None:
                raise Refused("This round is over, so your guess came too late. Guess in the next one.")
            is_right = (_game(row).rounds[round_].real is not None) == says_real
            await transaction.run(
                "INSERT INTO guesses (game_id, round, player_id, says_real, is_right) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET says_real = excluded.says_real, is_right = excluded.is_right",
                (number, round_, player_id, int(says_real), int(is_right)),
            )
            await transaction.run(
                "UPDATE guess_games SET moved_at = ? WHERE id = ?", (self._clock().isoformat(), number)
            )

    async def reveal(self, number: int, round_: int) -> Game:
        """Nobody guesses about that round any more. Without effect when it is revealed already, or over."""
        await self._change("is_revealed = 1", number, round_, "NOT is_revealed")
        return await self.game(number)

    async def go_on(self, number: int, round_: int) -> Game:
        """The round after that one, passing over texts that are gone; behind the last one the game is over.

        Without effect when it has begun already.
        """
        await self._change(
            "round = round + 1, is_revealed = 0", number, round_, f"is_revealed AND round < {ROUNDS - 1}"
        )
        await self._change(_END.replace("?", "?1"), number, round_, f"is_revealed AND round = {ROUNDS - 1}")
        return await self._pass_over_what_is_gone(await self.game(number))

    async def _pass_over_what_is_gone(self, game: Game) -> Game:
        """The game at the first round, from its own on, whose text can be shown."""
        while not game.ended and not game.is_revealed and await self.text(game) is None:
            last = game.round == ROUNDS - 1
            await self._change(_END.replace("?", "?1") if last else "round = round + 1", game.id, game.round, "1")
            game = await self.game(game.id)
        return game

    async def end(self, number: int) -> Game:
        """The game is over. Without effect when it was before."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                f"UPDATE guess_games SET {_END} WHERE id = ? AND ended_at IS NULL",
                (self._clock().isoformat(), number),
            )
        return await self.game(number)

    def is_abandoned(self, game: Game) -> bool:
        """Whether nobody has pressed anything for so long that anybody may end it."""
        return self._clock() - game.moved_at >= ABANDONED_AFTER

    async def guesses_in(self, game: Game) -> tuple[int, list[str]]:
        """How many have guessed in the round at hand, and who of them was right."""
        rows = await self._database.all(
            "SELECT player_id, is_right FROM guesses WHERE game_id = ? AND round = ? ORDER BY player_id",
            (game.id, game.round),
        )
        return len(rows), [row["player_id"] for row in rows if row["is_right"]]

    async def result(self, number: int) -> list[Score]:
        """Who has guessed how well in this game, the best first."""
        return await self._scores("game_id = ?", (number,), ROUNDS * 10)

    async def scoreboard(self, platform: str, server_id: str, limit: int) -> list[Score]:
        """Who has guessed how well on this server, in all games that are over, the most right guesses first."""
        where = "platform = ? AND server_id = ? AND ended_at IS NOT NULL"
        return await self._scores(where, (platform, server_id), limit)

    async def _scores(self, where: str, parameters: Sequence[object], limit: int) -> list[Score]:
        rows = await self._database.all(
            "SELECT player_id, sum(is_right) AS correct, count(*) AS guesses FROM guesses "
            f"JOIN guess_games ON guess_games.id = game_id WHERE {where} "
            f"GROUP BY player_id ORDER BY correct DESC, guesses, player_id LIMIT {limit:d}",
            parameters,
        )
        return [Score(row["player_id"], row["correct"], row["guesses"]) for row in rows]

    async def _change(self, change: str, number: int, round_: int, condition: str) -> None:
        """Change a game that is at that round, if the condition holds; two presses at once change it once."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                f"UPDATE guess_games SET moved_at = ?1, {change} "
                f"WHERE id = ?2 AND round = ?3 AND ended_at IS NULL AND {condition}",
                (self._clock().isoformat(), number, round_),
            )


_END = "ended_at = ?, started_by = '', rounds = '[]'"  # who had begun it matters no more, nor what was shown

_UNDER_WAY = (
    "A game is under way in this channel. Its **End** button ends it, and after 10 minutes without a press anybody can "
    "begin another one."
)


def _game(row: Row) -> Game:
    return Game(
        id=row["id"],
        channel_id=row["channel_id"],
        server_id=row["server_id"],
        persona=row["persona"],
        started_by=row["started_by"],
        moved_at=datetime.fromisoformat(row["moved_at"]),
        ended=row["ended_at"] is not None,
        round=row["round"],
        is_revealed=bool(row["is_revealed"]),
        rounds=read(row["rounds"]),
    )
