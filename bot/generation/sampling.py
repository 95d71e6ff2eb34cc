"""Drawing the next token: pure functions over logits.

Each row has a generator of its own, so that a seed gives the same draft whatever else is in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bot.generation.draft import Sampling

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

# Shares of the likeliest token's probability. Tokens above one are looked at, and if they don't hold top_p together,
# those above the next. Sorting a few hundred takes a tenth of the time of sorting the vocabulary.
_SHARES = (1e-3, 1e-5, 0.0)


def draw(logits: Floats, sampling: Sampling, generator: np.random.Generator) -> int:
    """One token from a row (vocabulary) of logits, for one number of the generator."""
    tokens, probabilities = nucleus(logits / np.float32(sampling.temperature), sampling.top_k, sampling.top_p)
    cumulative = np.cumsum(probabilities)
    place = int(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"))
    return int(tokens[min(place, len(tokens) - 1)])


def nucleus(logits: Floats, top_k: int, top_p: float) -> tuple[Ids, npt.NDArray[np.float64]]:
    """The tokens that may be drawn, likeliest first, with their probabilities before renormalising.

    Top-k cuts first, then top-p keeps the smallest head whose probability (among all tokens when top-k is off) reaches
    top_p: Holtzman et al. 2020, arXiv 1904.09751.
    """
    exponentials = np.exp(logits - logits.max())
    if 0 < top_k < len(logits):
        tokens = _likeliest(exponentials, np.sort(np.argpartition(exponentials, -top_k)[-top_k:]))
        mass = exponentials[tokens].sum(dtype=np.float64)
        return _head(tokens, exponentials[tokens].astype(np.float64) / mass, top_p)
    mass = exponentials.sum(dtype=np.float64)
    for share in _SHARES:
        tokens = np.flatnonzero(exponentials >= share)
        if share == 0.0 or exponentials[tokens].sum(dtype=np.float64) >= top_p * mass:
            break
    tokens = _likeliest(exponentials, tokens)
    return _head(tokens, exponentials[tokens].astype(np.float64) / mass, top_p)


def _likeliest(exponentials: Floats, tokens: Ids) -> Ids:
    """In falling order; a stable one among equals, so that a seed gives the same draft again."""
    return tokens[np.argsort(-exponentials[tokens], kind="stable")]


def _head(tokens: Ids, probabilities: npt.NDArray[np.float64], top_p: float) -> tuple[Ids, npt.NDArray[np.float64]]:
    reached = np.cumsum(probabilities) >= top_p
    end = int(reached.argmax()) + 1 if reached.any() else len(tokens)
    return tokens[:end], probabilities[:end]


def weaken_repetition(logits: Floats, said: Sequence[int], penalty: float) -> None:
    """Make the tokens that were said less likely, in place: Keskar et al. 2019, arXiv 1909.05858."""
    if penalty != 1.0 and said:
        places = list(set(said))
        values = logits[places]
        logits[places] = np.where(values > 0, values / penalty, values * penalty)


def forbidden(said: Sequence[int], banned: Sequence[tuple[int, ...]]) -> list[int]:
    """The tokens that would now end one of the banned sequences of tokens."""
    return [ids[-1] for ids in banned if tuple(said[len(said) - len(ids) + 1 :]) == ids[:-1]]
