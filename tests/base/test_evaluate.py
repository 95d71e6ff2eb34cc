"""What a base is judged by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from base.evaluate import bits_per_byte, untrained
from base.train import Run
from bot.shelf.bases import Base
from bot.training.prepare import prepare_base
from tests.base.material import TINY, work_folder


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return work_folder(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def base(work: Path) -> Base:
    """What a short training gives, made ready as the service does it; the run's own figures lie beside it."""
    run = Run(work, TINY, 1, "cpu")
    for _ in range(10):
        run.learn()
    run.write_model(work / "model")
    return prepare_base(str(work / "model"), work / "data")


def test_bits_per_byte_are_those_that_the_training_saw(work: Path, base: Base) -> None:
    """Though one counts the bytes of tokens, and the other those of texts."""
    seen = json.loads((work / "model" / "training.json").read_text())["bits_per_byte"]
    judged = bits_per_byte(base, work, threads=1)
    assert seen.keys() == judged.keys()
    for kind, bits in judged.items():
        assert bits == pytest.approx(seen[kind], rel=0.02), kind


def test_random_weights_of_the_same_shape_read_worse(work: Path, base: Base) -> None:
    other = prepare_base(str(untrained(base, work / "untrained")), work / "data")
    trained, random = (bits_per_byte(each, work, threads=1) for each in (base, other))
    assert all(trained[kind] < random[kind] for kind in trained)
