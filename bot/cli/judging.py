"""The command that judges a version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
from rich.table import Table

from bot.app.rooms import open_rooms
from bot.cli.terminal import cli, command, err, json_option, note, out, print_json
from bot.config import Config
from bot.shelf.figures import Figures
from bot.shelf.manifest import Manifest
from bot.tweets.tweet import normalise_handle

MISSING = "–"  # a figure that could not be had
Row = tuple[str, ...]  # name, this version, the version in use, the base, real tweets


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.0f}"


def _share(value: float | None) -> str:
    return MISSING if value is None else f"{value:.1%}"


FIGURES = (  # name, form, where it stands in `Figures`, and where what real tweets reach
    ("style margin (nats)", _number, "margin.margin", ""),
    ("exact copies", _share, "copies.exact", ""),
    ("near copies", _share, "copies.near", "copies.real_near"),
    ("distinct-1", _number, "diversity.distinct_1", "diversity.real_distinct_1"),
    ("distinct-2", _number, "diversity.distinct_2", "diversity.real_distinct_2"),
    ("new 4-grams", _share, "diversity.new_4grams", "diversity.real_new_4grams"),
    ("author classifier: is it they?", _share, "authorship.samples", "authorship.real"),
    ("offensive", _share, "toxicity.samples", "toxicity.real"),
    ("drafts that pass all filters", _share, "samples.passed", ""),
)


@cli.command()
@click.argument("persona")
@click.argument("version", required=False)
@json_option
@command
async def evaluate(config: Config, persona: str, version: str | None, as_json: bool) -> None:
    """The figures by which a version is judged: the one in use, or the one that is named."""
    async with open_rooms(config, examples=True) as rooms:
        name = normalise_handle(persona)
        manifest = rooms.shelf.meant(name, version)
        current = rooms.shelf.current(name) if name in rooms.shelf.personas() else None
        with err.status(f"Judging {name} {manifest.version}; a minute or two"):
            figures = await rooms.evaluator.of_version(manifest)
        await rooms.evaluations.add(manifest, figures)
        in_use = await rooms.evaluations.latest(current) if current else None
    if as_json:
        print_json(
            {
                "persona": name,
                "version": manifest.version,
                "figures": figures.model_dump(),
                "in_use": {
                    "version": current.version if current else None,
                    "figures": in_use.model_dump() if in_use else None,
                },
            }
        )
        return
    _print_figures(manifest, current, figures, in_use if current != manifest else None)


def _print_figures(manifest: Manifest, current: Manifest | None, figures: Figures, in_use: Figures | None) -> None:
    """Beside each figure of the version that of the version in use, of the base, and of real tweets, where known."""
    other = f"{current.version}, in use" if current else "none in use"
    if current == manifest:
        other = "in use: this one"
    table = Table(manifest.persona, manifest.version, other, "base", "real tweets")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in _rows(figures, in_use):
        table.add_row(*row)
    out.print(table)
    if manifest.blended_from:
        note("It is a blend: judged on tweets that one of its parts kept aside and that none has learned.")
    for line in _remarks(figures):
        note(line)


def _rows(figures: Figures, in_use: Figures | None) -> Iterator[Row]:
    for account in figures.accounts:
        losses = map(_number, (account.loss, account.in_use_loss, account.base_loss))
        yield f"held-out loss of @{account.handle} (nats)", *losses, MISSING
        bits = map(_number, (account.bits_per_byte, account.in_use_bits_per_byte, account.base_bits_per_byte))
        yield f"bits per byte of @{account.handle}", *bits, MISSING
    for name, form, path, real in FIGURES:
        if (value := _at(figures, path)) is not None:
            yield name, form(value), form(_at(in_use, path)), MISSING, form(_at(figures, real))
    before = {shape.feature: shape.distance for shape in in_use.shapes} if in_use else {}
    for shape in figures.shapes:
        means = f"{shape.feature}: {_number(shape.mean)}, real {_number(shape.real_mean)}; distance"
        distances = _number(shape.distance), _number(before.get(shape.feature))
        yield means, *distances, MISSING, _number(shape.real_distance)


def _at(figures: Figures | None, path: str) -> float | None:
    """The figure of that name; None when it, or what it stands in, is missing."""
    found: Any = figures if path else None
    for name in path.split("."):
        found = getattr(found, name, None)
    return None if found is None else float(found)


def _remarks(figures: Figures) -> Iterator[str]:
    """What has to be known to read the table."""
    if figures.others is None:
        yield "No other account is stored and no example is there, so nothing tells this person from tweets at large."
    else:
        kind = "stored accounts" if figures.others.source == "stored" else "examples that come with the project"
        yield f"Told apart from {figures.others.accounts} {kind}."
    if figures.samples is None:
        yield "No samples were drawn: [judging] samples is 0."
    else:
        yield f"{figures.samples.count:,} samples at temperature {figures.samples.temperature:g}."
    if not figures.same_data_set:
        yield (
            "The stored tweets are not those that this version was made of. It may have learned some of those that it "
            "was judged with, which flatters it."
        )
    yield f"{figures.seconds:.0f} seconds. docs/evaluation.md explains each figure."
