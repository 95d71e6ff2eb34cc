"""What any tracker is shown of a version: raw tweets, the data set, the model, and their figures.

Of tweets and data set that is numbers and digests, and only where the operator wants it so the texts.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.shelf.manifest import Manifest
from bot.training.run_record import RUN, RunRecord
from bot.training.tracking import SOURCES, Material, Sources

Figure = float | int


@dataclass(frozen=True, slots=True)
class Lineage:
    """The three artifacts of a version, each made from the one before, as folders."""

    manifest: Manifest
    record: RunRecord
    raw: Path
    data_set: Path
    model: Path
    aliases: tuple[str, ...]  # of the model, besides the one that says that it is the latest

    @property
    def config(self) -> dict[str, Any]:
        """Everything about the run that is no measurement."""
        return self.record.model_dump(mode="json", exclude={"curve", "evaluations", "metrics", "tracked"})

    @property
    def history(self) -> list[tuple[int, dict[str, Figure]]]:
        """What was measured, by step."""
        bits = {evaluation.step: evaluation.bits_per_byte for evaluation in self.record.evaluations}
        measured = {point.step: point.model_dump(exclude={"step"}, exclude_none=True) for point in self.record.curve}
        steps = sorted(measured.keys() | bits.keys())
        rows = [(step, measured.get(step, {}) | _if_known("bits_per_byte", bits.get(step))) for step in steps]
        return [(step, figures) for step, figures in rows if figures]

    @property
    def summary(self) -> dict[str, Any]:
        """The figures of the version, and what the run cost."""
        figures = self.record.metrics.model_dump(mode="json", exclude_none=True) if self.record.metrics else {}
        cost = self.record.model_dump(include={"ended", "steps", "trained_tokens", "seconds", "peak_memory_bytes"})
        return {**figures, **cost}

    @property
    def predictions(self) -> list[list[str]]:
        """Rows of prompt and text; all of it was made up."""
        return [[each.prompt, each.text] for each in self.manifest.predictions]

    def name(self, part: str) -> str:
        """What an artifact is called; all versions of a persona share it."""
        return {"raw": f"{self.manifest.persona}-tweets", "data set": f"{self.manifest.persona}-data-set"}.get(
            part, self.manifest.persona
        )

    def metadata(self, part: str) -> dict[str, Any]:
        """A few facts beside an artifact."""
        manifest = self.manifest
        facts: dict[str, dict[str, Any]] = {
            "raw": {"accounts": list(manifest.handles), "kept": sum(each.kept for each in manifest.counts)},
            "data set": {"fingerprint": manifest.fingerprint},
            "model": {"version": manifest.version, "base": self.record.base, "form": manifest.form},
        }
        return facts[part]


@contextmanager
def lineage(material: Material, folder: Path) -> Iterator[Lineage]:
    """The artifacts while the body runs; those that are not on the shelf are written below `folder` for so long."""
    manifest = Manifest.model_validate_json((material.version / "manifest.json").read_bytes())
    record = RunRecord.model_validate_json((material.version / RUN).read_bytes())
    raw, data_set = folder / SOURCES / "raw", folder / SOURCES / "data-set"
    shutil.rmtree(folder / SOURCES, ignore_errors=True)  # one that was killed may have left tweets
    try:
        for each in (raw, data_set):
            each.mkdir(parents=True)
        _write_facts(raw / "tweets.json", record, {"counts", "consent", "tweets_read_at"})
        _write_facts(data_set / "data-set.json", record, {"fingerprint", "splits", "base_sha256"})
        if material.sources is not None:
            _write_texts(raw, data_set, material.sources)
        yield Lineage(manifest, record, raw, data_set, material.version, _aliases(manifest, material.in_use))
    finally:
        shutil.rmtree(folder / SOURCES, ignore_errors=True)


def _aliases(manifest: Manifest, in_use: bool) -> tuple[str, ...]:
    """Trackers count an artifact's versions themselves and keep names such as v3 for that."""
    return (f"version-{manifest.number}", *(["in-use"] if in_use else []))


def _write_facts(path: Path, record: RunRecord, which: set[str]) -> None:
    path.write_text(record.model_dump_json(indent=1, include=which) + "\n", encoding="utf-8")


def _write_texts(raw: Path, data_set: Path, sources: Sources) -> None:
    for handle, texts in sources.raw.items():
        _write_lines(raw / f"{re.sub(r'[^a-z0-9_-]', '_', handle)}.jsonl", texts)
    _write_lines(data_set / "train.jsonl", sources.train)
    _write_lines(data_set / "held-out.jsonl", sources.held_out)


def _write_lines(path: Path, texts: Iterable[str]) -> None:
    path.write_text("".join(json.dumps(text, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")


def _if_known(name: str, figure: Figure | None) -> dict[str, Figure]:
    return {} if figure is None else {name: figure}
