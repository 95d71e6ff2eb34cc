"""The tweets of each account as they are kept: raw text beside cleaned text and verdict, and why they may be learned.

Outcome: adding is one transaction, and adding the same again changes nothing. Cleaning runs in a thread, so that the
event loop goes on while tens of thousands of tweets come in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from bot.database import Database, Row, Transaction
from bot.errors import UnknownHandle
from bot.tweets.adding import Adding
from bot.tweets.blocked import require_free
from bot.tweets.cleaning import Profile, Verdict
from bot.tweets.counts import AccountCounts
from bot.tweets.judging import judge_account, stale_accounts, stored_counts
from bot.tweets.portrait import Portrait
from bot.tweets.portraying import portrait
from bot.tweets.tweet import Tweet, normalise_handle


class Basis(StrEnum):
    """Why an account may be learned."""

    OWN = "own"  # the operator's own archive
    PERMISSION = "permission"  # its owner has agreed
    PUBLIC_OFFICIAL = "public_official"  # words said in a public office
    INVENTED = "invented"  # nobody's: written for examples


_REMARKS = {
    "protected": "is protected by now: it is not fetched any more",
    "suspended": "is suspended by X: it is not fetched any more",
    "gone": "is deleted from X: it is not fetched any more",
}


@dataclass(frozen=True, slots=True)
class Account:
    """What is noted about an account beside its tweets."""

    handle: str  # lower case, no @
    basis: Basis | None  # why it may be learned; None when nobody has said so
    fetched_at: datetime | None  # UTC; end of the last complete fetch from X, None when there was none
    standing: str = ""  # what X says: renamed, protected, suspended, gone; empty when all is well or nobody has asked
    now_called: str | None = None  # by X, where it was renamed

    @property
    def remark(self) -> str:
        """What people have to know about how the account stands; empty when there is nothing."""
        if self.standing == "renamed":
            return f"is called @{self.now_called} by now"
        return _REMARKS.get(self.standing, "")


@dataclass(frozen=True, slots=True)
class KeptTweet:
    """A tweet as a model learns it."""

    key: str  # see `Tweet.key`
    cleaned: str  # one line, never empty
    created_at: datetime | None  # UTC; None where the source did not say
    added_at: datetime  # UTC; when it was first stored
    prompt: str | None = None  # the tweet that it answers, cleaned like itself, where that is stored


class TweetStore:
    """The tables `accounts` and `tweets`. Handles may come with @ and in any case."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._sitting = asyncio.Lock()  # one portrait at a time: each is a process

    async def add(
        self, handle: str, tweets: Sequence[Tweet], basis: Basis | None = None, profile: Profile | None = None
    ) -> AccountCounts:
        """Store what is new, judge it beside what is stored, and give the account's counts. Raises `DiskFull`.

        A tweet whose key is stored fills in what the stored one lacks. `basis` and `profile` None stay as they are.
        """
        async with self._database.transaction() as transaction:
            await self.add_within(transaction, handle, tweets, basis, profile)
            return await self._judge_within(transaction, normalise_handle(handle))

    async def add_within(
        self,
        transaction: Transaction,
        handle: str,
        tweets: Sequence[Tweet],
        basis: Basis | None = None,
        profile: Profile | None = None,
    ) -> None:
        """As `add`, in a transaction of the caller's: a page and its token, say, are stored together or not at all.

        What is new is not judged, and so neither counted nor learned, until `judge`: to know what an account said
        before takes reading all of it, which is done once after many pages.
        """
        handle = normalise_handle(handle)
        now = self._clock().astimezone(UTC).isoformat()
        adding = Adding(transaction, now)
        await adding.begin()
        await self._admit(transaction, (handle,), now, basis, profile)
        await adding.stage([each if each.handle == handle else replace(each, handle=handle) for each in tweets])
        await adding.merge((handle,))

    async def judge(self, handle: str) -> AccountCounts:
        """Judge what `add_within` stored, and give the account's counts."""
        async with self._database.transaction() as transaction:
            return await self._judge_within(transaction, normalise_handle(handle))

    @staticmethod
    async def _judge_within(transaction: Transaction, handle: str) -> AccountCounts:
        counts = await judge_account(transaction, handle)
        await transaction.run(_NEXT_REVISION)
        return counts

    async def add_all(
        self, batches: AsyncIterator[Sequence[Tweet]], basis: Basis | None = None, profile: Profile | None = None
    ) -> list[AccountCounts]:
        """As `add`, for tweets of any accounts that come in batches: all of them are stored, or none.

        The database can be written to by others until the first batch that isn't empty; memory is that of one batch.
        The counts are those of the accounts in the order in which they appeared.
        """
        first: Sequence[Tweet] = ()
        async for first in batches:
            if first:
                break
        now = self._clock().astimezone(UTC).isoformat()
        handles: dict[str, None] = {}
        async with self._database.transaction() as transaction:
            adding = Adding(transaction, now)
            await adding.begin()
            async for batch in _with(first, batches):
                new = dict.fromkeys(tweet.handle for tweet in batch if tweet.handle not in handles)
                await self._admit(transaction, tuple(new), now, basis, profile)
                handles.update(new)
                await adding.stage(batch)
            await adding.merge(tuple(handles))
            counts = [await judge_account(transaction, handle) for handle in handles]
            await transaction.run(_NEXT_REVISION)
        return counts

    async def discard_within(self, transaction: Transaction, handle: str, keys: Iterable[str]) -> int:
        """Delete these tweets in a transaction of the caller's, and judge the rest again; how many there were."""
        rows = [(handle, key) for key in keys]
        discarded = await transaction.run_many("DELETE FROM tweets WHERE handle = ? AND key = ?", rows)
        if discarded:
            await judge_account(transaction, handle)
            await transaction.run(_NEXT_REVISION)
        return discarded

    async def judge_again(self) -> None:
        """Judge all that a program with other rules has judged, or one that was killed has not."""
        for handle in await stale_accounts(self._database):
            await self.judge(handle)

    async def counts(self, handle: str) -> AccountCounts:
        """The account's stored tweets in numbers. Raises `UnknownHandle`."""
        return await stored_counts(self._database, await self._known(handle))

    async def handles(self) -> list[str]:
        """All accounts that were ever added, in alphabetical order."""
        return [row["handle"] for row in await self._database.all("SELECT handle FROM accounts ORDER BY handle")]

    async def accounts(self) -> list[Account]:
        """What is noted about each account that was ever added, in alphabetical order."""
        rows = await self._database.all("SELECT * FROM accounts ORDER BY handle")
        return [
            Account(
                handle=row["handle"],
                basis=Basis(row["basis"]) if row["basis"] else None,
                fetched_at=datetime.fromisoformat(row["fetched_at"]) if row["fetched_at"] else None,
                standing=row["standing"],
                now_called=row["now_called"],
            )
            for row in rows
        ]

    async def remarks(self, handles: Sequence[str]) -> list[str]:
        """What people have to know about how these accounts stand on X, a sentence for each that there is one for."""
        accounts = {each.handle: each for each in await self.accounts()}
        known = [accounts[handle] for handle in handles if handle in accounts]
        return [f"@{each.handle} {each.remark}." for each in known if each.remark]

    async def portrait(self, handle: str) -> Portrait:
        """What the account is like, from all that is stored of it. Raises `UnknownHandle`, `PortraitFailed`."""
        handle = await self._known(handle)
        async with self._sitting:
            return await portrait(self._database.path, handle)

    async def kept(self, handle: str, beside: Sequence[str] = ()) -> list[KeptTweet]:
        """What may be learned, the oldest first; tweets without a time come before all others.

        What a reply answers comes with it when it is the account's own, or that of an account `beside` it, which is
        learned by the same persona. Raises `UnknownHandle`.
        """
        handle = await self._known(handle)
        whose = (handle, *(other for other in map(normalise_handle, beside) if other != handle))
        rows = await self._database.all(
            f"SELECT key, cleaned, created_at, added_at, {_ANSWERED.format(', '.join('?' * len(whose)))} AS prompt"
            f" FROM tweets AS reply WHERE handle = ? AND verdict = ? {_BY_TIME}",
            (Verdict.RETWEET, *whose, handle, Verdict.KEPT),
        )
        return await asyncio.to_thread(_kept_tweets, rows)

    async def examples(self, handle: str, n: int) -> list[str]:
        """The `n` newest kept tweets, cleaned, the newest first. Raises `UnknownHandle`."""
        rows = await self._database.all(
            "SELECT cleaned FROM tweets WHERE handle = ? AND verdict = ?"
            " ORDER BY created_at DESC, length(key) DESC, key DESC LIMIT ?",
            (await self._known(handle), Verdict.KEPT, n),
        )
        return [row["cleaned"] for row in rows]

    async def new_since(self, handles: Iterable[str], moment: datetime) -> int:
        """How many kept tweets of all these accounts were first stored after `moment` (with an offset)."""
        names = [normalise_handle(handle) for handle in handles]
        row = await self._database.one(
            f"SELECT count(*) FROM tweets WHERE handle IN ({', '.join('?' * len(names))})"
            " AND verdict = ? AND added_at > ?",
            (*names, Verdict.KEPT, moment.astimezone(UTC).isoformat()),
        )
        return int(row[0]) if row else 0

    async def revision(self) -> int:
        """A number that is another one after any tweet was added, judged anew or removed."""
        row = await self._database.one("SELECT value FROM marks WHERE name = 'tweets-revision'")
        return int(row["value"]) if row else 0

    async def basis(self, handle: str) -> Basis | None:
        """Why the account may be learned; None when nobody has said so. Raises `UnknownHandle`."""
        row = await self._database.one("SELECT basis FROM accounts WHERE handle = ?", (await self._known(handle),))
        return Basis(row["basis"]) if row and row["basis"] else None

    async def basis_note(self, handle: str) -> str | None:
        """Where the permission is written, in the operator's words; None when nobody has said so."""
        row = await self._database.one("SELECT basis_note FROM accounts WHERE handle = ?", (await self._known(handle),))
        return row["basis_note"] if row else None

    async def require_free(self, handles: Sequence[str]) -> None:
        """Return when none of the accounts is blocked, else raise `NotPermitted`."""
        await require_free(self._database, handles)

    async def set_basis(self, handle: str, basis: Basis, note: str | None = None) -> None:
        """Record why the account may be learned, also before any tweet of it has come. Raises `NotPermitted`.

        A basis without a note takes the note of another basis away.
        """
        handle = normalise_handle(handle)
        async with self._database.transaction() as transaction:
            await require_free(transaction, (handle,))
            await self._ensure_account(transaction, handle, self._clock().astimezone(UTC).isoformat())
            await transaction.run(
                "UPDATE accounts SET basis_note = iif(basis IS ?1, coalesce(?2, basis_note), ?2), basis = ?1"
                " WHERE handle = ?3",
                (basis, note, handle),
            )

    # --- Forgetting, and handing over what is held ---

    async def same_people(self, handle: str) -> tuple[str | None, tuple[str, ...]]:
        """X's id of the account where it is known, and every handle under which it is stored, this one first."""
        handle = normalise_handle(handle)
        row = await self._database.one("SELECT platform_id FROM accounts WHERE handle = ?", (handle,))
        platform_id = row["platform_id"] if row else None
        others = await self._database.all(
            "SELECT handle FROM accounts WHERE platform_id = ? AND handle != ? ORDER BY handle", (platform_id, handle)
        )
        return platform_id, (handle, *(other["handle"] for other in others))

    async def account(self, handle: str) -> dict[str, object]:
        """All that is noted about the account, by column; empty when it is not known."""
        row = await self._database.one("SELECT * FROM accounts WHERE handle = ?", (normalise_handle(handle),))
        return dict(row) if row else {}

    async def everything(self, handle: str) -> list[dict[str, object]]:
        """All stored tweets of the account, by column, raw and cleaned, the oldest first."""
        rows = await self._database.all(
            f"SELECT * FROM tweets WHERE handle = ? {_BY_TIME}", (normalise_handle(handle),)
        )
        return [dict(row) for row in rows]

    async def stored(self, handles: Sequence[str]) -> int:
        """How many tweets of these accounts are stored, kept or not."""
        row = await self._database.one(
            f"SELECT count(*) FROM tweets WHERE handle IN ({', '.join('?' * len(handles))})", handles
        )
        return int(row[0]) if row else 0

    async def remove(self, handles: Sequence[str]) -> None:
        """Delete the accounts with all their tweets and what is noted about them."""
        names = [(normalise_handle(handle),) for handle in handles]
        async with self._database.transaction() as transaction:
            await transaction.run_many("DELETE FROM tweets WHERE handle = ?", names)
            await transaction.run_many("DELETE FROM accounts WHERE handle = ?", names)
            await transaction.run(_NEXT_REVISION)

    async def _known(self, handle: str) -> str:
        handle = normalise_handle(handle)
        if await self._database.one("SELECT 1 FROM accounts WHERE handle = ?", (handle,)):
            return handle
        known = ", ".join(await self.handles())
        raise UnknownHandle(
            f"No tweets of @{handle} are stored; {f'known are {known}' if known else 'no account is known yet'}. "
            "Read some with `mockingbird import FILE`."
        )

    @staticmethod
    async def _ensure_account(transaction: Transaction, handle: str, now: str) -> None:
        await transaction.run(
            "INSERT INTO accounts (handle, added_at) VALUES (?, ?) ON CONFLICT DO NOTHING", (handle, now)
        )

    async def _admit(
        self,
        transaction: Transaction,
        handles: Sequence[str],
        now: str,
        basis: Basis | None,
        profile: Profile | None,
    ) -> None:
        await require_free(transaction, handles)
        for handle in handles:
            await self._ensure_account(transaction, handle, now)
            if basis is not None:
                await transaction.run(  # the note of another basis goes with that basis
                    "UPDATE accounts SET basis_note = iif(basis IS ?1, basis_note, NULL), basis = ?1 WHERE handle = ?2",
                    (basis, handle),
                )
            if profile is not None:
                await transaction.run("UPDATE accounts SET profile = ? WHERE handle = ?", (profile, handle))


