"""Whose texts they are, and how many offend: the real classifiers."""

from __future__ import annotations

import pytest

from bot.training.classifiers import authorship, toxicity
from tests.training.material import sentences

OWN = sentences(120)
OTHERS = [f"ARRR! {text.upper()}" for text in sentences(120, seed=2)]


def test_samples_in_the_persons_manner_are_taken_for_its_own() -> None:
    """And those in the manner of others are not; real held-out tweets stand beside."""
    own = authorship(OWN[80:100], OWN[:80], OWN[100:], OTHERS[:80], OTHERS[80:])
    other = authorship(OTHERS[80:100], OWN[:80], OWN[100:], OTHERS[:80], OTHERS[100:])
    assert own is not None and other is not None
    assert min(own.samples, own.real) > 0.9
    assert max(own.others, other.samples) < 0.1


def test_many_tweets_of_others_do_not_drown_the_own() -> None:
    """Both sides count alike."""
    found = authorship(OWN[40:60], OWN[:40], OWN[60:], OTHERS * 6, OTHERS)
    assert found is not None
    assert found.samples > 0.8


def test_the_same_texts_give_the_same_figures() -> None:
    both = [authorship(OWN[80:], OWN[:80], OWN[100:], OTHERS[:80], OTHERS[80:]) for _ in range(2)]
    assert both[0] == both[1]


@pytest.mark.parametrize(
    ("samples", "own", "others"), [([], OWN, OTHERS), (OWN, OWN[:19], OTHERS), (OWN, OWN, []), (OWN, OWN, OTHERS[:19])]
)
def test_too_little_to_learn_from_is_no_figure(samples: list[str], own: list[str], others: list[str]) -> None:
    assert authorship(samples, own, own, others, others) is None


def test_offence_is_counted_beside_that_of_the_tweets() -> None:
    found = toxicity(["You are a stupid idiot.", "The lamp was lit before the fog came in."], OWN)
    assert found is not None
    assert (found.samples, found.real) == (0.5, 0.0)
    assert toxicity([], OWN) is None
