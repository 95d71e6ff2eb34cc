"""Drawing tokens: the nucleus is the smallest that reaches top-p, and a seed decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bot.errors import UsageError
from bot.generation.draft import Sampling
from bot.generation.sampling import by_second_to_last, draw, forbidden, nucleus, weaken_repetition

LOGITS = arrays.arrays(np.float32, st.integers(1, 2000), elements=st.floats(-20, 20, width=32))


@given(LOGITS, st.floats(0.05, 0.99))
def test_the_nucleus_is_the_smallest_head_that_reaches_top_p(logits: np.ndarray, top_p: float) -> None:
    tokens, probabilities = nucleus(logits, 0, top_p)
    assert len(set(tokens.tolist())) == len(tokens)
    assert probabilities.sum() >= top_p - 1e-5  # it is added up in single precision and in another order
    assert probabilities.sum() - probabilities.min() < top_p + 1e-5
    every = np.exp(logits - logits.max())  # what differs by less than these numbers resolve is a tie
    assert np.isclose(probabilities.sum(), every[tokens].sum(dtype=np.float64) / every.sum(dtype=np.float64))
    assert every[tokens].min() >= np.delete(every, tokens).max(initial=0)


@given(LOGITS, st.integers(1, 50))
def test_top_k_leaves_the_k_likeliest(logits: np.ndarray, top_k: int) -> None:
    tokens, probabilities = nucleus(logits, top_k, 1.0)
    assert len(tokens) <= top_k
    assert probabilities.sum() <= 1 + 1e-5  # it is added up in single precision
    assert np.exp(logits - logits.max())[tokens].max() == 1  # closer ones are ties


def test_a_low_temperature_takes_the_likeliest() -> None:
    cold = Sampling(temperature=0.01, top_p=1.0, top_k=0, max_tokens=1)
    assert draw(np.array([0.0, 3.0, 1.0], np.float32), cold, np.random.default_rng(1)) == 1


def test_draws_follow_the_probabilities() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    plain = Sampling(temperature=1.0, top_p=1.0, top_k=0, max_tokens=1)
    generator = np.random.default_rng(4)
    counts = np.bincount([draw(logits, plain, generator) for _ in range(4000)], minlength=3)
    assert np.abs(counts / 4000 - [0.5, 0.3, 0.2]).max() < 0.03


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", 0.0), ("top_p", 1.5), ("top_k", -1), ("max_tokens", 0), ("repetition_penalty", 0.5)],
)
def test_what_is_out_of_range_is_refused_in_a_sentence(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{name} goes from"):
        replace(Sampling(temperature=1.0, top_p=1.0, top_k=0, max_tokens=1), **{name: value})  # type: ignore[arg-type]


def test_a_penalty_makes_what_was_said_less_likely_whatever_its_sign() -> None:
    logits = np.array([2.0, -2.0, 1.0], np.float32)
    weaken_repetition(logits, [0, 1, 1], 2.0)
    assert logits.tolist() == [1.0, -4.0, 1.0]


def test_only_the_token_that_would_end_a_banned_sequence_is_forbidden() -> None:
    banned = by_second_to_last([(5,), (1, 2), (3, 1, 7), (9, 9, 9, 9)])
    assert forbidden([], banned) == [5]
    assert forbidden([3, 1], banned) == [5, 2, 7]
    assert forbidden([1, 3], banned) == [5]
