"""Rows that go through the graph together: they join and leave between two steps, each with a voice and a length.

Outcome: `join` puts rows into the batch behind what they begin with, `step` gives everybody's next logits, `leave`
takes a row out. Rows lie in slots 0, 1, …; who leaves is replaced by the last one, so that they stay side by side and
the graph works on the front part of one buffer without a copy. It is used by one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime

from bot.generation.adapters import Adapter
from bot.generation.graph_description import GROUP, GraphDescription, Site

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

CAPACITY = 128  # tokens of a row that there is room for at first; it doubles when a row needs more
FEWEST = 2  # MLAS adds up in another order when a matrix has one row, so one row never goes alone
GROUPS = 16  # of ranks that the adapters in use in one batch take, for each part of a site; who needs more waits


@dataclass(slots=True)
class _Row:
    adapter: Adapter | None
    length: int  # tokens that lie in the buffers


class Batch:
    """At most `rows` rows; of adapters as many as `GROUPS` allows, or one that is larger."""

    def __init__(self, session: onnxruntime.InferenceSession, shape: GraphDescription, rows: int) -> None:
        self._session = session
        self._shape = shape
        self._most = max(rows, FEWEST)
        self._rows: list[_Row] = []
        self._voices = _Voices(shape.sites)
        self._capacity = 0  # tokens of a row that there is room for
        self._buffers: list[Floats] = []  # keys and values of each layer, (slots, heads, capacity, head size)
        self._bindings: dict[tuple[int, int], onnxruntime.IOBinding] = {}  # first slot and number -> how they are run
        self._logits = np.empty((self._most, shape.vocabulary), np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def takes(self, adapter: Adapter | None, rows: int) -> bool:
        """Whether so many rows in that voice may join now."""
        return len(self._rows) + rows <= self._most and self._voices.fit([*self._in_use(), adapter])

    def join(self, adapter: Adapter | None, prompt: Sequence[int], rows: int, room: int) -> Floats | None:
        """Rows behind `prompt`, with room for `room` tokens more, in the last slots.

        What they have in common is computed once: logits (vocabulary) after it. None where it is a single token, which
        is to be the first that the rows are stepped with.
        """
        self._make_room(len(prompt) + room)
        self._hold(adapter)
        first, joining = len(self._rows), [_Row(adapter, 0) for _ in range(rows)]
        self._rows += joining
        if len(prompt) == 1:
            return None
        try:
            logits = self._run(first, joining[:1], np.array([prompt], np.int64), [len(prompt) - 1], self._logits[:1])
        except BaseException:
            del self._rows[first:]  # nobody would step them
            raise
        for buffer in self._buffers:
            buffer[first + 1 : first + rows, :, : len(prompt)] = buffer[first, :, : len(prompt)]
        for row in joining:
            row.length = len(prompt)
        after: Floats = logits[0]
        return after

    def step(self, tokens: Sequence[int]) -> Floats:
        """Logits (rows, vocabulary) after one more token of each row; valid until the next step."""
        filling = max(FEWEST - len(tokens), 0)
        ids = np.array([*tokens, *[0] * filling], np.int64)[:, None]
        rows = [*self._rows, *[_Row(None, 0)] * filling]
        return self._run(0, rows, ids, range(len(ids)), self._logits[: len(ids)])[: len(tokens)]

    def leave(self, slot: int) -> None:
        """The row in that slot goes; the last row takes its place."""
        last = self._rows.pop()
        if slot < len(self._rows):
            for buffer in self._buffers:
                buffer[slot, :, : last.length] = buffer[len(self._rows), :, : last.length]
            self._rows[slot] = last

    def let_go(self) -> None:
        """Of voices that nobody speaks with nothing stays in memory, nor of what was said when nobody speaks."""
        self._voices = _Voices(self._shape.sites)
        self._voices.hold(self._in_use())
        self._bindings.clear()
        if not self._rows:
            self._capacity, self._buffers = 0, []

    def score(self, adapter: Adapter | None, ids: Sequence[int], after: int) -> float:
        """Mean log-probability, in nats, that the voice gives the tokens behind the first `after` ones."""
        self._make_room(len(ids))
        self._hold(adapter)
        places = range(after - 1, len(ids) - 1)
        logits = np.empty((len(places), self._shape.vocabulary), np.float32)  # others may read those of their step
        self._run(self._most, [_Row(adapter, 0)], np.array([ids[:-1]], np.int64), places, logits)
        said = logits[np.arange(len(places)), list(ids[after:])]
        return float((said - log_mass(logits)).mean())

    def _hold(self, adapter: Adapter | None) -> None:
        """Have that voice among those in use."""
        if self._voices.hold([*self._in_use(), adapter]):
            self._bindings.clear()

    def _in_use(self) -> list[Adapter | None]:
        return [row.adapter for row in self._rows]

    def _make_room(self, tokens: int) -> None:
        """Buffers in which each row has room for so many tokens; what lies in them stays. Unused pages take nothing."""
        if tokens <= self._capacity:
            return
        capacity = max(self._capacity, CAPACITY)
        while capacity < tokens:
            capacity *= 2
        size = (self._most + 1, self._shape.kv_heads, capacity, self._shape.head_size)  # the last slot is for scoring
        larger = [np.empty(size, np.float32) for _ in range(2 * self._shape.layers)]
        for old, new in zip(self._buffers, larger, strict=False):
            new[: len(self._rows), :, : self._capacity] = old[: len(self._rows)]
        self._capacity, self._buffers = capacity, larger
        self._bindings.clear()

    def _run(self, first: int, rows: Sequence[_Row], tokens: Ids, at: Sequence[int], logits: Floats) -> Floats:
        """`logits` (w, vocabulary), written at these of the new tokens (rows, steps) of the slots from `first` on."""
        steps = tokens.shape[1]
        before = np.array([row.length for row in rows], np.int64)
        binding = self._bound(first, len(rows))
        binding.bind_cpu_input("tokens", tokens)
        binding.bind_cpu_input("positions", before[:, None] + np.arange(steps))
        binding.bind_cpu_input("lengths", (before + steps - 1).astype(np.int32))
        binding.bind_cpu_input("total", np.array([before.max() + steps], np.int32))
        binding.bind_cpu_input("at", np.array(at, np.int64))
        for name, weights in self._voices.weights([row.adapter for row in rows], steps):
            binding.bind_cpu_input(name, weights)
        binding.bind_ortvalue_output("logits", onnxruntime.OrtValue.ortvalue_from_numpy(logits))
        self._session.run_with_iobinding(binding)
        for row in rows:
            row.length += steps
        return logits

    def _bound(self, first: int, rows: int) -> onnxruntime.IOBinding:
        """What stays the same from step to step, bound once: the adapters, and the slots' part of the buffers."""
        known = self._bindings.get((first, rows))
        if known is not None:
            return known
        binding = self._session.io_binding()
        for name, matrix in self._voices.matrices():
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(matrix))
        names = [f"{kind}{layer}" for layer in range(self._shape.layers) for kind in "kv"]
        for name, buffer in zip(names, self._buffers, strict=True):
            # One buffer is past and present: a numpy array on the processor is shared, not copied.
            value = onnxruntime.OrtValue.ortvalue_from_numpy(buffer[first : first + rows])
            binding.bind_ortvalue_input(f"past_{name}", value)
            binding.bind_ortvalue_output(f"present_{name}", value)
        self._bindings[first, rows] = binding
        return binding


