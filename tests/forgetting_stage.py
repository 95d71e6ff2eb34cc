"""Every room that a takedown empties, real, on a folder of its own; only the voice is a fake."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from bot.config import Generation, Hub, Judging, Model, Prices, Replies, Retraining, X
from bot.database import Database
from bot.forgetting.rooms import rooms_to_empty
from bot.generation.draft import Sampling
from bot.personas.takedown import Outlet, Room, Takedowns
from bot.replies.conversation import Conversation
from bot.replies.incoming import Incoming, Platform
from bot.replies.posts import Posts
from bot.shelf.bases import Base
from bot.shelf.manifest import HandleCounts
from bot.shelf.shelf import Shelf
from bot.training.blends import Blends
from bot.training.decisions import Decisions
from bot.training.evaluation import Evaluator, Sampled
from bot.training.evaluations import Evaluations
from bot.training.pushing import Pushes
from bot.training.trainings import Trainings
from bot.tweets.blocked import Blocklist
from bot.tweets.costs import Ledger
from bot.tweets.store import Basis, TweetStore
from bot.tweets.tweet import Source, Tweet
from tests.fakes import FakeClock, FakeSpeaker
from tests.posting import sent
from tests.shelves import manifest
from tests.training.material import sentences, settings

SECRET = "(Hollin Skerry)"


@dataclass(frozen=True, slots=True)
class Town:
    """The rooms, and the takedowns over them."""

    folder: Path
    database: Database
    store: TweetStore
    shelf: Shelf
    trainings: Trainings
    speaker: FakeSpeaker
    conversation: Conversation
    posts: Posts
    ledger: Ledger
    blocklist: Blocklist
    rooms: dict[str, Room]
    takedowns: Takedowns
    blends: Blends

    async def settle(self, handle: str, count: int = 40) -> None:
        """Somebody with tweets that nobody else wrote, and a cost."""
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        said = itertools.cycle(sentences(500))
        texts = [f"{next(said)} {SECRET} {handle} number {n} &amp; more." for n in range(1, count + 1)]
        tweets = [
            Tweet(handle, text, str(n), moment, False, None, Source.ARCHIVE) for n, text in enumerate(texts, start=1)
        ]
        await self.store.add(handle, tweets, Basis.OWN)
        async with self.database.transaction() as transaction:
            await transaction.run(
                "INSERT INTO costs (at, purpose, about, units, usd, resource) VALUES (?, 'fetch', ?, 1, '0.10', ?)",
                (moment.isoformat(), handle, f"page of {handle}"),
            )

    def publish(self, persona: str, *handles: str, version: str = "v1", in_use: bool = True) -> None:
        """A version with weights, made from these accounts."""
        staging = self.shelf.staging(persona, version)
        (staging / "adapter_model.safetensors").write_bytes(b"weights of " + persona.encode())
        (staging / "README.md").write_text(f"# {persona}, made of {handles}", encoding="utf-8")
        counts = tuple(
            HandleCounts(handle=each, downloaded=40, retweets=0, short=0, duplicates=0, kept=40) for each in handles
        )
        made = manifest(persona, version).model_copy(
            update={"handles": tuple(sorted(handles)), "counts": counts, "sha256": {"README.md": "0f" * 32}}
        )
        self.shelf.place(staging, made)
        if in_use:
            self.shelf.use(persona, version)

    async def answer(self, persona: str, message_id: str, answer_id: str, channel: str = "7") -> None:
        """Somebody on Discord was answered in that voice."""
        incoming = Incoming(Platform.DISCORD, message_id, channel, "99", f"{persona}: hello")
        assert await self.conversation.answer(incoming) is not None
        await self.conversation.delivered(incoming, answer_id)

    async def post(self, persona: str, platform_id: str) -> None:
        """A post in that voice stands on X."""
        post = await self.posts.propose("main", persona)
        await self.posts.approve(post.id, "web")
        await sent(self.database, self.takedowns._clock, post.id, platform_id)

    def forgetting(self, outlets: Mapping[str, Outlet]) -> Takedowns:
        """Takedowns that can take back what was said."""
        return Takedowns(
            self.database, self.store, self.blocklist, self.rooms, outlets, self.folder, self.takedowns._clock
        )

    def traces(self, *words: str) -> list[str]:
        """Where in a file below this folder one of the words stands, as `path: word`."""
        found = []
        for path in sorted(self.folder.rglob("*")):
            content = path.read_bytes() if path.is_file() else b""
            found += [f"{path.relative_to(self.folder)}: {word}" for word in words if word.encode() in content]
        return found


async def _never(
    base: Base, adapter: Path, texts: Path, count: int, seed: int, sampling: Mapping[str, float]
) -> Sampled:
    raise AssertionError("nothing is judged here")


@asynccontextmanager
async def town(folder: Path, clock: FakeClock | None = None, busy_timeout_ms: int = 2_000) -> AsyncIterator[Town]:
    """The rooms around the database in that folder."""
    now: Callable[[], datetime] = clock or FakeClock()
    async with Database(folder / "mockingbird.db", busy_timeout_ms=busy_timeout_ms) as database:
        store, shelf, speaker = TweetStore(database, now), Shelf(folder / "models"), FakeSpeaker()
        evaluator = Evaluator(shelf, store, folder, folder / "examples", settings(), Judging(), _never)
        trainings = Trainings(
            database, shelf, store, folder, Model(base="tiny"), settings(), Retraining(min_new_tweets=5), now
        )
        conversation = Conversation(database, shelf, speaker, Generation(), Replies(default_persona="otis"), now)
        posts = Posts(database, speaker, Sampling.from_settings(Generation()), 1, {"main": X()}, now)
        ledger, blocklist = Ledger(database, Prices(), Decimal("20"), now), Blocklist(database, now)
        evaluations = Evaluations(database, now)
        pushes = Pushes(database, store, shelf, folder, Hub(), Generation(), now)
        decisions = Decisions(database, shelf, now)
        blends = Blends(shelf, store, folder, evaluator, decisions, 0, now)
        rooms = rooms_to_empty(
            posts,
            conversation,
            shelf,
            evaluations,
            decisions,
            trainings,
            evaluator,
            database,
            store,
            ledger,
            pushes,
            blends,
            folder / "pictures",
        )
        takedowns = Takedowns(database, store, blocklist, rooms, {}, folder, now)
        yield Town(
            folder,
            database,
            store,
            shelf,
            trainings,
            speaker,
            conversation,
            posts,
            ledger,
            blocklist,
            rooms,
            takedowns,
            blends,
        )
