"""From the files of a finished run to an immutable version on the shelf."""

from __future__ import annotations

import importlib.metadata
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from bot.config import Training
from bot.errors import DiskFull
from bot.pictures import curve, pipeline, predictions
from bot.pictures.curve import Course
from bot.pictures.drawing import draw
from bot.shelf.bases import Base
from bot.shelf.card import CARD, CURVE, PIPELINE, PREDICTIONS, model_card
from bot.shelf.figures import Figures
from bot.shelf.forms import TOKENIZER, files_of, form_of
from bot.shelf.manifest import HandleCounts, Manifest, Metrics, Tracked
from bot.shelf.shelf import Shelf, file_sha256
from bot.training.dataset import DataSet
from bot.training.ingredients import splits_of
from bot.training.job import Result
from bot.training.record import TrainingPoint, course_of
from bot.training.run_record import RUN, RunRecord, run_record


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a version came from."""

    persona: str
    parent: str | None  # the version that was in use
    run: str  # what names the run among others
    base: Base
    data_set: DataSet
    counts: tuple[HandleCounts, ...]
    consent: dict[str, str]  # account -> why it may be learned
    settings: Training
    tweets_read_at: datetime  # UTC
    figures: Figures | None = None  # everything that it is judged by beside its loss
    unjudged: str | None = None  # why there are none although they were wanted
    points: tuple[TrainingPoint, ...] = ()  # what was measured while it learned
    tracked: Tracked | None = None  # the run that a tracker shows of it


def metrics_of(result: Result, provenance: Provenance) -> Metrics:
    """The figures by which the version is judged."""
    return Metrics(
        held_out_tweets=result.held_out_tweets,
        held_out_loss=result.best.loss,
        base_held_out_loss=result.base.loss,
        bits_per_byte=result.best.bits_per_byte,
        base_bits_per_byte=result.base.bits_per_byte,
        previous_held_out_loss=result.previous.loss if result.previous else None,
        figures=provenance.figures,
        unjudged=provenance.unjudged,
        answering=result.answering,
    )


def hyperparameters_of(settings: Training, result: Result) -> dict[str, Any]:
    """What was set, and what came of it in steps, seconds and bytes."""
    return {
        **settings.model_dump(mode="json", exclude={"seed", "threads", "min_characters"}),
        "optimizer": "AdamW",
        "schedule": "warm-up, then cosine to zero",
        "steps": result.steps,
        "planned_steps": result.planned_steps,
        "best_step": result.best.step,
        "ended": result.ended,
        "seconds": round(result.seconds, 1),
        "tokens_per_second": round(result.trained_tokens / max(result.seconds, 0.1)),
        **result.run,
    }


def put_on_shelf(shelf: Shelf, finished: Path, result: Result, provenance: Provenance, now: datetime) -> Manifest:
    """What the run's folder holds, an adapter or a whole model, as the persona's next version, not yet in use.

    Raises `DiskFull`.
    """
    with shelf.placing():
        manifest = _manifest(shelf, result, provenance, now).model_copy(update={"form": form_of(finished)})
        course = course_of(provenance.points, manifest.metrics)
        record = run_record(manifest, provenance.base, result, provenance.points)
        return placed(shelf, finished, provenance.base.model / TOKENIZER, manifest, course, provenance.run, record)


def placed(
    shelf: Shelf,
    finished: Path,
    tokenizer: Path,
    manifest: Manifest,
    course: Course,
    run: str,
    record: RunRecord | None = None,
) -> Manifest:
    """The version that `manifest` describes, on the shelf with its card and pictures, not yet in use.

    Whoever calls it is `placing`. Its files are copied from `finished`; `run` names its staging folder; `record` is
    that of the run, if it was learned here. Raises `DiskFull`.
    """
    pictures = drawn(manifest, course)
    card = model_card(manifest, pictures)
    try:
        staging = shelf.staging(manifest.persona, run)
        for name in files_of(manifest.form):
            shutil.copyfile(finished / name, staging / name)
        shutil.copyfile(tokenizer, staging / TOKENIZER)
        for name, picture in pictures.items():
            (staging / name).write_bytes(picture)
        (staging / CARD).write_text(card, encoding="utf-8")
        if record is not None:
            (staging / RUN).write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
        digests = {path.name: file_sha256(path) for path in sorted(staging.iterdir())}
    except OSError as error:
        raise DiskFull(
            f"The new version of {manifest.persona} could not be written ({error.strerror}). "
            "Free some space and try again; the version in use is untouched."
        ) from error
    manifest = manifest.model_copy(update={"sha256": digests})
    shelf.place(staging, manifest)
    return manifest


def drawn(manifest: Manifest, course: Course) -> dict[str, bytes]:
    """File name to picture, as far as it can be drawn: no version fails for want of one."""
    found = {}
    if manifest.metrics is not None and manifest.adopted_from is None:  # how an adopted one was learned nobody knows
        found[PIPELINE] = draw("pipeline", pipeline.scene(manifest, manifest.metrics))
    if manifest.predictions:
        found[PREDICTIONS] = draw("predictions", predictions.scene(manifest, manifest.predictions[0]))
    learned = curve.scene(manifest.persona, manifest.version, course)
    if learned is not None:
        found[CURVE] = draw("curve", learned)
    return {name: picture for name, picture in found.items() if picture is not None}


def _manifest(shelf: Shelf, result: Result, provenance: Provenance, now: datetime) -> Manifest:
    return Manifest(
        persona=provenance.persona,
        version=shelf.next_version(provenance.persona),
        parent=provenance.parent,
        handles=tuple(split.handle for split in provenance.data_set.splits),
        base=provenance.base.record.spec,
        base_sha256=provenance.base.record.sha256,
        fingerprint=provenance.data_set.fingerprint,
        tweets_read_at=provenance.tweets_read_at,
        created=now,
        code_version=importlib.metadata.version("mockingbird"),
        seed=provenance.settings.seed,
        counts=provenance.counts,
        splits=splits_of(provenance.data_set, _tokenizer(provenance.base), provenance.settings.balance),
        consent=provenance.consent,
        hyperparameters=hyperparameters_of(provenance.settings, result),
        metrics=metrics_of(result, provenance),
        answers=provenance.data_set.answers,
        languages=result.languages,
        predictions=result.predictions,
        tracked=provenance.tracked,
        sha256={},
    )


def _tokenizer(base: Base) -> Tokenizer | None:
    path = base.model / TOKENIZER
    return Tokenizer.from_file(str(path)) if path.is_file() else None
