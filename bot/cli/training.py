"""The command that trains a persona, and how a training looks at the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from bot.app.rooms import open_rooms
from bot.cli.terminal import cli, command, err, json_option, note, out, print_json
from bot.cli.voices import print_versions
from bot.config import Config
from bot.errors import TrainingFailed
from bot.shelf.card import PREDICTIONS
from bot.training.record import Stage, Training, TrainingPoint, TrainingState
from bot.training.trainings import Trainings
from bot.tweets.tweet import normalise_handle

STAGES = {  # what a training that runs is at, in words
    Stage.BASE: "making the base ready",
    Stage.READING: "reading the tweets",
    Stage.LEARNING: "learning",
    Stage.JUDGING: "judging",
}


@cli.command()
@click.argument("handles", nargs=-1, required=True)
@click.option("--name", help="The persona's name; the handles joined by - unless given.")
@json_option
@command
async def train(config: Config, handles: Sequence[str], name: str | None, as_json: bool) -> None:
    """Train a persona on one account, or on several blended into a cyborg."""
    async with open_rooms(config, examples=True) as rooms:
        with _progress() as show:
            training = await _learned(rooms.trainings, [normalise_handle(handle) for handle in handles], name, show)
        manifest = rooms.shelf.version(training.persona, training.version) if training.version else None
        picture = rooms.shelf.path(manifest) / PREDICTIONS if manifest else None
    if as_json:
        print_json(
            {
                "persona": training.persona,
                "state": training.state.value,
                "version": training.version,
                "reason": training.reason,
                "tracked": training.tracked.model_dump() if training.tracked else None,
                "tracking_remark": training.tracking_remark,
                "metrics": manifest.metrics.model_dump() if manifest and manifest.metrics else None,
                "picture": str(picture) if picture and picture.is_file() else None,
            }
        )
    elif manifest:
        out.print(f"{training.persona} {training.version}: {training.reason}", markup=False, highlight=False)
        print_versions([manifest], manifest.version)
        for line in _tracked(training):
            out.print(line, markup=False, highlight=False, soft_wrap=True)
        if picture and picture.is_file():
            out.print(f"Picture: {picture}", markup=False, highlight=False, soft_wrap=True)
        note(f"Next: mockingbird say {training.persona}")
    if training.state in (TrainingState.FAILED, TrainingState.CANCELLED):
        raise TrainingFailed(training.reason or "The training ended without a version. The log says more.")


async def _learned(
    trainings: Trainings, handles: Sequence[str], name: str | None, show: Callable[[Training], None]
) -> Training:
    """Train here and now, or have the running service do it where there is one; how it ended."""
    requested = await trainings.request(handles, name, "command", "")
    worker = asyncio.create_task(trainings.run(), name="trainings")
    try:
        async for training in trainings.watch(requested.id):
            show(training)
        await trainings.tracked()
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    return await trainings.training(requested.id)


def _tracked(training: Training) -> Iterator[str]:
    """Where the training is tracked, and what went wrong with that."""
    if training.tracked is not None:
        yield f"Tracked: {training.tracked.url or f'run {training.tracked.run} in files of {training.tracked.service}'}"
    if training.tracking_remark:
        yield f"Tracking: {training.tracking_remark}"


@contextmanager
def _progress() -> Iterator[Callable[[Training], None]]:
    """A bar on stderr that follows a training."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=err) as progress:
        bar = progress.add_task("waiting", total=None, figures="")

        def show(training: Training) -> None:
            point = training.point
            total = point.steps if point and point.steps and training.stage is Stage.LEARNING else None
            done = point.step if point and total else 0
            figures = _figures(point) if total or training.ended else ""
            progress.update(bar, description=_stage(training), total=total, completed=done, figures=figures)

        yield show


def _stage(training: Training) -> str:
    """What it is at; while it waits, its place in line and when it will probably begin, by this machine's clock."""
    if training.state is TrainingState.QUEUED:
        starts_at = training.starts_at
        begins = f"begins at about {starts_at.astimezone():%H:%M}" if starts_at else "when it begins is unknown yet"
        return f"{training.persona}: number {training.position or 1} in line, {begins}"
    if training.state is TrainingState.RUNNING:
        if training.stage is Stage.LEARNING and training.point is None:
            return f"{training.persona}: loading the base"
        return f"{training.persona}: {STAGES[training.stage or Stage.READING]}"
    return f"{training.persona}: {training.state.value}"


def _figures(point: TrainingPoint | None) -> str:
    """Loss, held-out loss, speed and time left, as far as they are known."""
    if point is None:
        return ""
    figures = [
        ("loss {:.3f}", point.loss),
        ("held-out {:.3f}", point.held_out_loss),
        ("{:.0f} tokens/s", point.tokens_per_second),
        ("{:.0f} s left", point.seconds_left),
    ]
    return " · ".join(form.format(value) for form, value in figures if value is not None)
