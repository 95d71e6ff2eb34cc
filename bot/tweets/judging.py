"""Cleaning and judging what is stored of an account, all of it again whenever something came in.

Outcome: `cleaned` and `verdict` of each stored tweet are what the account's profile says of it, and only rows whose
verdict or text changed are written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from bot.database import Row, Transaction
from bot.tweets.cleaning import JudgedTweet, Profile, judge
from bot.tweets.counts import AccountCounts, count
from bot.tweets.tweet import Source, Tweet

# Times are ISO 8601 in UTC, so that text order is time order; X's ids grow with time, and a longer one is larger.
# What was stored earlier is judged first, so that a repeated text counts as new only once.
_IN_ORDER = "ORDER BY added_at, created_at, length(key), key"


async def judge_account(transaction: Transaction, handle: str) -> AccountCounts:
    """Clean and judge all that is stored of the account (a normalised handle), and give its counts."""
    rows = await transaction.all(f"SELECT * FROM tweets WHERE handle = ? {_IN_ORDER}", (handle,))
    account = await transaction.one("SELECT profile FROM accounts WHERE handle = ?", (handle,))
    profile = Profile(account["profile"]) if account else Profile.MOCKINGBIRD
    changed, counts = await asyncio.to_thread(_judged, handle, rows, profile)
    await transaction.run_many("UPDATE tweets SET cleaned = ?, verdict = ? WHERE handle = ? AND key = ?", changed)
    return counts


def _judged(handle: str, rows: Sequence[Row], profile: Profile) -> tuple[list[tuple[object, ...]], AccountCounts]:
    """What is to be written (cleaned, verdict, handle, key), and the counts."""
    judged = judge([_tweet(row) for row in rows], profile)
    changed: list[tuple[object, ...]] = [
        (each.cleaned, each.verdict, handle, row["key"])
        for row, each in zip(rows, judged, strict=True)
        if _differs(row, each)
    ]
    return changed, count(handle, judged)


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
    )
