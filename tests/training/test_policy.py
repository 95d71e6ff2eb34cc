"""When a persona learns again, and whether what it learned is used."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from bot.config import Judging, Retraining
from bot.shelf.figures import Copies, Figures, Toxicity
from bot.shelf.manifest import Metrics
from bot.training.policy import Outlook, due, publish
from bot.tweets.forecast import Coming

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)  # 21:00 in Tokyo


@pytest.mark.parametrize(
    ("new_tweets", "hours", "enabled", "expected"),
    [(50, 24.0, True, True), (49, 24.0, True, False), (50, 23.9, True, False), (50, 24.0, False, False)],
)
def test_a_persona_is_due_after_enough_tweets_and_time(
    new_tweets: int, hours: float, enabled: bool, expected: bool
) -> None:
    """Both, and only where retraining is on."""
    rules = Retraining(enabled=enabled, min_new_tweets=50, min_hours_between=24.0)
    assert due(new_tweets, 1_000, hours, rules, NOON).yes is expected


@pytest.mark.parametrize(("seen", "share", "enough"), [(3_200, 0.02, 64), (100, 0.02, 50), (3_200, 0.0, 50)])
def test_enough_new_tweets_are_so_many_and_such_a_share_of_those_before(seen: int, share: float, enough: int) -> None:
    rules = Retraining(min_new_tweets=50, min_new_share=share)
    assert not due(enough - 1, seen, 48.0, rules, NOON).yes
    assert due(enough, seen, 48.0, rules, NOON).yes


@pytest.mark.parametrize(
    ("hours", "zone", "quiet"),
    [
        ("", "UTC", False),
        ("12:00-13:00", "UTC", True),
        ("11:00-12:00", "UTC", False),
        ("22:00-12:30", "UTC", True),
        ("22:00-07:00", "UTC", False),
        ("22:00-07:00", "Asia/Tokyo", False),
        ("21:00-07:00", "Asia/Tokyo", True),
    ],
)
def test_in_quiet_hours_nothing_is_learned_by_itself(hours: str, zone: str, quiet: bool) -> None:
    rules = Retraining(quiet_hours=hours, time_zone=zone)
    assert due(50, 100, 48.0, rules, NOON).yes is not quiet


def test_what_a_training_takes_is_said_with_when_it_is_due() -> None:
    decision = due(3, 100, 48.0, Retraining(), NOON)
    assert Outlook(decision, None).sentence == "3 of 50 new tweets have come."
    assert "about 4 min here, and no money" in Outlook(decision, 250.0).sentence
    assert Outlook(decision, None, Coming(date(2026, 11, 9), Decimal("0.234"))).sentence == (
        "3 of 50 new tweets have come. The rest is to be expected by 2026-11-09; fetching it costs about $0.24."
    )


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
    decision = publish(metrics(new, base, previous), 0.01, Judging())
    assert decision.yes is expected
    assert f"{new:.3f}" in decision.reason
    assert decision.reason.endswith(".")


@pytest.mark.parametrize(("elsewhere", "expected"), [(None, True), (1.2, True), (1.0, True), (0.999, False)])
def test_a_version_is_used_in_place_of_one_on_another_base_when_it_takes_no_more_bits(
    elsewhere: float | None, expected: bool
) -> None:
    """Their tokens are other ones, so that their losses say nothing about each other."""
    decision = publish(metrics(3.0, 4.0, None), 0.01, Judging(), elsewhere)
    assert decision.yes is expected
    assert expected or decision.reason == (
        "It takes 1.000 bits for a byte of its held-out tweets, and the version in use, "
        "which stands on another base, took 0.999."
    )


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_no_better(loss: float) -> None:
    assert not publish(metrics(loss, 4.0, None), 0.01, Judging()).yes


@pytest.mark.parametrize(
    ("exact", "near", "offensive", "said"),
    [
        (0.02, 0.10, 0.05, ""),  # all at their limits
        (0.03, 0.10, 0.05, "3.0% of its samples are copies, and 2.0% may be."),
        (0.02, 0.11, 0.05, "11.0% of its samples are near copies, and 10.0% may be."),
        (0.02, 0.10, 0.06, "6.0% of its samples are offensive, of the tweets 4.0%, and 1.0% more may be."),
    ],
)
def test_a_version_that_copies_or_offends_too_much_is_kept(
    exact: float, near: float, offensive: float, said: str
) -> None:
    """However good its loss; the reason names figure and limit."""
    found = Figures(
        accounts=(),
        copies=Copies(exact=exact, near=near, real_near=None),
        toxicity=Toxicity(samples=offensive, real=0.04),
        seconds=1.0,
    )
    limits = Judging(max_exact_copies=0.02, max_near_copies=0.10, max_more_toxicity=0.01)
    decision = publish(metrics(3.0, 4.0, None, figures=found), 0.01, limits)
    assert decision.yes is not bool(said)
    assert decision.reason == said or decision.yes


def test_all_reasons_are_given_at_once() -> None:
    found = Figures(accounts=(), copies=Copies(exact=1.0, near=1.0, real_near=None), seconds=1.0)
    reason = publish(metrics(5.0, 4.0, 3.0, figures=found), 0.01, Judging()).reason
    assert all(word in reason for word in ("the base's", "version in use", "are copies", "near copies"))


def test_figures_that_were_not_wanted_are_not_asked_for_and_those_that_failed_are() -> None:
    assert "Copies were not counted." in publish(metrics(3.0, 4.0, None), 0.01, Judging()).reason
    failed = publish(metrics(3.0, 4.0, None, unjudged="Memory ran out while judging."), 0.01, Judging())
    assert (failed.yes, failed.reason) == (False, "It was not judged. Memory ran out while judging.")


def metrics(
    new: float, base: float, previous: float | None, figures: Figures | None = None, unjudged: str | None = None
) -> Metrics:
    return Metrics(
        held_out_tweets=10,
        held_out_loss=new,
        base_held_out_loss=base,
        bits_per_byte=1.0,
        base_bits_per_byte=2.0,
        previous_held_out_loss=previous,
        figures=figures,
        unjudged=unjudged,
    )
