"""What a version was made of, found out in a process of its own: `python -m bot.training.exploring`.

Putting a data set together again takes seconds of Python, and telling languages 80 MB: a child costs the service
neither. It gets an `Order` as the first line of its standard input, reads the database, and prints `Ingredients` as
JSON. Nothing of that is stored.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import structlog
from tokenizers import Tokenizer

from bot.config import Training
from bot.database import Database
from bot.errors import PortraitFailed, TooFewTweets, UnknownHandle
from bot.shelf.forms import TOKENIZER
from bot.shelf.manifest import HandleSplit, Manifest
from bot.shelf.shelf import Shelf
from bot.training.child import started
from bot.training.dataset import DataSet
from bot.training.ingredients import OF_VERDICT, Ingredients, Seen, Stored, Value, ingredients, splits_of
from bot.training.rebuilding import Match, Rebuilt, rebuilt
from bot.tweets.cleaning import Verdict
from bot.tweets.languages import language
from bot.tweets.portrait import Newest, Portrait, StoredTweet, portray
from bot.tweets.portraying import stored
from bot.tweets.store import KeptTweet, TweetStore

log = structlog.get_logger(__name__)


class Order(Value):
    """Which version, and what it takes to look into it."""

    database: Path
    folder: Path  # of the version
    manifest: Manifest
    settings: Training  # of today


class Explorer:
    """Finds out what versions were made of, one at a time."""

    def __init__(self, shelf: Shelf, database: Path, settings: Training) -> None:
        self._shelf = shelf
        self._database = database
        self._settings = settings
        self._looking = asyncio.Lock()  # each is a process

    async def of_version(self, manifest: Manifest) -> Ingredients:
        """What it was made of, with examples as they are stored now. Raises `PortraitFailed`."""
        if manifest.blended_from:
            return ingredients(manifest, Stored.BLENDED, (), {}, None)
        if not manifest.counts:  # it was made elsewhere
            return ingredients(manifest, Stored.NONE, (), {}, None)
        order = Order(
            database=self._database,
            folder=self._shelf.path(manifest),
            manifest=manifest,
            settings=self._settings,
        )
        async with self._looking, started(__name__, first_line=order.model_dump_json()) as child:
            lines = [line async for line in child.lines()]
            code = await child.ended()
        if code:  # its last words may be those of a tweet
            log.error("a version was not looked into", persona=manifest.persona, exit_code=code)
            raise PortraitFailed(
                f"What {manifest.persona} {manifest.version} was made of could not be found out: "
                f"its process ended with {code}. Try again; if it happens again, report it."
            )
        return Ingredients.model_validate_json(b"".join(lines))


# --- The process ---


async def explore(order: Order) -> Ingredients:
    """All of it, from the open database."""
    manifest = order.manifest
    async with Database(order.database) as database:
        store = TweetStore(database, lambda: datetime.now(UTC))
        kept = {handle: await _kept(store, handle, manifest.handles) for handle in manifest.handles}
        new = {handle: await store.new_since([handle], manifest.tweets_read_at) for handle in manifest.handles}
    found = _rebuilt(manifest, kept, order.settings)
    until = manifest.tweets_read_at if found and found.match is Match.GROWN else None
    if found and found.match is Match.SAME:  # stored anew, maybe, yet nothing else than then
        new = dict.fromkeys(new, 0)
    looks = {
        handle: _Look(order.database, handle, until, _fates(found.data_set if found else None, handle))
        for handle in manifest.handles
    }
    portrait = portray(manifest.persona, chain.from_iterable(looks.values()), language)
    seen = {handle: look.seen(new[handle]) for handle, look in looks.items()}
    return ingredients(
        manifest,
        _stored(found, portrait),
        _splits(order, found),
        seen,
        portrait.model_copy(update={"examples": {}}) if portrait.tweets else None,
    )


async def _kept(store: TweetStore, handle: str, beside: Sequence[str]) -> list[KeptTweet]:
    try:
        return await store.kept(handle, beside)
    except UnknownHandle:
        return []


def _rebuilt(manifest: Manifest, kept: Mapping[str, Sequence[KeptTweet]], settings: Training) -> Rebuilt | None:
    try:
        return rebuilt(manifest, kept, settings)
    except TooFewTweets:
        return None


def _stored(found: Rebuilt | None, portrait: Portrait) -> Stored:
    if not portrait.tweets:
        return Stored.GONE
    return Stored(found.match) if found else Stored.CHANGED


def _splits(order: Order, found: Rebuilt | None) -> tuple[HandleSplit, ...]:
    """As the manifest has them; of older versions as they are found out again, if they can be."""
    if order.manifest.splits or found is None or not found.is_its_own:
        return order.manifest.splits
    path = order.folder / TOKENIZER
    tokenizer = Tokenizer.from_file(str(path)) if path.is_file() else None
    balance = order.manifest.hyperparameters.get("balance", order.settings.balance)
    return splits_of(found.data_set, tokenizer, float(balance))


def _fates(data_set: DataSet | None, handle: str) -> dict[str, str]:
    """Key of a kept tweet to the step at which it ended."""
    return {
        tweet.key: step
        for dealt in (data_set.dealt if data_set else ())
        if dealt.handle == handle
        for step in ("said_before", "said_elsewhere", "known_already", "train", "held_out")
        for tweet in getattr(dealt, step)
    }


class _Look:
    """One look at all stored tweets of an account; whoever has taken them in turn may ask what was seen."""

    def __init__(self, database: Path, handle: str, until: datetime | None, fates: Mapping[str, str]) -> None:
        self._rows = stored(database, handle, until)
        self._fates = fates
        self._counts: Counter[Verdict] = Counter()
        self._newest: defaultdict[str, Newest] = defaultdict(Newest)

    def __iter__(self) -> Iterator[StoredTweet]:
        """Each as it was judged, and what the data set left out as a duplicate."""
        for tweet in self._rows:
            step = self._fates.get(tweet.key) if tweet.verdict is Verdict.KEPT else None
            self._counts[tweet.verdict] += 1
            self._newest[step or OF_VERDICT[tweet.verdict]].add(tweet)
            is_left_out = step is not None and step not in ("train", "held_out")
            yield replace(tweet, verdict=Verdict.DUPLICATE) if is_left_out else tweet

    def seen(self, new: int) -> Seen:
        """What came by."""
        return Seen(self._counts, {step: newest.texts() for step, newest in self._newest.items()}, new)


def main() -> None:
    """Read the order, print the answer; in lines, since what reads them takes no endless one."""
    order = Order.model_validate_json(sys.stdin.readline())
    print(asyncio.run(explore(order)).model_dump_json(indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
