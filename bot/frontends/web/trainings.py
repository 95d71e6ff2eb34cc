"""`/trainings`: what learns now, what waits, and what came of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from aiohttp import web

from bot.frontends.web.learning import Learning
from bot.frontends.web.pictures import Curve, loss_curve
from bot.frontends.web.rendering import Renderer
from bot.frontends.web.sessions import Notice
from bot.frontends.web.streams import Event, send_events
from bot.replies.changes import Changes
from bot.training.record import course_of
from bot.training.trainings import Training, TrainingPoint, TrainingState

MOST_SHOWN = 50  # newest trainings


def curve_of(training: Training, points: Sequence[TrainingPoint]) -> Curve | None:
    """The loss curve of a training; None before its first measurement."""
    return loss_curve(course_of(points, training.result.metrics if training.result else None))


class TrainingsPage:
    """Shows trainings, live while they run, and cancels them."""

    def __init__(
        self, renderer: Renderer, trainings: Learning, closing: asyncio.Event, changes: Changes | None = None
    ) -> None:
        """`changes` knows what a retraining has changed, where anything does."""
        self._renderer = renderer
        self._trainings = trainings
        self._closing = closing
        self._changes = changes

    def routes(self) -> list[web.AbstractRouteDef]:
        """Where these pages are found."""
        return [
            web.get("/trainings", self.show),
            web.get(r"/trainings/{number:\d{1,18}}", self.show_one),
            web.get(r"/trainings/{number:\d{1,18}}/events", self.events),
            web.post(r"/trainings/{number:\d{1,18}}/cancel", self.cancel),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """All of them: the running one with its curve, the queue, the history."""
        trainings = await self._trainings.recent(MOST_SHOWN)
        running = [training for training in trainings if training.state is TrainingState.RUNNING]
        return await self._renderer.page(
            request,
            "trainings.html",
            running=[(training, curve_of(training, await self._trainings.points(training.id))) for training in running],
            queued=sorted(
                (each for each in trainings if each.state is TrainingState.QUEUED), key=lambda each: each.position or 0
            ),
            ended=[each for each in trainings if each.ended],
        )

    async def show_one(self, request: web.Request) -> web.Response:
        """One training with everything known about it."""
        training = await self._trainings.training(_number(request))
        curve = curve_of(training, await self._trainings.points(training.id))
        change = await self._changes.of_training(training.id) if self._changes and training.ended else None
        return await self._renderer.page(request, "training.html", training=training, curve=curve, change=change)

    async def cancel(self, request: web.Request) -> web.Response:
        """End a training."""
        number = _number(request)
        return await self._renderer.after(request, self._cancel(number), f"/trainings/{number}")

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The training's figures and curve whenever there is news."""
        training = await self._trainings.training(_number(request))  # refused here if there is none of that number
        return await send_events(request, self._closing, self._news(request, training.id))

    async def _cancel(self, number: int) -> Notice:
        await self._trainings.cancel(number)
        return Notice("The training was told to stop.", is_problem=False)

    async def _news(self, request: web.Request, number: int) -> AsyncGenerator[Event]:
        """Once the state differs from the one that the page shows (`?state=`), the page is to be loaded anew."""
        state = request.query.get("state", "")
        async for training in self._trainings.watch(number):
            if training.state != state:
                break
            curve = curve_of(training, await self._trainings.points(number))
            html = self._renderer.piece(request, "_progress.html", training=training, curve=curve)
            yield Event("progress", {"html": html})
        yield Event("changed", {})


def _number(request: web.Request) -> int:
    return int(request.match_info["number"])