# Times are ISO 8601 in UTC, so that text order is time order; X's ids grow with time, and a longer one is larger.
_BY_TIME = "ORDER BY created_at, length(key), key"

# Also a tweet that is not learned, say because it is short, can be what is answered; one that was passed on is somebody
# else's. What was not judged yet has no cleaned text.
_ANSWERED = """
    (SELECT answered.cleaned FROM tweets AS answered
     WHERE answered.key = reply.reply_to_id AND answered.cleaned != '' AND answered.verdict != ?
         AND answered.handle IN ({}) ORDER BY answered.handle LIMIT 1)
"""

_NEXT_REVISION = """
    INSERT INTO marks (name, value) VALUES ('tweets-revision', '1')
    ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)
"""


async def _with(first: Sequence[Tweet], rest: AsyncIterator[Sequence[Tweet]]) -> AsyncIterator[Sequence[Tweet]]:
    yield first
    async for batch in rest:
        yield batch


def _kept_tweets(rows: Sequence[Row]) -> list[KeptTweet]:
    return [
        KeptTweet(
            key=row["key"],
            cleaned=row["cleaned"],
            created_at=datetime.fromisoformat(row["created_at"]) if row["created_at"] else None,
            added_at=datetime.fromisoformat(row["added_at"]),
            prompt=row["prompt"],
        )
        for row in rows
    ]
