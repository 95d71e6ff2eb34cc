"""The command that puts a model on the shelf that somebody trained elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import click

from bot.app.rooms import open_rooms
from bot.cli.terminal import cli, command, json_option, note, out, print_json
from bot.config import Config
from bot.shelf.card import PREDICTIONS
from bot.shelf.manifest import Manifest
from bot.training.adoptions import Likeness, Order
from bot.tweets.store import Basis
from bot.tweets.tweet import normalise_handle

BASES = click.Choice([basis.value for basis in Basis])


@cli.command()
@click.argument("path_or_hub_id")
@click.option("--as", "name", required=True, help="The persona's name.")
@click.option("--handle", "handles", multiple=True, required=True, help="Whom it imitates; once for each account.")
@click.option("--basis", type=BASES, help="Why these accounts may be imitated, where that is not on record.")
@click.option("--note", "words", help="Where a permission is written; with --basis permission.")
@click.option("--as-adapter", is_flag=True, help="Keep only what distinguishes it from the configured base.")
@click.option("--rank", type=click.IntRange(1, 256), default=32, show_default=True, help="Of the adapter.")
@json_option
@command
async def adopt(
    config: Config,
    path_or_hub_id: str,
    name: str,
    handles: Sequence[str],
    basis: str | None,
    words: str | None,
    as_adapter: bool,
    rank: int,
    as_json: bool,
) -> None:
    """Put a fine-tuned GPT-2 or Llama on the shelf, from a folder or from the hub."""
    order = Order(
        spec=path_or_hub_id,
        name=normalise_handle(name),
        handles=tuple(handles),
        basis=Basis(basis) if basis else None,
        note=words,
        rank=rank if as_adapter else None,
    )
    async with open_rooms(config) as rooms:
        manifest, likeness = await rooms.adoptions.adopt(order, note)
        picture = rooms.shelf.path(manifest) / PREDICTIONS
    if as_json:
        print_json(
            {
                "persona": manifest.persona,
                "version": manifest.version,
                "form": manifest.form,
                "adopted_from": manifest.adopted_from,
                "generation": manifest.own_sampling,
                "metrics": manifest.metrics.model_dump() if manifest.metrics else None,
                "likeness": likeness.model_dump() if likeness else None,
                "picture": str(picture) if picture.is_file() else None,
            }
        )
        return
    _print(manifest, likeness)
    note(f"Next: mockingbird say {manifest.persona}")


def _print(manifest: Manifest, likeness: Likeness | None) -> None:
    what = "a whole model" if manifest.form == "whole" else f"an adapter for {manifest.base}"
    lines = [f"{manifest.persona} {manifest.version} is in use: {manifest.adopted_from}, {what}."]
    if own := manifest.own_sampling:
        settings = ", ".join(f"{name} {value:g}" for name, value in own.items())
        lines.append(f"Unless asked for something else it is sampled as it came: {settings}.")
    if likeness is not None:
        lines += _likeness(likeness)
    if metrics := manifest.metrics:
        lines.append(
            f"On {metrics.held_out_tweets:,} stored tweets, which it may have seen when it was trained: "
            f"{metrics.bits_per_byte:.3f} bits per byte, the base {metrics.base_bits_per_byte:.3f}."
        )
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _likeness(likeness: Likeness) -> list[str]:
    """What became of the model, and what that costs."""
    return [
        f"The adapter of rank {likeness.rank} holds {likeness.held:.1%} of the change in the projections (squared). "
        f"Left out are embeddings, norms and biases, {likeness.left_out:.1%} of the whole change.",
        f"Loss on {likeness.texts:,} {likeness.measured_on}, nats per token: whole {likeness.whole_loss:.3f}, "
        f"adapter {likeness.adapter_loss:.3f}, base {likeness.base_loss:.3f}.",
    ]
