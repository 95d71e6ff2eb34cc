"""Ten thousand mentions and commands over two hundred servers: each is answered once, and nothing is left over."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.frontends.discord_stage import DOCUMENT
from tests.processes import ROOT, environment

REQUESTS = 10_000
LEFT_OVER = 3  # tasks more than in the idle service: what happens to run at the moment
GROWTH_MB = 30  # from a fifth of the requests to the last


@pytest.mark.slow
@pytest.mark.timeout(1_800)
async def test_ten_thousand_requests_are_answered_once_each_and_nothing_grows() -> None:
    """By `mockingbird serve` with the real engine, while connections break, events come twice and Discord fails."""
    specs = os.environ.get("MOCKINGBIRD_TEST_SPECS")
    document = ["--document", str(Path(specs) / DOCUMENT)] if specs else []
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "benchmarks/soak.py", "--requests", str(REQUESTS), *document),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
    )
    out, _ = await child.communicate()
    assert child.returncode == 0
    found = json.loads(out)
    assert found["never_answered"] == found["commands_acknowledged_late"] == []
    assert found["answered_more_than_once"] == 0
    assert found["answered_once"] == found["messages"]
    assert found["answered_once"] + found["commands_answered"] == sum(found["asked"].values()) >= REQUESTS
    assert found["late"]["tasks"] <= found["idle"]["tasks"] + LEFT_OVER
    assert found["late"]["memory_mb"] <= found["early"]["memory_mb"] + GROWTH_MB
    assert (found["exit_code"], found["violations"], found["own_violations"]) == (0, [], [])
