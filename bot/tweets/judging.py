"""Cleaning and judging what is stored of an account, part by part, so that memory does not grow with the account.

Outcome: `cleaned` and `verdict` of each stored tweet are what the account's profile says of it, only rows whose verdict
or text changed are written, and the verdicts do not depend on the size of the parts or on how the tweets came in.

The rule of order: what was stored earlier is judged first, so that a repeated text counts as new only once. Among
tweets that were stored at once, the older one comes first, and one without a time before all others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from bot.database import Database, Row, Transaction
from bot.tweets.cleaning import RULES, Judge, JudgedTweet, Profile, Verdict
from bot.tweets.counts import AccountCounts, counts_of
from bot.tweets.tweet import Source, Tweet

PART = 1_000  # tweets that are in memory at once

NOT_JUDGED = ""  # verdict of a row that is new or was changed, until its account is judged

# Times are ISO 8601 in UTC, so that text order is time order; X's ids grow with time, and a longer one is larger.
_IN_ORDER = "ORDER BY added_at, created_at, length(key), key"

_STALE = f"""
    SELECT handle FROM accounts
    WHERE judged IS NULL OR judged NOT LIKE profile || ?
    OR handle IN (SELECT DISTINCT handle FROM tweets WHERE verdict = '{NOT_JUDGED}')
    ORDER BY handle
"""


async def judge_account(transaction: Transaction, handle: str, part: int = PART) -> AccountCounts:
    """Clean and judge what is stored of the account (a normalised handle), and give its counts.

    Where tweets were only added since the last time, only they are judged. Everything is judged again when the profile
    or the program's rules are others, or when a tweet was changed or removed.
    """
    account = await transaction.one("SELECT profile, judged FROM accounts WHERE handle = ?", (handle,))
    profile = Profile(account["profile"]) if account else Profile.MOCKINGBIRD
    stored, judged, is_appended = await _stored(transaction, handle)
    is_more = account is not None and account["judged"] == _mark(profile, judged) and is_appended
    if not is_more or judged < stored:
        judge = Judge(profile, stored)
        if is_more:
            await _remember_kept(transaction, judge, handle, part)
        await _judge(transaction, judge, handle, f"AND verdict = '{NOT_JUDGED}'" if is_more else "", part)
        await transaction.run("UPDATE accounts SET judged = ? WHERE handle = ?", (_mark(profile, stored), handle))
    return await stored_counts(transaction, handle)


async def stale_accounts(database: Database) -> list[str]:
    """Handles of the accounts of which something was judged by other rules than this program's, or never."""
    return [row["handle"] for row in await database.all(_STALE, (f" {RULES} %",))]


async def stored_counts(source: Database | Transaction, handle: str) -> AccountCounts:
    """The counts of what is stored and judged of the account (a normalised handle)."""
    groups = await source.all(
        "SELECT verdict, count(*) AS tweets, sum(length(cleaned)) AS letters,"
        " min(created_at) AS first, max(created_at) AS last FROM tweets WHERE handle = ? AND verdict != ?"
        " GROUP BY verdict",
        (handle, NOT_JUDGED),
    )
    verdicts = Counter({Verdict(group["verdict"]): int(group["tweets"]) for group in groups})
    letters = sum(group["letters"] for group in groups if group["verdict"] == Verdict.KEPT)
    firsts = [datetime.fromisoformat(group["first"]) for group in groups if group["first"]]
    lasts = [datetime.fromisoformat(group["last"]) for group in groups if group["last"]]
    return counts_of(handle, verdicts, letters, min(firsts, default=None), max(lasts, default=None))


def _mark(profile: Profile, judged: int) -> str:
    """What `accounts.judged` holds. With the number in it, a tweet that was changed or removed is noticed as well."""
    return f"{profile} {RULES} {judged}"


async def _stored(transaction: Transaction, handle: str) -> tuple[int, int, bool]:
    """How many tweets are stored, how many of them are judged, and whether all others come after these in order."""
    row = await transaction.one(
        "SELECT count(*), count(*) FILTER (WHERE verdict != ?1), max(added_at) FILTER (WHERE verdict != ?1),"
        " min(added_at) FILTER (WHERE verdict = ?1) FROM tweets WHERE handle = ?2",
        (NOT_JUDGED, handle),
    )
    stored, judged, newest_judged, oldest_new = tuple(row) if row else (0, 0, None, None)
    return stored, judged, newest_judged is None or oldest_new is None or oldest_new > newest_judged


async def _remember_kept(transaction: Transaction, judge: Judge, handle: str, part: int) -> None:
    kept = f"SELECT cleaned FROM tweets WHERE handle = ? AND verdict = ? {_IN_ORDER}"
    async for rows in transaction.parts(kept, (handle, Verdict.KEPT), part):
        await asyncio.to_thread(judge.remember, [row["cleaned"] for row in rows])


async def _judge(transaction: Transaction, judge: Judge, handle: str, which: str, part: int) -> None:
    # SQLite sorts all rows before it gives the first one, hence writing to them while reading is safe.
    tweets = f"SELECT * FROM tweets WHERE handle = ? {which} {_IN_ORDER}"
    async for rows in transaction.parts(tweets, (handle,), part):
        changed = await asyncio.to_thread(_changed, judge, rows)
        await transaction.run_many("UPDATE tweets SET cleaned = ?, verdict = ? WHERE handle = ? AND key = ?", changed)


def _changed(judge: Judge, rows: Sequence[Row]) -> list[tuple[object, ...]]:
    """What is to be written: cleaned, verdict, handle, key."""
    judged = judge.judge([_tweet(row) for row in rows])
    return [
        (each.cleaned, each.verdict, row["handle"], row["key"])
        for row, each in zip(rows, judged, strict=True)
        if _differs(row, each)
    ]


def _differs(row: Row, judged: JudgedTweet) -> bool:
    return bool(row["cleaned"] != judged.cleaned or row["verdict"] != judged.verdict)


def _tweet(row: Row) -> Tweet:
    return Tweet(
        handle=row["handle"],
        text=row["text"],
        id=row["key"] if row["key"].isdigit() else None,
        created_at=datetime.fromisoformat(row["created_at"]) if row["created_at"] else None,
        is_retweet=bool(row["is_retweet"]),
        reply_to=row["reply_to"],
        source=Source(row["source"]),
        reply_to_id=row["reply_to_id"],
    )
