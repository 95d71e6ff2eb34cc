"""Three accounts live on an X that fails, in a service that is killed again and again: nothing is lost, said twice or
unasked, or paid without being written down.

MOCKINGBIRD_TEST_SEED names another month than the usual one; `benchmarks/x_month.py` runs several and tells of each.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from bot.loopback.openapi import OpenAPIContract
from tests.x_month.audit import faults, faults_of_posting, months, summary
from tests.x_month.month import DAY, MONTH, SHORT, Size, live, month
from tests.x_month.weather import MENTIONS, POST

SEED = int(os.environ.get("MOCKINGBIRD_TEST_SEED", "1"))
MEMORY = Path("/dev/shm")  # no disk has to be waited for, and a killed process loses nothing of it


@pytest.fixture
def contract() -> OpenAPIContract | None:
    folder = os.environ.get("MOCKINGBIRD_TEST_SPECS")
    name = "x-api-v2.159_xdk_2026-02-27_legacy_tweet_names.json"
    return OpenAPIContract.load(Path(folder) / name) if folder else None


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


async def lived(folder: Path, size: Size, contract: OpenAPIContract | None) -> list[str]:
    """What is wrong after so long a time."""
    async with month(folder, SEED, size, contract) as world:
        await live(world, size)
        found = await faults(world)
        assert world.kills.count == size.kills
        return [*found, json.dumps(await summary(world))] if found else []


@pytest.mark.slow
async def test_two_bad_days_leave_nothing_lost_said_twice_or_paid_unseen(
    folder: Path, contract: OpenAPIContract | None
) -> None:
    assert await lived(folder, DAY, contract) == []


@pytest.mark.slow
async def test_where_money_is_short_reads_stop_and_posts_go_on(folder: Path, contract: OpenAPIContract | None) -> None:
    """The ledger is equal to the bill but for reads of which nobody could ask again what they cost."""
    async with month(folder, SEED, SHORT, contract) as world:
        await live(world, SHORT)
        assert [*await faults_of_posting(world), *world.x.violations] == []
        done = [request.route for request in world.x.requests if request.status in (200, 201)]
        after_the_last_reading = done[len(done) - done[::-1].index(MENTIONS) :]
        assert after_the_last_reading.count(POST) > 20
        [ledger] = await months(world)
        assert ledger.spent - ledger.unanswered <= world.x.bill() <= ledger.spent <= Decimal(SHORT.cap)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
async def test_a_bad_month_leaves_nothing_lost_said_twice_or_paid_unseen(
    folder: Path, contract: OpenAPIContract | None
) -> None:
    assert await lived(folder, MONTH, contract) == []
