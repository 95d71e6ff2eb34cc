"""The engines of a service: one for the base that most personas share, and one for each voice that has its own.

Outcome: `async with engines.lend(manifest) as voice` gives the engine that speaks as that version, and the adapter to
ask it for. The configured base is always open. A whole model is opened when it is first asked for, and so is another
base that is prepared and that a version was trained on. These, with their real sizes, and all adapters share
`[model] memory_mb`; the one that was used longest ago makes room for the next. An engine is never closed while it is
lent.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bot.config import Model
from bot.errors import BaseUnavailable, Busy, DiskFull, Refused
from bot.generation.engine import Engine
from bot.generation.graph_description import Weights, graph_folder
from bot.shelf.bases import ALONG, Base, find_base
from bot.shelf.forms import WholeModel, whole_model
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from bot.training.child import ensure_base, started
from bot.training.job import DISK_FULL


@dataclass(frozen=True, slots=True)
class Voice:
    """What it takes to speak as one version."""

    engine: Engine
    adapter: Path | None  # the version's folder; None where the engine holds all of it


@dataclass(slots=True, eq=False)
class _Held:
    """An engine that is open beside that of the configured base."""

    base: Base
    engine: Engine
    size: int  # bytes
    lent: int = 0  # requests that speak with it now


class Engines:
    """`async with Engines(first, shelf, data, model, max_waiting, progress) as engines`."""

    def __init__(
        self,
        first: Engine,
        shelf: Shelf,
        data: Path,
        model: Model,
        max_waiting: int,
        progress: Callable[[str], None],
    ) -> None:
        """`first` is the configured base's, open; `data` holds the bases; `max_waiting` requests wait for an engine."""
        self.first = first
        self._shelf = shelf
        self._data = data
        self._model = model
        self._max_waiting = max_waiting
        self._progress = progress
        self._held: OrderedDict[tuple[Path, str], _Held] = OrderedDict()  # the one used longest ago first
        self._opening = asyncio.Lock()  # one at a time: building takes memory
        self._waiting = 0
        self._given_back = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Requests that an engine answers now or that wait for it, and those that wait for an engine."""
        return self._waiting + sum(
            engine.waiting for engine in (self.first, *(each.engine for each in self._held.values()))
        )

    async def __aenter__(self) -> Self:
        self._share_out()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._held:
            await _close(self._held.popitem()[1])

    @asynccontextmanager
    async def lend(self, manifest: Manifest) -> AsyncIterator[Voice]:
        """The voice of that version while the body runs.

        Raises `Busy` when too many wait for an engine, `Refused` for a version whose base is not here or that is too
        big for the memory there is, `UnknownPersona`
        when it is taken down meanwhile, `UnknownVersion` when it is pruned meanwhile, `DamagedVersion` when a file of
        it is missing, `BaseUnavailable` and `DiskFull` when its graph can't be built.
        """
        folder = self._shelf.path(manifest)
        with self._told_when_gone(manifest):
            if manifest.form == "adapter" and manifest.base_sha256 == self.first.base.record.sha256:
                yield Voice(self.first, folder)
                return
            held = await self._take(manifest)
            try:
                yield Voice(held.engine, folder if manifest.form == "adapter" else None)
            finally:
                held.lent -= 1
                self._given_back.set()
                if not held.lent and held not in self._held.values():  # it was let go meanwhile
                    await _close(held)

    async def drop_what_is_gone(self) -> None:
        """Forget versions that are no longer on the shelf: their adapters, and engines that hold nothing else."""
        for held in self._without_files():
            if not held.lent:  # else whoever speaks last closes it
                await _close(held)
        await self.first.drop_what_is_gone()
        for key, held in list(self._held.items()):
            if self._held.get(key) is held:  # another may have taken its place meanwhile
                await held.engine.drop_what_is_gone()

    def _without_files(self) -> list[_Held]:
        """Those whose model is no longer on the shelf, taken out at once: nobody is lent them any more."""
        gone = [key for key, held in self._held.items() if not (held.base.model / "config.json").exists()]
        return [self._held.pop(key) for key in gone]

    @contextmanager
    def _told_when_gone(self, manifest: Manifest) -> Iterator[None]:
        """What fails in the body because the version's files were deleted meanwhile is told as just that."""
        try:
            yield
        except (OSError, BaseUnavailable):
            self._shelf.current(manifest.persona)
            self._shelf.verified(manifest)
            raise

    async def _take(self, manifest: Manifest) -> _Held:
        base = self._base_of(manifest)
        if base is None or _key(base) not in self._held:
            if self._waiting >= self._max_waiting:
                raise Busy("Many are asking at once. Try again in a minute.", 60.0)
            self._waiting += 1
            try:
                async with self._opening:
                    base = self._base_of(manifest) or await self._made_ready(manifest)
                    if _key(base) not in self._held:
                        self._held[_key(base)] = await self._open(base, manifest)
                        self._share_out()
            finally:
                self._waiting -= 1
        held = self._held[_key(base)]
        held.lent += 1
        self._held.move_to_end(_key(base))
        return held

    async def _make_room(self, persona: str, size: int) -> None:
        """Close those used longest ago that nobody speaks with, until there is room. Raises `Refused` where none is."""
        limit = self._model.memory_mb * 2**20
        if size > limit:
            raise Refused(
                f"{persona} is a model of its own that takes {size / 2**20:.0f} MB, and [model] memory_mb is "
                f"{self._model.memory_mb:.0f}. Raise it to {size / 2**20:.0f} or more, or adopt it as an adapter."
            )
        while sum(held.size for held in self._held.values()) + size > limit:
            idle = next((key for key, held in self._held.items() if not held.lent), None)
            if idle is not None:
                await _close(self._held.pop(idle))
            else:
                self._given_back.clear()
                await self._given_back.wait()

    def _share_out(self) -> None:
        """What the engines leave of the memory is for adapters, the same for each engine."""
        engines = [self.first, *(held.engine for held in self._held.values())]
        left = self._model.memory_mb * 2**20 - sum(held.size for held in self._held.values())
        for engine in engines:
            engine.adapters.limit = int(left / len(engines))

    async def _open(self, base: Base, manifest: Manifest) -> _Held:
        if isinstance(base, WholeModel):
            async with self._shelf.building():
                self._shelf.current(manifest.persona)  # nothing is built of somebody who is being taken down
                self._shelf.version(manifest.persona, manifest.version)  # nor of what was pruned
                graph = await ready_graph(base, self._model.weights, self._progress)
        else:
            graph = await ready_graph(base, self._model.weights, self._progress)
        size = sum(file.stat().st_size for file in graph.iterdir())
        await self._make_room(manifest.persona, size)
        (graph / "graph.onnx").stat()  # it may be gone by now, which the runtime would say in words of its own
        engine = Engine(base, graph, self._model.threads, self._max_waiting, self._model.rows)
        await engine.__aenter__()
        return _Held(base, engine, size)

    def _base_of(self, manifest: Manifest) -> Base | None:
        """What the version is spoken with, if it is here."""
        if manifest.form == "whole":
            return whole_model(self._shelf.path(manifest), manifest.sha256["model.safetensors"])
        return find_base(self._data, manifest.base, manifest.base_sha256)

    async def _made_ready(self, manifest: Manifest) -> Base:
        """A base that comes along, which was not needed before. Raises `Refused` where the version's is another one."""
        base = await ensure_base(manifest.base, self._data, self._progress) if manifest.base in ALONG else None
        if base is not None and base.record.sha256 == manifest.base_sha256:
            return base
        if base is not None:
            raise Refused(
                f"{manifest.persona} was trained on another edition of the base {manifest.base}, which is not here. "
                f"Train {manifest.persona} again."
            )
        raise Refused(
            f"{manifest.persona} was trained on the base {manifest.base}, this service speaks with "
            f"{self.first.base.record.spec}. Set [model] base back, or train {manifest.persona} again."
        )


def _key(base: Base) -> tuple[Path, str]:
    """By what an engine is found that is open."""
    return base.model, base.record.sha256


async def _close(held: _Held) -> None:
    await held.engine.__aexit__(None, None, None)


async def ready_graph(base: Base, weights: Weights, progress: Callable[[str], None]) -> Path:
    """Folder of the base's graph, built now if need be, in a child process. Raises `BaseUnavailable`, `DiskFull`."""
    folder = graph_folder(base.graphs, weights)
    if (folder / "graph.json").is_file():
        return folder
    progress(f"Building the graph of {base.record.spec} that the engine runs; this happens once")
    async with started("bot.generation.graph", str(base.model), str(folder), weights) as child:
        code = await child.ended()
    if code == DISK_FULL:
        raise DiskFull(child.last_words)
    if code:
        raise BaseUnavailable(child.last_words or "Building the engine's graph failed. Is there enough memory?")
    return folder
