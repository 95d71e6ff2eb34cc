"""Blending: versions that are there become a cyborg at once, as the weighted sum of their adapters, untrained.

What it does to the weights is `bot.shelf.blending`'s; here is which versions may be blended, what the new one says
about itself, and how it comes to the shelf. It happens in `data/blending/`, under a lock over all processes, so that a
takedown can wait until nobody is being blended (`settled`); what a kill left there goes then, or with the next blend.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import math
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from filelock import AsyncFileLock, Timeout

from bot.config import Training
from bot.errors import DiskFull, MockingbirdError, UsageError
from bot.personas.consent import require_basis
from bot.personas.name import persona_name
from bot.shelf.blending import blended, read_adapter, write_adapter
from bot.shelf.forms import ADAPTER_FILES, TOKENIZER
from bot.shelf.manifest import Manifest, Part
from bot.shelf.shelf import STAGING, Shelf
from bot.training.decisions import Decisions, What
from bot.training.evaluation import Evaluator
from bot.training.publishing import placed
from bot.training.record import course_of
from bot.tweets.store import TweetStore

BLENDING = "blending"  # in the data folder: where a blend lies until it is on the shelf
LOCK = "blend.lock"  # in the data folder
RUN = "blended"  # names the staging folder
MOST_PARTS = 8  # each adds its rank to what is multiplied at every token
LARGEST = 1_000.0  # weight; percentages are the largest that anybody means
EXAMPLE = "Name personas with their weights, for example nasa:60 esa:40."
_LOOK_S = 0.05  # between two looks whether another process has done
_PART = re.compile(r"@?(?P<persona>[a-z0-9_][a-z0-9_-]*)(/(?P<version>v[0-9]+))?(:(?P<weight>[0-9]*\.?[0-9]+)%?)?")

DECIDING = frozenset(Training.model_fields)  # settings by which a data set is put together again

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One part that somebody named."""

    persona: str
    version: str | None  # None: the one in use
    weight: float  # above 0


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be blended."""

    parts: tuple[Wanted, ...]
    name: str  # of the persona
    by: str  # command, or a platform with an id on it
    as_given: bool = False  # the weights count as they are; else they are made to sum to 1


def parse_parts(text: str) -> tuple[Wanted, ...]:
    """`nasa:60 esa/v2:40` -> two parts; without any weight all weigh alike. Raises `UsageError`."""
    words = text.lower().replace(",", " ").split()
    found = [match for word in words if (match := _PART.fullmatch(word))]
    if odd := [word for word in words if not _PART.fullmatch(word)]:
        raise UsageError(f"{odd[0]!r} is no part of a blend. {EXAMPLE}")
    if not 2 <= len(found) <= MOST_PARTS:
        raise UsageError(f"A blend has 2 to {MOST_PARTS} parts. {EXAMPLE}")
    if len({match["weight"] is None for match in found}) > 1:
        raise UsageError(f"Some parts have a weight and some have none. {EXAMPLE}")
    return tuple(map(_wanted, found))


def _wanted(match: re.Match[str]) -> Wanted:
    weight = float(match["weight"] or 1)
    if not 0 < weight <= LARGEST:
        raise UsageError(f"A weight is above 0 and at most {LARGEST:g}, not {weight:g}.")
    return Wanted(match["persona"], match["version"], weight)


class Blends:
    """Makes blends."""

    def __init__(
        self,
        shelf: Shelf,
        store: TweetStore,
        data: Path,
        evaluator: Evaluator,
        decisions: Decisions,
        keep_versions: int,
        clock: Callable[[], datetime],
    ) -> None:
        """`keep_versions`: how many versions of a persona are kept when one is put in use; 0 is all. UTC clock."""
        self._shelf = shelf
        self._store = store
        self._data = data
        self._folder = data / BLENDING
        self._evaluator = evaluator
        self._decisions = decisions
        self._keep_versions = keep_versions
        self._clock = clock

    async def blend(self, order: Order) -> Manifest:
        """The blend as the persona's next version, in use; done to the end even when its caller goes away.

        Raises `UsageError`, `UnknownPersona`, `UnknownVersion`, `NotPermitted`, `DamagedVersion`, `DiskFull`.
        """
        work = asyncio.create_task(self._blend(order), name="blend")
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:  # a thread that writes can't be stopped
            await asyncio.wait([work])
            raise

    async def settled(self) -> None:
        """Return once no process makes a blend, with nothing left behind by one that was killed.

        Whatever is blended from then on is not made of accounts that are blocked already.
        """
        async with self._alone():
            await asyncio.to_thread(self._clear)

    async def _blend(self, order: Order) -> Manifest:
        async with self._alone():
            await asyncio.to_thread(self._clear)
            versions = await asyncio.to_thread(self._versions, order.parts)
            parts = parts_of(versions, weights_of(order))
            handles = tuple(sorted({handle for part in parts for handle in part.handles}))
            persona = persona_name(handles, order.name)
            self._shelf.standing_for(persona, handles)
            await self._store.require_free(handles)
            consent = await require_basis(self._store, handles)
            manifest = self._described(persona, versions, parts, consent)
            try:
                manifest = await asyncio.to_thread(self._place, manifest, versions, weights_of(order))
            finally:
                await asyncio.to_thread(self._clear)
            why = f"It was blended of {in_words(manifest)}, as was asked."
            await self._decisions.use(persona, manifest.version, What.BLENDED, why, order.by)
        await self._prune(persona, order.by)
        return manifest

    def _versions(self, parts: Sequence[Wanted]) -> list[Manifest]:
        """The versions that are meant. Raises `UsageError` when they can't be added up."""
        found = [self._shelf.meant(part.persona, part.version) for part in parts]
        twice = [name for name, count in Counter((each.persona, each.version) for each in found).items() if count > 1]
        if twice:
            raise UsageError(f"{twice[0][0]} {twice[0][1]} is named twice. Give it one weight.")
        whole = [each for each in found if each.form == "whole"]
        if whole:
            raise UsageError(
                f"{whole[0].persona} {whole[0].version} is a whole model, and only adapters can be blended. Leave it "
                "out, or train it as an adapter."
            )
        others = [each for each in found if each.base_sha256 != found[0].base_sha256]
        if others:
            one, other = found[0], others[0]
            raise UsageError(
                f"{one.persona} {one.version} and {other.persona} {other.version} stand on different bases "
                f"({one.base}, {other.base}), so they can't be added up. Train one of them again."
            )
        return found

    def _described(
        self, persona: str, versions: Sequence[Manifest], parts: tuple[Part, ...], consent: dict[str, str]
    ) -> Manifest:
        """The manifest; version, parent and files are known when it is placed."""
        first = versions[0]
        return Manifest(
            persona=persona,
            version="v1",
            parent=None,
            blended_from=parts,
            handles=tuple(consent),
            base=first.base,
            base_sha256=first.base_sha256,
            fingerprint="",
            tweets_read_at=min(each.tweets_read_at for each in versions),
            created=self._clock(),
            code_version=importlib.metadata.version("mockingbird"),
            seed=0,
            counts=(),
            consent=consent,
            hyperparameters={},
            metrics=None,
            languages=tuple(dict.fromkeys(language for each in versions for language in each.languages)),
            answers=min(each.answers for each in versions),  # asked to answer only if every part has learned to
            sha256={},
        )

    def _place(self, manifest: Manifest, versions: Sequence[Manifest], weights: Sequence[float]) -> Manifest:
        """As the next version, whatever a training has placed meanwhile.

        Raises `UsageError`, `DamagedVersion`, `UnknownVersion` of a part that was pruned meanwhile, `DiskFull`.
        """
        folders = [self._shelf.verified(each) for each in versions]
        made = blended([(read_adapter(folder), weight) for folder, weight in zip(folders, weights, strict=True)])
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_adapter(made, self._folder)
        except OSError as error:
            raise DiskFull(
                f"The blend could not be written ({error.strerror}). Free some space and try again."
            ) from error
        with self._shelf.placing():
            parent = self._shelf.standing_for(manifest.persona, manifest.handles)
            changes = {
                "version": self._shelf.next_version(manifest.persona),
                "parent": parent.version if parent else None,
                "hyperparameters": {"rank": made.rank, "projections": len(made.projections)},
            }
            numbered = manifest.model_copy(update=changes)
            return placed(self._shelf, self._folder, folders[0] / TOKENIZER, numbered, course_of((), None), RUN)

    async def _prune(self, persona: str, by: str) -> None:
        """Delete versions that are no longer kept, unless one is being judged now: then the next blend does."""
        if not self._keep_versions:
            return
        try:
            async with await self._evaluator.alone().acquire(blocking=False):
                await self._decisions.prune(persona, self._keep_versions, by)
        except Timeout:
            log.info("versions not pruned now", persona=persona)
        except MockingbirdError as error:  # a version too many harms nobody
            log.warning("versions not pruned", persona=persona, reason=str(error))

    def _clear(self) -> None:
        for folder in (self._folder, *self._shelf.folder.glob(f"*/{STAGING}{RUN}")):
            shutil.rmtree(folder, ignore_errors=True)

    def _alone(self) -> AsyncFileLock:
        """One blend at a time, over all processes; the lock dies with its process."""
        return AsyncFileLock(self._data / LOCK, poll_interval=_LOOK_S, run_in_executor=False)


