"""What is learned with when the settings leave it to the amount of data."""

from __future__ import annotations

from itertools import pairwise

from bot.config import Training
from bot.training.hyperparameters import settled, suited


def tweets(tokens: int) -> list[str]:
    """About so many tokens of text."""
    return ["four"] * tokens


def test_what_was_set_stays_as_it_was_set() -> None:
    """And settling twice changes nothing, so that a version's own settings give its own data set again."""
    own = Training(rank=3, epochs=7, batch_tokens=96, learning_rate=1e-3)
    assert settled(own, tweets(100_000)) == own
    once = settled(Training(), tweets(3_000))
    assert settled(once, tweets(300_000)) == once


def test_more_to_learn_means_larger_steps_fewer_epochs_and_a_wider_adapter() -> None:
    """Each of them in one direction only, and none of them 0."""
    chosen = [settled(Training(), tweets(size)) for size in (0, 1_000, 5_000, 15_000, 60_000, 1_000_000)]
    for less, more in pairwise(chosen):
        assert 0 < less.batch_tokens <= more.batch_tokens
        assert 0 < less.rank <= more.rank
        assert less.epochs >= more.epochs > 0
    assert chosen[0] != chosen[-1]


def test_all_weights_learn_at_a_lower_rate_than_an_adapter() -> None:
    """Which begins at nothing and has farther to go."""
    full, lora = (settled(Training(method=method), tweets(5_000)) for method in ("full", "lora"))
    assert 0 < full.learning_rate < lora.learning_rate


def test_the_embedded_base_is_given_a_wider_adapter_and_more_epochs() -> None:
    """But what was set stays, and any other base is left to the amount of data."""
    for method in ("lora", "full"):
        own, others = (settled(suited(Training(method=method), base), tweets(5_000)) for base in ("embedded", "gpt2"))
        assert others == settled(Training(method=method), tweets(5_000))
        assert own.rank > others.rank and own.epochs > others.epochs
        assert own.learning_rate == others.learning_rate
    chosen = Training(rank=3, epochs=1)
    assert suited(chosen, "embedded") == chosen
