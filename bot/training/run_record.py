"""`run.json` of a version: all that it takes to repeat the run that made it, and to understand how that went.

It is written before the manifest, whose digests cover it, and so before anybody has decided whether the version is put
in use: that stands in the database, with the reason. It holds figures and digests, no text, no name of the machine and
no path. `models/README.md` explains each key.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.shelf.bases import Base
from bot.shelf.card import hub_name
from bot.shelf.manifest import HandleCounts, HandleSplit, Manifest, Metrics, Tracked
from bot.training.job import Evaluation, Result
from bot.training.record import TrainingPoint

RUN = "run.json"
SCHEMA = 1  # of run.json; goes up when a key changes its meaning or goes, not when one is added

PACKAGES = ("mockingbird", "torch", "transformers", "peft", "tokenizers", "safetensors", "numpy")

# Of a processor's flags those that decide in which order and precision it multiplies: x86-64 and ARM.
_FLAG = re.compile(r"amx|avx|fma|f16c|sse4|asimd|sve|sme|bf16|i8mm|fphp")


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Machine(_Value):
    """What it ran on, in words that name no machine."""

    system: str  # "Linux 6.8.0"
    architecture: str  # "x86_64"
    processor: str  # its model's name; empty where the system does not tell
    flags: tuple[str, ...]  # see `_FLAG`
    cores: int  # that this process may use
    memory_bytes: int


class CurvePoint(_Value):
    """One measurement while learning; None is what was not measured at this step."""

    step: int
    loss: float | None
    held_out_loss: float | None
    tokens_per_second: float | None


class RunRecord(_Value):
    """What stands in `run.json`."""

    record_schema: int = SCHEMA
    persona: str
    version: str
    parent: str | None
    created: datetime  # UTC
    fingerprint: str
    tweets_read_at: datetime  # UTC
    counts: tuple[HandleCounts, ...]
    splits: tuple[HandleSplit, ...]
    consent: dict[str, str]
    base: str  # as people outside know it
    base_sha256: str
    architecture: str  # transformers' name for it
    end_id: int
    seed: int
    hyperparameters: dict[str, Any]
    versions: dict[str, str]  # of Python and of each of `PACKAGES`
    machine: Machine
    curve: tuple[CurvePoint, ...]
    evaluations: tuple[Evaluation, ...]
    metrics: Metrics | None
    ended: str  # finished, no longer better, diverged
    steps: int
    planned_steps: int
    trained_tokens: int
    seconds: float  # of learning and judging
    peak_memory_bytes: int | None
    tracked: Tracked | None


def run_record(manifest: Manifest, base: Base, result: Result, points: Sequence[TrainingPoint]) -> RunRecord:
    """The record of the run that made the version of this manifest, `points` being all that was measured."""
    return RunRecord(
        persona=manifest.persona,
        version=manifest.version,
        parent=manifest.parent,
        created=manifest.created,
        fingerprint=manifest.fingerprint,
        tweets_read_at=manifest.tweets_read_at,
        counts=manifest.counts,
        splits=manifest.splits,
        consent=manifest.consent,
        base=hub_name(manifest.base),
        base_sha256=manifest.base_sha256,
        architecture=base.record.architecture,
        end_id=base.record.end_id,
        seed=manifest.seed,
        hyperparameters=manifest.hyperparameters,
        versions=versions(),
        machine=this_machine(),
        curve=tuple(
            CurvePoint(
                step=point.step,
                loss=point.loss,
                held_out_loss=point.held_out_loss,
                tokens_per_second=point.tokens_per_second,
            )
            for point in points
        ),
        evaluations=result.evaluations,
        metrics=manifest.metrics,
        ended=result.ended,
        steps=result.steps,
        planned_steps=result.planned_steps,
        trained_tokens=result.trained_tokens,
        seconds=result.seconds,
        peak_memory_bytes=result.run.get("peak_memory_bytes"),
        tracked=manifest.tracked,
    )


def versions() -> dict[str, str]:
    """Of Python and of each of `PACKAGES`, which a training's child has as well."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}}


def this_machine() -> Machine:
    """The machine of this process."""
    processor, flags = _processor()
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        architecture=platform.machine(),
        processor=processor,
        flags=flags,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    )


def _processor() -> tuple[str, tuple[str, ...]]:
    """Its model's name and its flags, as far as Linux tells them."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor(), ()
    name = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: (.+)$", text, re.MULTILINE)
    words = flags[1].split() if flags else []
    return name[1].strip() if name else "", tuple(sorted({word for word in words if _FLAG.search(word)}))
