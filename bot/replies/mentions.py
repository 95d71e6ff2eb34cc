"""What was said to an account of ours on X, and what became of it: rows without anybody's words but our own.

A mention is on record before it is answered, so a second delivery is silent. Its words are kept in memory only; after a
restart X is asked again for those that wait. Whoever wants no answers is named in `opt_outs` alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta

from bot.config import X
from bot.database import Database, Transaction
from bot.replies.incoming import Platform
from bot.replies.mention import MentionState, Noted, Wants, read_noted
from bot.replies.opt_outs import WANTS_NO_ANSWERS, OptOuts
from bot.replies.opting_out import opt_out_language
from bot.replies.similar import SaidBefore
from bot.replies.summons import Circumstances, summons
from bot.tweets.x_mentions import Mention

KNOWN_FOR = timedelta(days=30)  # whoever was answered is not looked up again for so long
GONE = "X shows it no more"
_READ = "x-mentions-read"  # a mark: the newest mention that was read, by account


class Mentions:
    """The table `x_mentions`, for one account of ours."""

    def __init__(
        self,
        database: Database,
        opt_outs: OptOuts,
        account: str,
        clock: Callable[[], datetime],
        said: SaidBefore | None = None,
    ) -> None:
        """`clock` gives UTC; `said` is what the process knows of texts that were said on X."""
        self.account = account
        self._database = database
        self._opt_outs = opt_outs
        self._clock = clock
        self._said = said or SaidBefore()

    # Reading

    async def since(self, in_memory: Collection[str]) -> str | None:
        """The id after which X is to be asked: that of the newest that was read, or one before the first of those that
        wait and whose words are not `in_memory`. None before the first reading.
        """
        forgotten = [int(each.id) for each in await self.in_state(MentionState.WAITING) if each.id not in in_memory]
        row = await self._database.one("SELECT value FROM marks WHERE name = ?", (f"{_READ} {self.account}",))
        read = int(row["value"]) if row else None
        if read is None:
            return None
        return str(min([read, *(each - 1 for each in forgotten)]))

    async def read_up_to(self, mention_id: str) -> None:
        """All up to this one are on record."""
        async with self._database.transaction() as transaction:
            await transaction.run(
                "INSERT INTO marks (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE "
                "SET value = CASE WHEN length(value) > length(excluded.value) OR (length(value) = "
                "length(excluded.value) AND value > excluded.value) THEN value ELSE excluded.value END",
                (f"{_READ} {self.account}", mention_id),
            )

    async def record(self, mentions: Iterable[Mention], own_id: str, ours: Collection[str]) -> set[str]:
        """Put these on record, each once, and honour at once what their authors say about being answered; the ids of
        those that wait. `ours` are the ids of our accounts, which ask for nothing.
        """
        waiting = set()
        for mention in sorted(mentions, key=lambda each: int(each.id)):
            note = await self._note(mention, ours)
            if note.state is not MentionState.WAITING:
                continue
            if note.wants is Wants.CONFIRMATION:  # once more after a crash: nothing changes by that
                await self._opt_outs.add(Platform.X, mention.author_id)
                if not summons(mention, own_id, await self.is_ours(mention.quoted)):
                    await self.leave(mention.id, WANTS_NO_ANSWERS)
                    continue
            waiting.add(mention.id)
        return waiting

    async def _note(self, mention: Mention, ours: Collection[str]) -> Noted:
        wants_none = opt_out_language(mention.text) and not mention.is_retweet and mention.author_id not in ours
        async with self._database.transaction() as transaction:
            opted_out = await _opted_out(transaction, mention.author_id)
            await transaction.run(
                "INSERT OR IGNORE INTO x_mentions "
                "(account, mention_id, author_id, conversation_id, seen_at, state, wants, reason) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self.account,
                    mention.id,
                    "" if opted_out else mention.author_id,
                    mention.conversation_id,
                    self._clock().isoformat(),
                    MentionState.LEFT_ALONE if opted_out else MentionState.WAITING,
                    Wants.CONFIRMATION if wants_none and not opted_out else Wants.ANSWER,
                    WANTS_NO_ANSWERS if opted_out else None,
                ),
            )
            row = await transaction.one(
                "SELECT * FROM x_mentions WHERE account = ? AND mention_id = ?", (self.account, mention.id)
            )
        assert row is not None
        return read_noted(row)

    # What is known

    async def in_state(self, state: MentionState) -> list[Noted]:
        """Those in that state, the oldest first."""
        rows = await self._database.all(
            "SELECT * FROM x_mentions WHERE account = ? AND state = ? ORDER BY length(mention_id), mention_id",
            (self.account, state),
        )
        return [read_noted(row) for row in rows]

    async def circumstances(self, mention: Mention, own_id: str, ours: frozenset[str], settings: X) -> Circumstances:
        """What decides whether that one is answered."""
        row = await self._database.one(
            "SELECT count(*) AS turns FROM x_mentions WHERE account = ? AND conversation_id = ? AND author_id = ? "
            "AND wants = 'answer' AND state IN ('sending', 'answered', 'unknown')",
            (self.account, mention.conversation_id, mention.author_id),
        )
        return Circumstances(
            own_id=own_id,
            ours=ours,
            is_quote_of_us=await self.is_ours(mention.quoted) or (mention.by or {}).get(mention.quoted or "") == own_id,
            opted_out=await self._opt_outs.has(Platform.X, mention.author_id),
            turns=int(row["turns"]) if row else 0,
            most_turns=settings.most_turns,
            now=self._clock(),
        )

    async def is_ours(self, post_id: str | None) -> bool:
        """Whether the account is known to have said that."""
        return await self.said_as(post_id) is not None

    async def said_as(self, post_id: str | None) -> str | None:
        """The text of a post or reply of the account; None where it is not known as one."""
        if post_id is None:
            return None
        row = await self._database.one(
            "SELECT text FROM posts WHERE account = ? AND platform_id = ? UNION ALL "
            "SELECT post_parts.text FROM post_parts JOIN posts ON posts.id = post_id "
            "WHERE account = ? AND post_parts.platform_id = ? UNION ALL "
            "SELECT coalesce((SELECT text FROM answers WHERE platform = 'x' AND answer_id = reply_id), '') "
            "FROM x_mentions WHERE account = ? AND reply_id = ? LIMIT 1",
            (self.account, post_id) * 3,
        )
        return row["text"] if row else None

    async def thread(self, mention: Mention) -> tuple[str, ...]:
        """What was said before it, the oldest first, as far as that is known here: what the account has answered its
        author in this conversation, and what the mention replies to or quotes.
        """
        rows = await self._database.all(
            "SELECT reply_id, text FROM x_mentions JOIN answers ON platform = 'x' AND answer_id = reply_id "
            "WHERE account = ? AND conversation_id = ? AND author_id = ? ORDER BY length(reply_id), reply_id",
            (self.account, mention.conversation_id, mention.author_id),
        )
        said = [row["text"] for row in rows]
        about = mention.earlier or await self.said_as(mention.replied_to) or await self.said_as(mention.quoted)
        return tuple(said + ([about] if about and about not in said else []))

    async def strangers(self, author_ids: Iterable[str]) -> list[str]:
        """Those whom X has to be asked about: nobody of them was answered lately."""
        since = (self._clock() - KNOWN_FOR).isoformat()
        unknown = []
        for author_id in dict.fromkeys(author_ids):
            row = await self._database.one(
                "SELECT 1 FROM x_mentions WHERE author_id = ? AND seen_at > ? AND state = 'answered' LIMIT 1",
                (author_id, since),
            )
            if row is None:
                unknown.append(author_id)
        return unknown

    # What becomes of it

    async def take(self, mention_id: str, saying: str | None = None, persona: str | None = None) -> bool:
        """Take one that waits for sending; False when it waits no more, or is left alone since an account of ours has
        said by now much what that persona is `saying` (None: the confirmation, which is the same for everybody).
        """
        async with self._database.transaction() as transaction:
            like = await self._said.like_what_was_said(transaction, saying) if saying is not None else None
            if like is not None:
                await transaction.run(
                    "UPDATE x_mentions SET state = 'left alone', reason = ?, reply_text = NULL, reply_persona = NULL "
                    "WHERE account = ? AND mention_id = ? AND state = 'waiting'",
                    (f"the answer was much like {like}, and X forbids saying the same again", self.account, mention_id),
                )
                return False
            taken = await transaction.run(
                "UPDATE x_mentions SET state = 'sending', sending_since = ?, tries = tries + 1, reason = NULL, "
                "reply_text = ?, reply_persona = ? WHERE account = ? AND mention_id = ? AND state = 'waiting'",
                (self._clock().isoformat(), saying, persona, self.account, mention_id),
            )
        return taken == 1

    async def answered(self, mention_id: str, reply_id: str) -> None:
        """The reply stands on X."""
        await self._move(mention_id, "state = 'answered', reply_id = ?, reason = NULL", (reply_id,), _ON_THE_WAY)

    async def leave(self, mention_id: str, reason: str, may_stand: bool = False) -> None:
        """It gets no reply. `may_stand`: one that was handed to X may stand there all the same; else its words are not
        said, and may be said by others.
        """
        change = "state = 'left alone', reason = ?"
        if not may_stand:
            change += ", reply_text = NULL, reply_persona = NULL"
        await self._move(mention_id, change, (reason,), (MentionState.WAITING, *_ON_THE_WAY))

    async def doubt(self, mention_id: str, reason: str, declined: bool = False) -> None:
        """Nobody knows whether the reply stands on X. `declined`: X has said no to this try, which an earlier one may
        be the cause of.
        """
        change = "state = 'unknown', reason = ?, declined = ?"
        await self._move(mention_id, change, (reason, declined), _ON_THE_WAY)

    async def not_taken(self, mention_id: str, reason: str) -> None:
        """X has said no for now; that counts as no try."""
        change = "state = 'waiting', reason = ?, tries = tries - 1"
        await self._move(mention_id, change, (reason,), _ON_THE_WAY)

    async def not_there(self, mention_id: str) -> None:
        """The timeline shows no reply; it is tried once more."""
        await self._move(mention_id, "state = 'waiting', reason = NULL", (), _ON_THE_WAY)

    async def recover(self) -> int:
        """What became of replies that were being sent is not known; how many."""
        async with self._database.transaction() as transaction:
            return await transaction.run(
                "UPDATE x_mentions SET state = 'unknown', reason = 'a reply was cut off while it was being sent' "
                "WHERE account = ? AND state = 'sending'",
                (self.account,),
            )

    async def _move(
        self, mention_id: str, change: str, values: Sequence[str | bool | None], states: Sequence[MentionState]
    ) -> bool:
        async with self._database.transaction() as transaction:
            changed = await transaction.run(
                f"UPDATE x_mentions SET {change} WHERE account = ? AND mention_id = ? "
                f"AND state IN ({', '.join('?' * len(states))})",
                (*values, self.account, mention_id, *states),
            )
        return changed == 1


_ON_THE_WAY = (MentionState.SENDING, MentionState.UNKNOWN)


async def recent_mentions(database: Database, limit: int = 20) -> list[Noted]:
    """The newest mentions of all accounts, the newest first."""
    rows = await database.all("SELECT * FROM x_mentions ORDER BY seen_at DESC, mention_id DESC LIMIT ?", (limit,))
    return [read_noted(row) for row in rows]


async def count_mentions(database: Database) -> dict[str, Counter[str]]:
    """How many are in which state, by account; of those that were left alone also why."""
    counts: dict[str, Counter[str]] = {}
    for row in await database.all("SELECT account, state, reason, count(*) AS n FROM x_mentions GROUP BY 1, 2, 3"):
        of_account = counts.setdefault(row["account"], Counter())
        of_account[row["state"]] += row["n"]
        if row["state"] == MentionState.LEFT_ALONE:
            of_account[f"left alone: {row['reason']}"] += row["n"]
    return counts


async def _opted_out(transaction: Transaction, author_id: str) -> bool:
    return (
        await transaction.one("SELECT 1 FROM opt_outs WHERE platform = ? AND author_id = ?", (Platform.X, author_id))
        is not None
    )
