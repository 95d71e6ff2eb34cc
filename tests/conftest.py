"""Fixtures that every room uses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.database import Database
from tests.fakes import FakeClock


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path / "test.db") as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
