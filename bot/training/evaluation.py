"""Judging a version: which tweets it is asked about, whom it is told apart from, and the two processes that find out.

One process says a thousand texts with the engine's graph (`bot.generation.samples`, handed in as a `Sampler`, because
this room comes before that one), the other scores tweets and computes the figures (`bot.training.scoring`). Both get
tweets in a file that is gone when they are done. One version is judged at a time, over all processes: so somebody who
is to be forgotten knows when no such file holds their tweets any more.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

import structlog
from filelock import AsyncFileLock, FileLock, Timeout

from bot.config import Judging, Training
from bot.errors import (
    DamagedVersion,
    DiskFull,
    JudgingFailed,
    NotPermitted,
    TooFewTweets,
    UnknownPersona,
    UnreadableSource,
)
from bot.shelf.bases import Base
from bot.shelf.figures import Figures, Samples
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from bot.training.child import ensure_base, started
from bot.training.dataset import DataSet, Kept, build, words
from bot.training.figures import even_choice
from bot.training.job import DISK_FULL, TEXTS, Asking, Texts, Value
from bot.training.rebuilding import Rebuilt, learned_versions, rebuilt, together
from bot.tweets.cleaning import Profile, Verdict, judge
from bot.tweets.reading import read
from bot.tweets.store import TweetStore

SCORING = "bot.training.scoring"
MATERIAL = "material.json"  # `Material`
ANSWER = "figures.json"  # `Figures`
JUDGING = "judging"  # in a training's folder: where its version is judged
ADOPTING = "adopting"  # in the data folder: where a model that is adopted lies until it is on the shelf
LOCK = "evaluation.lock"  # in the data folder

OTHERS = 8  # accounts at most that a version is told apart from
OTHERS_LEARNED = 2_000  # of all their tweets at most that the author classifier learns from
FEWEST = 20  # tweets of an account that count for anything
SEED = 1  # of the first sample, always: what differs between two evaluations is the version
_LOOK_S = 0.2  # between two looks whether another process has ended

log = structlog.get_logger(__name__)


class Voice(Value):
    """One account's tweets, the older ones and the newest tenth."""

    handle: str
    train: tuple[str, ...]
    held_out: tuple[str, ...]


class Material(Value):
    """What a version is judged with."""

    own: tuple[Voice, ...]
    others: tuple[Voice, ...]
    source: Literal["stored", "examples"] | None  # where the others are from; None when there are none
    samples: tuple[str, ...]
    how: Samples | None  # how they were drawn; None when there are none
    same_data_set: bool


