"""Adapters in memory: read from a version's files, kept in half precision, let go when others need the room.

Outcome: `Adapters.get(folder)` gives the `Adapter` of a version. How its parts lie side by side in a fused site is
decided here; where it lies in the graph's inputs is `bot.generation.batch`'s matter.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import safe_open

from bot.generation.graph_description import GROUP, Site
from bot.shelf.forms import ADAPTER_FILES

Halves = npt.NDArray[np.float16]

LIMIT = 512 * 2**20  # bytes of adapters that are kept where nobody says otherwise


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """One version's low-rank matrices; `scale` times B @ A is what it adds."""

    rank: int  # of each part of a site; less where the file says less, filled up with zeros
    scale: float
    sites: tuple[tuple[Halves, Halves] | None, ...]  # (groups, GROUP, in) and (groups * GROUP, out); None adds nothing

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(a.nbytes + b.nbytes for a, b in filter(None, self.sites))


class Adapters:
    """Those in memory, at most `limit` bytes of them; the one that was used longest ago goes first."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self._sites = sites
        self.limit = LIMIT  # bytes; whoever knows what else is in memory sets another one
        self._held: OrderedDict[Path, Adapter] = OrderedDict()
        self.size = 0  # bytes

    def get(self, folder: Path) -> Adapter:
        """The adapter of the version in that folder. Raises `FileNotFoundError` when it is no longer there."""
        if folder not in self._held:
            self._held[folder] = read(folder, self._sites)
            self.size += self._held[folder].size
            while self.size > self.limit and len(self._held) > 1:
                self.size -= self._held.popitem(last=False)[1].size
        self._held.move_to_end(folder)
        return self._held[folder]

    def drop_what_is_gone(self) -> None:
        """Forget those whose version is no longer on the shelf."""
        for folder in [folder for folder in self._held if not (folder / "manifest.json").exists()]:
            self.size -= self._held.pop(folder).size

    def __contains__(self, folder: Path) -> bool:
        return folder in self._held

    def __len__(self) -> int:
        return len(self._held)


def read(folder: Path, sites: Sequence[Site]) -> Adapter:
    """The adapter files of a version, in peft's format; its weights are mapped into memory while they are copied."""
    weights, settings = (folder / name for name in ADAPTER_FILES)
    config = json.loads(settings.read_text(encoding="utf-8"))
    rank: int = config["r"]
    scale = config["lora_alpha"] / (rank ** (0.5 if config.get("use_rslora") else 1))
    with safe_open(weights, framework="np") as tensors:
        found = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
    return Adapter(rank, scale, tuple(_side_by_side(site, found, rank) for site in sites))


def _side_by_side(site: Site, found: Mapping[str, npt.NDArray[Any]], rank: int) -> tuple[Halves, Halves] | None:
    """The parts' adapters as one: their A below each other, their B in a block each."""
    names = [f"base_model.model.{part.module}.lora_{{}}.weight" for part in site.parts]
    if not any(name.format("A") in found for name in names):
        return None
    ranks = site.groups(rank) * GROUP
    a = np.zeros((ranks, site.inputs), np.float16)
    b = np.zeros((ranks, site.outputs), np.float16)
    for number, (part, name) in enumerate(zip(site.parts, names, strict=True)):
        if name.format("A") in found:
            of_part = found[name.format("A")]  # (r, in)
            rows = slice(number * rank, number * rank + len(of_part))
            a[rows] = of_part
            b[rows, part.offset : part.offset + part.width] = found[name.format("B")].T
    return a.reshape(-1, GROUP, site.inputs), b