class _Voices:
    """The adapters in use, their ranks side by side as the graph takes them, in single precision."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self._sites = sites
        self._fused = sorted({len(site.parts) for site in sites})
        self._held: list[Adapter] = []
        self._room = 0  # groups, for each part of a site
        self._make_room(GROUPS)
        self._weighed: tuple[tuple[Adapter | None, ...], int] | None = None  # for whom, and for how many tokens
        self._weights: list[tuple[str, Floats]] = []

    def fit(self, wanted: Sequence[Adapter | None]) -> bool:
        """Whether all these may be in use together."""
        together = _each_once(wanted)
        return len(together) <= 1 or self._needed(together) <= GROUPS

    def hold(self, wanted: Sequence[Adapter | None]) -> bool:
        """Have these in the matrices and no others; whether anything had to change.

        Who is there stays in front, since who stays in place need not be written again.
        """
        together = _each_once([*(each for each in self._held if each in wanted), *wanted])
        if together == self._held:
            return False
        if self._needed(together) > self._room:
            self._make_room(self._needed(together))
        same = 0
        while same < min(len(self._held), len(together)) and self._held[same] is together[same]:
            same += 1
        self._held, self._weighed = together, None
        for number in range(same, len(together)):
            self._write(number)
        return True

    def _needed(self, adapters: Sequence[Adapter]) -> int:
        return max(-(-_groups(adapters, fused) // fused) for fused in self._fused)

    def _make_room(self, groups: int) -> None:
        """Matrices for so many groups; unused pages take no memory. They hold nobody afterwards."""
        fused = [len(site.parts) * groups for site in self._sites]
        self._a = [np.zeros((n, GROUP, site.inputs), np.float32) for n, site in zip(fused, self._sites, strict=True)]
        self._b = [np.zeros((n * GROUP, site.outputs), np.float32) for n, site in zip(fused, self._sites, strict=True)]
        self._held, self._room = [], groups

    def _write(self, number: int) -> None:
        adapter = self._held[number]
        for site, a, b, own in zip(self._sites, self._a, self._b, adapter.sites, strict=True):
            first = _groups(self._held[:number], len(site.parts))
            last = first + site.groups(adapter.rank)
            a[first:last] = own[0] if own else 0
            b[first * GROUP : last * GROUP] = own[1] if own else 0

    def matrices(self) -> list[tuple[str, Floats]]:
        """Inputs SITE.a and SITE.b; one group at least, since the graph can't do with none."""
        inputs = []
        for site, a, b in zip(self._sites, self._a, self._b, strict=True):
            groups = max(_groups(self._held, len(site.parts)), 1)
            inputs += [(f"{site.name}.a", a[:groups]), (f"{site.name}.b", b[: groups * GROUP])]
        return inputs

    def weights(self, rows: Sequence[Adapter | None], steps: int) -> list[tuple[str, Floats]]:
        """Inputs weights1, …: how much of each rank each token takes, `steps` tokens of each row."""
        if self._weighed != (tuple(rows), steps):  # adapters are compared by identity
            self._weighed = tuple(rows), steps
            self._weights = [(f"weights{fused}", self._weigh(fused, rows, steps)) for fused in self._fused]
        return self._weights

    def _weigh(self, fused: int, rows: Sequence[Adapter | None], steps: int) -> Floats:
        weights = np.zeros((len(rows), max(_groups(self._held, fused), 1) * GROUP), np.float32)
        for number, adapter in enumerate(self._held):
            first = _groups(self._held[:number], fused) * GROUP
            taken = [place for place, row in enumerate(rows) if row is adapter]
            weights[taken, first : first + fused * adapter.rank] = adapter.scale
        return np.repeat(weights, steps, axis=0)


def log_mass(logits: Floats) -> Floats:
    """log of the sum of exponentials of each row: what a logit is less to be a log-probability."""
    highest = logits.max(-1)
    mass: Floats = highest + np.log(np.exp(logits - highest[:, None]).sum(-1))
    return mass


def _groups(adapters: Sequence[Adapter], fused: int) -> int:
    """How many groups they take at a site of so many parts."""
    return sum(-(-adapter.rank * fused // GROUP) for adapter in adapters)


def _each_once(adapters: Sequence[Adapter | None]) -> list[Adapter]:
    return list(dict.fromkeys(each for each in adapters if each is not None))
