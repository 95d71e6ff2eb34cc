"""Fetching in a process of its own that is killed again and again, on a real database against X on this machine."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from bot.loopback.x import Hold, LoopbackX, Moment
from tests.processes import LONGEST_S, environment, mockingbird, service, write_config
from tests.tweets.desk import TIMELINE, contracts

LOOK_UP = "GET /2/users/by/username/:username"


def settings(folder: Path, x: LoopbackX) -> Path:
    of_x = {"enabled": True, "api_base": x.api_base, "i_have_permission_to_train": True}
    return write_config(folder, {"x": of_x, "log": {"format": "json", "level": "debug"}})


def keys(x: LoopbackX) -> Mapping[str, str]:
    return {
        "X_BEARER_TOKEN": x.keys.bearer_token,
        "X_CONSUMER_KEY": x.keys.consumer_key,
        "X_CONSUMER_SECRET": x.keys.consumer_secret,
        "X_ACCESS_TOKEN": x.keys.access_token,
        "X_ACCESS_TOKEN_SECRET": x.keys.access_token_secret,
    }


def four_pages(x: LoopbackX) -> list[str]:
    """Posts of which every tenth still stands, the texts in order: short pages, each with a next token."""
    last = datetime.now(UTC) - timedelta(hours=1)
    for number in range(350):
        x.post_as("Ada", f"Ada on the {number}th wave", created_at=last - timedelta(minutes=350 - number))
    for number, post in enumerate(x.timeline("Ada")):
        if number % 10:
            x.delete(post.id)
    return [post.text for post in reversed(x.timeline("Ada"))]


async def ended(config: Path, x: LoopbackX, hold: Hold | None, answered: int | None = None) -> str | None:
    """Fetch in a process that is killed when its request is held, or once so many requests were answered in all.

    What it said where it had ended by itself before that; None where it was killed.
    """
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "--config", str(config), "fetch", "ada", "--yes"),
        stderr=asyncio.subprocess.PIPE,
        env=environment(keys(x)),
    )
    over = asyncio.create_task(child.communicate())
    reached = asyncio.create_task(
        hold.arrived.wait() if hold else x.wait_until(lambda: len(x.requests) >= (answered or 0))
    )
    async with asyncio.timeout(LONGEST_S):
        await asyncio.wait([over, reached], return_when=asyncio.FIRST_COMPLETED)
        if not over.done():
            child.send_signal(signal.SIGKILL)
        _, said = await over
    reached.cancel()
    await asyncio.wait([reached])
    x.forget_holds()
    if hold is not None and hold.arrived.is_set():
        answers = len(x.requests)
        hold.release.set()
        await x.wait_until(lambda: len(x.requests) > answers)  # what was held is done now, and nobody listens
    return None if child.returncode == -signal.SIGKILL else said.decode()


async def rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    async with aiosqlite.connect(folder / "data" / "mockingbird.db") as database:
        return [tuple(row) for row in await database.execute_fetchall(sql)]


@pytest.mark.slow
async def test_a_fetch_killed_at_every_step_loses_nothing_and_is_paid_for_once(tmp_path: Path) -> None:
    async with LoopbackX(["Mockingbird", "Ada"], *contracts()) as x:
        texts = four_pages(x)
        config = settings(tmp_path, x)
        for moment in Moment:  # twice: first for the price, then for the fetch itself
            for skip in (0, 1):
                assert await ended(config, x, x.hold_next(LOOK_UP, moment, skip)) is None
        kills = 0
        while True:
            # Before the page's request is looked at; while its answer is under way; right after it was answered.
            for moment in Moment:
                assert await ended(config, x, x.hold_next(TIMELINE, moment)) is None
            kills += 3
            timeline = sum(request.route == TIMELINE for request in x.requests)
            assert await ended(config, x, None, answered=len(x.requests) + 1 + (timeline == 0)) is None
            # The page before is stored, and the next one on its way.
            if await ended(config, x, x.hold_next(TIMELINE, Moment.AFTER, skip=1)) is not None:
                break
        outcome = await mockingbird(config, "fetch", "ada", "--yes", extra=keys(x))
        assert outcome.code == 0, outcome.err
        stored = await rows(tmp_path, "SELECT text FROM tweets WHERE handle = 'ada' ORDER BY created_at")
        assert [text for (text,) in stored] == texts
        paid = sum(Decimal(usd) for (usd,) in await rows(tmp_path, "SELECT usd FROM costs"))
        assert paid == x.bill() == Decimal("0.010") + len(texts) * Decimal("0.005")
        assert await rows(tmp_path, "SELECT since_id, page_token FROM accounts") == [(x.timeline("Ada")[0].id, None)]
        assert kills >= 6
        assert x.violations == []


async def test_the_service_fetches_and_checks_and_logs_no_key_even_when_it_logs_everything(tmp_path: Path) -> None:
    async with LoopbackX(["Mockingbird", "Ada", "Bob"], *contracts()) as x:
        config = settings(tmp_path, x)
        x.post_as("Ada", "Ada on the first wave", created_at=datetime.now(UTC) - timedelta(hours=2))
        outcome = await mockingbird(config, "fetch", "ada", "--yes", extra=keys(x))
        assert outcome.code == 0, outcome.err
        x.close_account("Ada")
        async with service(config, keys(x)) as running:
            line = await running.logged("an account is closed; what was fetched of it is removed")
            assert (line["handle"], line["removed"], line["account"]) == ("ada", 1, "gone")
            assert await running.stop() == 0
        written = outcome.out + outcome.err + str(running.lines)
        assert not [secret for secret in (*keys(x).values(), "wave", "token=") if secret in written]
        assert await rows(tmp_path, "SELECT count(*) FROM tweets") == [(0,)]
        assert x.violations == []
