"""When a persona learns again, and whether what it learned is used."""

from __future__ import annotations

import pytest

from bot.config import Retraining
from bot.shelf.manifest import Metrics
from bot.training.policy import due, publish


@pytest.mark.parametrize(
    ("new_tweets", "hours", "enabled", "expected"),
    [(50, 24.0, True, True), (49, 24.0, True, False), (50, 23.9, True, False), (50, 24.0, False, False)],
)
def test_a_persona_is_due_after_enough_tweets_and_time(
    new_tweets: int, hours: float, enabled: bool, expected: bool
) -> None:
    """Both, and only where retraining is on."""
    rules = Retraining(enabled=enabled, min_new_tweets=50, min_hours_between=24.0)
    assert due(new_tweets, hours, rules).yes is expected


@pytest.mark.parametrize(
    ("new", "base", "previous", "expected"),
    [
        (3.0, 4.0, None, True),
        (4.0, 4.0, None, False),  # no better than the base
        (3.0, 4.0, 3.1, True),
        (3.005, 4.0, 3.0, True),  # within the tolerance
        (3.02, 4.0, 3.0, False),
        (4.1, 4.0, 4.2, False),  # better than the version in use, and still no better than the base
    ],
)
def test_a_version_is_used_when_it_beats_the_base_and_the_version_before(
    new: float, base: float, previous: float | None, expected: bool
) -> None:
    """The reason says so in one sentence with the figures."""
    metrics = Metrics(
        held_out_tweets=10,
        held_out_loss=new,
        base_held_out_loss=base,
        bits_per_byte=1.0,
        base_bits_per_byte=2.0,
        previous_held_out_loss=previous,
    )
    decision = publish(metrics, tolerance=0.01)
    assert decision.yes is expected
    assert f"{new:.3f}" in decision.reason
    assert decision.reason.endswith(".")
