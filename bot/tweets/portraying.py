"""Portraits, made in a process of their own: `python -m bot.tweets.portraying DATABASE HANDLE` prints one as JSON.

Reading a million tweets takes seconds of Python, and telling languages 80 MB: a child costs the service neither. It
reads the database (nothing else can be done through its connection), sees nothing of the environment that it does not
need, and holds one tweet at a time.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from bot.errors import PortraitFailed
from bot.tweets.cleaning import Verdict
from bot.tweets.languages import language
from bot.tweets.portrait import Portrait, StoredTweet, portray
from bot.tweets.tweet import Source

NICENESS = 10  # the service and everything else on the machine go first

_PASSED_ON = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TMPDIR")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

log = structlog.get_logger(__name__)


async def portrait(database: Path, handle: str) -> Portrait:
    """The portrait of an account (a normalised handle) in that database. Raises `PortraitFailed`."""
    known = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, str(database), handle),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=known | _ONE_THREAD,
    )
    try:
        out, err = await child.communicate()
    finally:
        if child.returncode is None:  # we are being cancelled
            with suppress(ProcessLookupError):
                child.kill()
            await asyncio.shield(child.wait())
    if child.returncode:
        # Where it failed, not what it said: the words of an error may be those of a tweet.
        places = [line.strip() for line in err.decode(errors="replace").splitlines() if line.startswith("  File ")]
        log.error("a portrait failed", handle=handle, exit_code=child.returncode, places=places)
        raise PortraitFailed(f"The portrait of @{handle} could not be made: its process ended with {child.returncode}.")
    return Portrait.model_validate_json(out)


def stored(database: Path, handle: str, until: datetime | None = None) -> Iterator[StoredTweet]:
    """What the table `tweets` holds of an account, one after the other; only what was stored by `until` (UTC)."""
    uri = f"{database.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        rows = connection.execute(
            "SELECT key, text, cleaned, verdict, created_at, reply_to, source FROM tweets"
            " WHERE handle = ?1 AND (?2 IS NULL OR added_at <= ?2)",
            (handle, until.astimezone(UTC).isoformat() if until else None),
        )
        for key, text, cleaned, verdict, created_at, reply_to, source in rows:
            at = datetime.fromisoformat(created_at).astimezone(UTC) if created_at else None
            yield StoredTweet(key, text, cleaned, Verdict(verdict), at, reply_to, Source(source))


def main(database: Path, handle: str) -> None:
    """Print the portrait of an account."""
    with suppress(AttributeError):
        os.nice(NICENESS)
    print(portray(handle, stored(database, handle), language).model_dump_json())  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
