"""Child processes of this room: how they start, what they see, and how they end.

They are Python programs of this package that need torch. They run at low priority and see no secret: of the
environment they get what is listed here. Asked to end they get time to write down what they have, and then no more.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bot.errors import BaseUnavailable, DiskFull
from bot.shelf.bases import Base, find_base
from bot.training.job import DISK_FULL

NICENESS = 10  # the service and everything else on the machine go first
STOP_LIMIT_S = 20.0  # from being asked to end until being killed: a step and a checkpoint take a few seconds
ERROR_LINES = 20  # of standard error that are remembered
LINE_BYTES = 2**20  # of one line on standard output; ours have a few hundred

_PASSED_ON = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PASSED_ON_FAMILIES = ("OMP_", "MKL_", "KMP_", "GOMP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_HUB_SETTINGS = (  # by name, since a token may stand under any other that begins so
    *("HF_HOME", "HF_HUB_CACHE", "HF_XET_CACHE", "HF_ASSETS_CACHE", "HF_MODULES_CACHE", "HF_ENDPOINT"),
    *("HF_HUB_OFFLINE", "HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_VERBOSITY", "HF_DEBUG"),
    *("HF_HUB_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_SYMLINKS", "HF_HUB_DISABLE_SYMLINKS_WARNING"),
    *("HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_XET_HIGH_PERFORMANCE"),
)
_FOR_THE_HUB_ONLY = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_STORED_TOKENS_PATH")
_ALWAYS = {*_PASSED_ON, *_HUB_SETTINGS}


def environment(ours: Mapping[str, str], may_ask_the_hub: bool) -> dict[str, str]:
    """What a child sees of our environment."""
    seen = {
        name: value
        for name, value in ours.items()
        if name in _ALWAYS or name.upper().startswith(_PASSED_ON_FAMILIES) or name in _FOR_THE_HUB_ONLY
    }
    seen["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] = "8192"  # default 1024; each shape of a product takes a place
    seen["HF_HUB_DISABLE_TELEMETRY"] = "1"
    if not may_ask_the_hub:
        seen = {name: value for name, value in seen.items() if name not in _FOR_THE_HUB_ONLY}
        seen["HF_HUB_OFFLINE"] = "1"
    return seen


class Child:
    """A running child process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._errors: deque[str] = deque(maxlen=ERROR_LINES)
        self._listener = asyncio.create_task(self._listen(), name=f"stderr of process {process.pid}")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def lines(self) -> AsyncIterator[bytes]:
        """What it writes to standard output, line by line, until it closes it."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            yield line

    async def say(self, line: str) -> None:
        """Write one more line to its standard input; one that has ended hears nothing."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        with suppress(ConnectionError):
            await self._process.stdin.drain()

    async def ended(self) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        code = await self._process.wait()
        await self._listener
        return code

    @property
    def last_words(self) -> str:
        """The last line that it wrote to standard error, or nothing."""
        return next((line for line in reversed(self._errors) if line.strip()), "").strip()

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether its standard error says so."""
        return any(sign in line for line in self._errors for sign in ("MemoryError", "can't allocate memory"))

    async def stop(self, limit_s: float = STOP_LIMIT_S) -> None:
        """Ask it to end, wait, and kill it when the time is over."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            try:
                async with asyncio.timeout(limit_s):
                    await self._drain()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    self._process.kill()
                await self._drain()
        await self._listener
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def _drain(self) -> None:
        """Read on while waiting: a child that can't write does not end."""
        assert self._process.stdout is not None
        while await self._process.stdout.read(LINE_BYTES):
            pass
        await self._process.wait()

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._errors.append(line.decode(errors="replace").rstrip())


@asynccontextmanager
async def started(
    module: str,
    *arguments: str,
    first_line: str | None = None,
    may_ask_the_hub: bool = False,
    variables: Mapping[str, str] | None = None,
) -> AsyncIterator[Child]:
    """`python -m module arguments` while the body runs; afterwards it is gone, whatever happened.

    `first_line` is written to its standard input, which then stays open: its end tells the child that we are gone.
    `variables` are what it sees of the environment beyond what all children see.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "ignore::FutureWarning", "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environment(os.environ, may_ask_the_hub), **(variables or {})},
        limit=LINE_BYTES,
        start_new_session=True,  # Ctrl-C reaches us alone, and we stop the child in good order
    )
    child = Child(process)
    try:
        with suppress(ProcessLookupError, PermissionError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        if first_line is not None:
            await child.say(first_line)  # if it ended at once its exit code says more
        yield child
    finally:
        await _gone(child)


async def _gone(child: Child) -> None:
    """Stop it to the end, even while we are being cancelled: nothing may outlive its owner."""
    stopping = asyncio.ensure_future(child.stop())
    cancelled = False
    while not stopping.done():
        try:
            await asyncio.shield(stopping)
        except asyncio.CancelledError:
            cancelled = True
    stopping.result()
    if cancelled:
        raise asyncio.CancelledError


async def ensure_base(spec: str, data: Path, progress: Callable[[str], None], sha256: str | None = None) -> Base:
    """The base, made ready in a child process if it was not before. Raises `BaseUnavailable`, `DiskFull`.

    With `sha256` the one with these weights if it is here, else the one that is called so now.
    """
    ready = find_base(data, spec, sha256) or find_base(data, spec)
    if ready is not None:
        return ready
    progress(f"Making the base {spec} ready; this happens once")
    async with started("bot.training.prepare", spec, str(data), may_ask_the_hub=True) as child:
        async for _ in child.lines():
            pass
        code = await child.ended()
    ready = find_base(data, spec)
    if ready is not None:
        return ready
    if code == DISK_FULL:
        raise DiskFull(child.last_words)
    if code == BaseUnavailable.exit_code:
        raise BaseUnavailable(child.last_words)
    raise BaseUnavailable(
        f"Making the base {spec} ready failed ({child.last_words or f'exit code {code}'}). Is there enough memory?"
    )
