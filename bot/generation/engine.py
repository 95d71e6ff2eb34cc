"""The engine: one base in memory that speaks with any adapter, in one thread of its own.

Outcome: `await engine.generate(request)` gives the rows' texts. Nothing here knows tweets, personas or filters, and
nothing here imports torch. All requests meet in one line, those that somebody waits for before those that are
scheduled. Between two steps rows that have ended leave the batch and requests from the line join it, each with its own
prompt, voice, length and seeds (continuous batching: Yu et al. 2022, Orca). Who no longer waits is dropped.

The line is touched by the event loop alone, the rows by the thread alone. What the thread does in between is a turn: it
takes in who is next and steps until a request is finished or somebody knocks. A thread can't be killed, but every
request is bounded by its tokens.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Self, TypeVar, TypeVarTuple

import onnxruntime
from tokenizers import Tokenizer

from bot.errors import Busy, Refused
from bot.generation.adapters import Adapters
from bot.generation.batch import Batch
from bot.generation.draft import Request, Spoken
from bot.generation.graph_description import GraphDescription
from bot.generation.rows import TOO_LONG, Job, Rows
from bot.shelf.bases import Base

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

ROWS = 32  # go through the graph together at most
LONGEST_START = 4_000  # characters; no base has positions for more


class Engine:
    """`async with Engine(base, graph, threads, max_waiting) as engine`."""

    def __init__(
        self,
        base: Base,
        graph: Path,
        threads: int,
        max_waiting: int,
        rows: int = ROWS,
    ) -> None:
        """`graph` is the base's folder; 0 `threads` leave one core to everything else."""
        self.base = base
        self._graph = graph
        self._threads = threads or max(1, len(os.sched_getaffinity(0)) - 1)
        self._max_waiting = max_waiting  # requests, those that are being spoken included
        self._most_rows = rows
        self._waiting: dict[Job, asyncio.Future[list[Spoken]]] = {}
        self._line: list[Job] = []  # of these, who has not joined the rows
        self._row_seconds = 0.2  # that go by until one more row has ended, smoothed
        self._since_last_row = 0.0  # seconds of turns
        self._bell = asyncio.Event()  # somebody has come
        self._knock = threading.Event()  # the turn is to end at its next step
        self._executor = ThreadPoolExecutor(1, "engine")

    async def __aenter__(self) -> Self:
        await self._in_thread(self._load)
        self._turns = asyncio.create_task(self._take_turns(), name="engine")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._knock.set()
        self._turns.cancel()
        await asyncio.gather(self._turns, return_exceptions=True)
        for done in self._waiting.values():
            done.cancel()
        await asyncio.to_thread(self._executor.shutdown)

    @property
    def waiting(self) -> int:
        """Requests that are not answered yet."""
        return len(self._waiting)

    async def generate(self, request: Request) -> list[Spoken]:
        """One `Spoken` for each seed, in their order.

        Raises `Busy` when too many wait, `Refused` on a start that is too long or more seeds than rows go together, and
        `FileNotFoundError` when the version is no longer there.
        """
        if self._turns.done():
            raise RuntimeError("The engine was shut down.")
        if len(self._waiting) >= self._max_waiting:
            raise self._busy()
        if len(request.seeds) > self._most_rows:
            raise Refused(f"At most {self._most_rows} drafts are made at once. Ask for fewer.")
        if len(request.start) > LONGEST_START:
            raise Refused(TOO_LONG)
        loop = asyncio.get_running_loop()
        tell = request.on_text
        job = Job(request, tell and (lambda row, text: loop.call_soon_threadsafe(tell, row, text)))
        done: asyncio.Future[list[Spoken]] = loop.create_future()
        self._waiting[job] = done
        self._line.append(job)
        self._line.sort(key=lambda each: not each.request.urgent)  # stable: first come, first served
        self._look_up()
        try:
            return await done
        finally:
            job.gone = True
            del self._waiting[job]
            self._look_up()

    async def drop_what_is_gone(self) -> None:
        """Forget the adapters of versions that are no longer on the shelf."""
        await self._in_thread(self._rows.let_go)

    def _look_up(self) -> None:
        """The thread sees at its next step who has come or gone."""
        self._knock.set()
        self._bell.set()

    def _busy(self) -> Busy:
        rows = sum(len(job.request.seeds) - len(job.spoken) for job in self._waiting)
        seconds = max(rows * self._row_seconds, 1.0)
        return Busy(f"Many are asking at once. Try again in about {seconds:.0f} seconds.", seconds)

    async def _in_thread(self, function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)

    def _load(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        # Threads that spin while they wait would take the cores from the event loop and the trainer.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(self._graph / "graph.onnx", options, providers=["CPUExecutionProvider"])
        shape = GraphDescription.model_validate_json((self._graph / "graph.json").read_bytes())
        tokenizer = Tokenizer.from_file(str(self.base.model / "tokenizer.json"))
        self.adapters = Adapters(shape.sites)
        batch = Batch(session, shape, self._most_rows)
        self._rows = Rows(batch, self.adapters, tokenizer, self.base.record.end_id, shape.positions)

    async def _take_turns(self) -> None:
        """For ever: as long as there is anything to say, one turn after the other."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            while self._line or len(self._rows):
                self._knock.clear()
                for job in await self._in_thread(self._turn, tuple(self._line)):
                    if job in self._line:
                        self._line.remove(job)
                    self._answer(job)

    def _answer(self, job: Job) -> None:
        """Who waits for it gets what there is to get, if it is finished."""
        done = self._waiting.get(job)
        if done is None or done.done() or not job.finished:
            return
        if job.error is not None:
            done.set_exception(job.error)
        else:
            done.set_result([job.spoken[number] for number in range(len(job.request.seeds))])

    def _turn(self, line: Sequence[Job]) -> list[Job]:
        """In the thread: who has joined the rows from the line, or was finished."""
        began = perf_counter()
        self._rows.drop_gone()
        moved = self._take_in(line)
        at_hand = list(dict.fromkeys([*moved, *self._rows.jobs]))  # some may be finished already, or have failed
        rows_before = len(self._rows)
        try:
            while len(self._rows) and not self._knock.is_set() and not any(job.finished for job in at_hand):
                self._rows.step()
        except Exception as error:  # noqa: BLE001 - whatever the runtime fails with ends these requests, not the service
            self._rows.fail(error)
        self._reckon(perf_counter() - began, rows_before - len(self._rows))
        return at_hand

    def _take_in(self, line: Sequence[Job]) -> list[Job]:
        """Let join, in their order, whoever there is room for."""
        moved = []
        for job in line:
            if not job.gone:
                try:
                    if not self._rows.takes(job):
                        break
                    self._rows.join(job)
                except Exception as error:  # noqa: BLE001 - a missing version or a long start ends this request alone
                    job.error = error
            moved.append(job)
        return moved

    def _reckon(self, seconds: float, ended: int) -> None:
        """Keep in mind how long a row takes, for those who are told to come back."""
        self._since_last_row += seconds
        if ended:
            self._row_seconds += 0.2 * (self._since_last_row / ended - self._row_seconds)
            self._since_last_row = 0.0
