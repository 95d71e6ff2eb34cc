"""The worker: takes trainings from the queue, one at a time, and sees each to its end.

It holds a lock that dies with its process, so that of a service and a command line on the same data only one works.
What it was working on when it died waits again, and goes on from the checkpoint in `data/trainings/<id>/`. Tweets are
written into that folder only, for the child to read, and are gone with it when the training has ended.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import structlog
from filelock import AsyncFileLock, FileLock, Timeout

from bot.errors import DiskFull, MockingbirdError
from bot.shelf.shelf import Shelf
from bot.training.decisions import Decisions
from bot.training.evaluation import Evaluator
from bot.training.news import POLL_S, News
from bot.training.pipeline import Pipeline, asked_by, folder_of
from bot.training.record import Training, TrainingState
from bot.training.table import Outcome, TrainingTable
from bot.training.tracking import Trackers, Tracking

LOCK = "trainings.lock"  # in the data folder

DISK_PAUSE_S = 60.0  # before another try when even the database can't be written

log = structlog.get_logger(__name__)


class Worker:
    """Learns what the queue holds."""

    def __init__(
        self,
        table: TrainingTable,
        news: News,
        pipeline: Pipeline,
        shelf: Shelf,
        data: Path,
        evaluator: Evaluator | None,
        trackers: Trackers,
        decisions: Decisions,
        keep_versions: int,
    ) -> None:
        self._table = table
        self._news = news
        self._pipeline = pipeline
        self._shelf = shelf
        self._data = data
        self._evaluator = evaluator
        self._trackers = trackers
        self._decisions = decisions
        self._keep_versions = keep_versions

    async def run(self) -> None:
        """Take trainings from the queue until cancelled; the one under way then waits for the next start."""
        async with self._alone():
            await self._sweep()
            while True:
                latest = self._news.latest()
                try:
                    training = await self._table.take()
                    if training is None:
                        await self._news.after(latest)
                    else:
                        await self._work_on(training)
                except DiskFull as error:  # not even a row could be written
                    log.error("trainings pause", reason=str(error))
                    await asyncio.sleep(DISK_PAUSE_S)

    def nobody_works(self) -> bool:
        """Whether no process has a worker now."""
        try:
            with FileLock(self._data / LOCK).acquire(blocking=False):
                return True
        except Timeout:
            return False

    def remove_folder(self, number: int) -> bool:
        """Delete what a training that has ended left to go on from, the tweets among it; whether that is gone."""
        shutil.rmtree(folder_of(self._data, number), ignore_errors=True)
        return not folder_of(self._data, number).exists()

    async def _work_on(self, training: Training) -> None:
        """From a row that runs to one that has ended, or that waits again."""
        log.info("training starts", training=training.id, persona=training.persona)
        self._news.tell()
        async with self._trackers.tracking(training.persona, training.id) as tracking:
            try:
                outcome = await self._outcome(training, tracking)
                await self._note(training.id, tracking)
                await self._prune(training, outcome)  # first: whoever sees that it ended may stop this worker
                await self._close(training.id, outcome)
            except asyncio.CancelledError:
                await asyncio.shield(self._close(training.id, None))
                raise
            if outcome is not None:
                await tracking.send()  # last: the version speaks already, however slow the tracker is
                await self._note(training.id, tracking)

    async def _note(self, number: int, tracking: Tracking) -> None:
        """Write down where the training is tracked, or why it is not."""
        if tracking.tracked is not None or tracking.remark is not None:
            await self._table.track(number, tracking.tracked, tracking.remark)
            self._news.tell()

    async def _close(self, number: int, outcome: Outcome | None) -> None:
        """Write down how it ended; without an outcome it waits again, unless it was cancelled."""
        if outcome is None:
            await self._table.put_back(number)
        else:
            self.remove_folder(number)  # first: whoever sees that it ended finds no copy of the tweets any more
            await self._table.finish(number, outcome)
        stands = await self._table.training(number)
        if stands is None or stands.ended:
            self.remove_folder(number)
        await self._table.let_go(number)
        if stands is None:
            return
        log.info("training left", training=number, persona=stands.persona, state=str(stands.state))
        self._news.tell()

    async def _outcome(self, training: Training, tracking: Tracking) -> Outcome | None:
        """How it ended; None when it was stopped before."""
        learning = asyncio.create_task(self._pipeline.learned(training, tracking), name=f"training {training.id}")
        watching = asyncio.create_task(self._until_cancelled(training.id), name=f"end of training {training.id}")
        try:
            try:
                await asyncio.wait({learning, watching}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _ended(learning, watching)
            return None if learning.cancelled() else learning.result()  # a decision that was being taken is taken
        except MockingbirdError as error:
            return Outcome(TrainingState.FAILED, str(error))
        except Exception as error:  # the edge of a worker: one training that breaks must not end all others
            log.exception("training broke", training=training.id, persona=training.persona)
            return Outcome(TrainingState.FAILED, f"It broke off with an error of ours, {type(error).__name__}.")

    async def _prune(self, training: Training, outcome: Outcome | None) -> None:
        """Delete the versions that are no longer kept, once another one is in use and nobody judges one of them."""
        if outcome is None or outcome.state is not TrainingState.PUBLISHED or not self._keep_versions:
            return
        try:
            if self._evaluator is not None:
                async with self._evaluator.alone():
                    pruned = await self._decisions.prune(training.persona, self._keep_versions, asked_by(training))
            else:
                pruned = await self._decisions.prune(training.persona, self._keep_versions, asked_by(training))
        except MockingbirdError as error:  # a version too many harms nobody
            log.warning("versions not pruned", persona=training.persona, reason=str(error))
            return
        if pruned:
            log.info("versions pruned", persona=training.persona, versions=pruned)

    async def _until_cancelled(self, number: int) -> None:
        """Return when that training no longer runs by its row, whoever changed it."""
        while True:
            latest = self._news.latest()
            training = await self._table.training(number)
            if training is None or training.state is not TrainingState.RUNNING:
                return
            await self._news.after(latest)

    # --- The lock and the folders ---

    def _alone(self) -> AsyncFileLock:
        """Waits until no other process works on this data, and keeps others from it while the body runs."""
        return AsyncFileLock(self._data / LOCK, poll_interval=POLL_S, run_in_executor=False)

    async def _sweep(self) -> None:
        """Remove what dead workers left behind and nobody needs to go on from."""
        self._shelf.sweep()
        await self._decisions.mend()
        if self._evaluator is not None:
            self._evaluator.sweep()
        self._trackers.sweep()
        await self._table.let_go()
        active = {str(training.id) for training in await self._table.active()}
        for folder in (self._data / "trainings").glob("*"):
            if folder.name not in active:
                shutil.rmtree(folder, ignore_errors=True)


async def _ended(*tasks: asyncio.Task[object]) -> None:
    """Cancel the tasks and wait until they are gone."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
