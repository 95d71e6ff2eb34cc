"""Text as rows of tokens on disk, and in which batches they are learned.

Outcome: `write_rows(...)` puts each kind's texts as token ids into two .npy files, and `Rows.open(...)` maps them, so
that a billion tokens take no memory. A text is one row, between two end tokens; what is longer than the model's
positions is several rows. Batches hold rows of about the same length, filled up on the right, where causal attention
never looks: no text sees another one, position 0 is always a beginning, and no mask is needed, just as in
`bot.training.finetune`, which learns on the base that comes of it.

Where the teacher was asked (`base.distill`), what it would have said stands beside the tokens, in a third file.

Which rows a batch holds follows from the seed, the kind and the number of batches that were taken of that kind before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

WIDTHS = 8  # batches are a multiple of this wide
IGNORED = -100  # a target that is none, as torch's cross entropy knows it
TEXTS_AT_ONCE = 4_096  # that are tokenised together
SOFT = np.dtype([("ids", np.uint16, 16), ("shares", np.float16, 16)])  # the likeliest tokens; shares sum to one

Ids = npt.NDArray[np.int64]
Soft = npt.NDArray[np.void]  # of SOFT


@dataclass(frozen=True)
class Batch:
    """Rows of one kind: `inputs` (b, t), and what follows each token, `targets` (b, t), IGNORED where nothing does."""

    inputs: Ids
    targets: Ids
    soft: Soft | None = None  # (b, t), where the teacher was asked

    @property
    def tokens(self) -> int:
        """That are predicted."""
        return int((self.targets != IGNORED).sum())


def together(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts in groups of `TEXTS_AT_ONCE`."""
    every = iter(texts)
    while some := list(islice(every, TEXTS_AT_ONCE)):
        yield some


def write_rows(
    tokenizer: Tokenizer,
    end: int,
    texts: Iterable[str],
    file: Path,
    positions: int,
    softened: Callable[[Sequence[str]], Soft | None] = lambda some: None,
) -> None:
    """The texts as rows of at most `positions` + 1 tokens: `file` with .ids.npy and .starts.npy, written at once.

    `softened` has the soft targets of a group of texts, one for each predicted token, or none. Where it has any, all go
    into .soft.npy: beside each token what may follow it.
    """
    tokenizer.encode_special_tokens = True  # what looks like an end token inside a text is mere text
    pieces: list[npt.NDArray[np.uint16]] = []
    lengths: list[int] = []
    soft: list[tuple[int, int, Soft]] = []  # from which row to which
    for some in together(texts):
        first = len(lengths)
        for encoded in tokenizer.encode_batch(some, add_special_tokens=False):
            for piece in cut([end, *encoded.ids, end], positions):
                pieces.append(np.array(piece, dtype=np.uint16))
                lengths.append(len(piece))
        if (found := softened(some)) is not None:
            soft.append((first, len(lengths), found))
    ids = np.concatenate(pieces) if pieces else np.zeros(0, np.uint16)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    write_array(file.with_suffix(".ids.npy"), ids)
    write_array(file.with_suffix(".starts.npy"), starts)
    file.with_suffix(".soft.npy").unlink(missing_ok=True)
    if soft:
        write_array(file.with_suffix(".soft.npy"), _beside(ids, starts, soft))


def _beside(ids: npt.NDArray[np.uint16], starts: npt.NDArray[np.int64], soft: list[tuple[int, int, Soft]]) -> Soft:
    """At each token what may follow it: the teacher's shares where there are some, else the token that does follow."""
    beside = hard(np.append(ids[1:], 0))
    for first, behind, found in soft:
        predicts = np.ones(starts[behind] - starts[first], bool)
        predicts[starts[first + 1 : behind + 1] - starts[first] - 1] = False  # a row's last token predicts nothing
        beside[starts[first] : starts[behind]][predicts] = found
    return beside


