"""One SQLite file behind one writer.

Outcome: every write happens inside `async with database.transaction()`, is committed whole or not at all, and a
reader never waits for a writer (WAL). Each room owns its tables and its SQL; this file knows none of them.

Three facts about aiosqlite decided the shape (measured with 0.22): a connection that is left open keeps the process
alive, so there is only `async with`; a cancelled `execute` still runs in its thread, so the rollback of a cancelled
transaction is queued behind it in that thread; all tasks share the connection's transaction, so writers take turns at
a lock.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiosqlite

from bot.errors import Busy, DatabaseTooNew, DiskFull, UsageError
from bot.migrations import STEPS

Row = sqlite3.Row
Parameters = Sequence[Any] | dict[str, Any]

CHECKPOINTS = 3  # tries, each of which waits as long as a writer does
BUSY_TIMEOUT_MS = 10_000  # another process (the command line beside the service) may hold the write lock this long


class Transaction:
    """The open transaction; what is written through it is committed together."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def run(self, sql: str, parameters: Parameters = ()) -> int:
        """Execute one statement; the number of rows it changed."""
        async with self._connection.execute(sql, parameters) as cursor:
            return cursor.rowcount

    async def insert(self, sql: str, parameters: Parameters = ()) -> int:
        """Execute an INSERT; the new row's id."""
        async with self._connection.execute(sql, parameters) as cursor:
            return cursor.lastrowid or 0

    async def run_many(self, sql: str, rows: Iterable[Parameters]) -> int:
        """Execute one statement for each row; the number of rows changed in all."""
        async with self._connection.executemany(sql, rows) as cursor:
            return cursor.rowcount

    async def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Rows as this transaction sees them."""
        return list(await self._connection.execute_fetchall(sql, parameters))

    async def parts(self, sql: str, parameters: Parameters, size: int) -> AsyncIterator[list[Row]]:
        """Rows as this transaction sees them, `size` at a time, so that they need not all be in memory."""
        async with self._connection.execute(sql, parameters) as cursor:
            while rows := list(await cursor.fetchmany(size)):
                yield rows

    async def one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row as this transaction sees it, or None."""
        rows = await self.all(sql, parameters)
        return rows[0] if rows else None


class Database:
    """`async with Database(path) as database`: opened, migrated, closed. Raises `DatabaseTooNew`, `UsageError`."""

    def __init__(self, path: Path, steps: Sequence[str] = STEPS, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self.path = path
        self._steps = steps
        self._busy_timeout_ms = busy_timeout_ms
        self._stack = AsyncExitStack()
        self._write_lock = asyncio.Lock()
        self._reader: aiosqlite.Connection
        self._writer: aiosqlite.Connection

    async def __aenter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            async with AsyncExitStack() as stack:
                self._writer = await self._open(stack)
                await self._migrate()
                self._reader = await self._open(stack)
                self._stack = stack.pop_all()
        except (sqlite3.DatabaseError, OSError) as error:
            raise UsageError(
                f"The database {self.path.name} can't be opened ({error}). "
                "Check [paths] data and the folder's permissions, or restore a backup."
            ) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(self._stack.aclose())

    async def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Committed rows."""
        return list(await self._reader.execute_fetchall(sql, parameters))

    async def one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first committed row, or None."""
        rows = await self.all(sql, parameters)
        return rows[0] if rows else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commit what the body wrote, or none of it if the body raised or was cancelled. Raises `DiskFull`, `Busy`."""
        async with self._write_lock:
            try:
                await self._writer.execute("BEGIN IMMEDIATE")
                yield Transaction(self._writer)
                await asyncio.shield(self._writer.execute("COMMIT"))
            except BaseException as error:
                # One entry in the writer's queue: behind a BEGIN or COMMIT that was cancelled and still runs, before
                # the next BEGIN, and without effect when nothing is open by then.
                await asyncio.shield(self._writer.rollback())
                if isinstance(error, sqlite3.OperationalError):
                    self._raise_in_a_sentence(error)
                raise

    async def wipe(self) -> None:
        """Leave no byte of what was deleted in the database's files. Raises `DiskFull`, `Busy`.

        `secure_delete` overwrites cells and pages, but a page that is filled anew may keep old bytes in its gaps, and
        the write-ahead log holds pages as they were. So the file is written anew (it needs its own size once more for
        a moment), and the log is emptied.
        """
        async with self._write_lock:
            try:
                await self._writer.execute("VACUUM")
                for _ in range(CHECKPOINTS):
                    rows = list(await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)"))
                    if not rows[0][0]:  # else a reader, in whatever process, still needs the log
                        return
            except sqlite3.OperationalError as error:
                self._raise_in_a_sentence(error)
                raise
        raise Busy(f"Another process reads {self.path.name}, so what was deleted may still be in its log.", 60.0)

    def _raise_in_a_sentence(self, error: sqlite3.OperationalError) -> None:
        if "full" in str(error):
            raise DiskFull("The disk is full, nothing was stored. Free some space and try again.") from error
        if "locked" in str(error):
            seconds = self._busy_timeout_ms / 1000
            raise Busy(
                f"Another process has been writing to {self.path.name} for {seconds:g} seconds. Try again later.",
                seconds,
            ) from error

    async def _open(self, stack: AsyncExitStack) -> aiosqlite.Connection:
        connection = await stack.enter_async_context(aiosqlite.connect(self.path, isolation_level=None))
        connection.row_factory = sqlite3.Row
        await connection.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
        await connection.execute("PRAGMA journal_mode = WAL")
        await connection.execute("PRAGMA synchronous = FULL")  # a published answer must survive a power cut
        await connection.execute("PRAGMA foreign_keys = ON")
        await connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten with zeros
        return connection

    async def _migrate(self) -> None:
        version = await self._version()
        if version > len(self._steps):
            raise DatabaseTooNew(
                f"{self.path.name} has schema {version}, this program knows {len(self._steps)}. "
                "Install the newer version again, or restore a backup made before it."
            )
        for number, step in enumerate(self._steps[version:], start=version + 1):
            # Whole step or nothing; another process may have taken it since we looked, hence the second look inside.
            async with self.transaction() as transaction:
                if await self._version() < number:
                    for statement in _statements(step):
                        await transaction.run(statement)
                    await transaction.run(f"PRAGMA user_version = {number}")

    async def _version(self) -> int:
        rows = list(await self._writer.execute_fetchall("PRAGMA user_version"))
        return int(rows[0][0])


def _statements(script: str) -> Iterable[str]:
    """The script's statements one by one, since `executescript` would commit the open transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
