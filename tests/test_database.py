"""The one file that everything stored is in, with the real SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.database import Database
from bot.errors import Busy, DatabaseTooNew, DiskFull, UsageError
from bot.migrations import STEPS

NOTES = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);"
ADD = "INSERT INTO notes (text) VALUES (?)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "mockingbird.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    async with Database(path, steps=(NOTES,)) as opened:
        yield opened


async def texts(database: Database) -> list[str]:
    return [row["text"] for row in await database.all("SELECT text FROM notes ORDER BY id")]


async def until_blocked_in_sqlite() -> None:
    """Let a task that was just started come as far as its first statement."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_new_file_gets_the_whole_schema_and_its_folder(path: Path) -> None:
    async with Database(path) as database:
        row = await database.one("PRAGMA user_version")
        tables = {row["name"] for row in await database.all("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert row is not None
    assert row[0] == len(STEPS)
    assert {"accounts", "tweets", "trainings", "messages", "posts"} <= tables


async def test_what_a_transaction_wrote_is_seen_after_it_and_not_before(database: Database) -> None:
    async with database.transaction() as transaction:
        assert await transaction.insert(ADD, ("a",)) == 1
        assert await transaction.run_many(ADD, [("b",), ("c",)]) == 2
        assert len(await transaction.all("SELECT * FROM notes")) == 3
        assert await texts(database) == []
    assert await texts(database) == ["a", "b", "c"]


async def test_an_error_in_the_body_takes_back_all_of_it(database: Database) -> None:
    with pytest.raises(LookupError):
        async with database.transaction() as transaction:
            await transaction.run(ADD, ("half",))
            raise LookupError
    async with database.transaction() as transaction:
        await transaction.run(ADD, ("whole",))
    assert await texts(database) == ["whole"]


async def test_a_bad_statement_takes_back_what_came_before_it(database: Database) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        async with database.transaction() as transaction:
            await transaction.run(ADD, ("half",))
            await transaction.run(ADD, (None,))
    assert await texts(database) == []


async def test_writers_take_turns(database: Database) -> None:
    async def write(name: str) -> None:
        async with database.transaction() as transaction:
            await transaction.run(ADD, (f"{name} begins",))
            await asyncio.sleep(0)
            await transaction.run(ADD, (f"{name} ends",))

    await asyncio.gather(*(write(name) for name in ("a", "b", "c")))
    assert await texts(database) == [f"{name} {what}" for name in ("a", "b", "c") for what in ("begins", "ends")]


async def test_a_cancelled_body_takes_back_all_of_it(database: Database) -> None:
    written = asyncio.Event()

    async def write() -> None:
        async with database.transaction() as transaction:
            await transaction.run(ADD, ("half",))
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.transaction() as transaction:
        await transaction.run(ADD, ("whole",))
    assert await texts(database) == ["whole"]


async def test_a_statement_that_still_runs_when_its_task_is_cancelled_is_taken_back(database: Database) -> None:
    begun = asyncio.Event()

    async def write() -> None:
        async with database.transaction() as transaction:
            begun.set()
            await transaction.run_many(ADD, ((str(number),) for number in range(20_000)))

    task = asyncio.create_task(write())
    await begun.wait()
    await until_blocked_in_sqlite()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await texts(database) == []


@pytest.mark.parametrize("cancels", [1, 2], ids=["once", "twice"])
async def test_a_writer_cancelled_while_it_waits_for_another_process_leaves_nothing_open(
    database: Database, cancels: int
) -> None:
    async def write(text: str) -> None:
        async with database.transaction() as transaction:
            await transaction.run(ADD, (text,))

    other = sqlite3.connect(database.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(write("half"))
        for _ in range(cancels):
            await until_blocked_in_sqlite()
            task.cancel()
        next_one = asyncio.create_task(write("whole"))
        await until_blocked_in_sqlite()
        other.execute("ROLLBACK")
    finally:
        other.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    await next_one
    assert await texts(database) == ["whole"]


async def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.run(ADD, ("a",))
        async with asyncio.timeout(10):
            assert await texts(database) == []


async def test_a_lock_that_another_process_keeps_is_said_in_a_sentence(path: Path) -> None:
    async with Database(path, steps=(NOTES,), busy_timeout_ms=1) as database:
        other = sqlite3.connect(path, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Busy, match="Another process"):
                async with database.transaction():
                    pass
        finally:
            other.close()


async def test_a_full_disk_is_said_in_a_sentence_and_nothing_is_stored(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.run(ADD, ("before",))
        await transaction.run("PRAGMA max_page_count = 3")
    with pytest.raises(DiskFull, match="Free some space"):
        async with database.transaction() as transaction:
            await transaction.run(ADD, ("x" * 100_000,))
    async with database.transaction() as transaction:
        await transaction.run("PRAGMA max_page_count = 1000000")
        await transaction.run(ADD, ("after",))
    assert await texts(database) == ["before", "after"]


async def test_what_was_committed_is_there_when_the_file_is_opened_again(path: Path) -> None:
    for _ in range(2):
        async with Database(path, steps=(NOTES,)) as database, database.transaction() as transaction:
            await transaction.run(ADD, ("a",))
    async with Database(path, steps=(NOTES,)) as database:
        assert await texts(database) == ["a", "a"]


async def test_an_older_file_takes_only_the_steps_it_lacks_and_keeps_its_rows(path: Path) -> None:
    async with Database(path, steps=(NOTES,)) as database, database.transaction() as transaction:
        await transaction.run(ADD, ("a",))
    step = "ALTER TABLE notes ADD COLUMN stars INTEGER NOT NULL DEFAULT 5; -- a remark; with a semicolon\nSELECT 1"
    async with Database(path, steps=(NOTES, step)) as database:
        row = await database.one("SELECT text, stars FROM notes")
        version = await database.one("PRAGMA user_version")
    assert row is not None and tuple(row) == ("a", 5)
    assert version is not None and version[0] == 2


async def test_a_database_of_the_first_schema_comes_through_whole(path: Path) -> None:
    rows = {
        "posts": "(4, 'nell', '1', 7, 'a text', 0.5, 'drafted', '2026-01-01', NULL, NULL, NULL, NULL, NULL)",
        "trainings": "(6, 'nell', '[]', 'command', '', 'kept', '2026-01-01', NULL, NULL, '1', 'worse', NULL)",
        "training_points": "(6, 1, '2026-01-01', '{}')",
        "costs": "(3, '2026-01-01', 'post', 'nell', 1, '0.015')",
    }
    async with Database(path, steps=STEPS[:1]) as database, database.transaction() as transaction:
        for table, row in rows.items():
            await transaction.run(f"INSERT INTO {table} VALUES {row}")
        before = [tuple(row) for table in rows for row in await transaction.all(f"SELECT * FROM {table}")]
    async with Database(path) as database:
        after = [tuple(row) for table in rows for row in await database.all(f"SELECT * FROM {table}")]
        assert [row[: len(was)] for row, was in zip(after, before, strict=True)] == before  # new columns come last
        assert await database.all("PRAGMA foreign_key_check") == []
        async with database.transaction() as transaction:
            assert await transaction.run("DELETE FROM trainings") == 1
        assert await database.all("SELECT * FROM training_points") == []
        names = {row["name"] for row in await database.all("SELECT name FROM sqlite_master")}
    assert not any("before" in name for name in names)


async def test_what_was_said_on_x_before_is_on_record_for_its_account(path: Path) -> None:
    """The answer that was on its way in an older version is found under its new name."""
    columns = "platform, message_id, channel_id, author_id, state, received_at"
    async with Database(path, steps=STEPS[:6]) as database, database.transaction() as transaction:
        for platform, channel in (("x", "harbour"), ("discord", "5")):
            await transaction.run(
                f"INSERT INTO messages ({columns}) VALUES (?, '7', ?, '1', 'sending', '2026-01-01')",
                (platform, channel),
            )
    async with Database(path) as database:
        rows = await database.all("SELECT platform, message_id FROM messages ORDER BY platform")
    assert [tuple(row) for row in rows] == [("discord", "7"), ("x", "harbour 7")]


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("posts", "persona, version, seed, text, novelty, state, created_at"),
        ("trainings", "persona, handles, cause, requested_by, state, created_at"),
        ("costs", "at, purpose, about, units, usd"),
        ("purchases", "handles, cause, requested_by, state, created_at"),
        ("takedowns", "handle, asked_by, delete_posts, begun_at, receipt"),
        ("evaluations", "persona, version, at, figures"),
    ],
)
async def test_an_id_is_never_given_out_again(path: Path, table: str, columns: str) -> None:
    """Old buttons carry it, and calls under way: they must not come to mean something else."""
    add = f"INSERT INTO {table} ({columns}) VALUES ({', '.join('1' for _ in columns.split(','))})"
    async with Database(path) as database, database.transaction() as transaction:
        first = await transaction.insert(add)
        await transaction.run(f"DELETE FROM {table}")
        assert await transaction.insert(add) == first + 1


async def test_a_step_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    async with Database(path, steps=(NOTES,)):
        pass
    with pytest.raises(UsageError):
        async with Database(path, steps=(NOTES, "CREATE TABLE more (id INTEGER);\nCREATE TABLE notes (id INTEGER);")):
            pass
    async with Database(path, steps=(NOTES,)) as database:
        names = [row["name"] for row in await database.all("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert names == ["notes"]


async def test_two_processes_may_open_a_new_file_at_once(path: Path) -> None:
    async with Database(path) as one, Database(path) as other:
        assert await one.one("SELECT * FROM accounts") is None
        assert await other.one("SELECT * FROM accounts") is None


async def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    async with Database(path, steps=(NOTES, "CREATE TABLE more (id INTEGER);")):
        pass
    with pytest.raises(DatabaseTooNew, match="schema 2, this program knows 1"):
        async with Database(path, steps=(NOTES,)):
            pass
    async with Database(path, steps=(NOTES, "CREATE TABLE more (id INTEGER);")) as database:
        assert await database.all("SELECT * FROM more") == []


async def refused(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        async with Database(path):
            pass
    return str(caught.value)


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("these are no pages of SQLite, and far from it")
    assert "mockingbird.db can't be opened" in asyncio.run(refused(path))
    assert path.read_text() == "these are no pages of SQLite, and far from it"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    assert "Check [paths] data" in asyncio.run(refused(tmp_path / "data" / "mockingbird.db"))
