"""Adding tweets to those that are stored, as many as there are, inside one transaction of the caller's.

Outcome: `stage` any number of batches, then `merge` once. The batches wait in a temporary table, so that memory stays
bounded, and are merged in the order of the keys, which is what makes a million rows quick.

What is the same tweet: the same id; or, where one of the two has no usable id (a spreadsheet ruined it, or the source
has none), the same account, second and text, `&amp;` and `&` being the same. Of tweets that are alike in all of that
there are as many as the source with the most of them has. A tweet without id and time can't be told from others; where
its text is stored already it counts as a duplicate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC

from bot.database import Transaction
from bot.tweets.tweet import Source, Tweet


class Adding:
    """Tweets on their way into the table `tweets`; the accounts have to be there already."""

    def __init__(self, transaction: Transaction, now: str) -> None:
        self._transaction = transaction
        self._now = now  # when they count as stored: ISO 8601, UTC
        self._has_bare = False  # whether any of them has no id

    async def begin(self) -> None:
        """Before the first `stage`."""
        await self._transaction.run(_STAGE)
        await self._transaction.run("CREATE TEMP TABLE touched (handle TEXT PRIMARY KEY)")

    async def stage(self, tweets: Sequence[Tweet]) -> None:
        """Take a batch."""
        self._has_bare = self._has_bare or any(tweet.id is None for tweet in tweets)
        rows = await asyncio.to_thread(_rows, tweets)
        await self._transaction.run_many("INSERT INTO incoming VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    async def merge(self, handles: Sequence[str]) -> None:
        """Store what was staged; `handles` are the accounts it belongs to. Whatever changed is left to be judged."""
        await self._transaction.run_many("INSERT INTO touched VALUES (?)", [(handle,) for handle in handles])
        if await self._transaction.one(_ANY_STORED_BARE):
            await self._find_twins(_BARE_STORED, _WITH_ID_INCOMING)
            await self._transaction.run(_GIVE_ID)
        if self._has_bare:
            await self._transaction.run(_NUMBER_ALIKE)
            await self._find_twins(_WITH_ID_STORED, _BARE_INCOMING)
            await self._transaction.run(_TAKE_ID)
        await self._transaction.run(_MERGE, (self._now,))
        for table in ("incoming", "touched", "twins"):
            await self._transaction.run(f"DROP TABLE IF EXISTS temp.{table}")

    async def _find_twins(self, stored: str, incoming: str) -> None:
        await self._transaction.run("DROP TABLE IF EXISTS temp.twins")
        await self._transaction.run(_TWINS.format(stored=stored, incoming=incoming))


_STAGE = """
    CREATE TEMP TABLE incoming (
        number INTEGER PRIMARY KEY,  -- in the order of the source
        handle TEXT NOT NULL,
        key TEXT NOT NULL,
        is_id INTEGER NOT NULL,
        text TEXT NOT NULL,
        created_at TEXT,
        is_retweet INTEGER NOT NULL,
        reply_to TEXT,
        source TEXT NOT NULL,
        reply_to_id TEXT
    )
"""

# Keys that are no ids are digests and begin with t, behind all digits.
_ANY_STORED_BARE = "SELECT 1 FROM touched CROSS JOIN tweets USING (handle) WHERE tweets.key >= 't' LIMIT 1"

# Of tweets without id that are alike in text and time each gets a key of its own.
_NUMBER_ALIKE = """
    UPDATE incoming SET key = incoming.key || '-' || alike.n
    FROM (
        SELECT number, row_number() OVER (PARTITION BY handle, key ORDER BY number) AS n FROM incoming WHERE NOT is_id
    ) AS alike
    WHERE alike.n > 1 AND incoming.number = alike.number
