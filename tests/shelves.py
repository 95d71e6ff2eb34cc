"""Versions on a shelf without a training: manifests with plausible figures and no weights."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bot.pictures.curve import Course, Dot
from bot.shelf.blending import Adapter, write_adapter
from bot.shelf.forms import TOKENIZER, WEIGHTS, files_of
from bot.shelf.manifest import HandleCounts, Manifest, Metrics, Prediction
from bot.shelf.shelf import Shelf, file_sha256
from bot.training.publishing import drawn


def manifest(persona: str, version: str = "v1", base_sha256: str = "0" * 64) -> Manifest:
    """A version of a persona of one handle of the same name."""
    counts = HandleCounts(handle=persona, downloaded=300, retweets=20, short=5, duplicates=2, kept=273)
    metrics = Metrics(
        held_out_tweets=27, held_out_loss=3.1, base_held_out_loss=3.9, bits_per_byte=1.2, base_bits_per_byte=1.5
    )
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    return Manifest(
        persona=persona,
        version=version,
        parent=None,
        handles=(persona,),
        base="tiny",
        base_sha256=base_sha256,
        fingerprint="f" * 64,
        tweets_read_at=moment,
        created=moment,
        code_version="0.1.0",
        seed=1,
        counts=(counts,),
        hyperparameters={"rank": 4},
        metrics=metrics,
        sha256={},
    )


def metrics_of(version: Manifest) -> Metrics:
    """Its metrics; only a version that was adopted may have none."""
    assert version.metrics is not None
    return version.metrics


def with_pictures(shelf: Shelf, persona: str, version: str) -> Manifest:
    """One more version of that persona on the shelf, with a thing that it said and with drawn pictures; in use."""
    said = Prediction(prompt="My dream is", text="My dream is a lamp that sings 🎶.")
    placed = manifest(persona, version).model_copy(update={"predictions": (said,)})
    staging = shelf.staging(persona, "2")
    course = Course([Dot(1, 3.8), Dot(50, 3.2)], [Dot(0, 3.9), Dot(50, 3.1)], 50, base=3.9)
    for name, picture in drawn(placed, course).items():
        (staging / name).write_bytes(picture)
    shelf.place(staging, placed)
    return shelf.use(persona, version)


def shelf_with(folder: Path, *personas: str) -> Shelf:
    """A shelf in `folder` on which each persona has a version v1 in use."""
    shelf = Shelf(folder)
    for persona in personas:
        shelf.place(shelf.staging(persona, "1"), manifest(persona))
        shelf.use(persona, "v1")
    return shelf


def adapter_version(shelf: Shelf, persona: str, seed: int = 1, rank: int = 2, **changes: object) -> Manifest:
    """A version v1 in use with an adapter of random weights beside one projection, and somebody's tokenizer."""
    numbers = np.random.default_rng(seed)
    shapes = {"A": (rank, 6), "B": (4, rank)}
    tensors = {
        f"base_model.model.x.lora_{kind}.weight": numbers.normal(size=shape).astype(np.float16)
        for kind, shape in shapes.items()
    }
    version = str(changes.get("version", "v1"))
    staging = shelf.staging(persona, "1")
    write_adapter(Adapter(tensors, {"r": rank, "lora_alpha": 2 * rank, "target_modules": ["x"]}), staging)
    (staging / TOKENIZER).write_text("{}", encoding="utf-8")
    digests = {path.name: file_sha256(path) for path in staging.iterdir()}
    shelf.place(staging, manifest(persona, version).model_copy(update={"sha256": digests, **changes}))
    return shelf.use(persona, version)


def whole_version(shelf: Shelf, persona: str, model: Path, **changes: object) -> Manifest:
    """A version v1 in use that is a whole model, its files those of the transformers folder `model`."""
    staging = shelf.staging(persona, "1")
    for name in (*files_of("whole"), TOKENIZER):
        shutil.copyfile(model / name, staging / name)
    weights = {WEIGHTS: file_sha256(staging / WEIGHTS)}
    placed = manifest(persona).model_copy(update={"form": "whole", "sha256": weights, **changes})
    shelf.place(staging, placed)
    return shelf.use(persona, "v1")
