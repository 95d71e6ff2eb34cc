"""Months on X in minutes: three accounts post and answer, while X fails and the service is killed again and again.

    python benchmarks/x_month.py [--seed 1] [--months 3 | --days 2] [--document XS_OPENAPI.json]

Outcome: for each seed one JSON document with what happened, what it cost, and every fault that was found; the exit code
is 1 where there was one. X is played in this process, the service runs and dies in others.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bot.loopback.openapi import OpenAPIContract  # noqa: E402
from tests.x_month.audit import faults, summary  # noqa: E402
from tests.x_month.month import MONTH, Size, live, month  # noqa: E402

MEMORY = Path("/dev/shm")  # no disk has to be waited for, and a killed process loses nothing of it


async def lived(
    folder: Path, seed: int, size: Size, contract: OpenAPIContract | None
) -> tuple[dict[str, object], list[str]]:
    """One month: what happened, and what is wrong."""
    async with month(folder, seed, size, contract) as world:
        await live(world, size)
        return await summary(world), await faults(world)


def main() -> int:
    """Run them one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--months", type=int, default=1)
    parser.add_argument("--days", type=float, default=MONTH.days)
    parser.add_argument("--document", type=Path)
    options = parser.parse_args()
    share = options.days / MONTH.days
    size = replace(
        MONTH,
        days=options.days,
        mentions=round(MONTH.mentions * share),
        kills=round(MONTH.kills * share),
        outages=round(MONTH.outages * share),
        mishaps=round(MONTH.mishaps * share),
    )
    contract = OpenAPIContract.load(options.document) if options.document else None
    wrong = 0
    for seed in range(options.seed, options.seed + options.months):
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            happened, found = asyncio.run(lived(Path(folder), seed, size, contract))
        report = {"seed": seed, "took_s": round(time.monotonic() - began), **happened, "faults": found}
        print(json.dumps(report, indent=1), flush=True)
        wrong += len(found)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
