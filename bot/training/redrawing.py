"""The card and the pictures of a version drawn again, as today's templates and fonts make them.

A version is never written to again, so they are for a folder of somebody's choice. What can't be drawn any more, such
as the curve of a training whose rows are gone, is taken over from the version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.errors import DiskFull, UsageError
from bot.shelf.card import CARD, PICTURES, model_card
from bot.shelf.manifest import Manifest
from bot.training.publishing import drawn
from bot.training.record import TrainingPoint, course_of


@dataclass(frozen=True, slots=True)
class Redrawn:
    """File name to content."""

    drawn: Mapping[str, bytes]  # the card among them
    taken_over: Mapping[str, bytes]  # pictures of the version that can't be drawn again


def redrawn(manifest: Manifest, folder: Path, points: Sequence[TrainingPoint]) -> Redrawn:
    """The card and the pictures; `folder` is the version's, `points` are what its training measured, if that is known.

    Blocks for some seconds: call it in a thread.
    """
    pictures = drawn(manifest, course_of(points, manifest.metrics))
    old = {
        name: (folder / name).read_bytes() for name in PICTURES if name not in pictures and (folder / name).is_file()
    }
    card = model_card(manifest, [name for name in PICTURES if name in pictures or name in old])
    return Redrawn({CARD: card.encode(), **pictures}, old)


def write(made: Redrawn, folder: Path, shelf: Path) -> None:
    """All of it into the folder, made if need be; nothing there is replaced. Raises `UsageError`, `DiskFull`."""
    if folder.resolve().is_relative_to(shelf.resolve()):
        raise UsageError(f"{folder} belongs to the shelf, where nothing is ever changed. Name a folder outside of it.")
    files = {**made.drawn, **made.taken_over}
    if there := sorted(name for name in files if (folder / name).exists()):
        raise UsageError(f"{folder} holds {', '.join(there)} already. Name an empty folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise DiskFull(f"Nothing could be written into {folder} ({error.strerror}). Name another folder.") from error
