"""Weights & Biases: a run of the training with config, metrics over steps, predictions and artifacts.

Lineage there is runs between artifacts, so there are two in a group: one of the type `prepare` uses the raw tweets and
logs the data set, one of the type `train` uses the data set and logs the model. All that the library would tell of this
machine by itself (host, user, arguments, git, installed packages, console) is switched off. What can't be: its list of
an artifact's files says where they lay here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import wandb

from bot.shelf.manifest import Tracked
from bot.training.tracking import Order
from bot.training.tracking_lineage import Lineage

PREPARE, TRAIN = "prepare", "train"


class WandbRun:
    """The run of the training, open."""

    def __init__(self, order: Order, settings: wandb.Settings, run: Any) -> None:
        self._order = order
        self._settings = settings
        self._run = run

    @property
    def tracked(self) -> Tracked:
        """Its page is told by the service; offline there is none."""
        return Tracked(service="wandb", run=self._order.run, url=None if self._offline else self._run.url)

    def send(self, shown: Lineage) -> None:
        """Config, history, summary, predictions; and raw tweets, data set and model as artifacts."""
        self._prepare(shown)
        run = self._run
        run.config.update(shown.config, allow_val_change=True)
        self._use(run, self._artifact(shown, "data set", "dataset", shown.data_set))
        for step, figures in shown.history:
            run.log(figures, step=step)
        run.log({"predictions": wandb.Table(columns=["prompt", "text"], data=shown.predictions)})
        run.summary.update(shown.summary)
        run.log_artifact(self._artifact(shown, "model", "model", shown.model), aliases=["latest", *shown.aliases])
        run.finish()
        if not self._offline:
            shutil.rmtree(home(self._order), ignore_errors=True)  # all of it is at the service

    def _prepare(self, shown: Lineage) -> None:
        """The run that stands between the raw tweets and the data set."""
        order = self._order
        run = wandb.init(
            project=order.project,
            id=f"{order.run}-data",
            name=f"{order.persona} {order.version}, data set",
            group=order.run,
            job_type=PREPARE,
            resume="allow",
            settings=self._settings,
        )
        self._use(run, self._artifact(shown, "raw", "raw", shown.raw))
        run.log_artifact(self._artifact(shown, "data set", "dataset", shown.data_set))
        run.finish()

    def _artifact(self, shown: Lineage, part: str, kind: str, folder: Path) -> wandb.Artifact:
        artifact = wandb.Artifact(shown.name(part), kind, metadata=shown.metadata(part))
        # What is on the shelf never changes, but may be pruned before an offline run is sent.
        copied = self._offline or folder != shown.model
        artifact.add_dir(str(folder), policy="mutable" if copied else "immutable")
        return artifact

    def _use(self, run: Any, artifact: wandb.Artifact) -> None:
        """Log it as what the run was made from.

        `use_artifact` does the same for a new artifact and then waits for the service, for which reason it refuses
        offline; there the log of the run has to say it, and `wandb sync` reads it.
        """
        if self._offline:
            run._log_artifact(artifact, is_user_created=True, use_after_commit=True)
        else:
            run.use_artifact(artifact)

    @property
    def _offline(self) -> bool:
        return self._order.mode == "offline"


@contextmanager
def opened(order: Order) -> Iterator[WandbRun]:
    """The run, as the service knows it now."""
    folder = home(order)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):  # else it writes into the home directory
        os.environ[name] = str(folder)
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    settings = wandb.Settings(
        mode=order.mode,
        root_dir=str(folder),
        reinit="create_new",
        host="mockingbird",
        program="",
        console="off",
        silent=True,
        save_code=False,
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
    )
    run = wandb.init(
        project=order.project,
        id=order.run,
        name=f"{order.persona} {order.version}",
        group=order.run,
        job_type=TRAIN,
        resume="allow",
        settings=settings,
    )
    try:
        yield WandbRun(order, settings, run)
    except BaseException:
        run.finish(exit_code=1)
        raise


def home(order: Order) -> Path:
    """Where it keeps what is not sent yet."""
    return order.folder / "wandb"
