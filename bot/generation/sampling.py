"""Drawing the next token: pure functions over logits.

Each row has a generator of its own, so that a seed gives the same draft whatever else is in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bot.generation.draft import Sampling

_HEAD = 512  # the likeliest tokens that are looked at first; together they nearly always hold top_p of the mass


def draw(
    logits: npt.NDArray[np.float32], sampling: Sampling, generators: Sequence[np.random.Generator]
) -> npt.NDArray[np.int64]:
    """One token for each row of `logits` (rows, vocabulary); each generator gives one number."""
    return np.array(
        [
            _draw_row(row / sampling.temperature, sampling, generator)
            for row, generator in zip(logits, generators, strict=True)
        ],
        np.int64,
    )


def _draw_row(logits: npt.NDArray[np.float32], sampling: Sampling, generator: np.random.Generator) -> int:
    tokens, probabilities = nucleus(logits, sampling.top_k, sampling.top_p)
    cumulative = np.cumsum(probabilities)
    place = int(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"))
    return int(tokens[min(place, len(tokens) - 1)])


def nucleus(
    logits: npt.NDArray[np.float32], top_k: int, top_p: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The tokens that may be drawn, likeliest first, with their probabilities before renormalising.

    Top-k cuts first, then top-p keeps the smallest head whose probability (among all tokens when top-k is off) reaches
    top_p: Holtzman et al. 2020, arXiv 1904.09751.
    """
    exponentials = np.exp(logits - logits.max(), dtype=np.float64)
    wanted = top_k if 0 < top_k < len(logits) else len(logits)
    head = min(_HEAD, wanted)
    while True:
        tokens = np.argpartition(exponentials, -head)[-head:]
        # A stable order among equal probabilities keeps a seed's draft the same.
        tokens = tokens[np.lexsort((tokens, -exponentials[tokens]))]
        mass = exponentials[tokens].sum() if wanted < len(logits) and head == wanted else exponentials.sum()
        probabilities = exponentials[tokens] / mass
        reached = np.cumsum(probabilities) >= top_p
        if reached.any():
            end = int(reached.argmax()) + 1
            return tokens[:end], probabilities[:end]
        if head == wanted:
            return tokens, probabilities
        head = min(head * 8, wanted)