class Question(Asking):
    """One run of `bot.training.scoring`."""

    adapter: Path  # folder of the version
    in_use: Path | None  # folder of the version in use, to be set beside it
    tweets: int  # of each account at most whose loss is measured
    material: Path  # file with `Material`
    answer: Path  # file that `Figures` are written to


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a version said by itself."""

    texts: tuple[str, ...]
    how: Samples


class Sampler(Protocol):
    """Lets a version speak."""

    async def __call__(
        self, base: Base, adapter: Path, texts: Path, count: int, seed: int, sampling: Mapping[str, float]
    ) -> Sampled:
        """`count` texts of the version in the folder `adapter`; `texts` is a file with the `Texts` it was made of.

        `sampling` holds the settings of its own (`bot.shelf.manifest.OWN_SETTINGS`), the configuration the others.
        Raises `JudgingFailed`, `BaseUnavailable`, `DiskFull`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that is to be judged, on the shelf or not there yet."""

    handles: tuple[str, ...]
    adapter: Path  # its folder
    in_use: Path | None  # folder of the version in use, if that is another one and a whole model or on the same base
    base: Base
    data_set: DataSet
    same_data_set: bool = True  # whether the version was made of it
    sampling: Mapping[str, float] = field(default_factory=dict)  # settings of its own, as `Sampler` has them


class Evaluator:
    """Finds out the figures."""

    def __init__(
        self,
        shelf: Shelf,
        store: TweetStore,
        data: Path,
        examples: Path,
        training: Training,
        judging: Judging,
        sampler: Sampler,
    ) -> None:
        self._shelf = shelf
        self._store = store
        self._data = data
        self._folder = data / "evaluation"
        self._examples = examples
        self._training = training
        self._judging = judging
        self._sampler = sampler

    @property
    def judging(self) -> Judging:
        """By which settings."""
        return self._judging

    async def of_version(self, manifest: Manifest) -> Figures:
        """The figures of a version on the shelf, by the tweets as they are stored now.

        Waits while another version is judged. Raises `UnknownHandle`, `NotPermitted`, `TooFewTweets`, `JudgingFailed`,
        `BaseUnavailable`, `DamagedVersion`, `UnknownVersion`, `DiskFull`.
        """
        base = await ensure_base(manifest.base, self._data, log.info, manifest.base_sha256)
        if manifest.form == "adapter" and base.record.sha256 != manifest.base_sha256:
            raise JudgingFailed(
                f"{manifest.persona} {manifest.version} was trained on another {manifest.base} than the one that is "
                "prepared. Train it again."
            )
        async with self.alone():
            await self._store.require_free(manifest.handles)
            adapter = await asyncio.to_thread(self._shelf.verified, manifest)  # it may have been pruned meanwhile
            found = await self._made_of(manifest)
            candidate = Candidate(
                manifest.handles,
                adapter,
                await asyncio.to_thread(self._in_use, manifest),
                base,
                found.data_set,
                found.is_its_own,
                manifest.own_sampling,
            )
            return await self._figures(candidate, self._folder)

    async def _made_of(self, manifest: Manifest) -> Rebuilt:
        """Its data set; of a blend those of its parts as one. Raises `UnknownHandle`, `TooFewTweets`."""
        found = []
        for each in learned_versions(manifest):
            kept = {handle: await self._store.kept(handle, each.handles) for handle in each.handles}
            found.append(await asyncio.to_thread(rebuilt, each, kept, self._training))
        return await asyncio.to_thread(together, found)

    async def of_candidate(self, candidate: Candidate, folder: Path) -> Figures:
        """The figures of a version that a training has made; `folder` is the training's.

        Waits while another version is judged. Raises `JudgingFailed`, `BaseUnavailable`, `DiskFull`.
        """
        async with self.alone():
            return await self.of_model(candidate, folder)

    async def of_model(self, candidate: Candidate, folder: Path) -> Figures:
        """The same for whoever is `alone` already."""
        return await self._figures(candidate, folder / JUDGING)

    async def _figures(self, candidate: Candidate, folder: Path) -> Figures:
        """The figures; `folder` holds tweets meanwhile and is gone afterwards."""
        began = time.monotonic()
        others, source = await self._others(candidate)
        try:
            await asyncio.to_thread(_write, folder / TEXTS, _texts_of(candidate.data_set))
            sampled = None
            if self._judging.samples:
                texts, count = folder / TEXTS, self._judging.samples
                own = candidate.sampling
                sampled = await self._sampler(candidate.base, candidate.adapter, texts, count, SEED, own)
            material = Material(
                own=tuple(voices_of(candidate.data_set)),
                others=tuple(others),
                source=source,
                samples=sampled.texts if sampled else (),
                how=sampled.how if sampled else None,
                same_data_set=candidate.same_data_set,
            )
            await asyncio.to_thread(_write, folder / MATERIAL, material)
            figures = await self._score(candidate, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return figures.model_copy(update={"seconds": round(time.monotonic() - began, 1)})

    async def idle(self) -> None:
        """Return once no process judges a version, with nothing left behind by one that was killed.

        Whatever is judged from then on is not shown tweets of accounts that are blocked already.
        """
        async with self.alone():
            self._clear()

    def sweep(self) -> None:
        """Remove what an evaluation that was killed left behind, unless one is under way."""
        with suppress(Timeout), FileLock(self._data / LOCK).acquire(blocking=False):
            self._clear()

    def _clear(self) -> None:
        for folder in (self._folder, self._data / ADOPTING, *(self._data / "trainings").glob(f"*/{JUDGING}")):
            shutil.rmtree(folder, ignore_errors=True)

    def alone(self) -> AsyncFileLock:
        """Waits until no process judges a version, and keeps others from it while the body runs."""
        return AsyncFileLock(self._data / LOCK, poll_interval=_LOOK_S, run_in_executor=False)

    def _in_use(self, manifest: Manifest) -> Path | None:
        """Folder of the version in use, if that is another one and a whole model or on the same base."""
        try:
            current = self._shelf.current(manifest.persona)
            on_the_same = current.form == "whole" or current.base_sha256 == manifest.base_sha256
            comparable = current.version != manifest.version and on_the_same
            return self._shelf.verified(current) if comparable else None
        except (UnknownPersona, DamagedVersion):  # none was good enough yet, or it is not what it was
            return None

    async def _score(self, candidate: Candidate, folder: Path) -> Figures:
        question = Question(
            base=candidate.base.model,
            end_id=candidate.base.record.end_id,
            device=self._training.device,
            threads=self._judging.threads or len(os.sched_getaffinity(0)),
            adapter=candidate.adapter,
            in_use=candidate.in_use,
            tweets=self._judging.tweets,
            material=folder / MATERIAL,
            answer=folder / ANSWER,
        )
        async with started(SCORING, first_line=question.model_dump_json()) as child:
            async for _ in child.lines():
                pass
            code = await child.ended()
        if code == DISK_FULL:
            raise DiskFull(child.last_words)
        if code == JudgingFailed.exit_code:
            raise JudgingFailed(child.last_words)
        if code:
            raise JudgingFailed(f"The process that judges ended unexpectedly ({child.last_words or f'code {code}'}).")
        return Figures.model_validate_json(question.answer.read_bytes())

    # --- Whom a version is told apart from ---

    async def _others(self, candidate: Candidate) -> tuple[list[Voice], Literal["stored", "examples"] | None]:
        """The other stored accounts with enough tweets, else the examples, and which of the two."""
        learned = {words(text) for text in candidate.data_set.train}
        names = [
            handle
            for handle in await self._store.handles()
            if handle not in candidate.handles and await self._is_free(handle)
        ]
        stored: dict[str, Sequence[Kept]] = {
            handle: await self._store.kept(handle) for handle in even_choice(names, OTHERS)
        }
        voices = await asyncio.to_thread(other_voices, stored, self._training, learned)
        if voices:
            return voices, "stored"
        examples = await asyncio.to_thread(_example_tweets, self._examples, candidate.handles)
        voices = await asyncio.to_thread(other_voices, examples, self._training, learned)
        return voices, "examples" if voices else None

    async def _is_free(self, handle: str) -> bool:
        """Whether the account is not blocked."""
        try:
            await self._store.require_free((handle,))
        except NotPermitted:
            return False
        return True


def voices_of(data_set: DataSet) -> list[Voice]:
    """The data set, account by account."""
    train, held_out = list(data_set.train), list(data_set.held_out)
    voices = []
    for split in data_set.splits:
        voices.append(
            Voice(handle=split.handle, train=tuple(train[: split.train]), held_out=tuple(held_out[: split.held_out]))
        )
        del train[: split.train], held_out[: split.held_out]
    return voices


def other_voices(kept: Mapping[str, Sequence[Kept]], settings: Training, learned: set[str]) -> list[Voice]:
    """Other accounts' tweets, split as the own ones are, without those that the version has learned as well."""
    voices = []
    for handle, tweets in kept.items():
        try:
            data_set = build({handle: tweets}, settings.model_copy(update={"min_characters": 0}), "")
        except TooFewTweets:
            continue
        train, held_out = (
            tuple(text for text in texts if words(text) not in learned) for texts in (data_set.train, data_set.held_out)
        )
        if len(train) >= FEWEST and held_out:
            voices.append(
                Voice(handle=handle, train=even_choice(train, OTHERS_LEARNED // len(kept)), held_out=held_out)
            )
    return voices


def _example_tweets(folder: Path, own: Sequence[str]) -> dict[str, list[Kept]]:
    """What the accounts that come with the project said, the own ones left out."""
    found: dict[str, list[Kept]] = {}
    for archive in sorted(folder.glob("*.zip")):
        try:
            reading = read(archive)
        except UnreadableSource as error:
            log.warning("example not read", archive=archive.name, reason=str(error))
            continue
        for handle, tweets in reading.tweets.items():
            if handle not in own:
                judged = judge(tweets, Profile.MOCKINGBIRD)
                found[handle] = [
                    _Said(each.cleaned, each.tweet.created_at) for each in judged if each.verdict is Verdict.KEPT
                ]
    return found


@dataclass(frozen=True, slots=True)
class _Said:
    """A tweet that is not stored."""

    cleaned: str
    created_at: datetime | None
    prompt: str | None = None  # what it answers is of no use here


def _texts_of(data_set: DataSet) -> Texts:
    return Texts(train=data_set.train, held_out=data_set.held_out)


def _write(path: Path, value: Value) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value.model_dump_json(), encoding="utf-8")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(
            "The disk is full, so the version could not be judged. Free some space and try again."
        ) from error
