"""Invented tweets, settings and jobs for the tests of this room."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.config import Judging, Model, Retraining, Tracking
from bot.config import Training as Settings
from bot.database import Database
from bot.shelf.bases import Base, base_folder
from bot.shelf.shelf import Shelf
from bot.training.decisions import Decisions
from bot.training.evaluation import Evaluator, Sampler
from bot.training.job import TEXTS, Job, Texts
from bot.training.tracking import Trackers
from bot.training.trainings import Trainings
from bot.tweets.store import TweetStore
from bot.tweets.tweet import Source, Tweet
from tests.fakes import FakeClock
from tests.tiny_base import make_tiny_gpt2

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)

SUBJECTS = ("The lamp", "A gull", "The tide", "My kettle", "The fog", "A rocket", "The harbour", "Bruno")
VERBS = ("watches", "forgets", "repairs", "sings to", "counts", "paints", "follows", "scares")
OBJECTS = ("the moon", "a small boat", "two sailors", "the old clock", "every window", "the kettle", "the cat", "us")


@dataclass(frozen=True, slots=True)
class Said:
    """A kept tweet."""

    cleaned: str
    created_at: datetime | None = None
    prompt: str | None = None


def sentences(count: int, seed: int = 1) -> list[str]:
    """So many sentences that differ in their words, always the same."""
    every = [f"{subject} {verb} {thing}." for subject in SUBJECTS for verb in VERBS for thing in OBJECTS]
    random.Random(seed).shuffle(every)
    return every[:count]


def dated(texts: Sequence[str]) -> list[Said]:
    """The texts as kept tweets, one a day."""
    return [Said(text, FIRST_DAY + timedelta(days=day)) for day, text in enumerate(texts)]


def tweets(handle: str, texts: Sequence[str], first: int = 1) -> list[Tweet]:
    """The texts as tweets with ids from `first` on, one a day."""
    return [
        Tweet(handle, text, str(number), FIRST_DAY + timedelta(days=number), False, None, Source.ARCHIVE)
        for number, text in enumerate(texts, start=first)
    ]


def settings(**changed: object) -> Settings:
    """Settings under which a tiny base learns within a second or two."""
    quick = {"layers": 2, "epochs": 2, "batch_tokens": 128, "threads": 1, "min_characters": 200, "patience": 99}
    return Settings.model_validate({**quick, **changed})


def job(base: Base, folder: Path, train: Sequence[str], held_out: Sequence[str], **changed: object) -> Job:
    """A job with its texts written down; it reports every step."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = Texts(train=tuple(train), held_out=tuple(held_out))
    (folder / TEXTS).write_text(texts.model_dump_json(), encoding="utf-8")
    usual = {
        "base": base.model,
        "base_name": "tiny",
        "end_id": base.record.end_id,
        "folder": folder,
        "fingerprint": "a fingerprint",
        "rank": 4,
        "layers": 2,
        "epochs": 2,
        "learning_rate": 5e-3,
        "batch_tokens": 128,
        "patience": 99,
        "seed": 1,
        "threads": 1,
        "report_seconds": 0.0,
    }
    return Job.model_validate({**usual, **changed})


class House:
    """The training room on a database, a shelf and a tiny base of its own."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        clock: FakeClock,
        changed: Settings,
        base: str = "tiny",
        sampler: Sampler | None = None,
        judging: Judging | None = None,
        tracking: Tracking | None = None,
        keep_versions: int = 0,
    ) -> None:
        self.folder = folder
        self.shelf = Shelf(folder / "models")
        self.store = TweetStore(database, clock)
        self.examples = folder / "examples"
        self.evaluator = (
            Evaluator(self.shelf, self.store, folder, self.examples, changed, judging or Judging(samples=8), sampler)
            if sampler
            else None
        )
        self.trainings = Trainings(
            database,
            self.shelf,
            self.store,
            folder,
            Model(base=base),
            changed,
            Retraining(min_new_tweets=5),
            clock,
            self.evaluator,
            Trackers(tracking or Tracking(), folder),
            keep_versions,
        )
        self.decisions = Decisions(database, self.shelf, clock)

    def make_base(self) -> None:
        """Its base, made ready."""
        make_tiny_gpt2(base_folder(self.folder, "tiny"), "tiny")
