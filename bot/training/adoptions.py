"""Adopting: a model that somebody trained elsewhere becomes a version on the shelf, whole or as an adapter.

What is heavy happens in children: one reads the model and writes it in our form (`bot.training.adopting`), the engine's
graph is built of it by whoever is handed in as `Build`, and where tweets of those it imitates are stored it is judged
like any other version. All of it, what is downloaded included, lies in `data/adopting/` until it is placed on the shelf
whole, so that no copy outlives a takedown in a cache that others share. It happens under the
lock of evaluations, so whoever is to be forgotten is not being adopted at that moment, and what a kill left in that
folder is swept with what evaluations leave.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bot.config import Training
from bot.errors import BaseUnavailable, DiskFull, JudgingFailed, NotPermitted, TooFewTweets, UsageError
from bot.personas.consent import CHOICES, require_basis, require_note
from bot.personas.name import persona_name
from bot.shelf.bases import Base
from bot.shelf.card import hub_name
from bot.shelf.figures import Figures
from bot.shelf.forms import TOKENIZER, UNPUBLISHED_GRAPHS, whole_model
from bot.shelf.manifest import Manifest, Metrics, Prediction, own_settings
from bot.shelf.shelf import Shelf
from bot.training.child import ensure_base, started
from bot.training.dataset import DataSet, build
from bot.training.decisions import Decisions, What
from bot.training.evaluation import ADOPTING, Candidate, Evaluator
from bot.training.job import DISK_FULL, TEXTS, Asking, Texts, Value
from bot.training.publishing import placed
from bot.training.record import course_of
from bot.tweets.store import Basis, TweetStore
from bot.tweets.tweet import normalise_handle

CHILD = "bot.training.adopting"
WHOLE, ADAPTER = "whole", "adapter"  # folders in that of the adoption
DOWNLOADED = "downloaded"  # folder in that of the adoption
CACHES = ("HF_HUB_CACHE", "HF_XET_CACHE")  # where the hub's library keeps what it downloads
ANSWER = "answer.json"  # `Answer`
HELD_OUT, OWN_WORDS = "held-out tweets", "texts that the whole model said"  # what an adapter's loss is measured on
RUN = "adopted"  # names the staging folder

Build = Callable[[Path], Awaitable[None]]
Progress = Callable[[str], None]


class Wanted(Asking):
    """One run of `bot.training.adopting`; the base is what an adapter is for."""

    spec: str  # a folder or a hub id
    base_name: str  # as people know it; stands in the adapter's configuration
    folder: Path  # may hold TEXTS; what comes of it is written into it
    rank: int | None  # of the adapter; None for a whole model
    tweets: int  # held-out ones at most that losses are measured on
    seed: int


class Likeness(Value):
    """How near an adapter comes to the whole model that it was made of; losses in nats per token."""

    rank: int
    held: float  # share of the projections' squared difference from the base that the adapter holds
    left_out: float  # share of all weights' squared difference that lies in embeddings, norms and biases
    measured_on: str = ""
    texts: int = 0
    base_loss: float = 0.0
    adapter_loss: float = 0.0
    whole_loss: float = 0.0


class Answer(Value):
    """What there is to say about a model that was read."""

    parameters: int
    generation: dict[str, float]  # how it wants to be sampled
    predictions: tuple[Prediction, ...]
    languages: tuple[str, ...]  # of the stored tweets
    likeness: Likeness | None
    made_with: dict[str, str]  # library to version


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be adopted."""

    spec: str  # a folder or a hub id
    name: str  # of the persona
    handles: tuple[str, ...]  # whom it imitates
    basis: Basis | None = None  # why they may be imitated, where that is not on record
    note: str | None = None
    rank: int | None = None  # of the adapter that it is to become; None: it stays whole


