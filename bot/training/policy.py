"""When a persona learns again, and whether what it learned is used. Pure: every decision comes with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from bot.config import Retraining
from bot.shelf.manifest import Metrics


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes or no, and why in one sentence that an operator reads."""

    yes: bool
    reason: str


def due(new_tweets: int, hours_since_last: float, settings: Retraining) -> Decision:
    """Whether a persona with so many tweets that its newest version has not seen should learn again now.

    `hours_since_last` counts from its last training, whatever came of it.
    """
    if not settings.enabled:
        return Decision(False, "Retraining is off.")
    if new_tweets < settings.min_new_tweets:
        return Decision(False, f"{new_tweets:,} of {settings.min_new_tweets:,} new tweets have come.")
    if hours_since_last < settings.min_hours_between:
        return Decision(
            False, f"It learned {hours_since_last:.1f} hours ago; {settings.min_hours_between:g} must pass."
        )
    return Decision(True, f"{new_tweets:,} new tweets have come since it learned {hours_since_last:.1f} hours ago.")


def publish(metrics: Metrics, tolerance: float) -> Decision:
    """Whether a new version is put in use: it must beat the base, and the version in use within `tolerance` nats."""
    new, base, previous = metrics.held_out_loss, metrics.base_held_out_loss, metrics.previous_held_out_loss
    if new >= base:
        return Decision(False, f"Its held-out loss of {new:.3f} is no better than the base's {base:.3f}.")
    if previous is None:
        return Decision(True, f"Its held-out loss is {new:.3f}, the base's {base:.3f}.")
    if new > previous + tolerance:
        return Decision(
            False,
            f"Its held-out loss of {new:.3f} is worse than that of the version in use, {previous:.3f}, "
            f"by more than {tolerance:g}.",
        )
    return Decision(True, f"Its held-out loss is {new:.3f}, that of the version before {previous:.3f}.")
