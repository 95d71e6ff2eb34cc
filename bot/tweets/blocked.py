"""Accounts that are never to be learned (again): the table `blocked`, and the list as a text file.

It stands at the door where words come in, below whoever decides what goes on it, because the question is asked in the
very transaction that stores a tweet or puts a training in line: whoever was blocked a moment before is not let in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from bot.database import Database, Parameters, Row, Transaction
from bot.errors import NotPermitted, UsageError
from bot.tweets.tweet import normalise_handle

NO_REASON = "no reason was given"

_LINE = re.compile(r"(?P<handle>@?[\w-]{1,60})(?:\s+id=(?P<id>[0-9]{1,19}))?(?:\s+(?P<reason>\S.*))?")


class Reads(Protocol):
    """A database, or a transaction under way."""

    async def all(self, sql: str, parameters: Parameters = ()) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class Blocked:
    """One account that is not to be learned."""

    handle: str  # lower case, no @
    platform_id: str | None  # X's user id, where it is known: it stays when the handle is changed
    reason: str
    at: datetime | None = None  # UTC; None for a line of a file


class Blocklist:
    """The table `blocked`."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """`clock` gives UTC."""
        self._database = database
        self._clock = clock

    async def all(self) -> list[Blocked]:
        """Everybody on it, in alphabetical order."""
        rows = await self._database.all("SELECT * FROM blocked ORDER BY handle")
        return [
            Blocked(row["handle"], row["platform_id"], row["reason"], datetime.fromisoformat(row["at"])) for row in rows
        ]

    async def add(self, entries: Iterable[Blocked]) -> int:
        """Block them all; how many were not blocked before."""
        async with self._database.transaction() as transaction:
            return sum([await self.add_within(transaction, entry) for entry in entries])

    async def add_within(self, transaction: Transaction, entry: Blocked) -> bool:
        """As `add`, in a transaction of the caller's; whether it was not blocked before.

        Who is blocked already keeps the reason and gets the id. An account that is stored knows its id itself.
        """
        before = await transaction.one("SELECT 1 FROM blocked WHERE handle = ?", (entry.handle,))
        await transaction.run(
            "INSERT INTO blocked (handle, platform_id, reason, at) "
            "VALUES (?1, coalesce(?2, (SELECT platform_id FROM accounts WHERE handle = ?1)), ?3, ?4) "
            "ON CONFLICT DO UPDATE SET platform_id = coalesce(platform_id, excluded.platform_id)",
            (entry.handle, entry.platform_id, entry.reason, self._clock().astimezone(UTC).isoformat()),
        )
        return before is None

    async def remove(self, handle: str) -> None:
        """Let the account be learned again. Raises `UsageError` when it is not blocked."""
        async with self._database.transaction() as transaction:
            removed = await transaction.run("DELETE FROM blocked WHERE handle = ?", (normalise_handle(handle),))
        if not removed:
            raise UsageError(
                f"@{normalise_handle(handle)} is not blocked, so nothing changed. `mockingbird blocked` lists who is."
            )


async def require_free(where: Reads, handles: Sequence[str], platform_id: str | None = None) -> None:
    """Return when none of the accounts is blocked, by handle or by X's user id, else raise `NotPermitted`.

    `handles` are normalised; `platform_id` is X's id of the account at hand, where the caller has just learned it.
    """
    marks = ", ".join("?" * len(handles))
    rows = await where.all(
        f"SELECT handle FROM blocked WHERE handle IN ({marks}) OR platform_id = ? "
        f"OR platform_id IN (SELECT platform_id FROM accounts WHERE handle IN ({marks})) ORDER BY handle",
        (*handles, platform_id, *handles),
    )
    if rows:
        name = rows[0]["handle"]
        also = "" if name in handles else f" (the same account as @{', @'.join(handles)})"
        raise NotPermitted(
            f"@{name}{also} is blocked: it is not read, fetched or learned. "
            f"`mockingbird blocked` says why; `mockingbird blocked --remove {name}` undoes it."
        )


def read_list(text: str) -> list[Blocked]:
    """The accounts in a text file: on each line a handle, `id=` and X's id if known, and a reason if there is one.

    Blank lines and lines that begin with # count for nothing. Raises `UsageError` with the number of a bad line.
    """
    entries = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:
            raise UsageError(
                f"Line {number} names no handle. Write one handle on each line, then a reason if you like."
            )
        entries.append(Blocked(normalise_handle(match["handle"]), match["id"], match["reason"] or NO_REASON))
    return entries


def write_list(entries: Iterable[Blocked]) -> str:
    """The text file that `read_list` reads."""
    lines = [
        " ".join(filter(None, (each.handle, each.platform_id and f"id={each.platform_id}", _one_line(each.reason))))
        for each in entries
    ]
    return "".join(f"{line}\n" for line in ["# Accounts that are not to be learned: handle, id on X, reason.", *lines])


def _one_line(reason: str) -> str:
    return "" if reason == NO_REASON else " ".join(reason.split())
