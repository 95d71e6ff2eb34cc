"""The training room's door: requests, their state for whoever watches, and which personas are due again.

Work is rows plus a wake-up: `request` adds a row, the worker takes the one whose turn it is. Killed at any moment it
loses nothing: a row that was running waits again at the next start and goes on from its checkpoint, and a version that
was put in use just before the end is recognised by its data set's fingerprint.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import structlog

from bot.config import Model, Retraining, Tracking
from bot.config import Training as Settings
from bot.database import Database
from bot.errors import OutsideError, Refused, UsageError
from bot.personas.consent import require_basis
from bot.personas.name import persona_name
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from bot.training import policy
from bot.training.dataset import require_enough
from bot.training.decisions import Decisions
from bot.training.evaluation import Evaluator
from bot.training.line import Pace, Running, beginnings, seconds_left
from bot.training.news import News
from bot.training.pipeline import Pipeline
from bot.training.plan import Plan
from bot.training.record import Stage, Training, TrainingPoint, TrainingResult, TrainingState
from bot.training.table import TrainingTable
from bot.training.tracking import Trackers
from bot.training.worker import Worker
from bot.tweets.blocked import require_free
from bot.tweets.counts import SEPARATOR
from bot.tweets.forecast import Coming
from bot.tweets.store import TweetStore
from bot.tweets.tweet import normalise_handle

__all__ = ["Training", "TrainingPoint", "TrainingResult", "TrainingState", "Trainings"]

FORGETTING = "An account that it learned from is being forgotten."  # why a training was cancelled
_LOOK_S = 0.1  # between two looks whether a worker has let go

Foretelling = Callable[[Sequence[str], int], Awaitable[Coming | None]]

log = structlog.get_logger(__name__)


class Trainings:
    """Takes requests, learns one after the other, and tells who watches."""

    def __init__(
        self,
        database: Database,
        shelf: Shelf,
        store: TweetStore,
        data: Path,
        model: Model,
        settings: Settings,
        retraining: Retraining,
        clock: Callable[[], datetime],
        evaluator: Evaluator | None = None,
        trackers: Trackers | None = None,
        keep_versions: int = 0,
        coming: Foretelling | None = None,
    ) -> None:
        """`keep_versions`: how many versions of a persona are kept when one is put in use; 0 is all. `coming` foretells
        when accounts will have posted so many more tweets.
        """
        self._database = database
        self._table = TrainingTable(database, clock)
        self._news = News()
        self._trackers = trackers or Trackers(Tracking(), data)
        table, news, decisions = self._table, self._news, Decisions(database, shelf, clock)
        pipeline = Pipeline(table, news, shelf, store, data, model, settings, retraining, clock, evaluator, decisions)
        self._worker = Worker(table, news, pipeline, shelf, data, evaluator, self._trackers, decisions, keep_versions)
        self._is_judged = evaluator is not None
        self._tweets: dict[int, int] = {}  # kept ones of each training that waits, so that they are counted once
        self._shelf = shelf
        self._store = store
        self._settings = settings
        self._retraining = retraining
        self._clock = clock
        self._coming = coming

    async def run(self) -> None:
        """The worker's task: learn what is in line until cancelled; the training under way then waits again."""
        await self._worker.run()

    # --- Asking, and seeing what becomes of it ---

    async def request(
        self, handles: Sequence[str], name: str | None = None, cause: str = "command", requested_by: str = ""
    ) -> Training:
        """A training in line; the one that is there already if the same waits or runs.

        `cause` is command, discord, web or retraining; `requested_by` an id on its platform. Raises `UsageError`,
        `UnknownHandle`, `TooFewTweets`, and `NotPermitted` for an account that is blocked or has no basis on record.
        """
        plan = await self.plan(handles, name)
        names = [account.handle for account in plan.accounts]
        number = await self._table.add(plan.persona, names, cause, requested_by)
        self._news.tell()
        return await self.training(number)

    async def plan(self, handles: Sequence[str], name: str | None = None) -> Plan:
        """What a training of these accounts would read, and how long it would take. Raises what `request` raises."""
        names = tuple(sorted({normalise_handle(handle) for handle in handles} - {""}))
        if not names:
            raise UsageError("Name at least one account to learn from, for example nasa.")
        await require_free(self._database, names)
        persona = persona_name(names, name)
        counts = tuple([await self._store.counts(handle) for handle in names])
        kept = sum(count.kept for count in counts)
        characters = sum(count.characters for count in counts) + len(SEPARATOR) * (len(counts) - 1)
        require_enough(names, kept, characters, self._settings.min_characters)
        bases = await require_basis(self._store, names)
        self._shelf.standing_for(persona, names)
        pace = Pace.by(await self._table.earlier())
        return Plan(persona, counts, bases, len(await self._table.active()), pace.of(kept))

    def check_name(self, handles: Sequence[str], name: str | None) -> None:
        """Raise `UsageError` when these accounts can't become a persona of that name."""
        names = tuple(sorted(handles))
        self._shelf.standing_for(persona_name(names, name), names)

    async def training(self, number: int) -> Training:
        """That training as it stands. Raises `Refused`."""
        found = await self._table.training(number)
        if found is None:
            raise Refused(f"There is no training {number}. The list of trainings shows those there are.")
        return await self._with_beginning(found)

    async def recent(self, limit: int) -> list[Training]:
        """The newest trainings, the newest first."""
        found = await self._table.recent(limit)
        moments = await self._beginnings() if any(each.state is TrainingState.QUEUED for each in found) else {}
        return [replace(each, starts_at=moments.get(each.id)) for each in found]

    async def points(self, number: int) -> list[TrainingPoint]:
        """Everything measured so far, by step."""
        return await self._table.points(number)

    async def points_of(self, persona: str, version: str) -> list[TrainingPoint]:
        """Everything that the training measured of which that version came; empty where nobody knows any more."""
        return await self._table.points_of(persona, version)

    async def watch(self, number: int) -> AsyncIterator[Training]:
        """That training as it stands and whenever it changes, until it has ended or was forgotten. Raises `Refused`."""
        seen = await self.training(number)
        yield seen
        while not seen.ended:
            latest = self._news.latest()
            stands = await self._table.training(number)
            if stands is None:
                return
            stands = await self._with_beginning(stands)
            if stands == seen:
                await self._news.after(latest)
                continue
            seen = stands
            yield stands

    async def _with_beginning(self, training: Training) -> Training:
        """The same; of one that waits it is told when it will probably begin."""
        if training.state is not TrainingState.QUEUED:
            self._tweets.pop(training.id, None)
            return training
        return replace(training, starts_at=(await self._beginnings()).get(training.id))

    async def _beginnings(self) -> dict[int, datetime | None]:
        """When each that waits will probably begin."""
        line, now = await self._table.waiting(), self._clock()
        pace = Pace.by(await self._table.earlier())
        left = seconds_left(await self._running(), pace, self._is_judged, now)
        lengths = [pace.of(await self._kept(each)) for each in line]
        return dict(zip((each.id for each in line), beginnings(now, left, lengths), strict=True))

    async def _running(self) -> Running | None:
        found = await self._table.running()
        if found is None:
            return None
        training, since, measured_at = found
        left = training.point.seconds_left if training.point else None
        judging_since = since if training.stage is Stage.JUDGING else None
        return Running(await self._kept(training), since, judging_since, left, measured_at)

    async def _kept(self, training: Training) -> int:
        """How many tweets it would learn from; 0 of accounts that are gone."""
        if training.id not in self._tweets:
            known = set(await self._store.handles()) & set(training.handles)
            self._tweets[training.id] = sum([(await self._store.counts(handle)).kept for handle in known])
        return self._tweets[training.id]

    async def tracked(self) -> None:
        """Return once no training that has ended is still being sent to a tracker."""
        await self._trackers.idle()

    async def cancel(self, number: int) -> None:
        """End that training without a version; nothing published is touched. Raises `Refused`."""
        stands = await self.training(number)
        if not await self._table.cancel(number, "It was cancelled."):
            raise Refused(f"Training {number} has ended already ({stands.state}). There is nothing to cancel.")
        if stands.state is TrainingState.QUEUED:
            self._worker.remove_folder(number)
        self._news.tell()

    # --- Forgetting, and handing over what is held ---

    async def stop(self, handles: Sequence[str]) -> None:
        """Cancel every training with one of these accounts, and return once no process works on one any more."""
        await self._table.cancel_all(handles, FORGETTING)
        self._news.tell()
        while await self._table.held(handles):
            if self._worker.nobody_works():
                await self._table.let_go()
            else:
                await asyncio.sleep(_LOOK_S)
        await self.tracked()

    async def about(self, handles: Sequence[str]) -> list[Training]:
        """Every training with one of these accounts, the oldest first."""
        return await self._table.about(handles)

    async def remove(self, handles: Sequence[str]) -> None:
        """Delete every trace of trainings with one of these accounts, all of which have been stopped.

        Raises `OutsideError` when a file can't be deleted.
        """
        trainings = await self._table.about(handles)
        numbers = [training.id for training in trainings]
        self._trackers.remove({training.persona for training in trainings})
        for number in numbers:
            if not self._worker.remove_folder(number):
                raise OutsideError(f"data/trainings/{number} can't be deleted. Mend the permissions of [paths] data.")
        await self._table.remove(numbers)
        self._news.tell()

    # --- Learning again ---

    async def due(self) -> list[str]:
        """The personas that should learn again now, by what is stored; none that waits or learns already."""
        busy = {training.persona for training in await self._table.active()}
        return [name for name in self._shelf.personas() if name not in busy and await self._is_due(name)]

    async def request_due(self) -> list[Training]:
        """Put all personas that are due in line."""
        requested = []
        for persona in await self.due():
            try:
                requested.append(await self.request(self._shelf.current(persona).handles, persona, "retraining"))
            except UsageError as error:  # since its version was made an account was forgotten, say
                log.warning("persona not learned again", persona=persona, reason=str(error))
        return requested

    async def _is_due(self, persona: str) -> bool:
        decision = (await self.outlook(persona)).decision
        log.debug("is a persona due", persona=persona, due=decision.yes, reason=decision.reason)
        return decision.yes

    async def outlook(self, persona: str) -> policy.Outlook:
        """Whether a persona will learn again now and why, and how long it would take; that costs time and no money."""
        if self._shelf.current(persona).blended_from:
            return policy.Outlook(policy.Decision(False, policy.BLENDED), None)
        newest = [each for each in self._shelf.versions(persona) if not each.blended_from][-1]
        ended = await self._table.last_ended(persona)
        last = max(newest.created, ended) if ended else newest.created
        hours = (self._clock() - last).total_seconds() / 3600
        seen = sum(count.kept for count in newest.counts)
        new_tweets = await self._new_tweets(newest)
        decision = policy.due(new_tweets, seen, hours, self._retraining, self._clock())
        missing = policy.enough_new(seen, self._retraining) - new_tweets
        waits = self._retraining.enabled and missing > 0
        coming = await self._coming(newest.handles, missing) if self._coming and waits else None
        return policy.Outlook(decision, Pace.by(await self._table.earlier()).of(seen + new_tweets), coming)

    async def _new_tweets(self, newest: Manifest) -> int:
        """Tweets that the version has not seen: what was stored after it was made, where most of its own were stored
        before. Else its own may be among these: a version that came with the project, say, is older than the database
        that its tweets are read into.
        """
        stored = await self._store.new_since(newest.handles, newest.tweets_read_at)
        kept = sum([(await self._store.counts(handle)).kept for handle in newest.handles]) if stored else 0
        seen = sum(count.kept for count in newest.counts)
        was_made_here = 2 * (kept - stored) >= seen  # what is missing of it was deleted since
        return stored if was_made_here else min(stored, max(0, kept - seen))
