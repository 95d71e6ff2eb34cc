"""What people approved and refused puts later drafts in order, once that tells enough."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from bot.config import X
from bot.database import Database
from bot.generation.draft import Sampling
from bot.replies.posts import Posts
from bot.replies.ranking import Decided, Figures, accuracy, fitted, learned
from tests.fakes import FakeClock, FakeSpeaker

NOW = FakeClock().now


def decisions(count: int, taste: float, seed: int = 1) -> list[Decided]:
    """People approve questions; the lower `taste`, the more by chance."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        asks = chance.random() < 0.5
        text = f"Post {number} about rope{'?' if asks else '.'}"
        gain = chance.random() if number % 3 else None
        figures = Figures(text, chance.random(), 0.5, gain, 0.1, NOW + timedelta(hours=number))
        made.append(Decided(figures, asks if chance.random() < taste else chance.random() < 0.5))
    return made


def test_drafts_like_those_that_were_approved_stand_higher() -> None:
    ranking = learned(decisions(60, taste=1.0))
    assert ranking.is_on
    assert ranking.accuracy is not None
    assert ranking.accuracy > 0.9
    assert ranking.model is not None
    asking, telling = (Figures(text, 0.5, 0.5, None, 0.1, NOW) for text in ("Post 7 about rope?", "Post 7 about rope."))
    assert ranking.model.probability(asking) > 0.5 > ranking.model.probability(telling)
    assert "accuracy" in ranking.reason


@pytest.mark.parametrize("made", [decisions(39, 1.0), [d for d in decisions(90, 1.0) if d.approved]])
def test_with_too_few_decisions_it_is_off(made: list[Decided]) -> None:
    ranking = learned(made)
    assert (ranking.is_on, ranking.accuracy) == (False, None)
    assert f"{len(made)} of at least 40" in ranking.reason


def test_where_the_newest_decisions_all_say_the_same_the_reason_is_that() -> None:
    made = sorted(decisions(60, 1.0), key=lambda each: each.approved)
    ranking = learned(made)
    assert (ranking.is_on, ranking.accuracy) == (False, None)
    assert ranking.reason.startswith("Drafts are not ranked by decisions yet: there are 60, but")


def test_decisions_that_follow_no_taste_leave_it_off() -> None:
    found = [learned(decisions(100, taste=0.0, seed=seed)) for seed in range(10)]
    assert all(each.is_on == (each.accuracy is not None and each.accuracy > 0.6) for each in found)
    assert sum(each.is_on for each in found) <= 3


def test_accuracy_is_measured_on_later_decisions_alone() -> None:
    """The newest follow the opposite taste, so a model of the older ones ranks them the wrong way round."""
    older, newer = decisions(70, 1.0), decisions(30, 1.0, seed=2)
    turned = [Decided(each.figures, not each.approved) for each in newer]
    ranking = learned([*older, *turned])
    assert ranking.accuracy is not None
    assert ranking.accuracy < 0.2
    assert not ranking.is_on


def test_the_same_decisions_give_the_same_model() -> None:
    one, other = fitted(decisions(50, 0.8)), fitted(decisions(50, 0.8))
    assert one.weights.tolist() == other.weights.tolist()


def test_pairs_are_counted_with_equals_as_half() -> None:
    assert accuracy([0.9, 0.4], [0.4, 0.1]) == pytest.approx(0.875)
    assert accuracy([0.9], []) is None


async def test_the_list_learns_from_decisions_and_proposes_what_people_like(
    database: Database, clock: FakeClock
) -> None:
    texts = [f"rope {number * number} tar{'?' if number % 2 else '.'}" for number in range(60)]
    teaching = Posts(database, FakeSpeaker(texts), Sampling(1, 1, 0, 10), 1, {"main": X()}, clock)
    for number in range(60):
        post = await teaching.propose("main", "nell")
        clock.advance(minutes=7)
        await (teaching.approve(post.id, "ann") if number % 2 else teaching.refuse(post.id, "ann"))
    assert (await teaching.ranking()).is_on
    speaker = FakeSpeaker(["The first of two.", "The other of two?"])
    posts = Posts(database, speaker, Sampling(1, 1, 0, 10), 2, {"main": X()}, clock)
    assert (await posts.propose("main", "nell")).text == "The other of two?"


async def test_only_what_people_say_to_the_models_words_is_a_decision(database: Database, clock: FakeClock) -> None:
    settings = X(approval=False)
    accounts = {"main": X(), "free": settings}
    posts = Posts(database, FakeSpeaker(), Sampling(1, 1, 0, 10), 1, accounts, clock)
    await posts.propose("free", "nell")  # nobody looked at it
    for number, edits in enumerate((True, False, False)):
        post = await posts.propose("main", "nell")
        if edits:
            await posts.edit(post.id, "Quite another thing.", "ann")
        await (posts.refuse(post.id, "ann") if number == 2 else posts.approve(post.id, "ann"))
    ranking = await posts.ranking()
    assert (ranking.approved, ranking.refused) == (1, 1)
