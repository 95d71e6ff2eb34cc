"""Several adapters of one base as one: the weighted sum of what they add to it, exact, with nothing trained. Pure.

An adapter adds `scale * B @ A` to a projection, A being (rank, width in) and B (width out, rank). The sum of
`weight * scale * B @ A` over the parts is a single product again: the A one above the other, the B side by side, each
times its weight and scale. So the rank of a blend is the sum of the ranks, and what reads peft's format reads a blend.

A stays as it was stored. B is kept in float32, since a weight of 0.6 would be rounded once more in float16; that also
keeps what several weights make of a large number in range. This is done while serving, so it takes numpy alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from bot.errors import UsageError
from bot.shelf.forms import ADAPTER_FILES

PREFIX = "base_model.model."  # peft's, before the name of a projection
A, B = ".lora_A.weight", ".lora_B.weight"  # peft's, behind it
_UNREADABLE = ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save")  # what a sum of products can't express
_FOR_ALL = {  # what no part decides in a blend: every projection is named, and every scale lies in B already
    "use_rslora": False,
    "lora_dropout": 0.0,
    "layers_pattern": None,
    "inference_mode": True,
}

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter in peft's format."""

    tensors: Mapping[str, Array]
    config: Mapping[str, Any]

    @property
    def rank(self) -> int:
        """The largest of a projection's ranks."""
        return max((len(each) for name, each in self.tensors.items() if name.endswith(A)), default=0)

    @property
    def scale(self) -> float:
        """What a product counts."""
        rank = self.config["r"]
        return float(self.config["lora_alpha"] / (math.sqrt(rank) if self.config.get("use_rslora") else rank))

    @property
    def projections(self) -> list[str]:
        """The projections that it changes, as the base names them, sorted."""
        return sorted(name.removeprefix(PREFIX).removesuffix(A) for name in self.tensors if name.endswith(A))


def read_adapter(folder: Path) -> Adapter:
    """The adapter in that folder."""
    weights, config = ADAPTER_FILES
    return Adapter(load_file(folder / weights), json.loads((folder / config).read_text(encoding="utf-8")))


def write_adapter(adapter: Adapter, folder: Path) -> None:
    """Its two files into the folder, which is there."""
    weights, config = ADAPTER_FILES
    save_file(dict(adapter.tensors), folder / weights, metadata={"format": "pt"})
    (folder / config).write_text(json.dumps(dict(adapter.config), indent=2) + "\n", encoding="utf-8")


def blended(parts: Sequence[tuple[Adapter, float]]) -> Adapter:
    """One adapter that adds to the base what the parts add, each as often as its weight says.

    A projection that a part does not change gets zeros in its place, so that there is one rank. All parts stand on the
    same base. Raises `UsageError` for an adapter that is more than products of two matrices.
    """
    for adapter, _ in parts:
        _require_plain(adapter)
    names = sorted({name for adapter, _ in parts for name in adapter.projections})
    tensors = {f"{PREFIX}{name}{kind}": each for name in names for kind, each in _projection(name, parts).items()}
    rank = sum(adapter.rank for adapter, _ in parts)
    config = {
        **parts[0][0].config,
        **_FOR_ALL,
        "r": rank,
        "lora_alpha": rank,
        "target_modules": names,
        "layers_to_transform": _layers([adapter for adapter, _ in parts]),
    }
    return Adapter(tensors, config)


def _layers(adapters: Sequence[Adapter]) -> list[int] | None:
    """Numbers of the layers that any of them changes; None where one does not say, and may change all."""
    told: list[list[int]] = [adapter.config.get("layers_to_transform") or [] for adapter in adapters]
    return sorted({number for layers in told for number in layers}) if all(told) else None


def _projection(name: str, parts: Sequence[tuple[Adapter, float]]) -> dict[str, Array]:
    """A (rank, width in) and B (width out, rank) of one projection."""
    pairs = [(part.tensors.get(f"{PREFIX}{name}{A}"), part.tensors.get(f"{PREFIX}{name}{B}")) for part, _ in parts]
    inputs = next(a.shape[1] for a, _ in pairs if a is not None)
    outputs = next(b.shape[0] for _, b in pairs if b is not None)
    above, beside = [], []
    for (part, weight), (a, b) in zip(parts, pairs, strict=True):
        lacking = part.rank - (0 if a is None else len(a))
        if a is not None and b is not None:
            above.append(a)
            beside.append(b.astype(np.float32) * np.float32(weight * part.scale))
        above.append(np.zeros((lacking, inputs), np.float16))
        beside.append(np.zeros((outputs, lacking), np.float32))
    return {A: np.concatenate(above), B: np.concatenate(beside, axis=1)}


def _require_plain(adapter: Adapter) -> None:
    odd = [name for name in adapter.tensors if not (name.startswith(PREFIX) and name.endswith((A, B)))]
    odd += [name for name in _UNREADABLE if adapter.config.get(name)]
    if odd:
        raise UsageError(
            f"One of the adapters is more than products of two matrices ({odd[0]}), which has no weighted sum of the "
            "same form. Leave it out."
        )
