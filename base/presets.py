"""What is trained: the sizes of the model and the course of its training, for a processor and for a GPU.

Where a number was measured `docs/log.md` says how, under "A small base of our own".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

KINDS = ("posts", "dialogue", "paragraphs", "general", "capitals")  # folders of the cleaned text

# How often a batch is of each kind: general text most of the time, and what the service speaks at the end.
STABLE = {"posts": 0.30, "dialogue": 0.15, "paragraphs": 0.15, "general": 0.37, "capitals": 0.03}
DECAY = {"posts": 0.50, "dialogue": 0.20, "paragraphs": 0.15, "general": 0.11, "capitals": 0.04}


@dataclass(frozen=True, slots=True)
class Preset:
    """One model and its training; everything that decides what comes out, but for the text and the amount of it."""

    vocabulary: int  # tokens, the end token included
    width: int  # a multiple of 64, as the engine's 8-bit products want it
    layers: int
    heads: int
    positions: int  # the longest row, in tokens
    step_tokens: int  # learned in one step, about
    batch_tokens: int  # that go through the model together
    matrix_rate: float  # peak learning rate of the hidden matrices (Muon)
    vector_rate: float  # of embeddings, norms and biases (AdamW)
    warm_up: int = 100  # steps
    weight_decay: float = 0.1  # of matrices
    stable: Mapping[str, float] = field(default_factory=lambda: STABLE)
    decay: Mapping[str, float] = field(default_factory=lambda: DECAY)


PRESETS = {
    "cpu": Preset(
        vocabulary=8192, width=256, layers=4, heads=4, positions=256,
        step_tokens=4_096, batch_tokens=2_048, matrix_rate=6e-3, vector_rate=3e-3,
    ),
    "gpu": Preset(
        vocabulary=12_288, width=448, layers=9, heads=7, positions=512,
        step_tokens=262_144, batch_tokens=65_536, matrix_rate=6e-3, vector_rate=2e-3, warm_up=200,
    ),
    "tiny": Preset(  # for tests
        vocabulary=512, width=64, layers=2, heads=4, positions=64,
        step_tokens=512, batch_tokens=256, matrix_rate=6e-3, vector_rate=3e-3, warm_up=5,
    ),
}  # fmt: skip
