"""What this front end asks of the training room; `bot.training.trainings.Trainings` in the service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from bot.training.policy import Outlook
from bot.training.trainings import Training, TrainingPoint


class Learning(Protocol):
    """The queue of trainings and what became of them."""

    async def request(self, handles: Sequence[str], name: str | None, cause: str, requested_by: str) -> Training:
        """Put a training in line."""

    async def training(self, number: int) -> Training:
        """That training as it stands."""

    async def recent(self, limit: int) -> list[Training]:
        """The newest trainings, the newest first."""

    async def points(self, number: int) -> list[TrainingPoint]:
        """Everything measured so far, by step."""

    def watch(self, number: int) -> AsyncIterator[Training]:
        """That training whenever it changes, until it has ended."""

    async def cancel(self, number: int) -> None:
        """End that training without a version."""

    async def outlook(self, persona: str) -> Outlook:
        """Whether the persona will learn again now and why, and how long that would take."""
