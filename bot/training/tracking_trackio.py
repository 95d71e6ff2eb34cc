"""trackio: a tracker in files on this machine, which `trackio show` shows. One folder for each persona.

Its lineage is runs between artifacts, so there are three in a group: one logs the raw tweets, one uses them and logs
the data set, and the run of the training uses that and logs the model. Nothing leaves the machine: `trackio sync` is up
to the operator.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from bot.shelf.manifest import Tracked
from bot.training.tracking import Order
from bot.training.tracking_lineage import Lineage


class TrackioRun:
    """The run of the training; trackio writes it down with its first figures."""

    def __init__(self, order: Order, trackio: ModuleType) -> None:
        self._order = order
        self._trackio = trackio

    @property
    def tracked(self) -> Tracked:
        """It has no page until somebody shows it."""
        return Tracked(service="trackio", run=self._name)

    def send(self, shown: Lineage) -> None:
        """Config, history, figures, predictions; and raw tweets, data set and model as artifacts."""
        trackio = self._trackio
        self._start(f"{self._name}, tweets", shown.metadata("raw"))
        trackio.log_artifact(self._artifact(shown, "raw", "raw", shown.raw))
        trackio.finish()

        self._start(f"{self._name}, data set", shown.metadata("data set"))
        trackio.use_artifact(shown.name("raw"))
        trackio.log_artifact(self._artifact(shown, "data set", "dataset", shown.data_set))
        trackio.finish()

        self._start(self._name, {**shown.config, "figures": shown.summary})
        trackio.use_artifact(shown.name("data set"))
        for step, figures in shown.history:
            trackio.log(figures, step=step)
        table = trackio.Table(columns=["prompt", "text"], data=shown.predictions)
        trackio.log({"predictions": table}, step=shown.record.steps)
        trackio.log_artifact(self._artifact(shown, "model", "model", shown.model), aliases=list(shown.aliases))
        trackio.finish()

    def _start(self, name: str, config: dict[str, Any]) -> None:
        self._trackio.init(
            project=self._order.project,
            name=name,
            group=self._order.run,
            config=config,
            resume="allow",
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )

    def _artifact(self, shown: Lineage, part: str, kind: str, folder: Path) -> Any:
        artifact = self._trackio.Artifact(shown.name(part), kind, metadata=shown.metadata(part))
        artifact.add_dir(folder)
        return artifact

    @property
    def _name(self) -> str:
        return f"{self._order.persona} {self._order.version}"


@contextmanager
def opened(order: Order) -> Iterator[TrackioRun]:
    """The run, in the persona's folder."""
    os.environ["TRACKIO_DIR"] = str(order.folder / "trackio")
    import trackio  # it looks up its folder while it is imported

    yield TrackioRun(order, trackio)