class Adoptions:
    """Adopts models."""

    def __init__(
        self,
        shelf: Shelf,
        store: TweetStore,
        data: Path,
        base: str,
        training: Training,
        evaluator: Evaluator,
        build_graph: Build,
        clock: Callable[[], datetime],
        decisions: Decisions,
    ) -> None:
        """`base` as the configuration names it; `build_graph` builds the graph of the whole model in a folder."""
        self._shelf = shelf
        self._store = store
        self._data = data
        self._folder = data / ADOPTING
        self._base = base
        self._training = training
        self._evaluator = evaluator
        self._build_graph = build_graph
        self._clock = clock
        self._decisions = decisions

    async def adopt(self, order: Order, progress: Progress) -> tuple[Manifest, Likeness | None]:
        """The model as the persona's next version, in use. Waits while a version is judged.

        Raises `UsageError`, `NotPermitted`, `BaseUnavailable`, `DiskFull`.
        """
        handles = tuple(sorted({normalise_handle(handle) for handle in order.handles} - {""}))
        if not handles:
            raise UsageError("Say whom it imitates: --handle HANDLE, once for each account.")
        persona = persona_name(handles, order.name)
        self._shelf.standing_for(persona, handles)  # what is wrong already is told at once
        await self._store.require_free(handles)
        await self._require_reason(handles, order)
        base = await ensure_base(self._base, self._data, progress)
        async with self._evaluator.alone():
            try:
                self._shelf.standing_for(persona, handles)
                return await self._adopt(order, persona, handles, base, progress)
            finally:
                shutil.rmtree(self._folder, ignore_errors=True)

    async def _adopt(
        self,
        order: Order,
        persona: str,
        handles: tuple[str, ...],
        base: Base,
        progress: Progress,
    ) -> tuple[Manifest, Likeness | None]:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        data_set = await self._data_set(handles, base)
        answer = await self._read(order, base, data_set, progress)
        form, files = ("whole", self._folder / WHOLE) if order.rank is None else ("adapter", self._folder / ADAPTER)
        if form == "whole":
            progress("Building the graph that the engine runs")
            await self._build_graph(files)  # now it is certain that it can speak
        sampling = own_settings(answer.generation)
        candidate = Candidate(handles, files, None, base, data_set, False, sampling) if data_set else None
        figures = await self._judged(candidate, progress)
        await self._store.require_free(handles)  # it took minutes, maybe
        if order.basis is not None:
            for handle in handles:
                await self._store.set_basis(handle, order.basis, order.note)
        now = self._clock()
        manifest = Manifest(
            persona=persona,
            version="v1",  # this and its parent are known when it is placed
            form="whole" if form == "whole" else "adapter",
            parent=None,
            adopted_from=public_name(order.spec),
            handles=handles,
            base=base.record.spec,
            base_sha256=base.record.sha256,
            fingerprint="",
            tweets_read_at=now,
            created=now,
            code_version=importlib.metadata.version("mockingbird"),
            seed=self._training.seed,
            counts=(),
            consent=await require_basis(self._store, handles),
            hyperparameters=hyperparameters_of(answer),
            metrics=metrics_of(figures) if figures else None,
            languages=answer.languages,
            predictions=answer.predictions,
            sha256={},
        )
        tokenizer = (files if form == "whole" else base.model) / TOKENIZER
        manifest = await asyncio.to_thread(self._place, manifest, files, tokenizer)
        await self._keep_graphs(manifest, files)
        why = f"It was adopted from {manifest.adopted_from}, as was asked."
        await self._decisions.use(persona, manifest.version, What.ADOPTED, why, "command")
        return manifest, answer.likeness

    def _place(self, manifest: Manifest, files: Path, tokenizer: Path) -> Manifest:
        """As the next version, whatever a training has placed meanwhile. Raises `UsageError`, `DiskFull`."""
        with self._shelf.placing():
            parent = self._shelf.standing_for(manifest.persona, manifest.handles)
            version = self._shelf.next_version(manifest.persona)
            numbered = manifest.model_copy(update={"version": version, "parent": parent.version if parent else None})
            return placed(self._shelf, files, tokenizer, numbered, course_of((), numbered.metrics), RUN)

    async def _require_reason(self, handles: Sequence[str], order: Order) -> None:
        """Raises `NotPermitted` for an account of which nobody says why it may be imitated, `UsageError`."""
        if order.basis is not None:
            require_note(order.basis, order.note)
            return
        for handle in handles:
            if not (await self._store.account(handle)).get("basis"):
                raise NotPermitted(
                    f"Nobody has said why @{handle} may be imitated, so it is not. "
                    f"Say it with --basis BASIS, where BASIS is one of {CHOICES}."
                )

    async def _data_set(self, handles: Sequence[str], base: Base) -> DataSet | None:
        """The stored tweets of those it imitates, split as for a training; None when there are not enough."""
        kept = {handle: await self._store.kept(handle) for handle in handles if await self._store.account(handle)}
        settings = self._training.model_copy(update={"min_characters": 0})
        try:
            return await asyncio.to_thread(build, kept, settings, base.record.sha256) if kept else None
        except TooFewTweets:
            return None

    async def _read(self, order: Order, base: Base, data_set: DataSet | None, progress: Progress) -> Answer:
        """Have the child read the model and write what is wanted of it."""
        if data_set is not None:
            texts = Texts(train=data_set.train, held_out=data_set.held_out)
            (self._folder / TEXTS).write_text(texts.model_dump_json(), encoding="utf-8")
        wanted = Wanted(
            base=base.model,
            end_id=base.record.end_id,
            device=self._training.device,
            threads=self._training.threads,
            spec=order.spec,
            base_name=hub_name(base.record.spec),
            folder=self._folder,
            rank=order.rank,
            tweets=self._evaluator.judging.tweets,
            seed=self._training.seed,
        )
        first_line, caches = wanted.model_dump_json(), {name: str(self._folder / DOWNLOADED) for name in CACHES}
        async with started(CHILD, first_line=first_line, may_ask_the_hub=True, variables=caches) as child:
            async for line in child.lines():
                progress(line.decode(errors="replace").rstrip())
            code = await child.ended()
        if code == DISK_FULL:
            raise DiskFull(child.last_words)
        if code == UsageError.exit_code:
            raise UsageError(child.last_words)
        if code == BaseUnavailable.exit_code:
            raise BaseUnavailable(child.last_words)
        if code:
            raise BaseUnavailable(
                f"Reading {order.spec} failed ({child.last_words or f'exit code {code}'}). Is there enough memory?"
            )
        return Answer.model_validate_json((self._folder / ANSWER).read_bytes())

    async def _judged(self, candidate: Candidate | None, progress: Progress) -> Figures | None:
        """Its figures by the stored tweets; None where there are none or they could not be had."""
        if candidate is None:
            progress("Not judged: too few tweets of those it imitates are stored.")
            return None
        progress("Judging it by the stored tweets")
        try:
            return await self._evaluator.of_model(candidate, self._folder)
        except JudgingFailed as error:
            progress(f"Not judged. {error}")
            return None

    async def _keep_graphs(self, manifest: Manifest, files: Path) -> None:
        """What the engine will need is built already."""
        if manifest.form == "whole" and (files / UNPUBLISHED_GRAPHS).is_dir():
            target = whole_model(self._shelf.path(manifest)).graphs
            async with self._shelf.building():
                shutil.rmtree(target, ignore_errors=True)
                await asyncio.to_thread(shutil.move, files / UNPUBLISHED_GRAPHS, target)


def public_name(spec: str) -> str:
    """The hub id, or of a folder its own name: where it lies on this machine is nobody's business."""
    folder = Path(spec).expanduser()
    return folder.resolve().name if folder.is_dir() else spec


def hyperparameters_of(answer: Answer) -> dict[str, Any]:
    """All that is known of how it was made, in the words of the manifest."""
    known: dict[str, Any] = {"parameters": answer.parameters, **answer.made_with}
    if answer.generation:
        known["generation"] = answer.generation
    if answer.likeness is not None:
        known |= answer.likeness.model_dump()
    return known


def metrics_of(figures: Figures) -> Metrics:
    """The losses over all accounts, each weighing as much as it has tweets that were scored."""
    accounts = figures.accounts
    tweets = sum(each.tweets for each in accounts)

    def mean(name: str) -> float:
        return sum(float(getattr(each, name)) * each.tweets for each in accounts) / tweets

    return Metrics(
        held_out_tweets=tweets,
        held_out_loss=mean("loss"),
        base_held_out_loss=mean("base_loss"),
        bits_per_byte=mean("bits_per_byte"),
        base_bits_per_byte=mean("base_bits_per_byte"),
        figures=figures,
    )