def weights_of(order: Order) -> tuple[float, ...]:
    """How often each part counts: as was asked, or so that they sum to 1."""
    weights = [part.weight for part in order.parts]
    whole = 1.0 if order.as_given else math.fsum(weights)
    return tuple(weight / whole for weight in weights)


def parts_of(versions: Sequence[Manifest], weights: Sequence[float]) -> tuple[Part, ...]:
    """What stands in the manifest: each version once, of a part that is a blend its own parts."""
    found: dict[tuple[str, str], Part] = {}
    for manifest, weight in zip(versions, weights, strict=True):
        for part in manifest.blended_from or (_part(manifest),):
            key = part.persona, part.version
            before = found[key].weight if key in found else 0.0
            found[key] = part.model_copy(update={"weight": before + weight * part.weight})
    return tuple(found.values())


def _part(manifest: Manifest) -> Part:
    weights, _ = ADAPTER_FILES
    return Part(
        persona=manifest.persona,
        version=manifest.version,
        weight=1.0,
        weights_sha256=manifest.sha256.get(weights, ""),
        handles=manifest.handles,
        fingerprint=manifest.fingerprint,
        tweets_read_at=manifest.tweets_read_at,
        seed=manifest.seed,
        hyperparameters={name: value for name, value in manifest.hyperparameters.items() if name in DECIDING},
    )


def in_words(manifest: Manifest) -> str:
    """`nasa v3 (60%) and esa v2 (40%)`."""
    *others, last = [f"{part.persona} {part.version} ({part.share})" for part in manifest.blended_from]
    return f"{', '.join(others)} and {last}"
