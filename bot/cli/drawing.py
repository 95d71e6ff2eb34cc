"""The command that draws a version's card and pictures again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from bot.app.rooms import open_rooms
from bot.cli.terminal import cli, command, err, json_option, note, out, print_json
from bot.config import Config
from bot.training.redrawing import redrawn, write
from bot.tweets.tweet import normalise_handle


@cli.command()
@click.argument("persona")
@click.option("--version", help="Another one than the version in use.")
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="A new folder.")
@json_option
@command
async def draw(config: Config, persona: str, version: str | None, folder: Path, as_json: bool) -> None:
    """A version's card and pictures drawn again, into a folder: the version itself is never written to."""
    async with open_rooms(config) as rooms:
        name = normalise_handle(persona)
        manifest = rooms.shelf.meant(name, version)
        points = await rooms.trainings.points_of(name, manifest.version)
        with err.status(f"Drawing {name} {manifest.version}"):
            made = await asyncio.to_thread(redrawn, manifest, rooms.shelf.path(manifest), points)
        await asyncio.to_thread(write, made, folder, config.paths.models)
    drawn, taken_over = sorted(made.drawn), sorted(made.taken_over)
    if as_json:
        print_json(
            {
                "persona": name,
                "version": manifest.version,
                "folder": str(folder),
                "drawn": drawn,
                "taken_over": taken_over,
            }
        )
        return
    out.print(f"Drawn into {folder}: {', '.join(drawn)}", markup=False, highlight=False, soft_wrap=True)
    if taken_over:
        note(f"Taken over from {manifest.version}, since they can't be drawn any more: {', '.join(taken_over)}")
