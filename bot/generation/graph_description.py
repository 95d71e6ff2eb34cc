"""What `graph.json` says beside a graph: enough to run it without knowing how it was built."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

Weights = Literal["int8", "int4", "float32"]

FORMAT = 2  # raised whenever the graph's inputs or numbers change, so that a stale one is built anew


GROUP = 8  # ranks that are multiplied together; an adapter takes whole groups


class Part(BaseModel):
    """One projection inside a fused site: where its columns lie."""

    model_config = ConfigDict(frozen=True)

    module: str  # name in the checkpoint, such as model.layers.0.self_attn.q_proj
    offset: int  # first output column within the site
    width: int  # output columns


class Site(BaseModel):
    """A place in the graph that takes an adapter."""

    model_config = ConfigDict(frozen=True)

    name: str  # inputs are NAME.a (groups, GROUP, in) and NAME.b (groups * GROUP, out)
    inputs: int  # columns going in
    outputs: int  # columns coming out, of all parts together
    parts: tuple[Part, ...]

    def groups(self, rank: int) -> int:
        """How many groups an adapter of that rank takes here, its parts side by side."""
        return -(-rank * len(self.parts) // GROUP)


class GraphDescription(BaseModel):
    """What stands in `graph.json`."""

    model_config = ConfigDict(frozen=True)

    layers: int
    kv_heads: int
    head_size: int
    vocabulary: int
    positions: int  # longest sequence
    sites: tuple[Site, ...]


def graph_folder(graphs: Path, weights: Weights) -> Path:
    """Where the graph of that kind lives."""
    return graphs / f"{weights}-{FORMAT}"
