"""The engine: one base in memory that speaks with any adapter, in one thread of its own.

Outcome: `await engine.generate(request)` gives the rows' tokens. Nothing here knows tweets, personas or filters, and
nothing here imports torch. One request runs after the other, its rows together; a request whose caller went away stops
at its next token. A thread can't be killed, but every request is bounded by its tokens.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, TypeVarTuple

import numpy as np
import numpy.typing as npt
import onnxruntime
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from bot.errors import Busy, Refused
from bot.generation.draft import Sampling
from bot.generation.graph_description import GraphDescription, Site
from bot.generation.sampling import draw
from bot.shelf.answering import asking_ids
from bot.shelf.bases import Base

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")
Floats = npt.NDArray[np.float32]

KEPT_OPEN = 0.75  # rows that have ended are let go when no larger share than this is still open
ADAPTERS_KEPT = 64  # in memory; the one that was used longest ago goes first


@dataclass(frozen=True, slots=True)
class Spoken:
    """One row that was generated."""

    text: str  # without the start
    seed: int
    ended: bool  # by the end token, not by running out of tokens
    likelihood: float = 0.0  # mean log-probability of its tokens under the voice, nats
    base_likelihood: float | None = None  # the same under the bare base; None where that was not asked for


@dataclass(frozen=True, slots=True)
class Request:
    """Several rows from one start."""

    adapter: Path | None  # a version's folder; None speaks as the bare base
    start: str  # data: a control token written out in it stays text
    seeds: tuple[int, ...]  # one row for each
    sampling: Sampling
    asked: str = ""  # what the rows answer, one cleaned line, for a version that has learned to; data likewise
    scored: bool = False  # whether the base's likelihood of each row is wanted
    urgent: bool = True  # somebody waits; what is scheduled comes after


@dataclass(frozen=True, slots=True)
class _Adapter:
    """Inputs of the graph for one version, in the runtime's own memory."""

    inputs: tuple[tuple[str, onnxruntime.OrtValue], ...]


class Engine:
    """`async with Engine(base, folder, threads, max_waiting) as engine`."""

    def __init__(self, base: Base, graph: Path, threads: int, max_waiting: int) -> None:
        self.base = base
        self._graph = graph
        self._threads = threads or max(1, len(os.sched_getaffinity(0)) - 1)  # 0 leaves one core to everything else
        self._max_waiting = max_waiting  # requests, the running one included
        self._waiting = 0
        self._seconds = 1.0  # what a request took lately, smoothed
        self._adapters: OrderedDict[Path, _Adapter] = OrderedDict()
        self._executor = ThreadPoolExecutor(1, "engine")

    async def __aenter__(self) -> Self:
        await self._in_thread(self._load)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._executor.shutdown)

    async def generate(self, request: Request) -> list[Spoken]:
        """One `Spoken` for each seed, in their order. Raises `Busy` when too many wait, `Refused` on a long start."""
        if self._waiting >= self._max_waiting:
            seconds = self._waiting * self._seconds
            raise Busy(f"Many are asking at once. Try again in about {seconds:.0f} seconds.", seconds)
        nobody_waits = threading.Event()
        self._waiting += 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            spoken = await self._in_thread(self._speak, request, nobody_waits)
            self._seconds += 0.2 * ((loop.time() - began) / self._waiting - self._seconds)
            return spoken
        finally:
            nobody_waits.set()
            self._waiting -= 1

    async def drop_what_is_gone(self) -> None:
        """Forget the adapters of versions that are no longer on the shelf."""
        await self._in_thread(self._drop_what_is_gone)

    async def _in_thread(self, function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)

    def _load(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        # Threads that spin while they wait would take the cores from the event loop and the trainer.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            self._graph / "graph.onnx", options, providers=["CPUExecutionProvider"]
        )
        self._shape = GraphDescription.model_validate_json((self._graph / "graph.json").read_bytes())
        self._tokenizer = Tokenizer.from_file(str(self.base.model / "tokenizer.json"))
        self._tokenizer.encode_special_tokens = True  # "<|endoftext|>" in a text is text
        self._end = self.base.record.end_id
        # The tokenizer's other control tokens are never spoken.
        added = self._tokenizer.get_added_tokens_decoder()
        self._banned = [token for token in added if added[token].special and token != self._end]

    def _speak(self, request: Request, nobody_waits: threading.Event) -> list[Spoken]:
        start = self._tokenizer.encode(request.start, add_special_tokens=False).ids
        room = self._shape.positions - request.sampling.max_tokens - len(start) - 1
        prompt = [self._end, *asking_ids(self._tokenizer, request.asked, room), *start]
        capacity = len(prompt) + request.sampling.max_tokens
        if capacity > self._shape.positions:
            raise Refused("That beginning is too long to go on from. Give a few words or a sentence.")
        run = _Run(self._session, self._shape, self._adapter(request.adapter), len(request.seeds), capacity)
        generators = [np.random.default_rng(seed) for seed in request.seeds]
        rows: list[list[int]] = [[] for _ in request.seeds]
        open_rows = set(range(len(rows)))
        going = list(range(len(rows)))  # the rows that the run still holds, in its order
        logits = run.step(np.tile(np.array(prompt, np.int64), (len(rows), 1)))
        for count in range(request.sampling.max_tokens):
            logits[:, self._banned] = -np.inf
            if count < request.sampling.min_tokens:
                logits[:, self._end] = -np.inf
            tokens = draw(logits, request.sampling, [generators[row] for row in going])
            for row, token in zip(going, tokens, strict=True):
                if row in open_rows and token == self._end:
                    open_rows.discard(row)
                elif row in open_rows:
                    rows[row].append(int(token))
            if not open_rows or nobody_waits.is_set() or count + 1 == request.sampling.max_tokens:
                break
            if len(open_rows) <= KEPT_OPEN * len(going):
                kept = [place for place, row in enumerate(going) if row in open_rows]
                run.keep(kept)
                going, tokens = [going[place] for place in kept], tokens[kept]
            logits = run.step(tokens[:, None])
        return [
            Spoken(self._tokenizer.decode(row), seed, number not in open_rows)
            for number, (row, seed) in enumerate(zip(rows, request.seeds, strict=True))
        ]

    def _drop_what_is_gone(self) -> None:
        for folder in list(self._adapters):
            if folder != Path() and not (folder / "manifest.json").exists():
                del self._adapters[folder]

    def _adapter(self, folder: Path | None) -> _Adapter:
        key = folder or Path()
        if key not in self._adapters:
            self._adapters[key] = _load_adapter(folder, self._shape.sites)
            while len(self._adapters) > ADAPTERS_KEPT:
                self._adapters.popitem(last=False)
        self._adapters.move_to_end(key)
        return self._adapters[key]


