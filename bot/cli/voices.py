"""Commands about personas: learning them, letting them speak, and their versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from bot import app
from bot.cli.terminal import cli, command, err, json_option, note, out, print_json
from bot.config import Config
from bot.errors import TrainingFailed, UsageError
from bot.generation.draft import Drafts, Sampling
from bot.shelf.card import PREDICTIONS
from bot.shelf.manifest import Manifest, Metrics
from bot.training.record import Training, TrainingPoint, TrainingState
from bot.tweets.tweet import normalise_handle


@cli.command()
@click.argument("handles", nargs=-1, required=True)
@click.option("--name", help="The persona's name; the handles joined by - unless given.")
@json_option
@command
async def train(config: Config, handles: Sequence[str], name: str | None, as_json: bool) -> None:
    """Train a persona on one account, or on several blended into a cyborg."""
    async with app.open_rooms(config, examples=True) as rooms:
        with _progress() as show:
            training = await app.train(rooms, [normalise_handle(handle) for handle in handles], name, show)
        manifest = rooms.shelf.version(training.persona, training.version) if training.version else None
        picture = rooms.shelf.path(manifest) / PREDICTIONS if manifest else None
    if as_json:
        print_json(
            {
                "persona": training.persona,
                "state": training.state.value,
                "version": training.version,
                "reason": training.reason,
                "metrics": manifest.metrics.model_dump() if manifest and manifest.metrics else None,
                "picture": str(picture) if picture and picture.is_file() else None,
            }
        )
    elif manifest:
        out.print(f"{training.persona} {training.version}: {training.reason}", markup=False, highlight=False)
        _print_versions([manifest], manifest.version)
        if picture and picture.is_file():
            out.print(f"Picture: {picture}", markup=False, highlight=False, soft_wrap=True)
        note(f"Next: mockingbird say {training.persona}")
    if training.state in (TrainingState.FAILED, TrainingState.CANCELLED):
        raise TrainingFailed(training.reason or "The training ended without a version. The log says more.")


@cli.command()
@click.argument("persona")
@click.option("--start", default="", help="How each draft begins.")
@click.option("-n", "count", type=click.IntRange(1, 100), default=5, show_default=True, help="How many drafts.")
@click.option("--seed", type=click.IntRange(0), help="The first draft's seed; the next ones count up.")
@click.option("--temperature", type=click.FloatRange(0, 5, min_open=True))
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True))
@json_option
@command
async def say(
    config: Config,
    persona: str,
    start: str,
    count: int,
    seed: int | None,
    temperature: float | None,
    top_p: float | None,
    as_json: bool,
) -> None:
    """Drafts in a persona's voice."""
    sampling = Sampling.from_settings(config.generation, temperature, top_p)
    async with app.open_rooms(config, examples=True) as rooms:
        persona = normalise_handle(persona)
        await rooms.conversation.require_here(persona)
        rooms.shelf.current(persona)  # a wrong name need not wait for the engine
        async with app.open_engines(rooms, note) as engines:
            rooms.speaker.speak_with(engines)
            made = await rooms.speaker.drafts(persona, count=count, sampling=sampling, start=start, seed=seed)
    if as_json:
        print_json(_drafts_json(made))
        return
    for draft in made.drafts:
        out.print(draft.text, markup=False, highlight=False)
        out.print(f"  [dim]seed {draft.seed} · novelty {draft.novelty:.2f}[/]", highlight=False)


@cli.command()
@json_option
@command
async def personas(config: Config, as_json: bool) -> None:
    """Everybody on the shelf, with the version in use."""
    async with app.open_rooms(config) as rooms:
        current = [rooms.shelf.current(name) for name in rooms.shelf.personas()]
    if as_json:
        print_json({"personas": [manifest.model_dump(mode="json") for manifest in current]})
    elif current:
        _print_versions(current, None)
    else:
        note("No persona yet. `mockingbird train HANDLE` makes one.")


@cli.command()
@click.argument("persona")
@json_option
@command
async def versions(config: Config, persona: str, as_json: bool) -> None:
    """All versions of a persona; the one in use is marked."""
    async with app.open_rooms(config) as rooms:
        found = rooms.shelf.versions(normalise_handle(persona))
        current = rooms.shelf.current(normalise_handle(persona)).version
    if as_json:
        print_json({"current": current, "versions": [manifest.model_dump(mode="json") for manifest in found]})
    else:
        _print_versions(found, current)


@cli.command()
@click.argument("persona")
@click.argument("version", required=False)
@command
async def rollback(config: Config, persona: str, version: str | None) -> None:
    """Put an earlier version in use: the one before the present one, or the one that is named."""
    async with app.open_rooms(config) as rooms:
        name = normalise_handle(persona)
        target = version or rooms.shelf.current(name).parent
        if target is None:
            raise UsageError(f"{name} has no earlier version to go back to. `mockingbird versions {name}` lists them.")
        manifest = rooms.shelf.use(name, target)
    out.print(f"{name} speaks as {manifest.version} from now on.", highlight=False)


@cli.command()
@click.argument("persona")
@command
async def card(config: Config, persona: str) -> None:
    """The model card of the version in use."""
    async with app.open_rooms(config) as rooms:
        manifest = rooms.shelf.current(normalise_handle(persona))
        click.echo((rooms.shelf.path(manifest) / "README.md").read_text(encoding="utf-8"))


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
            total = point.steps if point and point.steps else None
            done = point.step if point else 0
            progress.update(bar, description=_stage(training), total=total, completed=done, figures=_figures(point))

        yield show


def _stage(training: Training) -> str:
    if training.state is TrainingState.QUEUED:
        return f"{training.persona}: number {training.position or 1} in line"
    if training.state is TrainingState.RUNNING and training.point is None:
        return f"{training.persona}: loading the base"
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


def _drafts_json(made: Drafts) -> dict[str, Any]:
    drafts = [
        {"text": draft.text, "seed": draft.seed, "novelty": draft.novelty, "nearest": draft.nearest}
        for draft in made.drafts
    ]
    return {"persona": made.persona, "version": made.version, "drafts": drafts}


def _judged(metrics: Metrics | None) -> tuple[str, str, str]:
    """Loss, the base's, and bits per byte; dashes where nobody could judge it."""
    if metrics is None:
        return "–", "–", "–"
    return f"{metrics.held_out_loss:.3f}", f"{metrics.base_held_out_loss:.3f}", f"{metrics.bits_per_byte:.3f}"


def _print_versions(manifests: Iterable[Manifest], current: str | None) -> None:
    table = Table("persona", "version", "accounts", "tweets kept", "held-out loss", "base", "bits/byte", "created")
    for each in manifests:
        mark = " *" if each.version == current else ""
        table.add_row(
            each.persona,
            each.version + mark,
            ", ".join(f"@{handle}" for handle in each.handles),
            f"{sum(count.kept for count in each.counts):,}",
            *_judged(each.metrics),
            f"{each.created:%Y-%m-%d %H:%M}",
        )
    out.print(table)
