"""The web page to look at and play with, without a model: `python -m tests.frontends.web_preview`, Ctrl-C ends it.

The example accounts are in the store, personas repeat their lines after a moment of thought, and a training learns
for ever. `--empty` shows what a newcomer sees, `--password` the login; everything is gone afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.config import Training as Settings
from bot.config import Web
from bot.database import Database
from bot.frontends.web.frontend import WebFrontend
from bot.generation.draft import Drafts, OnPartial, Sampling
from bot.shelf.manifest import HandleCounts, Metrics
from bot.training.decisions import Decisions
from bot.training.exploring import Explorer
from bot.training.record import latest
from bot.training.trainings import TrainingPoint, TrainingResult, TrainingState
from bot.tweets.reading import read
from tests.fakes import FakeSpeaker
from tests.frontends.web_stage import FakeTrainings, Stage, stage, training
from tests.posting import sent

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
STEPS = 120
BETTER = "Better than the base on the held-out tweets: 3.412 against 4.207."
RESULT = TrainingResult(
    counts=(HandleCounts(handle="lighthouse_nell", downloaded=320, retweets=22, short=9, duplicates=3, kept=286),),
    metrics=Metrics(
        held_out_tweets=28, held_out_loss=3.412, base_held_out_loss=4.207, bits_per_byte=1.318, base_bits_per_byte=1.625
    ),
)


class SlowSpeaker(FakeSpeaker):
    """Thinks for a second and a half, as a model on two cores does."""

    async def drafts(
        self,
        persona: str,
        *,
        count: int,
        sampling: Sampling,
        start: str = "",
        seed: int | None = None,
        about: str = "",
        thread: Sequence[str] = (),
        urgent: bool = True,
        version: str | None = None,
        on_partial: OnPartial | None = None,
    ) -> Drafts:
        await asyncio.sleep(1.5)
        chosen = random.randrange(2**31) if seed is None else seed
        made = await super().drafts(persona, count=count, sampling=sampling, start=start, seed=chosen)
        return replace(
            made, drafts=tuple(replace(draft, text=f"{start} {draft.text}".strip()) for draft in made.drafts)
        )


async def fill(rooms: Stage, trainings: FakeTrainings) -> None:
    """Accounts, posts in every state, trainings of every kind."""
    for archive in sorted(EXAMPLES.glob("*.zip")):
        for handle, tweets in (await asyncio.to_thread(read, archive)).tweets.items():
            await rooms.store.add(handle, tweets)
    for _ in range(5):
        await rooms.posts.propose("main", "lighthouse_nell")
    await rooms.posts.approve(1, "web")
    await rooms.posts.refuse(2, "web", "Too close to last week's.")
    await rooms.posts.approve(3, "web")
    await sent(rooms.database, lambda: datetime.now(UTC), 3, "1987654321098765432")
    now = datetime.now(UTC)
    reasons = {
        TrainingState.PUBLISHED: BETTER,
        TrainingState.KEPT: "Not as good as v1 on the same held-out tweets: 3.520 against 3.412.",
        TrainingState.FAILED: "The disk has no room for the checkpoint. Free some and run `mockingbird train` again.",
        TrainingState.CANCELLED: "It was stopped.",
    }
    for number, (state, reason) in enumerate(reasons.items(), 1):
        ended = training(number, state, "lighthouse_nell" if number < 3 else "captain_crumb")
        version = f"v{number}" if number < 3 else None
        at = now - timedelta(hours=5 * (5 - number))
        await trainings.put(
            replace(ended, reason=reason, version=version, finished_at=at, result=RESULT if version else None)
        )
        for step in range(STEPS + 1):
            trainings.measured.setdefault(number, []).append(point(step))


def point(step: int) -> TrainingPoint:
    """What a training might measure at that step."""
    loss = 3.1 + 1.2 * math.exp(-step / 25) + random.Random(step).uniform(-0.15, 0.15)
    held_out = 3.35 + 0.9 * math.exp(-step / 30) if step % 20 == 0 else None
    return TrainingPoint(
        step=step,
        steps=STEPS,
        loss=loss,
        held_out_loss=held_out,
        tokens_per_second=412.0 + step % 7,
        seconds_left=(STEPS - step) * 1.2,
    )


async def learn(trainings: FakeTrainings, first: int) -> None:
    """Whatever is in line learns, one after the other; when nobody is, the professor has another go."""
    while True:
        queued = [each for each in trainings.all.values() if each.state is TrainingState.QUEUED]
        if not queued:
            queued = [await trainings.request(["prof_obsolete"], None, "retraining", "")]
        for step in range(first, STEPS + 1):
            measured = [*trainings.measured.get(queued[0].id, [point(past) for past in range(step)]), point(step)]
            running = replace(queued[0], state=TrainingState.RUNNING, position=None, point=latest(measured))
            trainings.measured[queued[0].id] = measured
            await trainings.put(running)
            await asyncio.sleep(0.5)
        done = replace(running, state=TrainingState.PUBLISHED, version="v2", reason=BETTER, result=RESULT)
        await trainings.put(replace(done, finished_at=datetime.now(UTC)))
        first = 0


async def show(port: int, password: str | None, is_empty: bool, step: int) -> None:
    lines = [line.strip() for path in EXAMPLES.glob("*.jsonl") for line in _texts(path)]
    random.Random(7).shuffle(lines)
    names = [] if is_empty else ["lighthouse_nell", "captain_crumb", "prof_obsolete"]
    with TemporaryDirectory() as folder:
        async with Database(Path(folder) / "preview.db") as database:
            rooms = stage(database, Path(folder), *names, speaker=SlowSpeaker(lines))
            if not is_empty:
                await fill(rooms, rooms.trainings)
            page = WebFrontend(
                Web(port=port),
                password,
                rooms.conversation,
                rooms.posts,
                rooms.trainings,
                rooms.purchases,
                rooms.ledger,
                rooms.shelf,
                rooms.store,
                Explorer(rooms.shelf, database.path, Settings()),
                Decisions(database, rooms.shelf, rooms.clock),
                rooms.refusals,
                0,
                pictures=rooms.pictures,
            )
            async with page, asyncio.TaskGroup() as group:
                print(page.url, flush=True)  # noqa: T201
                if not is_empty:
                    group.create_task(learn(rooms.trainings, step), name="a training that never ends")
                await asyncio.Event().wait()


def _texts(path: Path) -> Sequence[str]:
    rows = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
    return [text for text in rows if not text.startswith(("RT @", "@"))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--password")
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--step", type=int, default=0, help="where the training begins")
    asked = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(show(asked.port, asked.password, asked.empty, asked.step))
