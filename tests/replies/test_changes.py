"""What a retraining has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.config import Generation
from bot.database import Database
from bot.errors import Busy
from bot.generation.draft import Sampling
from bot.replies.changes import Changes
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from bot.training.decisions import Decision, Decisions, What
from tests.fakes import FakeClock, FakeSpeaker
from tests.shelves import manifest, metrics_of, shelf_with


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return shelf_with(tmp_path / "models", "nell")


@pytest.fixture
def decisions(database: Database, shelf: Shelf, clock: FakeClock) -> Decisions:
    return Decisions(database, shelf, clock)


def taught(shelf: Shelf, kept: int = 300) -> Manifest:
    """A version v2 of nell on the shelf, which learned from more."""
    first = manifest("nell", "v2")
    metrics = metrics_of(first).model_copy(update={"held_out_loss": 2.9, "previous_held_out_loss": 3.1})
    counts = (first.counts[0].model_copy(update={"kept": kept}),)
    placed = first.model_copy(update={"metrics": metrics, "counts": counts, "parent": "v1"})
    shelf.place(shelf.staging("nell", "2"), placed)
    return placed


def changes(decisions: Decisions, shelf: Shelf, speaker: FakeSpeaker) -> Changes:
    return Changes(decisions, shelf, speaker, Sampling.from_settings(Generation()))


async def adopted(decisions: Decisions, shelf: Shelf) -> Decision:
    """nell speaks as v2 from now on, by a training."""
    taught(shelf)
    await decisions.use("nell", "v2", What.USED, "It is better.", "retraining", training=7)
    found = await decisions.of_training(7)
    assert found is not None
    return found


async def test_new_tweets_figures_and_samples_of_both_versions_are_told(decisions: Decisions, shelf: Shelf) -> None:
    change = await changes(decisions, shelf, FakeSpeaker()).after(await adopted(decisions, shelf))
    assert change is not None and change.is_adopted
    assert change.told == "It learned from 27 new tweets. Loss on held-out tweets: 3.100 before, 2.900 after."
    assert [(pair.seed, pair.before, pair.after) for pair in change.pairs] == [
        (1, "tweet number 1", "tweet number 6"),
        (2, "tweet number 2", "tweet number 7"),
        (3, "tweet number 3", "tweet number 8"),
    ]


async def test_samples_are_made_once_and_kept(decisions: Decisions, shelf: Shelf) -> None:
    decision, speaker = await adopted(decisions, shelf), FakeSpeaker()
    looked = changes(decisions, shelf, speaker)
    first = await looked.after(decision)
    assert first == await looked.after(decision) == await looked.of_training(7)
    assert len(speaker.asked) == 2


async def test_what_is_not_used_is_told_too(decisions: Decisions, shelf: Shelf) -> None:
    await decisions.note(taught(shelf, kept=200), What.KEPT, "It is worse.", "retraining", 7)
    [decision] = await decisions.outcomes_since(0)
    change = await changes(decisions, shelf, FakeSpeaker()).after(decision)
    assert change is not None and not change.is_adopted
    assert change.new_tweets == 0
    assert not any(each.is_switch for each in await decisions.outcomes_since(0))


async def test_without_a_voice_the_figures_are_told_alone(decisions: Decisions, shelf: Shelf) -> None:
    speaker = FakeSpeaker()
    speaker.failure = Busy("Many are waiting.", 5)
    change = await changes(decisions, shelf, speaker).after(await adopted(decisions, shelf))
    assert change is not None
    assert (change.new_tweets, change.pairs) == (27, ())


async def test_what_was_rolled_back_or_learned_first_is_no_retraining(decisions: Decisions, shelf: Shelf) -> None:
    await adopted(decisions, shelf)
    back = await decisions.roll_back("nell", "v1", "command")
    assert back is not None
    assert await changes(decisions, shelf, FakeSpeaker()).after(back) is None


async def test_samples_go_with_their_persona(decisions: Decisions, shelf: Shelf, database: Database) -> None:
    decision = await adopted(decisions, shelf)
    looked = changes(decisions, shelf, FakeSpeaker())
    await looked.after(decision)
    await decisions.remove(["nell"])
    await decisions.keep_samples(decision, "[]")  # whoever was still at it writes nothing down
    assert await decisions.samples(decision) is None
    assert await database.all("SELECT * FROM decisions") == []
