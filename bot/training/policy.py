"""When a persona learns again, and whether what it learned is used. Pure: every decision comes with its reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bot.config import Judging, Retraining
from bot.quiet_hours import QuietHours
from bot.shelf.manifest import Manifest, Metrics
from bot.tweets.costs import cents, dollars
from bot.tweets.forecast import Coming

# Why a persona whose version in use is a blend does not learn by itself: its place is taken only by who wants that.
BLENDED = "It is a blend: nothing of it was trained. `mockingbird blend` makes a new one of newer parts."


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes or no, and why in one sentence that an operator reads."""

    yes: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known about a persona's next training."""

    decision: Decision  # whether it is due by itself, and why
    seconds: float | None  # that it would take on this machine; None when nobody can tell yet
    coming: Coming | None = None  # the tweets that are missing; None where none is, or nobody can tell

    @property
    def sentence(self) -> str:
        """For people: the reason, when it will be due, and what it would take."""
        said = [self.decision.reason]
        if self.coming is not None:
            usd = dollars(cents(self.coming.usd))
            said.append(f"The rest is to be expected by {self.coming.on}; fetching it costs about {usd}.")
        if self.seconds is not None:
            minutes = max(1, round(self.seconds / 60))
            said.append(f"A training would take about {minutes:,} min here, and no money.")
        return " ".join(said)


def due(new_tweets: int, seen: int, hours_since_last: float, settings: Retraining, now: datetime) -> Decision:
    """Whether a persona with so many tweets that its newest version has not seen should learn again now.

    `seen` is how many tweets that version was made from; `hours_since_last` counts from its last training, whatever
    came of it; `now` is UTC.
    """
    if not settings.enabled:
        return Decision(False, "Retraining is off.")
    enough = enough_new(seen, settings)
    if new_tweets < enough:
        return Decision(False, f"{new_tweets:,} of {enough:,} new tweets have come.")
    if hours_since_last < settings.min_hours_between:
        return Decision(
            False, f"It learned {hours_since_last:.1f} hours ago; {settings.min_hours_between:g} must pass."
        )
    quiet = QuietHours.of(settings.quiet_hours, settings.time_zone)
    if quiet is not None and now in quiet:
        return Decision(False, f"{new_tweets:,} new tweets have come; it learns after the quiet hours.")
    return Decision(True, f"{new_tweets:,} new tweets have come since it learned {hours_since_last:.1f} hours ago.")


def enough_new(seen: int, settings: Retraining) -> int:
    """How many new tweets make a persona learn again: so many, and such a share of what it has learned from."""
    return max(settings.min_new_tweets, math.ceil(Decimal(str(settings.min_new_share)) * seen))


def publish(metrics: Metrics, tolerance: float, limits: Judging, elsewhere: float | None = None) -> Decision:
    """Whether a new version is put in use.

    It must beat the base, must not be worse than the version in use by more than `tolerance` nats, and must keep to the
    limits on copies and toxicity. Where the version in use stands on another base, whose tokens are other ones, its
    bits per byte, `elsewhere`, must not be fewer: they were found on its own held-out tweets. A figure that was not
    wanted is not asked for, and the reason says so; a version whose figures were wanted and could not be had is kept.
    """
    if metrics.unjudged is not None:
        return Decision(False, f"It was not judged. {metrics.unjudged}")
    against = _against(metrics, tolerance, limits)
    if elsewhere is not None and not metrics.bits_per_byte <= elsewhere:
        against.append(
            f"It takes {metrics.bits_per_byte:.3f} bits for a byte of its held-out tweets, and the version in use, "
            f"which stands on another base, took {elsewhere:.3f}."
        )
    if against:
        return Decision(False, " ".join(against))
    return Decision(True, f"{_for(metrics)} {_copies_in_words(metrics)}")


def _against(metrics: Metrics, tolerance: float, limits: Judging) -> list[str]:
    """Every reason why it is not put in use, in a sentence each."""
    new, base, previous = metrics.held_out_loss, metrics.base_held_out_loss, metrics.previous_held_out_loss
    reasons = []
    if not new < base:  # a loss that is no number is not better either
        reasons.append(f"Its held-out loss of {new:.3f} is no better than the base's {base:.3f}.")
    if previous is not None and not new <= previous + tolerance:
        reasons.append(
            f"Its held-out loss of {new:.3f} is worse than that of the version in use, {previous:.3f}, "
            f"by more than {tolerance:g}."
        )
    figures = metrics.figures
    copies = figures.copies if figures else None
    if copies and copies.exact > limits.max_exact_copies:
        reasons.append(f"{copies.exact:.1%} of its samples are copies, and {limits.max_exact_copies:.1%} may be.")
    if copies and copies.near > limits.max_near_copies:
        reasons.append(f"{copies.near:.1%} of its samples are near copies, and {limits.max_near_copies:.1%} may be.")
    toxicity = figures.toxicity if figures else None
    if toxicity and toxicity.samples > toxicity.real + limits.max_more_toxicity:
        reasons.append(
            f"{toxicity.samples:.1%} of its samples are offensive, of the tweets {toxicity.real:.1%}, "
            f"and {limits.max_more_toxicity:.1%} more may be."
        )
    return reasons


def _for(metrics: Metrics) -> str:
    new, base, previous = metrics.held_out_loss, metrics.base_held_out_loss, metrics.previous_held_out_loss
    if previous is None:
        return f"Its held-out loss is {new:.3f}, the base's {base:.3f}."
    return f"Its held-out loss is {new:.3f}, that of the version before {previous:.3f}."


def _copies_in_words(metrics: Metrics) -> str:
    copies = metrics.figures.copies if metrics.figures else None
    if copies is None:
        return "Copies were not counted."
    return f"{copies.near:.1%} of its samples are near copies of tweets, {copies.exact:.1%} exact ones."


def to_prune(versions: Sequence[Manifest], current: str, keep: int) -> list[str]:
    """The versions that are no longer kept, the oldest first; all are kept when `keep` is 0.

    The version in use stays, and the one before it, so that one can go back, and the newest `keep`.
    """
    if not keep:
        return []
    newest_last = sorted(versions, key=lambda manifest: manifest.number)
    in_use = next((each for each in newest_last if each.version == current), None)
    kept = {current, in_use.parent if in_use else None, *(each.version for each in newest_last[-keep:])}
    return [each.version for each in newest_last if each.version not in kept]
