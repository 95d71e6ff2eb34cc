"""The web page with everything real around it but the voice and the trainer: sockets, SQLite, shelf, stored tweets."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Self

import aiohttp

from bot.config import Generation, Prices, Replies, Web, X
from bot.config import Training as Settings
from bot.database import Database
from bot.errors import Refused
from bot.frontends.web.frontend import WebFrontend
from bot.generation.draft import Reason, Sampling
from bot.replies.changes import Changes
from bot.replies.conversation import Conversation
from bot.replies.posts import Posts
from bot.shelf.shelf import Shelf
from bot.training.decisions import Decisions
from bot.training.exploring import Explorer
from bot.training.policy import Decision, Outlook
from bot.training.purchases import Purchases
from bot.training.trainings import Training, TrainingPoint, TrainingState
from bot.tweets.collecting import Collector
from bot.tweets.costs import Ledger
from bot.tweets.store import TweetStore
from tests.fakes import FakeClock, FakeSpeaker
from tests.shelves import shelf_with

PATIENCE = 20.0  # seconds until a test gives up waiting for something that should happen at once


def training(number: int = 1, state: TrainingState = TrainingState.QUEUED, persona: str = "nell") -> Training:
    """A training of one handle of the same name."""
    moment = datetime(2026, 11, 1, 12, tzinfo=UTC)
    return Training(
        id=number,
        persona=persona,
        handles=(persona,),
        cause="web",
        requested_by="",
        state=state,
        position=1 if state is TrainingState.QUEUED else None,
        created_at=moment,
        started_at=None,
        finished_at=None,
        point=None,
        version=None,
        reason=None,
        result=None,
    )


class FakeTrainings:
    """Trainings that go the way a test tells them to."""

    def __init__(self) -> None:
        self.all: dict[int, Training] = {}
        self.measured: dict[int, list[TrainingPoint]] = {}
        self.requested: list[tuple[tuple[str, ...], str | None, str]] = []  # handles, name, cause
        self.failure: Exception | None = None  # of the next request
        self.watching_failure: Exception | None = None  # of everyone who watches
        self._changed = asyncio.Condition()

    async def put(self, changed: Training) -> None:
        """From now on it stands like this."""
        async with self._changed:
            self.all[changed.id] = changed
            self._changed.notify_all()

    async def request(self, handles: Sequence[str], name: str | None, cause: str, requested_by: str) -> Training:
        if self.failure is not None:
            raise self.failure
        self.requested.append((tuple(handles), name, cause))
        made = replace(training(len(self.all) + 1, persona=name or "-".join(handles)), handles=tuple(handles))
        await self.put(made)
        return made

    async def outlook(self, persona: str) -> Outlook:
        return Outlook(Decision(False, "3 of 50 new tweets have come."), 240.0)

    def check_name(self, handles: Sequence[str], name: str | None) -> None:
        """Any name will do."""

    async def training(self, number: int) -> Training:
        if number not in self.all:
            raise Refused(f"There is no training {number}.")
        return self.all[number]

    async def recent(self, limit: int) -> list[Training]:
        return [self.all[number] for number in sorted(self.all, reverse=True)][:limit]

    async def points(self, number: int) -> list[TrainingPoint]:
        return self.measured.get(number, [])

    async def watch(self, number: int) -> AsyncIterator[Training]:
        seen: Training | None = None
        if self.watching_failure is not None:
            raise self.watching_failure
        while seen is None or not seen.ended:
            async with self._changed:
                while self.all[number] is seen:
                    await self._changed.wait()
                seen = self.all[number]
            yield seen

    async def cancel(self, number: int) -> None:
        await self.put(replace(self.all[number], state=TrainingState.CANCELLED, reason="It was stopped."))


class Events:
    """Server-sent events as they come."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    async def next(self) -> tuple[str, dict[str, str], int | None] | None:
        """Name, data and id of the next event; None when the stream has ended."""
        fields: dict[str, str] = {}
        async for line in self._content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "event" in fields:
                number = int(fields["id"]) if "id" in fields else None
                return fields["event"], json.loads(fields["data"]), number
            else:
                fields = {}
        return None

    async def html_with(self, text: str) -> str:
        """The first piece of a page from here on that holds the text."""
        while event := await self.next():
            if text in event[1].get("html", ""):
                return event[1]["html"]
        raise AssertionError(f"the stream ended without {text!r}")


