"""What is known of a training: the values that everyone reads, and how a row of the database becomes one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from bot.database import Row
from bot.pictures.curve import Course, Dot
from bot.shelf.manifest import HandleCounts, Metrics, Tracked


class TrainingState(StrEnum):
    """Where a training stands."""

    QUEUED = "queued"  # waits its turn, or was cut off and goes on from its checkpoint
    RUNNING = "running"  # its child process learns
    PUBLISHED = "published"  # its version is in use
    KEPT = "kept"  # its version is on the shelf and not in use; the reason says why
    FAILED = "failed"  # no version came of it; the reason says why
    CANCELLED = "cancelled"  # somebody stopped it

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self not in (TrainingState.QUEUED, TrainingState.RUNNING)


class Stage(StrEnum):
    """What a training that runs is at."""

    BASE = "base"  # the base is made ready, which happens once
    READING = "reading"  # the tweets become a data set
    LEARNING = "learning"
    JUDGING = "judging"  # it has learned; how well is being found out, which takes a minute or two


@dataclass(frozen=True, slots=True)
class TrainingPoint:
    """One measurement while learning; None is what was not measured at this step."""

    step: int  # optimiser steps done
    steps: int  # planned in all; learning may stop before
    loss: float | None = None  # nats per token over the training tweets of the last steps
    held_out_loss: float | None = None  # nats per token on the held-out tweets; at step 0 the base's own
    tokens_per_second: float | None = None  # learned from
    seconds_left: float | None = None  # until the last planned step, evaluations included


class TrainingResult(BaseModel):
    """What came of a training that made a version."""

    model_config = ConfigDict(frozen=True)

    counts: tuple[HandleCounts, ...]  # one for each handle
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Training:
    """A request to learn a persona, and what became of it."""

    id: int
    persona: str
    handles: tuple[str, ...]  # sorted, lower case, no @
    cause: str  # command, discord, web, retraining
    requested_by: str  # an id on its platform, or empty
    state: TrainingState
    created_at: datetime  # UTC, as all times here
    started_at: datetime | None
    finished_at: datetime | None
    version: str | None  # the version that came of it, published or kept
    reason: str | None  # in words: why it was published, kept, or failed
    position: int | None  # while queued: 1 is next
    point: TrainingPoint | None  # the newest figures; None before the first
    result: TrainingResult | None  # once a version came of it
    tracked: Tracked | None = None  # the run that a tracker shows of it
    tracking_remark: str | None = None  # in a sentence: what went wrong with that
    stage: Stage | None = None  # while it runs
    starts_at: datetime | None = None  # while queued: when it will probably begin, to the minute; None: unknown yet

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.state.ended


def training_of(row: Row, position: int | None, point: TrainingPoint | None) -> Training:
    """The row as a value."""
    return Training(
        id=row["id"],
        persona=row["persona"],
        handles=tuple(json.loads(row["handles"])),
        cause=row["cause"],
        requested_by=row["requested_by"],
        state=TrainingState(row["state"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        started_at=_moment(row["started_at"]),
        finished_at=_moment(row["finished_at"]),
        version=row["version"],
        reason=row["reason"],
        position=position,
        point=point,
        result=TrainingResult.model_validate_json(row["result"]) if row["result"] else None,
        tracked=Tracked.model_validate_json(row["tracked"]) if row["tracked"] else None,
        tracking_remark=row["tracking_remark"],
        stage=Stage(row["stage"]) if row["stage"] and row["state"] == TrainingState.RUNNING else None,
    )


def point_of(row: Row) -> TrainingPoint:
    """The row as a value."""
    return TrainingPoint(step=row["step"], **json.loads(row["point"]))


def latest(points: list[TrainingPoint]) -> TrainingPoint | None:
    """The newest point, with figures that it lacks taken from the newest point that has them."""
    if not points:
        return None
    losses = [point.loss for point in points if point.loss is not None]
    held_out = [point.held_out_loss for point in points if point.held_out_loss is not None]
    return replace(
        points[-1],
        loss=losses[-1] if losses else None,
        held_out_loss=held_out[-1] if held_out else None,
    )


def course_of(points: Sequence[TrainingPoint], metrics: Metrics | None) -> Course:
    """The course of a training for its curve; `metrics` are those of the version that came of it, if one did."""
    held_out = [Dot(point.step, point.held_out_loss) for point in points if point.held_out_loss is not None]
    began = next((dot.value for dot in held_out if dot.step == 0), None)  # an adapter that has learned nothing
    return Course(
        loss=[Dot(point.step, point.loss) for point in points if point.loss is not None],
        held_out=held_out,
        steps=points[-1].steps if points else 0,
        base=metrics.base_held_out_loss if metrics else began,
        in_use=metrics.previous_held_out_loss if metrics else None,
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