"""

_SECOND = "substr(created_at, 1, 19)"
_PLAIN = "trim(replace(replace(replace(text, '&lt;', '<'), '&gt;', '>'), '&amp;', '&'))"
_STORED = f"SELECT 0, handle, key, 0, {_SECOND}, {_PLAIN} FROM tweets WHERE handle IN touched AND created_at NOT NULL"
_INCOMING = f"SELECT 1, handle, key, min(number), {_SECOND}, {_PLAIN} FROM incoming WHERE created_at NOT NULL"
_BARE_STORED = f"{_STORED} AND key >= 't'"
_WITH_ID_STORED = f"{_STORED} AND key < 't'"
_BARE_INCOMING = f"{_INCOMING} AND NOT is_id GROUP BY handle, key"
_WITH_ID_INCOMING = f"""{_INCOMING} AND is_id
    AND NOT EXISTS (SELECT 1 FROM tweets WHERE tweets.handle = incoming.handle AND tweets.key = incoming.key)
    GROUP BY handle, key"""

# The first of those that are alike in the store belongs to the first in the source, and so on. One sort, no join: an
# index by time would cost every account for the sake of these few.
_TWINS = """
    CREATE TEMP TABLE twins AS
    WITH
        sides (is_new, handle, key, number, second, plain) AS ({stored} UNION ALL {incoming}),
        placed AS (
            SELECT *, row_number() OVER (
                PARTITION BY handle, second, plain, is_new ORDER BY number, length(key), key
            ) AS place
            FROM sides
        )
    SELECT handle, max(iif(is_new, NULL, key)) AS stored, max(iif(is_new, key, NULL)) AS incoming
    FROM placed GROUP BY handle, second, plain, place HAVING count(*) = 2
"""
_GIVE_ID = """
    UPDATE OR IGNORE tweets SET key = twins.incoming FROM twins
    WHERE tweets.handle = twins.handle AND tweets.key = twins.stored
"""
_TAKE_ID = """
    UPDATE incoming SET key = twins.stored FROM twins
    WHERE NOT incoming.is_id AND incoming.handle = twins.handle AND incoming.key = twins.incoming
"""

# A text that was cut off ("…", with X's link behind it or not) gives way to a longer one; what is stored otherwise
# stays. What its owner's archive holds counts as that from then on, wherever it came from first: it does not go when it
# is gone from X. Verdict '': not judged.
_IS_LONGER = """
    length(excluded.text) > length(tweets.text)
    AND (tweets.text LIKE '%…' OR tweets.text LIKE '%…%https://t.co/__________')
"""
_TELLS_MORE = f"""
    ({_IS_LONGER}) OR (tweets.created_at IS NULL AND excluded.created_at NOT NULL)
    OR excluded.is_retweet > tweets.is_retweet
"""
_MERGE = f"""
    INSERT INTO tweets
        (handle, key, text, cleaned, verdict, created_at, is_retweet, reply_to, source, added_at, reply_to_id)
    SELECT handle, key, text, '', '', created_at, is_retweet, reply_to, source, ?, reply_to_id FROM incoming
    WHERE true ORDER BY handle, key, number
    ON CONFLICT (handle, key) DO UPDATE SET
        text = iif({_IS_LONGER}, excluded.text, tweets.text),
        created_at = coalesce(tweets.created_at, excluded.created_at),
        is_retweet = max(tweets.is_retweet, excluded.is_retweet),
        reply_to = coalesce(tweets.reply_to, excluded.reply_to),
        reply_to_id = coalesce(tweets.reply_to_id, excluded.reply_to_id),
        source = iif(excluded.source = '{Source.ARCHIVE}', excluded.source, tweets.source),
        verdict = iif({_TELLS_MORE}, '', tweets.verdict)
    WHERE {_TELLS_MORE} OR (tweets.reply_to IS NULL AND excluded.reply_to NOT NULL)
        OR (tweets.reply_to_id IS NULL AND excluded.reply_to_id NOT NULL)
        OR (excluded.source = '{Source.ARCHIVE}' AND tweets.source != excluded.source)
"""


def _rows(tweets: Sequence[Tweet]) -> list[tuple[object, ...]]:
    """Parameters of the rows of `incoming`."""
    return [
        (
            tweet.handle,
            tweet.key,
            tweet.id is not None,
            tweet.text,
            tweet.created_at.astimezone(UTC).isoformat() if tweet.created_at else None,
            tweet.is_retweet,
            tweet.reply_to,
            tweet.source,
            tweet.reply_to_id,
        )
        for tweet in tweets
    ]