class _Run:
    """Rows of equal length going through the graph together, with their keys and values in place."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        shape: GraphDescription,
        adapter: _Adapter,
        rows: int,
        capacity: int,
    ) -> None:
        self._session = session
        self._adapter = adapter
        self._length = 0  # tokens so far, the same in every row
        names = [f"{kind}{layer}" for layer in range(shape.layers) for kind in "kv"]
        size = (rows, shape.kv_heads, capacity, shape.head_size)
        self._bind(rows, {name: onnxruntime.OrtValue.ortvalue_from_shape_and_type(size, np.float32) for name in names})

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone: a step takes time for each."""
        kept = {}
        for name, buffer in self._buffers.items():
            values = buffer.numpy()[rows]
            kept[name] = onnxruntime.OrtValue.ortvalue_from_shape_and_type(values.shape, np.float32)
            kept[name].update_inplace(values)
        self._bind(len(rows), kept)

    def _bind(self, rows: int, buffers: dict[str, onnxruntime.OrtValue]) -> None:
        self._rows = rows
        self._buffers = buffers
        self._binding = self._session.io_binding()
        self._binding.bind_output("logits", "cpu")
        for name, value in self._adapter.inputs:
            self._binding.bind_ortvalue_input(name, value)
        for name, buffer in buffers.items():  # one buffer is past and present, so that a step copies nothing
            self._binding.bind_ortvalue_input(f"past_{name}", buffer)
            self._binding.bind_ortvalue_output(f"present_{name}", buffer)

    def step(self, tokens: npt.NDArray[np.int64]) -> Floats:
        """Logits (rows, vocabulary) after the new tokens (rows, steps)."""
        steps = tokens.shape[1]
        positions = np.arange(self._length, self._length + steps, dtype=np.int64)
        self._length += steps
        self._binding.bind_cpu_input("tokens", tokens)
        self._binding.bind_cpu_input("positions", np.tile(positions, (self._rows, 1)))
        self._binding.bind_cpu_input("lengths", np.full(self._rows, self._length - 1, np.int32))
        self._binding.bind_cpu_input("total", np.array([self._length], np.int32))
        self._session.run_with_iobinding(self._binding)
        logits: Floats = self._binding.get_outputs()[0].numpy()
        return logits


def _load_adapter(folder: Path | None, sites: Sequence[Site]) -> _Adapter:
    """The adapter files of a version (peft's format) as inputs of the graph; zeros where it adapts nothing."""
    tensors: dict[str, npt.NDArray[Any]] = {}
    scale = 0.0
    if folder is not None:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        scale = config["lora_alpha"] / (config["r"] ** (0.5 if config.get("use_rslora") else 1))
        tensors = load_file(folder / "adapter_model.safetensors")
    inputs = []
    for site in sites:
        a, b = _fuse(site, tensors, scale)
        inputs.append((f"{site.name}.a", onnxruntime.OrtValue.ortvalue_from_numpy(a)))
        inputs.append((f"{site.name}.b", onnxruntime.OrtValue.ortvalue_from_numpy(b)))
    return _Adapter(tuple(inputs))


def _fuse(site: Site, tensors: dict[str, npt.NDArray[Any]], scale: float) -> tuple[Floats, Floats]:
    """The parts' adapters as one: their A side by side (1, in, r), their B in a block each (1, r, out), scaled."""
    found = [
        (
            part,
            tensors[f"base_model.model.{part.module}.lora_A.weight"],
            tensors[f"base_model.model.{part.module}.lora_B.weight"],
        )
        for part in site.parts
        if f"base_model.model.{part.module}.lora_A.weight" in tensors
    ]
    rank = sum(len(a) for _, a, _ in found)
    fused_a = np.zeros((1, site.inputs, max(rank, 1)), np.float32)
    fused_b = np.zeros((1, max(rank, 1), site.outputs), np.float32)
    row = 0
    for part, a, b in found:
        fused_a[0, :, row : row + len(a)] = a.T
        fused_b[0, row : row + len(a), part.offset : part.offset + part.width] = b.T * scale
        row += len(a)
    return fused_a, fused_b
