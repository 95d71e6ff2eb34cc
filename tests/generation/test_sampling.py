"""Drawing tokens: the nucleus is the smallest that reaches top-p, and a seed decides."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bot.generation.draft import Sampling
from bot.generation.sampling import draw, nucleus

LOGITS = arrays.arrays(np.float32, st.integers(1, 2000), elements=st.floats(-20, 20, width=32))


@given(LOGITS, st.floats(0.05, 0.99))
def test_the_nucleus_is_the_smallest_head_that_reaches_top_p(logits: np.ndarray, top_p: float) -> None:
    tokens, probabilities = nucleus(logits, 0, top_p)
    assert probabilities.sum() >= top_p - 1e-9
    assert probabilities[:-1].sum() < top_p
    every = np.exp(logits.astype(np.float64))
    assert np.isclose(probabilities.sum(), every[tokens].sum() / every.sum())
    shifted = logits - logits.max()  # in float32, where logits that differ less than it resolves are ties
    assert shifted[tokens].min() >= np.delete(shifted, tokens).max(initial=-np.inf)


@given(LOGITS, st.integers(1, 50))
def test_top_k_leaves_the_k_likeliest(logits: np.ndarray, top_k: int) -> None:
    tokens, probabilities = nucleus(logits, top_k, 1.0)
    assert len(tokens) <= top_k
    assert probabilities.sum() <= 1 + 1e-9
    assert (logits - logits.max())[tokens[0]] == 0  # in float32, where logits that differ less are ties


def test_a_low_temperature_takes_the_likeliest() -> None:
    logits = np.array([[0.0, 3.0, 1.0], [5.0, 0.0, 0.0]], np.float32)
    cold = Sampling(temperature=0.01, top_p=1.0, top_k=0, max_tokens=1)
    assert draw(logits, cold, [np.random.default_rng(seed) for seed in (1, 2)]).tolist() == [1, 0]


def test_draws_follow_the_probabilities() -> None:
    logits = np.log(np.array([[0.5, 0.3, 0.2]], np.float32))
    plain = Sampling(temperature=1.0, top_p=1.0, top_k=0, max_tokens=1)
    generator = np.random.default_rng(4)
    counts = np.bincount([int(draw(logits, plain, [generator])[0]) for _ in range(4000)], minlength=3)
    assert np.abs(counts / 4000 - [0.5, 0.3, 0.2]).max() < 0.03