def hard(targets: npt.NDArray[Any]) -> Soft:
    """Each target alone, with a share of one."""
    found = np.zeros(len(targets), SOFT)
    found["ids"][:, 0], found["shares"][:, 0] = targets, 1
    return found


def cut(ids: Sequence[int], positions: int) -> list[Sequence[int]]:
    """Pieces of at most `positions` + 1 tokens; each begins with the last token of the one before, which predicts."""
    return [ids[start : start + positions + 1] for start in range(0, max(len(ids) - 1, 1), positions)]


def write_array(file: Path, array: npt.NDArray[Any]) -> None:
    """By a rename: a file is there whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(f".{os.getpid()}.npy")
    np.save(fresh, array)
    fresh.replace(file)


@dataclass(frozen=True)
class Rows:
    """The rows of one kind."""

    ids: npt.NDArray[np.uint16]  # of all rows in a row
    starts: npt.NDArray[np.int64]  # where each begins, and the end
    soft: Soft | None = None  # beside each token what may follow it

    @classmethod
    def open(cls, file: Path) -> Rows:
        """The rows of that name, mapped and not read."""
        ids, soft = file.with_suffix(".ids.npy"), file.with_suffix(".soft.npy")
        mapped = np.load(soft, mmap_mode="r") if soft.is_file() else None
        return cls(np.load(ids, mmap_mode="r"), np.load(file.with_suffix(".starts.npy")), mapped)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def widths(self) -> npt.NDArray[np.int64]:
        """How wide the batch is in which each row stands."""
        predicted = np.diff(self.starts) - 1
        return (predicted + WIDTHS - 1) // WIDTHS * WIDTHS

    def order(self, seed: int, kind: str, epoch: int, tokens: int) -> list[npt.NDArray[np.int64]]:
        """Row numbers in batches of up to `tokens` tokens, each row once; in each epoch other company and order."""
        generator = np.random.default_rng([seed, epoch, *kind.encode()])
        shuffled = generator.permutation(len(self))
        by_width = shuffled[np.argsort(self.widths[shuffled], kind="stable")]
        edges = np.flatnonzero(np.diff(self.widths[by_width])) + 1
        batches = [
            same[first : first + rows]
            for same in np.split(by_width, edges)
            if len(same)
            for rows in [max(1, tokens // int(self.widths[same[0]]))]
            for first in range(0, len(same), rows)
        ]
        return [batches[place] for place in generator.permutation(len(batches))]

    def batch(self, picked: npt.NDArray[np.int64]) -> Batch:
        """These rows, filled up to the widest."""
        wide = int(self.widths[picked].max())
        inputs = np.zeros((len(picked), wide), np.int64)
        targets = np.full((len(picked), wide), IGNORED, np.int64)
        soft = None if self.soft is None else np.zeros((len(picked), wide), SOFT)
        for place, number in enumerate(picked):
            first, behind = self.starts[number], self.starts[number + 1]
            row = self.ids[first:behind]
            inputs[place, : len(row) - 1] = row[:-1]
            targets[place, : len(row) - 1] = row[1:]
            if soft is not None and self.soft is not None:
                soft[place, : len(row) - 1] = self.soft[first : behind - 1]
        return Batch(inputs, targets, soft)


class Stream:
    """The batches of one kind without an end, from the `taken`-th on."""

    def __init__(self, rows: Rows, kind: str, seed: int, tokens: int, taken: int = 0) -> None:
        self._rows, self._kind, self._seed, self._tokens = rows, kind, seed, tokens
        self.taken = taken
        self._epoch = -1
        self._order: list[npt.NDArray[np.int64]] = rows.order(seed, kind, 0, tokens)

    def next(self) -> Batch:
        """The batch after those that were taken; every epoch has as many."""
        epoch, place = divmod(self.taken, len(self._order))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._rows.order(self._seed, self._kind, epoch, self._tokens)
        self.taken += 1
        return self._rows.batch(self._order[place])

    @property
    def epochs(self) -> float:
        """How often the text was taken."""
        return self.taken / len(self._order)
