"""From a persona's name to drafts that are fit to be sent.

Several rows are generated at once; each is cleaned, cut where X would cut it, and compared with every real tweet the
persona learned from. Copies and empty or looping drafts are dropped, and other seeds take their place. Which version
speaks is read from the shelf for each request, so a newly published one is in use from the next request on while
those under way end with the old one.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from bot.errors import Busy, MockingbirdError, Refused
from bot.generation.draft import Draft, Drafts, Sampling
from bot.generation.engines import Engines
from bot.generation.length import fit, whole_sentences
from bot.generation.novelty import NoveltyIndex, words
from bot.generation.rows import Request, Spoken
from bot.shelf import answering
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from bot.tweets.cleaning import Profile, clean

ROUNDS = 4  # of generating until enough drafts are fit
LOADING_S = 10.0  # how long a request waits for an engine that is being loaded
SEEDS = 2**31  # seeds that nobody asked for are drawn below this
MAX_ROWS = 8  # generated together
LONGEST_ABOUT = 4_000  # characters of a message that are looked at, its last ones
_SPACE = re.compile(r"\s+")


class RealTweet(Protocol):
    """A tweet that a persona learned from."""

    @property
    def key(self) -> str: ...
    @property
    def cleaned(self) -> str: ...


class RealTweets(Protocol):
    """Where the tweets of a handle are."""

    async def kept(self, handle: str) -> Sequence[RealTweet]:
        """The tweets that were fit to learn from."""
        ...

    async def revision(self) -> int:
        """A number that changes whenever any stored tweet does."""
        ...


class Speaker:
    """Speaks for every persona on the shelf."""

    def __init__(self, shelf: Shelf, tweets: RealTweets, min_novelty: float) -> None:
        self._shelf = shelf
        self._tweets = tweets
        self._min_novelty = min_novelty
        self._engines: Engines | None = None
        self._settled = asyncio.Event()  # an engine is there, or never will be
        self._silent: MockingbirdError = Busy("The base model is still being prepared. Try again in a minute.", 60.0)
        self._indexes: dict[tuple[str, ...], tuple[int, NoveltyIndex]] = {}

    def speak_with(self, engines: Engines) -> None:
        """From now on these engines speak; until they are there, requests wait a little, then are put off."""
        self._engines = engines
        self._settled.set()

    def silent_because(self, reason: str) -> None:
        """There will be no engine; whoever asks is told why."""
        self._silent = Refused(reason)
        self._settled.set()

    async def drop_what_is_gone(self) -> None:
        """Forget what is held in memory of tweets and versions that have been removed since."""
        revision = await self._tweets.revision()
        for handles in [handles for handles, (seen, _) in self._indexes.items() if seen != revision]:
            del self._indexes[handles]
        if self._engines is not None:
            await self._engines.drop_what_is_gone()

    async def drafts(
        self,
        persona: str,
        *,
        count: int,
        sampling: Sampling,
        start: str = "",
        seed: int | None = None,
        about: str = "",
    ) -> Drafts:
        """`count` drafts in that persona's voice, the best first; fewer when the limit of tries was reached.

        `start` is how each begins; `about` is a message to answer, data only: it ranks the drafts, and a version that
        learned replies with what they answer is asked in that form (`bot.shelf.answering`). `seed` is the first
        draft's seed, the next ones count up. Raises `UnknownPersona`, `UnknownVersion` when the one in use is deleted
        meanwhile, `Busy`, `DamagedVersion`, and `Refused` when nothing that came out was fit to be sent.
        """
        manifest = self._shelf.current(persona)
        await asyncio.to_thread(self._shelf.verified, manifest)
        engines = await self._ready()
        index = await self._index(manifest.handles)
        first = secrets.randbelow(SEEDS) if seed is None else seed
        drafts: list[Draft] = []
        reasons: Counter[str] = Counter()
        start = _SPACE.sub(" ", start).strip()
        sampling = sampling.as_made_for(manifest)
        asked = asked_of(manifest, about)
        async with engines.lend(manifest) as voice:
            for _ in range(ROUNDS):
                rows = min(count - len(drafts), MAX_ROWS)
                seeds = tuple(range(first, first + rows))
                first += rows
                for spoken in await voice.engine.generate(Request(voice.adapter, start, seeds, sampling, asked)):
                    draft = judged(first_line(spoken) if asked else spoken, start, index, self._min_novelty)
                    if isinstance(draft, str):
                        reasons[draft] += 1
                    elif draft.text not in {other.text for other in drafts}:
                        drafts.append(draft)
                if len(drafts) >= count:
                    break
        if not drafts:
            why = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
            raise Refused(f"Nothing that {persona} came up with was fit to be sent ({why}). Ask again.")
        return Drafts(persona, manifest.version, tuple(ranked(drafts, about)))

    async def _ready(self) -> Engines:
        """The engines, once they are there. Raises `Busy`, or `Refused` when there will be none."""
        if self._engines is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOADING_S):
                    await self._settled.wait()
        if self._engines is None:
            raise self._silent
        return self._engines

    async def _index(self, handles: tuple[str, ...]) -> NoveltyIndex:
        """The index over the handles' tweets as they are stored now."""
        revision = await self._tweets.revision()
        known = self._indexes.get(handles)
        if known is None or known[0] != revision:
            kept = [(tweet.key, tweet.cleaned) for handle in handles for tweet in await self._tweets.kept(handle)]
            known = revision, await asyncio.to_thread(NoveltyIndex, kept)
            self._indexes[handles] = known
        return known[1]


def asked_of(version: Manifest, about: str) -> str:
    """The message as the version learned to be asked, cleaned like a tweet; empty where it learned no such thing."""
    if version.answers < answering.FEWEST:
        return ""
    return clean(about[-LONGEST_ABOUT:], Profile.MOCKINGBIRD)


def first_line(spoken: Spoken) -> Spoken:
    """The answer alone: behind a line break another one would begin, to what was just said.

    Blanks before it stay, since it may go on from a start.
    """
    blanks = len(spoken.text) - len(spoken.text.lstrip())
    end = spoken.text.find("\n", blanks)
    return replace(spoken, text=spoken.text[:end], ended=True) if end >= 0 else spoken


def judged(spoken: Spoken, start: str, index: NoveltyIndex, min_novelty: float) -> Draft | str:
    """The draft that a generated row makes, or in a word why it makes none."""
    text = _SPACE.sub(" ", f"{start}{spoken.text}".replace("\N{REPLACEMENT CHARACTER}", "")).strip()
    if len(words(text)) < 2 or text == start:
        return "empty"
    if _loops(text):
        return "looping"
    text = fit(text if spoken.ended else whole_sentences(text))
    novelty = index.check(text)
    if novelty.score < min_novelty:
        return "copied"
    return Draft(text, spoken.seed, novelty.score, novelty.nearest)


def ranked(drafts: Sequence[Draft], about: str) -> list[Draft]:
    """Drafts that share more words with what they answer come first; otherwise the order stays."""
    asked = {word for word in words(about) if len(word) > 3}
    return sorted(drafts, key=lambda draft: -len(asked & set(words(draft.text))))


def _loops(text: str) -> bool:
    """Whether one and the same three words come three times."""
    found = words(text)
    triples = Counter(zip(found, found[1:], found[2:], strict=False))
    return any(times >= 3 for times in triples.values())
