"""The training room's door: the queue of trainings, and the worker that takes them one at a time."""

from __future__ import annotations

from bot.training.record import Training, TrainingPoint, TrainingResult, TrainingState

__all__ = ["Training", "TrainingPoint", "TrainingResult", "TrainingState"]
