"""Showing trainings in an experiment tracker (Weights & Biases, trackio), from the service's side.

A child process of its own, `bot.training.tracking_child`, talks to the tracker: the service never loads one, and of
all secrets that child sees the tracker's alone. It is there twice for a training. Before the version is placed it opens
the run, so that manifest and model card can name one that exists; when the version is in use, or kept, it sends
everything. Whatever goes wrong there, and however long it takes, is a remark at the training and harms nothing.

Over all processes one tracking is under way at a time, so that somebody who is to be forgotten knows when none is.
What a tracker keeps on this machine lies in `data/tracking/<persona>/` and goes with the persona.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import structlog
from filelock import AsyncFileLock, FileLock, Timeout

from bot.config import Tracking as Settings
from bot.errors import OutsideError
from bot.shelf.manifest import Manifest, Tracked
from bot.training.child import Child, started
from bot.training.job import Value

CHILD = "bot.training.tracking_child"
UNFINISHED = "It is being sent; if this stays, that was cut off and the tracker shows a part at most."
FOLDER = "tracking"  # in the data folder: a folder for each persona
SOURCES = "sources"  # in a persona's folder: what is written down to be sent, while it is
LOCK = "tracking.lock"  # in the data folder
_LOOK_S = 0.2  # between two looks whether another process has ended

# What the child may see of the environment: the key, and where the vendor's own settings say that the service is.
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "wandb": ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_ENTITY"),
    "trackio": (),
}

log = structlog.get_logger(__name__)


class Order(Value):
    """The run that is to be opened: the first line on the child's standard input."""

    service: Literal["wandb", "trackio"]
    mode: Literal["online", "offline"]
    project: str
    run: str  # its id, the same whenever this training is tracked again
    persona: str
    version: str
    folder: Path  # for what is kept on this machine


class Sources(Value):
    """The tweets themselves, where they are to be sent."""

    raw: dict[str, tuple[str, ...]]  # account -> its stored tweets as they came, dropped ones included
    train: tuple[str, ...]
    held_out: tuple[str, ...]


class Material(Value):
    """What is to be sent: the second line on the child's standard input."""

    version: Path  # folder of the version, which holds everything else
    in_use: bool
    sources: Sources | None  # None: no tweet is sent


class Trackers:
    """Opens a run for each training, if the settings name a tracker."""

    def __init__(self, settings: Settings, data: Path) -> None:
        self.settings = settings
        self._data = data

    def tracking(self, persona: str, training: int) -> Tracking:
        """What tracks one training, while the body of `async with` runs."""
        return Tracking(self.settings, self._folder(persona), self._data / LOCK, persona, training)

    async def idle(self) -> None:
        """Return once no process tracks a training."""
        async with AsyncFileLock(self._data / LOCK, poll_interval=_LOOK_S, run_in_executor=False):
            pass

    def sweep(self) -> None:
        """Remove the tweets that a tracking that was killed left behind, unless one is under way."""
        with suppress(Timeout), FileLock(self._data / LOCK).acquire(blocking=False):
            for folder in (self._data / FOLDER).glob(f"*/{SOURCES}"):
                shutil.rmtree(folder, ignore_errors=True)

    def remove(self, personas: Collection[str]) -> None:
        """Delete all that trackers keep of these personas on this machine. Raises `OutsideError`."""
        for persona in personas:
            shutil.rmtree(self._folder(persona), ignore_errors=True)
            if self._folder(persona).exists():
                raise OutsideError(f"data/{FOLDER}/{persona} can't be deleted. Mend the permissions of [paths] data.")

    def _folder(self, persona: str) -> Path:
        return self._data / FOLDER / persona


class Tracking:
    """One training's run at the tracker; without a tracker every method does nothing.

    `tracked` is the run once it is open, `remark` what went wrong, in a sentence.
    """

    def __init__(self, settings: Settings, folder: Path, lock: Path, persona: str, training: int) -> None:
        self._settings = settings
        self._folder = folder
        self._lock = lock
        self._persona = persona
        self._training = training
        self._stack = AsyncExitStack()
        self._child: Child | None = None
        self._lines: AsyncIterator[bytes] | None = None
        self._material: Material | None = None
        self.tracked: Tracked | None = None
        self.remark: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def wants_tweets(self) -> bool:
        """Whether the operator has said that tweets are to be sent."""
        return bool(self._settings.service) and self._settings.send_tweets

    async def open(self, version: str, fingerprint: str) -> Tracked | None:
        """The run that is opened for that version; None when there is no tracker, or it can't be had."""
        if not self._settings.service:
            return None
        digest = hashlib.sha256(f"{self._persona} {self._training} {fingerprint}".encode()).hexdigest()
        order = Order(
            service=self._settings.service,
            mode=self._settings.mode,
            project=self._settings.project,
            run=digest[:16],  # it tells nobody whom it is about
            persona=self._persona,
            version=version,
            folder=self._folder,
        )
        async with self._harmless("opened"):
            lock = AsyncFileLock(self._lock, poll_interval=_LOOK_S, run_in_executor=False)
            await self._stack.enter_async_context(lock)
            self._stack.callback(shutil.rmtree, self._folder / SOURCES, ignore_errors=True)  # if the child is killed
            seen = {name: os.environ[name] for name in VARIABLES[order.service] if name in os.environ}
            self._child = await self._stack.enter_async_context(
                started(CHILD, first_line=order.model_dump_json(), variables=seen)
            )
            self._lines = aiter(self._child.lines())
            line = await anext(self._lines, None)
            if line is None:
                await self._raise_failure(self._child)
            else:
                self.tracked = Tracked.model_validate_json(line)
        return self.tracked

    def give(self, manifest: Manifest, version: Path, in_use: bool, sources: Sources | None) -> None:
        """What `send` is to send, now that the version is placed."""
        self.tracked = self.tracked or manifest.tracked
        if self.tracked is not None and self.remark is None:
            self._material = Material(version=version, in_use=in_use, sources=sources if self.wants_tweets else None)
            self.remark = UNFINISHED  # until it is finished

    async def send(self) -> None:
        """Send what was given; afterwards `remark` says what went wrong, or nothing."""
        if self._material is None or self._child is None:
            return
        async with self._harmless("sent"):
            await self._child.say(self._material.model_dump_json())
            if await self._child.ended() != 0:
                await self._raise_failure(self._child)
            self.remark = None
        await self._stack.aclose()

    @asynccontextmanager
    async def _harmless(self, what: str) -> AsyncIterator[None]:
        """Whatever goes wrong in the body, or takes too long, is remarked, and ends the child."""
        limit = self._settings.limit_seconds
        try:
            async with asyncio.timeout(limit):
                yield
            return
        except TimeoutError:
            self.remark = f"The run could not be {what} within {limit:g} seconds, [tracking] limit_seconds."
        except (OutsideError, OSError, ValueError) as error:
            self.remark = str(error)
        log.warning("a training is not tracked", training=self._training, reason=self.remark)
        self._child = None
        await self._stack.aclose()

    async def _raise_failure(self, child: Child) -> None:
        code = await child.ended()
        raise OutsideError(child.last_words or f"The tracker's process ended with exit code {code}.")
