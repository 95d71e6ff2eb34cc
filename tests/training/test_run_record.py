"""`run.json`: what it takes to repeat a run, and that nothing that was set is missing."""

from __future__ import annotations

import platform
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.config import Training
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import file_sha256
from bot.training.job import Job
from bot.training.publishing import hyperparameters_of
from bot.training.run_record import PACKAGES, RUN, SCHEMA, RunRecord, this_machine
from tests.training.material import settings
from tests.training.test_tracking import POINTS, TWEETS, Place, place, result

__all__ = ["place"]  # the fixture

# Settings that stand elsewhere or decide nothing about what is learned.
NOT_HYPERPARAMETERS = {
    "seed": "has a key of its own in the manifest",
    "min_characters": "decides whether anything is learned, not what",
}

# What a job has beside settings.
NO_SETTINGS = {
    "base": "a folder; which base it is has keys of its own in the manifest",
    "base_name": "likewise",
    "end_id": "of the base; in the record",
    "folder": "a folder",
    "fingerprint": "has a key of its own in the manifest",
    "previous": "a folder; the parent has a key of its own in the manifest",
    "keep_bytes": "whether states are kept or computed again changes no number",
    "report_seconds": "only how often progress is told",
    "seed": "has a key of its own in the manifest",
    **dict.fromkeys(("precision", "device", "parts"), "as it was chosen stands in what the run tells of itself"),
}


def test_every_setting_of_a_training_is_among_its_hyperparameters() -> None:
    """Whoever adds a setting has to let it be recorded, or say here why not."""
    recorded = hyperparameters_of(settings(), result()).keys()
    assert set(Training.model_fields) - recorded - NOT_HYPERPARAMETERS.keys() == set()
    assert NOT_HYPERPARAMETERS.keys() <= set(Training.model_fields)


def test_every_field_of_a_job_is_recorded() -> None:
    """Likewise for what the process is told."""
    recorded = hyperparameters_of(settings(), result()).keys()
    assert set(Job.model_fields) - recorded - NO_SETTINGS.keys() == set()
    assert NO_SETTINGS.keys() <= set(Job.model_fields)


def test_a_version_holds_the_record_of_its_run(place: Place) -> None:
    """With every version, the machine in words, the whole curve and how it ended; its digest is in the manifest."""
    manifest = place.place(None)
    path = place.shelf.path(manifest) / RUN
    record = RunRecord.model_validate_json(path.read_bytes())
    assert manifest.sha256[RUN] == file_sha256(path)
    assert (record.record_schema, record.fingerprint, record.seed) == (SCHEMA, place.data_set.fingerprint, 1)
    assert record.hyperparameters == manifest.hyperparameters
    assert record.versions["python"] == platform.python_version()
    assert record.versions.keys() == {"python", *PACKAGES}
    assert [(point.step, point.loss, point.held_out_loss) for point in record.curve] == [
        (point.step, point.loss, point.held_out_loss) for point in POINTS
    ]
    assert record.evaluations == result().evaluations
    assert (record.ended, record.seconds, record.peak_memory_bytes) == ("finished", 12.5, 123_456_789)
    assert record.machine.cores > 0


def test_a_record_holds_no_text_and_no_path(place: Place) -> None:
    text = (place.shelf.path(place.place(None)) / RUN).read_text(encoding="utf-8")
    assert not [tweet for tweet in TWEETS if tweet in text]
    assert str(place.folder) not in text
    assert str(Path.home()) not in text
    assert f'"{socket.gethostname()}"' not in text


@pytest.mark.skipif(platform.system() != "Linux", reason="elsewhere the system does not tell")
def test_a_machine_is_told_by_what_decides_how_it_computes() -> None:
    machine = this_machine()
    assert machine.system.startswith("Linux ")
    assert machine.architecture == platform.machine()
    assert machine.memory_bytes > 2**28
    assert all(flag == flag.lower() for flag in machine.flags)
    assert {"avx2", "asimd", "sse4_2"} & set(machine.flags)


def test_a_record_that_is_read_again_is_the_same(place: Place) -> None:
    manifest: Manifest = place.place(None)
    record = RunRecord.model_validate_json((place.shelf.path(manifest) / RUN).read_bytes())
    assert RunRecord.model_validate_json(record.model_dump_json()) == record
    assert record.created == datetime(2026, 11, 22, tzinfo=UTC)
