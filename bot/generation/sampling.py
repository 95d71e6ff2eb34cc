"""Drawing the next token: pure functions over logits.

Each row has a generator of its own, so that a seed gives the same draft whatever else is in the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from bot.generation.draft import Sampling

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Banned = dict[int | None, list[tuple[int, ...]]]  # see `by_second_to_last`

_LIKELY = 1e-3  # share of the likeliest token's probability, above which the nucleus of nearly every text lies
_FEW = 4_096  # tokens that are sorted without a thought
_BIN_BITS = 19  # of a float32 that are left out to sort numbers roughly: sixteen bins for each power of two


def draw(logits: Floats, sampling: Sampling, generator: np.random.Generator) -> int:
    """One token from a row (vocabulary) of logits, for one number of the generator."""
    tokens, probabilities = nucleus(logits / np.float32(sampling.temperature), sampling.top_k, sampling.top_p)
    cumulative = np.cumsum(probabilities)
    place = int(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"))
    return int(tokens[min(place, len(tokens) - 1)])


def nucleus(logits: Floats, top_k: int, top_p: float) -> tuple[Ids, npt.NDArray[np.float64]]:
    """The tokens that may be drawn, in an order that the logits decide, with their probabilities before renormalising.

    Top-k cuts first, then top-p keeps the smallest head whose probability (among all tokens when top-k is off) reaches
    top_p: Holtzman et al. 2020, arXiv 1904.09751. The vocabulary is never sorted, which would take most of a step.
    """
    exponentials = logits - logits.max()
    np.exp(exponentials, out=exponentials)
    if 0 < top_k < len(logits):
        tokens = np.sort(np.argpartition(exponentials, -top_k)[-top_k:])
        tokens = _falling(exponentials, tokens)
        mass = float(exponentials[tokens].sum())
        tokens = _until(exponentials, tokens, top_p * mass)
    else:
        mass = float(exponentials.sum())
        tokens = _head(exponentials, top_p * mass) if top_p < 1 else np.arange(len(logits))
    return tokens, exponentials[tokens].astype(np.float64) / mass


def _head(exponentials: Floats, wanted: float) -> Ids:
    """The fewest tokens that hold so much together."""
    likely = np.flatnonzero(exponentials >= _LIKELY)
    if len(likely) <= _FEW and exponentials[likely].sum() >= wanted:
        return _until(exponentials, _falling(exponentials, likely), wanted)
    # Positive floats are in the order of their bits, so the upper bits say in which bin the last token lies.
    bins = exponentials.view(np.int32) >> _BIN_BITS
    sums = np.bincount(bins, weights=exponentials)
    from_the_top = np.cumsum(sums[::-1])
    last = max(len(sums) - 1 - int(np.searchsorted(from_the_top, wanted)), 0)
    surely, perhaps = np.flatnonzero(bins > last), np.flatnonzero(bins == last)
    left = wanted - float(exponentials[surely].sum())
    return np.concatenate([surely, _until(exponentials, _falling(exponentials, perhaps), left)])


def _falling(exponentials: Floats, tokens: Ids) -> Ids:
    """The likeliest first; a stable order among equals, so that a seed gives the same draft again."""
    return tokens[np.argsort(-exponentials[tokens], kind="stable")]


def _until(exponentials: Floats, tokens: Ids, wanted: float) -> Ids:
    """As many of the tokens, from the first on, as hold so much together."""
    held = np.cumsum(exponentials[tokens], dtype=np.float64)
    return tokens[: int(np.searchsorted(held, wanted)) + 1]


def weaken_repetition(logits: Floats, said: Sequence[int], penalty: float) -> None:
    """Make the tokens that were said less likely, in place: Keskar et al. 2019, arXiv 1909.05858."""
    if penalty != 1.0 and said:
        places = list(set(said))
        values = logits[places]
        logits[places] = np.where(values > 0, values / penalty, values * penalty)


def by_second_to_last(sequences: Iterable[tuple[int, ...]]) -> Banned:
    """Banned sequences of tokens by the token before their last one, so that a step looks at few of many."""
    found: Banned = {}
    for ids in sequences:
        found.setdefault(ids[-2] if len(ids) > 1 else None, []).append(ids)
    return found


def forbidden(said: Sequence[int], banned: Banned) -> list[int]:
    """The tokens that would now end one of the banned sequences."""
    perhaps = banned.get(said[-1], []) if said else []
    ending = [ids[-1] for ids in perhaps if tuple(said[len(said) - len(ids) + 1 :]) == ids[:-1]]
    return [*(ids[-1] for ids in banned.get(None, [])), *ending]