class Browser:
    """What a browser without a script does: keeps cookies, sends forms, follows redirects."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session
        self.html = ""  # of the page that is open
        self.status = 0
        self.at = ""  # its path

    async def open(self, path: str, headers: dict[str, str] | None = None) -> Self:
        """Go there."""
        async with self.session.get(self.url + path, headers=headers) as response:
            await self._see(response)
        return self

    async def submit(self, action: str, headers: dict[str, str] | None = None, **fields: str) -> Self:
        """Send the form with that action from the open page; what is filled in overrides what stands in it."""
        return await self.post(action, self.form(action) | fields, headers)

    async def post(self, path: str, fields: dict[str, str], headers: dict[str, str] | None = None) -> Self:
        """Send those fields, whatever page is open."""
        sent = {"Origin": self.url} | (headers or {})
        async with self.session.post(self.url + path, data=fields, headers=sent) as response:
            await self._see(response)
        return self

    def form(self, action: str) -> dict[str, str]:
        """The hidden fields of the first form with that action."""
        forms = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', self.html, re.DOTALL)
        assert forms, f"no form {action} on {self.at}"
        return dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', forms[0]))

    @property
    def text(self) -> str:
        """What the page says, without its tags."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.html)).split())

    async def say(self, text: str) -> Self:
        """Write that in the channel and send it."""
        await self.open("/")
        return await self.submit("/say", text=text)

    async def page_with(self, *texts: str) -> Self:
        """The open page, loaded again until it says all that, as a browser without a script does."""
        path = self.at
        async with asyncio.timeout(PATIENCE):
            while not all(text in self.text for text in texts):
                await self.open(path)
        return self

    @asynccontextmanager
    async def events(self, path: str, headers: dict[str, str] | None = None) -> AsyncIterator[Events]:
        """The stream of events at that path."""
        async with self.session.get(self.url + path, headers=headers) as response:
            assert response.content_type == "text/event-stream"
            yield Events(response.content)

    async def _see(self, response: aiohttp.ClientResponse) -> None:
        self.html, self.status, self.at = await response.text(), response.status, response.url.path


@dataclass(frozen=True, slots=True)
class Stage:
    """The rooms behind the page."""

    database: Database
    shelf: Shelf
    store: TweetStore
    speaker: FakeSpeaker
    clock: FakeClock
    conversation: Conversation
    posts: Posts
    purchases: Purchases
    ledger: Ledger
    trainings: FakeTrainings = field(default_factory=FakeTrainings)
    refusals: dict[str, dict[Reason, int]] = field(default_factory=dict)  # what was refused since the start

    def frontend(self, password: str | None = None, host: str = "127.0.0.1", port: int = 0) -> WebFrontend:
        """A page that isn't served yet."""
        return WebFrontend(
            Web(host=host, port=port),
            password,
            self.conversation,
            self.posts,
            self.trainings,
            self.purchases,
            self.ledger,
            self.shelf,
            self.store,
            Explorer(self.shelf, self.database.path, Settings()),
            Decisions(self.database, self.shelf, self.clock),
            self.refusals,
            drain_seconds=PATIENCE,
            clock=self.clock,
            pictures=self.pictures,
            changes=self.changes,
        )

    @property
    def changes(self) -> Changes:
        """What retrainings have changed."""
        decisions = Decisions(self.database, self.shelf, self.clock)
        return Changes(decisions, self.shelf, self.speaker, Sampling.from_settings(Generation()))

    @property
    def pictures(self) -> Path:
        """Where pictures of posts are kept."""
        return self.database.path.with_name("pictures")

    @asynccontextmanager
    async def browser(self, password: str | None = None) -> AsyncIterator[Browser]:
        """The page served, and somebody who looks at it."""
        async with self.frontend(password) as page, visitor(page.url) as browser:
            yield browser


@asynccontextmanager
async def visitor(url: str) -> AsyncIterator[Browser]:
    """Somebody with a browser of their own."""
    jar = aiohttp.CookieJar(unsafe=True)  # keeps cookies of an address without a name
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as session:
        yield Browser(url, session)


def stage(
    database: Database,
    folder: Path,
    *personas: str,
    speaker: FakeSpeaker | None = None,
    clock: FakeClock | None = None,
    collector: Collector | None = None,
    ledger: Ledger | None = None,
    accounts: dict[str, X] | None = None,
) -> Stage:
    """Rooms in which the given personas are on the shelf, the first of them answering. X is off without `collector`."""
    clock, speaker = clock or FakeClock(), speaker or FakeSpeaker()
    ledger = ledger or Ledger(database, Prices(), Decimal("20.00"), clock)
    trainings = FakeTrainings()
    shelf = shelf_with(folder / "models", *personas)
    settings = Replies(default_persona=personas[0] if personas else "nell")
    sampling = Sampling.from_settings(Generation())
    return Stage(
        database=database,
        shelf=shelf,
        store=TweetStore(database, clock),
        speaker=speaker,
        clock=clock,
        conversation=Conversation(database, shelf, speaker, Generation(), settings, clock),
        posts=Posts(database, speaker, sampling, drafts=3, accounts=accounts or {"main": X()}, clock=clock),
        purchases=Purchases(database, TweetStore(database, clock), ledger, trainings, collector, clock),
        ledger=ledger,
        trainings=trainings,
    )
