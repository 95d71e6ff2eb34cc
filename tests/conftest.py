"""Fixtures that every room uses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest

from bot.database import Database
from tests.fakes import FakeClock

# No test asserts how long something takes, and one example may take long on a machine that has other things to do.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path / "test.db") as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
