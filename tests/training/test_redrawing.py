"""A version's card and pictures drawn again, beside a version that stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.database import Database
from bot.errors import UsageError
from bot.pictures.drawing import PNG
from bot.shelf.card import CURVE, PICTURES, PIPELINE, PREDICTIONS
from bot.shelf.shelf import Shelf, file_sha256
from bot.training.record import TrainingPoint, TrainingState
from bot.training.redrawing import redrawn, write
from bot.training.table import Outcome, TrainingTable
from tests.fakes import FakeClock
from tests.shelves import shelf_with, with_pictures


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = shelf_with(tmp_path / "models", "nell")
    with_pictures(shelf, "nell", "v2")
    return shelf


async def test_the_points_of_a_version_are_those_of_the_training_that_made_it(
    database: Database, clock: FakeClock
) -> None:
    """Not those of one that found that nothing had changed."""
    table = TrainingTable(database, clock)
    for loss in (4.0, None, 3.0):
        number = await table.add("nell", ["nell"], "command", "")
        if loss is not None:
            await table.measure(number, TrainingPoint(step=1, steps=2, loss=loss))
        await table.finish(number, Outcome(TrainingState.PUBLISHED, "", "v1" if loss != 3.0 else "v2"))
    assert [point.loss for point in await table.points_of("nell", "v1")] == [4.0]
    assert [point.loss for point in await table.points_of("nell", "v2")] == [3.0]
    assert await table.points_of("nell", "v3") == []
    assert await table.points_of("otis", "v1") == []


def test_everything_is_drawn_from_the_manifest_and_the_rows(shelf: Shelf, tmp_path: Path) -> None:
    manifest = shelf.version("nell", "v2")
    before = {path: file_sha256(path) for path in shelf.path(manifest).iterdir()}
    points = [TrainingPoint(step=0, steps=9, held_out_loss=3.9), TrainingPoint(step=9, steps=9, held_out_loss=3.1)]
    made = redrawn(manifest, shelf.path(manifest), points)
    write(made, tmp_path / "again", tmp_path / "models")
    assert set(made.drawn) == {"README.md", *PICTURES}
    assert all((tmp_path / "again" / name).read_bytes().startswith(PNG) for name in PICTURES)
    card = (tmp_path / "again" / "README.md").read_text(encoding="utf-8")
    assert all(f"({name})" in card for name in PICTURES)
    assert {path: file_sha256(path) for path in shelf.path(manifest).iterdir()} == before


def test_a_curve_whose_rows_are_gone_is_taken_over(shelf: Shelf) -> None:
    manifest = shelf.version("nell", "v2")
    made = redrawn(manifest, shelf.path(manifest), [])
    assert set(made.drawn) == {"README.md", PIPELINE, PREDICTIONS}
    assert made.taken_over == {CURVE: (shelf.path(manifest) / CURVE).read_bytes()}
    assert b"(curve.png)" in made.drawn["README.md"]


def test_of_a_version_without_pictures_those_are_drawn_that_can_be(shelf: Shelf) -> None:
    manifest = shelf.version("nell", "v1")
    made = redrawn(manifest, shelf.path(manifest), [])
    assert (set(made.drawn), dict(made.taken_over)) == ({"README.md", PIPELINE}, {})
    assert b"curve.png" not in made.drawn["README.md"]


def test_nothing_is_replaced_and_the_shelf_is_left_alone(shelf: Shelf, tmp_path: Path) -> None:
    manifest = shelf.version("nell", "v2")
    made = redrawn(manifest, shelf.path(manifest), [])
    with pytest.raises(UsageError, match="belongs to the shelf"):
        write(made, shelf.path(manifest) / "pictures", tmp_path / "models")
    mine = tmp_path / "README.md"
    mine.write_text("my own")
    with pytest.raises(UsageError, match=r"holds README\.md already"):
        write(made, tmp_path, tmp_path / "models")
    assert mine.read_text() == "my own"
    assert not (tmp_path / PIPELINE).exists()
