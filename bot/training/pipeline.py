"""One training, from the tweets in the store to a version on the shelf: data set, learning, judging, decision.

What was done before a process ended is found again: a version that was placed, by the fingerprint of its data set; a
decision that was taken, by its row.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import structlog

from bot.config import Judging, Model, Retraining
from bot.config import Training as Settings
from bot.errors import BaseUnavailable, DiskFull, JudgingFailed, UnknownPersona, UsageError
from bot.personas.consent import require_basis
from bot.shelf.bases import Base, find_base
from bot.shelf.card import hub_name
from bot.shelf.figures import Figures
from bot.shelf.manifest import HandleCounts, Manifest
from bot.shelf.shelf import Shelf
from bot.training import policy
from bot.training.child import ensure_base
from bot.training.dataset import DataSet, build
from bot.training.decisions import Decision, Decisions, What
from bot.training.evaluation import Candidate, Evaluator
from bot.training.hyperparameters import suited
from bot.training.job import TEXTS, Event, Job, Result, Texts
from bot.training.learning import learn
from bot.training.news import News
from bot.training.publishing import Provenance, put_on_shelf
from bot.training.record import Stage, Training, TrainingPoint, TrainingResult, TrainingState
from bot.training.table import Outcome, TrainingTable
from bot.training.tracking import Sources, Tracking
from bot.tweets.store import TweetStore

_OF_A_JOB = Settings.model_fields.keys() & Job.model_fields.keys()  # settings that the training process is told

Resulting = TypeVar("Resulting")

log = structlog.get_logger(__name__)


class Pipeline:
    """Learns, judges and publishes."""

    def __init__(
        self,
        table: TrainingTable,
        news: News,
        shelf: Shelf,
        store: TweetStore,
        data: Path,
        model: Model,
        settings: Settings,
        retraining: Retraining,
        clock: Callable[[], datetime],
        evaluator: Evaluator | None,
        decisions: Decisions,
    ) -> None:
        """Without `evaluator` nothing is judged beyond its held-out loss. `clock` gives UTC."""
        self._table = table
        self._news = news
        self._shelf = shelf
        self._store = store
        self._data = data
        self._model = model
        self._settings = settings
        self._retraining = retraining
        self._clock = clock
        self._evaluator = evaluator
        self._decisions = decisions

    async def learned(self, training: Training, tracking: Tracking) -> Outcome | None:
        """What came of it; None when its child was stopped."""
        if find_base(self._data, self._model.base) is None:
            await self._enter(training.id, Stage.BASE)
        base = await ensure_base(self._model.base, self._data, lambda stage: log.info(stage, training=training.id))
        await self._enter(training.id, Stage.READING)
        read_at = self._clock()
        await self._store.require_free(training.handles)
        consent = await require_basis(self._store, training.handles)
        counts = [await self._counts(handle) for handle in training.handles]
        kept = {handle: await self._store.kept(handle, training.handles) for handle in training.handles}
        data_set = await asyncio.to_thread(build, kept, suited(self._settings, base.record.spec), base.record.sha256)
        taken = await self._decisions.of_training(training.id)
        if taken is not None and taken.what is not What.UNCHANGED:
            return await self._as_taken(training, taken, tracking, data_set)
        known = await asyncio.to_thread(self._made_of, training.persona, data_set)
        if known is not None:
            if known.created < training.created_at:
                return await self._unchanged(training, known)
            await tracking.open(known.version, known.fingerprint)
            return await self._given(tracking, await self._decided(training, known), known, data_set)
        parent = self._current(training.persona)
        job = await asyncio.to_thread(self._job, training, data_set, base, parent)
        await asyncio.to_thread(_write_texts, job, data_set)
        await self._enter(training.id, Stage.LEARNING)
        result = await learn(job, lambda event: self._measure(training.id, event))
        if result is None:
            return None
        if self._evaluator is not None:
            await self._enter(training.id, Stage.JUDGING)
        figures, unjudged = await self._judged(job, base, data_set)
        provenance = Provenance(
            persona=training.persona,
            parent=parent.version if parent else None,
            run=str(training.id),
            base=base,
            data_set=data_set,
            counts=tuple(counts),
            consent=consent,
            settings=data_set.settings,
            tweets_read_at=read_at,
            figures=figures,
            unjudged=unjudged,
            points=tuple(await self._table.points(training.id)),
        )
        await self._store.require_free(training.handles)  # it took hours, maybe
        tracked = await tracking.open(self._shelf.next_version(training.persona), data_set.fingerprint)
        outcome, manifest = await self._publish(training, job.folder, result, replace(provenance, tracked=tracked))
        return await self._given(tracking, outcome, manifest, data_set)

    async def _given(self, tracking: Tracking, outcome: Outcome, manifest: Manifest, data_set: DataSet) -> Outcome:
        """The outcome, after the tracker got to know what there is to send."""
        sources = None
        if tracking.wants_tweets:
            stored = {handle: await self._store.everything(handle) for handle in manifest.handles}
            raw = {handle: tuple(str(tweet["text"]) for tweet in tweets) for handle, tweets in stored.items()}
            sources = Sources(raw=raw, train=data_set.train, held_out=data_set.held_out)
        in_use = outcome.state is TrainingState.PUBLISHED
        tracking.give(manifest, self._shelf.path(manifest), in_use, sources)
        return outcome

    async def _judged(self, job: Job, base: Base, data_set: DataSet) -> tuple[Figures | None, str | None]:
        """The figures of what was learned, or why there are none; neither where nobody wants them."""
        if self._evaluator is None:
            return None, None
        log.info("a version is judged", run=job.folder.name)
        handles = tuple(split.handle for split in data_set.splits)
        candidate = Candidate(handles, job.folder, job.previous, base, data_set)
        try:
            return await self._evaluator.of_candidate(candidate, job.folder), None
        except (JudgingFailed, BaseUnavailable) as error:
            return None, str(error)

    async def _publish(
        self, training: Training, folder: Path, result: Result, provenance: Provenance
    ) -> tuple[Outcome, Manifest]:
        """The finished run as a version, in use if it is better."""
        placing = asyncio.create_task(
            asyncio.to_thread(put_on_shelf, self._shelf, folder, result, provenance, self._clock()), name="place"
        )
        try:
            manifest = await asyncio.shield(placing)
        except asyncio.CancelledError:  # a thread can't be stopped, and nobody is to be told that nothing is written
            await asyncio.wait([placing])
            raise
        remark = ""
        if result.ended == "diverged":
            remark = f" Learning became unstable after step {result.steps}; its best weights before are taken."
        return await self._decided(training, manifest, remark), manifest

    async def _decided(self, training: Training, manifest: Manifest, remark: str = "") -> Outcome:
        """Put a version in use if it is better; a training that was cut off just before comes here again."""
        limits = self._evaluator.judging if self._evaluator else Judging()
        assert manifest.metrics is not None  # only what was adopted has none
        elsewhere = await asyncio.to_thread(self._elsewhere, manifest)
        decision = policy.publish(manifest.metrics, self._retraining.tolerance, limits, elsewhere)
        figures = TrainingResult(counts=manifest.counts, metrics=manifest.metrics)
        why, by = decision.reason + remark, asked_by(training)
        if not decision.yes:
            await self._decisions.note(manifest, What.KEPT, why, by, training.id)
            return Outcome(TrainingState.KEPT, why, manifest.version, figures)
        await _to_the_end(
            self._decisions.use(manifest.persona, manifest.version, What.USED, why, by, training=training.id)
        )
        return Outcome(TrainingState.PUBLISHED, why, manifest.version, figures)

    async def _as_taken(self, training: Training, taken: Decision, tracking: Tracking, data_set: DataSet) -> Outcome:
        """How a training ended that was cut off after its decision, whatever was decided since."""
        state = TrainingState.PUBLISHED if taken.what is What.USED else TrainingState.KEPT
        try:
            made = self._shelf.version(training.persona, taken.to_version)
        except UsageError:  # deleted since
            return Outcome(state, taken.why, taken.to_version)
        assert made.metrics is not None  # only what was adopted has none
        figures = TrainingResult(counts=made.counts, metrics=made.metrics)
        await tracking.open(made.version, made.fingerprint)
        return await self._given(tracking, Outcome(state, taken.why, made.version, figures), made, data_set)

    async def _enter(self, number: int, stage: Stage) -> None:
        await self._table.enter(number, stage)
        self._news.tell()

    async def _measure(self, number: int, event: Event) -> None:
        if event.event not in ("step", "evaluation"):
            return
        point = TrainingPoint(
            step=event.step,
            steps=event.steps,
            loss=event.loss,
            held_out_loss=event.held_out_loss,
            tokens_per_second=event.tokens_per_second,
            seconds_left=event.seconds_left,
        )
        await self._table.measure(number, point)
        self._news.tell()

    def _made_of(self, persona: str, data_set: DataSet) -> Manifest | None:
        """The persona's newest version, if it was made of the very same data set."""
        try:
            newest = self._shelf.versions(persona)[-1]
        except UnknownPersona:
            return None
        known = newest.fingerprint == data_set.fingerprint and not self._shelf.damaged(newest)
        return newest if known else None

    async def _unchanged(self, training: Training, known: Manifest) -> Outcome:
        current = self._current(known.persona)
        assert known.metrics is not None
        in_use = current is not None and current.version == known.version
        state = TrainingState.PUBLISHED if in_use else TrainingState.KEPT
        place = "in use" if in_use else "on the shelf and not in use"
        reason = f"Nothing changed since {known.version} was made, which is {place}."
        await self._decisions.note(known, What.UNCHANGED, reason, asked_by(training), training.id)
        return Outcome(state, reason, known.version, TrainingResult(counts=known.counts, metrics=known.metrics))

    def _job(self, training: Training, data_set: DataSet, base: Base, current: Manifest | None) -> Job:
        comparable = (
            current is not None
            and (current.form == "whole" or current.base_sha256 == base.record.sha256)
            and not self._shelf.damaged(current)
        )
        return Job(
            base=base.model,
            base_name=hub_name(base.record.spec),
            end_id=base.record.end_id,
            folder=folder_of(self._data, training.id),
            fingerprint=data_set.fingerprint,
            previous=self._shelf.path(current) if current is not None and comparable else None,
            **data_set.settings.model_dump(include=_OF_A_JOB),
        )

    def _elsewhere(self, made: Manifest) -> float | None:
        """Bits per byte of the version in use where it stands on another base, so that losses can't be compared."""
        current = self._current(made.persona)
        if current is None or current.metrics is None or current.form == "whole" or self._shelf.damaged(current):
            return None
        return None if current.base_sha256 == made.base_sha256 else current.metrics.bits_per_byte

    def _current(self, persona: str) -> Manifest | None:
        try:
            return self._shelf.current(persona)
        except UnknownPersona:
            return None

    async def _counts(self, handle: str) -> HandleCounts:
        counts = await self._store.counts(handle)
        return HandleCounts(
            handle=counts.handle,
            downloaded=counts.downloaded,
            retweets=counts.retweets,
            short=counts.short,
            duplicates=counts.duplicates,
            kept=counts.kept,
            quotes=counts.quotes,
            near_duplicates=counts.near_duplicates,
        )


def folder_of(data: Path, number: int) -> Path:
    """Where a training has what it goes on from, the tweets among it."""
    return data / "trainings" / str(number)


def asked_by(training: Training) -> str:
    """Who wanted it: `command`, `retraining`, or the platform with an id on it."""
    return f"{training.cause}:{training.requested_by}" if training.requested_by else training.cause


def _write_texts(job: Job, data_set: DataSet) -> None:
    """The data set where the child looks for it."""
    accounts = tuple(split.train for split in data_set.splits)
    texts = Texts(
        train=data_set.train,
        held_out=data_set.held_out,
        accounts=accounts,
        prompts=data_set.prompts,
        held_out_prompts=data_set.held_out_prompts,
    )
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        (job.folder / TEXTS).write_text(texts.model_dump_json(), encoding="utf-8")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull("The disk is full, so nothing was learned. Free some space and train again.") from error


async def _to_the_end(work: Coroutine[None, None, Resulting]) -> Resulting:
    """What the work comes to; whoever is cancelled meanwhile is so in vain."""
    task = asyncio.create_task(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()
