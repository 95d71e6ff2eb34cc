"""The command that blends versions into a cyborg."""

from __future__ import annotations

from collections.abc import Sequence

import click

from bot.app.rooms import open_rooms
from bot.cli.terminal import cli, command, json_option, note, out, print_json
from bot.config import Config
from bot.shelf.manifest import Manifest
from bot.training.blends import Order, in_words, parse_parts
from bot.tweets.tweet import normalise_handle


@cli.command()
@click.argument("parts", nargs=-1, required=True, metavar="PERSONA[/VERSION][:WEIGHT]...")
@click.option("--as", "name", required=True, help="The persona's name.")
@click.option("--as-given", is_flag=True, help="Take the weights as they are, and don't make them sum to 1.")
@json_option
@command
async def blend(config: Config, parts: Sequence[str], name: str, as_given: bool, as_json: bool) -> None:
    """Make a cyborg of personas that are there, at once: the weighted sum of their adapters, with nothing trained."""
    order = Order(parse_parts(" ".join(parts)), normalise_handle(name), "command", as_given)
    async with open_rooms(config, examples=True) as rooms:
        manifest = await rooms.blends.blend(order)
    if as_json:
        print_json(_as_json(manifest))
        return
    for line in (
        f"{manifest.persona} {manifest.version} is in use: {manifest.kind} of {manifest.people}.",
        f"Blended of {in_words(manifest)}; rank {manifest.hyperparameters['rank']}. Nothing was trained.",
    ):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    note(f"Next: mockingbird say {manifest.persona}, or mockingbird evaluate {manifest.persona}")


def _as_json(manifest: Manifest) -> dict[str, object]:
    return {
        "persona": manifest.persona,
        "version": manifest.version,
        "kind": manifest.kind,
        "handles": list(manifest.handles),
        "rank": manifest.hyperparameters["rank"],
        "parts": [part.model_dump(include={"persona", "version", "weight"}) for part in manifest.blended_from],
    }
