"""What is gone from X goes from the store: deleted and edited posts, protected, suspended and deleted accounts.

X wants that within a day. Outcome: every `check_interval_hours` each account that is fetched on schedule is looked up,
and all that was fetched of one that is closed goes. Its posts are asked for in one of X's compliance jobs, which takes
all ids at once and costs nothing so far as X's price list says; where the app's access does not cover them, the
operator may have each post looked up instead. Only what came from the API goes: an imported archive is its owner's.

Where a check was is in the database, so one that is cut off goes on: the time of each account's last look-up, the id of
a job under way (its signed addresses are asked for anew), and the last post that was looked up.

What it does not know: versions that were trained before with what is gone. The next training learns without it.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog

from bot.config import X
from bot.database import Database, Row, Transaction
from bot.errors import ConfigError, MockingbirdError, XError, XKeysRefused, XRateLimited, XUnreachable
from bot.tweets.charges import Charges
from bot.tweets.costs import Ledger
from bot.tweets.forecast import ON_SCHEDULE
from bot.tweets.store import TweetStore
from bot.tweets.tweet import Source
from bot.tweets.x_api import PAGE_SIZE, XClient
from bot.tweets.x_bodies import ComplianceJob, Standing

PURPOSE = "check"  # in the ledger

# Marks in the database.
_JOB = "compliance-job"  # X's id of the job under way
_DONE = "posts-checked-at"  # when the last check of all posts ended
_PLACE = "posts-looked-up"  # JSON: handle and id of the last post that was looked up

_POLL = timedelta(minutes=1)  # X's guide: every 30 to 60 seconds
_TRY_AGAIN = timedelta(minutes=15)  # as long as X's windows, and as long as a job waits for its ids
_MUCH_LATER = timedelta(hours=1)  # a person has to do something first
_ADVICE = "versions that learned it keep it until the next training"

log = structlog.get_logger(__name__)


class ComplianceCheck:
    """Looks on schedule with `run`, or now with `round`."""

    def __init__(
        self,
        client: XClient,
        store: TweetStore,
        database: Database,
        ledger: Ledger,
        settings: X,
        clock: Callable[[], datetime],
    ) -> None:
        """`clock` gives UTC."""
        self._client = client
        self._store = store
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._interval = timedelta(hours=settings.check_interval_hours)
        self._posts = settings.check_posts
        self._charges = Charges(clock)
        self._bell = asyncio.Event()
        self._said = ""  # the last trouble in the log, so that it stands there once

    def wake(self) -> None:
        """Have `run` look now; rings while it works are one ring."""
        self._bell.set()

    async def run(self) -> None:
        """Check whenever it is time to, until cancelled. Returns at once where a setting turns it off, and says so."""
        if not self._interval:
            key = "[x] check_interval_hours"
            log.info("what is gone from X stays in the store; a setting turns the check off", setting=key)
            return
        while True:
            look_at = await self.round()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, (look_at - self._clock()).total_seconds())):
                    await self._bell.wait()
            self._bell.clear()

    async def round(self) -> datetime:
        """Check what is due; when the next look is worth while (UTC). Trouble is one line in the log."""
        try:
            await self._check_accounts()
            wait = await self._check_posts()
        except XRateLimited as error:
            return self._trouble(error, error.resets_at or self._clock() + _TRY_AGAIN)
        except (XUnreachable, XError) as error:
            mendable = isinstance(error, XKeysRefused)
            return self._trouble(error, self._clock() + (_MUCH_LATER if mendable else _TRY_AGAIN))
        except MockingbirdError as error:
            return self._trouble(error, self._clock() + _MUCH_LATER)
        except Exception:  # a fault of ours must not end the checks
            log.exception("checking what is still on X failed")
            return self._clock() + _MUCH_LATER
        self._said = ""
        return self._clock() + wait

    def _trouble(self, error: MockingbirdError, look_at: datetime) -> datetime:
        if str(error) != self._said:
            self._said = str(error)
            log.warning("checking what is still on X pauses", until=str(look_at), reason=str(error))
        return max(look_at, self._clock() + _POLL)  # clocks may differ

    # Accounts

    async def _check_accounts(self) -> None:
        rows = await self._database.all(
            f"SELECT handle, platform_id FROM accounts WHERE {ON_SCHEDULE} AND platform_id IS NOT ? "
            "AND coalesce(checked_at, '') <= ? ORDER BY handle",
            (self._client.own_id, (self._clock() - self._interval).astimezone(UTC).isoformat()),
        )
        for start in range(0, len(rows), PAGE_SIZE):
            await self._look_up_accounts(rows[start : start + PAGE_SIZE])

    async def _look_up_accounts(self, rows: Sequence[Row]) -> None:
        price = self._ledger.prices.user_read
        ids = {row["platform_id"]: row["handle"] for row in rows}
        about = f"@{rows[0]['handle']}" if len(rows) == 1 else f"{len(rows)} accounts"
        what, resource = f"Checking {about}", "accounts " + " ".join(sorted(ids))
        about = rows[0]["handle"] if len(rows) == 1 else about
        async with self._ledger.hold(PURPOSE, about, len(ids) * price, what, len(ids), resource) as call:
            standings, names = await self._client.standings(list(ids))
            shown = [each for each, standing in standings.items() if standing in (Standing.OPEN, Standing.PROTECTED)]
            async with self._database.transaction() as transaction:
                await self._charges.settle_users(transaction, call, shown, price)
                removed = {
                    each: await self._close(transaction, ids[each], standing)
                    for each, standing in standings.items()
                    if each in ids and standing is not Standing.OPEN
                }
                seen = [(self._now(), ids[each]) for each in standings if each in ids]
                await transaction.run_many("UPDATE accounts SET checked_at = ? WHERE handle = ?", seen)
                open_ones = [each for each, standing in standings.items() if standing is Standing.OPEN and each in ids]
                renamed = [each for each in open_ones if await self._rename(transaction, ids[each], names.get(each))]
        for each in renamed:
            log.info("an account was renamed; it is fetched on by its id", handle=ids[each], now_called=names[each])
        for each, count in removed.items():
            log.warning(
                "an account is closed; what was fetched of it is removed",
                handle=ids[each],
                account=standings[each].value,
                removed=count,
                note=_ADVICE,
                advice="it is fetched again only when somebody asks for it",
            )

    async def _rename(self, transaction: Transaction, handle: str, name: str | None) -> bool:
        """Note what an open account is called now; whether that is news. Its tweets stay under the name that it had."""
        is_other = name is not None and name.lower() != handle
        changed = await transaction.run(
            "UPDATE accounts SET standing = ?1, now_called = ?2 WHERE handle = ?3 AND now_called IS NOT ?2",
            ("renamed" if is_other else "", name if is_other else None, handle),
        )
        return is_other and changed > 0

    async def _close(self, transaction: Transaction, handle: str, standing: Standing) -> int:
        """Remove what was fetched of the account, and take it off the schedule (`ON_SCHEDULE`); how many tweets."""
        rows = await transaction.all("SELECT key FROM tweets WHERE handle = ? AND source = ?", (handle, Source.X_API))
        await transaction.run(
            "UPDATE accounts SET since_id = NULL, page_token = NULL, page_newest_id = NULL, fetched_at = NULL, "
            "checked_at = ?, next_fetch_at = NULL, standing = ? WHERE handle = ?",
            (self._now(), standing.value, handle),
        )
        return await self._store.discard_within(transaction, handle, [row["key"] for row in rows])

    # Posts

    async def _check_posts(self) -> timedelta:
        """Go on with the check that is under way, or begin one that is due; how long until the next look."""
        if self._posts == "off":
            return self._interval
        job_id = await self._mark(_JOB)
        if job_id is not None:
            return await self._go_on(job_id)
        if await self._mark(_PLACE) is not None:
            return await self._look_up_posts()
        due = await self._due()
        if due > self._clock():
            return due - self._clock()
        if not await self._fetched_ids():
            return self._interval
        return await self._begin()

    async def _due(self) -> datetime:
        done = await self._mark(_DONE)
        return datetime.fromisoformat(done) + self._interval if done else self._clock()

    async def _begin(self) -> timedelta:
        price = self._ledger.prices.compliance_job
        try:
            async with self._ledger.hold(PURPOSE, "posts", price, "Asking X which posts are still there") as call:
                job = await self._client.create_job()
                async with self._database.transaction() as transaction:
                    await call.settle(1 if price else 0, price, transaction)
                    await _set_mark(transaction, _JOB, job.id)
        except (ConfigError, XKeysRefused) as error:
            if self._posts == "lookup":
                return await self._look_up_posts()
            log.warning(
                "deleted posts can't be found, only closed accounts",
                reason=str(error),
                advice='[x] check_posts = "lookup" reads every fetched post again each day, which X bills',
            )
            async with self._database.transaction() as transaction:
                await _set_mark(transaction, _DONE, self._now())
            return self._interval
        return await self._hand_over(job)

    async def _go_on(self, job_id: str) -> timedelta:
        job = await self._client.job(job_id)
        if job is not None and job.status == "created":
            return await self._hand_over(job)
        if job is not None and job.status == "in_progress":
            return _POLL
        if job is None or job.status != "complete":
            log.warning("X did not finish a check of posts; it begins anew", status=job.status if job else "unknown")
            await self._forget_job()
            return _TRY_AGAIN
        await self._finish(await self._client.results(job))
        return self._interval

    async def _hand_over(self, job: ComplianceJob) -> timedelta:
        try:
            await self._client.upload(job, await self._fetched_ids())
        except XKeysRefused as error:  # the address has expired; it is not given out a second time
            log.warning("X did not take the list of posts; the check begins anew", reason=str(error))
            await self._forget_job()
            return _TRY_AGAIN
        return _POLL

    async def _forget_job(self) -> None:
        async with self._database.transaction() as transaction:
            await _drop_mark(transaction, _JOB)

    async def _finish(self, gone: Set[str]) -> None:
        async with self._database.transaction() as transaction:
            removed = await self._remove(transaction, gone)
            await _drop_mark(transaction, _JOB)
            await _set_mark(transaction, _DONE, self._now())
        _tell(removed)

    async def _look_up_posts(self) -> timedelta:
        """Read every fetched post again, a hundred at a time, from where it was left."""
        while batch := await self._next_batch():
            await self._look_up_batch(batch[0]["handle"], [row["key"] for row in batch])
        async with self._database.transaction() as transaction:
            await _drop_mark(transaction, _PLACE)
            await _set_mark(transaction, _DONE, self._now())
        return self._interval

    async def _next_batch(self) -> list[Row]:
        """The next posts of one account, in order of handle and id."""
        handle, key = json.loads(await self._mark(_PLACE) or '["", ""]')
        rows = await self._database.all(
            "SELECT handle, key FROM tweets WHERE source = ? AND (handle, key) > (?, ?) ORDER BY handle, key LIMIT ?",
            (Source.X_API, handle, key, PAGE_SIZE),
        )
        return [row for row in rows if row["handle"] == rows[0]["handle"]]

    async def _look_up_batch(self, handle: str, ids: Sequence[str]) -> None:
        price = self._ledger.prices.post_read
        what, resource = f"Checking {len(ids)} posts of @{handle}", f"posts {handle} {ids[0]}"
        async with self._ledger.hold(PURPOSE, handle, len(ids) * price, what, len(ids), resource) as call:
            page, missing = await self._client.posts(ids, handle=handle)
            async with self._database.transaction() as transaction:
                billed = len(await self._charges.posts(transaction, page.post_ids))
                await call.settle(billed, billed * price, transaction)
                gone = (missing | page.superseded) & set(ids)
                removed = await self._store.discard_within(transaction, handle, gone)
                await _set_mark(transaction, _PLACE, json.dumps([handle, ids[-1]]))
        if removed:
            _tell({handle: removed})

    async def _remove(self, transaction: Transaction, gone: Set[str]) -> dict[str, int]:
        """Remove these posts where they came from the API; how many of each account."""
        keys: defaultdict[str, list[str]] = defaultdict(list)
        for row in await transaction.all("SELECT handle, key FROM tweets WHERE source = ?", (Source.X_API,)):
            if row["key"] in gone:
                keys[row["handle"]].append(row["key"])
        return {handle: await self._store.discard_within(transaction, handle, keys[handle]) for handle in keys}

    # What is stored

    async def _fetched_ids(self) -> list[str]:
        rows = await self._database.all("SELECT key FROM tweets WHERE source = ? ORDER BY handle, key", (Source.X_API,))
        return [row["key"] for row in rows]

    async def _mark(self, name: str) -> str | None:
        row = await self._database.one("SELECT value FROM marks WHERE name = ?", (name,))
        return row["value"] if row else None

    def _now(self) -> str:
        return self._clock().astimezone(UTC).isoformat()


def _tell(removed: dict[str, int]) -> None:
    for handle, count in removed.items():
        log.info("posts that are gone from X are removed", handle=handle, removed=count, note=_ADVICE)


async def _set_mark(transaction: Transaction, name: str, value: str) -> None:
    await transaction.run(
        "INSERT INTO marks (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


async def _drop_mark(transaction: Transaction, name: str) -> None:
    await transaction.run("DELETE FROM marks WHERE name = ?", (name,))


async def forget_place(database: Database) -> None:
    """Forget which post was looked up last, since that names an account; the check of all posts begins anew."""
    async with database.transaction() as transaction:
        await _drop_mark(transaction, _PLACE)
