"""The product as a user runs it: real processes of `python -m bot` with a configuration of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LONGEST_S = 300.0  # for one command, a short training included, on a slow machine


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


def write_config(folder: Path, sections: Mapping[str, Mapping[str, object]]) -> Path:
    """A configuration in `folder` with everything off that is not named."""
    defaults: dict[str, dict[str, object]] = {
        "paths": {"examples": "none"},
        "web": {"port": 0},
        "judging": {"samples": 0},  # what a tiny base says is not worth the time
        "model": {"base": "tiny", "weights": "float32", "threads": 1},
    }
    merged = {name: {**defaults.get(name, {}), **sections.get(name, {})} for name in {*defaults, *sections}}
    lines = []
    for name, keys in merged.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    file = folder / "config.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without any setting or key that happens to be set on this machine."""
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(("MOCKINGBIRD_", "X_", "DISCORD_"))
    }
    return {**plain, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", **(extra or {})}


async def mockingbird(config: Path, *arguments: str, extra: Mapping[str, str] | None = None) -> Outcome:
    """Run one command to its end."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "--config", str(config), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(extra),
    )
    async with asyncio.timeout(LONGEST_S):
        out, err = await child.communicate()
    return Outcome(child.returncode or 0, out.decode(), err.decode())


class Service:
    """`mockingbird serve` in a process, with its log lines as they come."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, object]] = []

    async def logged(self, event: str) -> dict[str, object]:
        """The next log line with that event. Raises `TimeoutError`, `EOFError`."""
        assert self.process.stderr is not None
        async with asyncio.timeout(LONGEST_S):
            while line := await self.process.stderr.readline():
                if not line.startswith(b"{"):
                    continue
                self.lines.append(json.loads(line))
                if self.lines[-1]["event"] == event:
                    return self.lines[-1]
        raise EOFError(f"the service ended before it logged {event!r}: {self.lines[-3:]}")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal; the exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(LONGEST_S):
            await self.process.communicate()
        return self.process.returncode or 0


@asynccontextmanager
async def service(config: Path, extra: Mapping[str, str] | None = None) -> AsyncIterator[Service]:
    """The service, running; killed at the end if the test did not stop it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "--config", str(config), "serve"),
        stderr=asyncio.subprocess.PIPE,
        env=environment(extra),
        limit=2**20,
    )
    try:
        yield Service(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
