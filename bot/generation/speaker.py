"""From a persona's name to drafts that are fit to be sent, the best first.

What comes in is looked at first: a message or a beginning that offends is refused. Then several rows are generated at
once and filtered (`filters`); other seeds take the place of those that are out, for a few rounds, and the rest is put
in order by a score (`choosing`). Every refusal is counted with its reason. Which version speaks is read from the shelf
for each request, so a newly published one is in use from the next request on while those under way end with the old.
"""

from __future__ import annotations

import asyncio
import secrets
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from bot.config import Generation, SafetySettings
from bot.errors import Busy, MockingbirdError, Refused
from bot.generation.choosing import ranked
from bot.generation.draft import Draft, Drafts, OnPartial, Partial, Reason, Request, Sampling, Spoken, in_words
from bot.generation.engines import Engines, Voice
from bot.generation.filters import Filters, in_one_line
from bot.generation.length import LIMIT, weighted_length
from bot.generation.novelty import NoveltyIndex, words
from bot.generation.safety import Safety, words_of
from bot.shelf import answering
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from bot.tweets.cleaning import Profile, clean

ROUNDS = 4  # of generating until enough drafts are fit, and one more for each further full batch
LOADING_S = 10.0  # how long a request waits for an engine that is being loaded
SEEDS = 2**31  # seeds that nobody asked for are drawn below this
MAX_ROWS = 8  # generated together
LONGEST_ABOUT = 4_000  # characters of a message and its thread that are looked at, the last ones
LONGEST_THREAD = 20  # earlier messages that are looked at, the last ones
A_SENTENCE = 40  # tokens; whoever asks for fewer can't expect whole sentences


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


@dataclass(frozen=True, slots=True)
class _Real:
    """What is known of a persona's real tweets."""

    revision: int  # of the store when they were read
    index: NoveltyIndex
    usual_length: int  # characters, the median; 0 without tweets


@dataclass(frozen=True, slots=True)
class _Prepared:
    """All that a request for drafts needs before it may speak."""

    version: Manifest  # whose files are those that were published
    engines: Engines
    request: Request  # without an adapter and seeds
    filters: Filters
    usual_length: int  # characters


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether anybody can speak, and how many want to."""

    base: str | None  # the configured one, once it is open
    waiting: int = 0  # requests, those that are being answered included
    why_silent: str = ""  # where there is no base: a sentence


class Speaker:
    """Speaks for every persona on the shelf."""

    def __init__(
        self, shelf: Shelf, tweets: RealTweets, settings: Generation, safety: SafetySettings | None = None
    ) -> None:
        self._shelf = shelf
        self._tweets = tweets
        self._settings = settings
        self._safety = Safety(safety or SafetySettings())
        self._engines: Engines | None = None
        self._settled = asyncio.Event()  # an engine is there, or never will be
        self._silent: MockingbirdError = Busy("The base model is still being prepared. Try again in a minute.", 60.0)
        self._real: dict[tuple[str, ...], _Real] = {}
        self._refusals: dict[str, Counter[Reason]] = {}

    @property
    def refusals(self) -> Mapping[str, Mapping[Reason, int]]:
        """Since the start, by persona: how many rows and messages were refused, and why."""
        return self._refusals

    def standing(self) -> Standing:
        """How it is with the engines at this moment."""
        if self._engines is None:
            return Standing(None, why_silent=str(self._silent))
        return Standing(self._engines.first.base.record.spec, self._engines.waiting)

    def speak_with(self, engines: Engines) -> None:
        """From now on these engines speak; until they are there, requests wait a little, then are put off."""
        self._engines = engines
        self._settled.set()

    def silent_because(self, reason: str) -> None:
        """There will be no engine; whoever asks is told why."""
        self._silent = Refused(reason)
        self._settled.set()

    async def drop_what_is_gone(self) -> None:
        """Forget what is held in memory of tweets, versions and personas that have been removed since."""
        revision = await self._tweets.revision()
        for handles in [handles for handles, real in self._real.items() if real.revision != revision]:
            del self._real[handles]
        here = await asyncio.to_thread(self._shelf.personas)
        for persona in self._refusals.keys() - set(here):
            del self._refusals[persona]
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
        thread: Sequence[str] = (),
        urgent: bool = True,
        version: str | None = None,
        on_partial: OnPartial | None = None,
    ) -> Drafts:
        """`count` drafts in that persona's voice, the best first; fewer when the limit of tries was reached.

        `version` speaks, or the one in use where none is named. `start` is how each begins; `about` is a message to
        answer and `thread` what was said before it, the oldest first. All three are data: a control token in them is
        text. A version that learned replies with what they answer is asked in that form (`bot.shelf.answering`); for
        others `about` only ranks the drafts. `seed` is the first draft's seed, the next ones count up. What is not
        `urgent` comes after what somebody waits for. `on_partial` is told how far each row has come.

        Raises `UnknownPersona`, `UnknownVersion` when there is none of that name or it is deleted meanwhile, `Busy`,
        `DamagedVersion`, and `Refused` when the message or the beginning is not to be answered, or nothing that came
        out was fit.
        """
        prepared = await self._prepared(self._shelf.meant(persona, version), sampling, start, about, thread)
        request = replace(prepared.request, scored=count > 1, urgent=urgent)
        async with prepared.engines.lend(prepared.version) as voice:
            fit, refused = await _speak(voice, request, prepared.filters, count, seed, on_partial)
        self._count(persona, refused)
        if not fit:
            raise Refused(f"Nothing that {persona} came up with was fit to be sent ({in_words(refused)}). Ask again.")
        return Drafts(persona, prepared.version.version, ranked(fit, about, prepared.usual_length), refused)

    async def replay(
        self,
        persona: str,
        version: str,
        *,
        seed: int,
        sampling: Sampling,
        start: str = "",
        on_partial: OnPartial | None = None,
    ) -> Drafts:
        """The one draft that this seed gives, the same as before: today, after a restart, and in company.

        No other seed takes its place. Raises as `drafts` does; `Refused` names the filter that keeps the draft back.
        """
        prepared = await self._prepared(self._shelf.version(persona, version), sampling, start)
        async with prepared.engines.lend(prepared.version) as voice:
            asked = replace(prepared.request, adapter=voice.adapter, seeds=(seed,))
            (row,) = await voice.engine.generate(_followed(asked, prepared.filters, on_partial))
        draft = prepared.filters.draft(row, prepared.request.start)  # it may have been cut at a word, in a last round
        if isinstance(draft, Reason):
            self._count(persona, {draft: 1})
            raise Refused(f"What seed {seed} gives with {persona} {version} is not fit to be shown ({draft}).")
        return Drafts(persona, version, ranked([draft], "", prepared.usual_length))

    async def _prepared(
        self, version: Manifest, sampling: Sampling, start: str, about: str = "", thread: Sequence[str] = ()
    ) -> _Prepared:
        """What it takes to speak, once it is known that this may be answered. Raises as `drafts` does."""
        await asyncio.to_thread(self._shelf.verified, version)
        start, about = in_one_line(start).strip(), about[-LONGEST_ABOUT:]
        sampling = self._with_words(sampling.as_made_for(version))
        self._require_answerable(version.persona, start, about, sampling.banned)
        engines = await self._ready()
        real = await self._real_tweets(version.handles)
        heard = [text for text in thread if self._safety.in_message(text, sampling.banned) is None]
        request = Request(None, start, (), sampling, asked_of(version, about, heard))
        return _Prepared(version, engines, request, self._filters(real.index, sampling), real.usual_length)

    def _require_answerable(self, persona: str, start: str, about: str, banned: Iterable[str]) -> None:
        """Raises `Refused` on a message or a beginning that is not to be answered, and counts it."""
        if weighted_length(start) >= LIMIT:
            raise Refused("That beginning leaves no room for a tweet. Give a few words or a sentence.")
        for text in (about, start):
            unsafe = self._safety.in_message(text, banned)
            if unsafe is Reason.BANNED_WORD:
                self._count(persona, {Reason.BANNED_WORD_IN_MESSAGE: 1})
                raise Refused("There is a word in that which is not used here. Say it in other words.")
            if unsafe is not None:
                self._count(persona, {Reason.UNSAFE_MESSAGE: 1})
                raise Refused(
                    f"{persona} would rather not answer that. Say it in a friendlier way, or ask something else."
                )

    def _with_words(self, sampling: Sampling) -> Sampling:
        """The same with the words that are never said."""
        return replace(sampling, banned=tuple(dict.fromkeys((*words_of(sampling.banned), *self._safety.never_said))))

    def _filters(self, index: NoveltyIndex, sampling: Sampling) -> Filters:
        settings = self._settings
        return Filters(index, settings.min_novelty, self._safety, sampling.banned, settings.handles, settings.links)

    def _count(self, persona: str, refused: Mapping[Reason, int]) -> None:
        if persona in self._shelf.personas():  # it may have been forgotten meanwhile
            self._refusals.setdefault(persona, Counter()).update(refused)

    async def _ready(self) -> Engines:
        """The engines, once they are there. Raises `Busy`, or `Refused` when there will be none."""
        if self._engines is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOADING_S):
                    await self._settled.wait()
        if self._engines is None:
            raise self._silent
        return self._engines

    async def _real_tweets(self, handles: tuple[str, ...]) -> _Real:
        """What is known of the handles' tweets as they are stored now."""
        revision = await self._tweets.revision()
        known = self._real.get(handles)
        if known is None or known.revision != revision:
            kept = [(tweet.key, tweet.cleaned) for handle in handles for tweet in await self._tweets.kept(handle)]
            usual = round(statistics.median(len(text) for _, text in kept)) if kept else 0
            known = _Real(revision, await asyncio.to_thread(NoveltyIndex, kept), usual)
            if await self._tweets.revision() == revision:  # else somebody may have been forgotten meanwhile
                self._real[handles] = known
        return known


async def _speak(
    voice: Voice, request: Request, filters: Filters, count: int, seed: int | None, on_partial: OnPartial | None = None
) -> tuple[list[Draft], Counter[Reason]]:
    """Up to `count` fit drafts in the order they came, and how many rows were refused for each reason.

    In the last round, or where so few tokens are asked for that no sentence could end, a draft may be cut at a word.
    """
    fit: dict[tuple[str, ...], Draft] = {}  # by their words
    refused: Counter[Reason] = Counter()
    first = secrets.randbelow(SEEDS) if seed is None else seed
    rounds = ROUNDS + (count - 1) // MAX_ROWS
    for number in range(rounds):
        rows = min(count - len(fit), MAX_ROWS)
        seeds = tuple(range(first, first + rows))
        first += rows
        at_words = number == rounds - 1 or request.sampling.max_tokens < A_SENTENCE
        asked = replace(request, adapter=voice.adapter, seeds=seeds)
        try:
            spoken_rows = await voice.engine.generate(_followed(asked, filters, on_partial))
        except Busy:
            if not fit:
                raise
            break  # better fewer than none
        for spoken in spoken_rows:
            row = first_line(spoken) if request.asked else spoken
            draft = filters.draft(row, request.start, at_words)
            if isinstance(draft, Reason):
                refused[draft] += 1
            elif (said := tuple(words(draft.text))) in fit:
                refused[Reason.REPEATED] += 1
            else:
                fit[said] = draft
        if len(fit) >= count:
            break
    return list(fit.values()), refused


def _followed(request: Request, filters: Filters, on_partial: OnPartial | None) -> Request:
    """The same request, of whose rows it is told how far they have come, as far as that may be shown."""
    if on_partial is None:
        return request

    def tell(row: int, text: str) -> None:
        said = first_line(Spoken(text, request.seeds[row], ended=False)).text if request.asked else text
        on_partial(Partial(row, request.seeds[row], filters.partial(said, request.start)))

    return replace(request, on_text=tell)


def asked_of(version: Manifest, about: str, thread: Sequence[str] = ()) -> str:
    """What is to be answered as the version learned to be asked: what was said before and the message, each cleaned
    like a tweet, in one line. Empty where it learned no such thing, or without a message.

    Of what is too long the beginning goes first: here whole messages, in the engine tokens (`answering.LONGEST`).
    """
    if version.answers < answering.FEWEST:
        return ""
    asked = clean(about[-LONGEST_ABOUT:], Profile.MOCKINGBIRD)
    for earlier in reversed(thread[-LONGEST_THREAD:] if asked else ()):
        said = clean(earlier[-LONGEST_ABOUT:], Profile.MOCKINGBIRD)
        if len(said) + len(asked) >= LONGEST_ABOUT:
            break
        asked = f"{said} {asked}".strip()
    return asked


def first_line(spoken: Spoken) -> Spoken:
    """The answer alone: behind a line break another one would begin, to what was just said.

    Blanks before it stay, since it may go on from a start.
    """
    blanks = len(spoken.text) - len(spoken.text.lstrip())
    end = spoken.text.find("\n", blanks)
    return replace(spoken, text=spoken.text[:end], ended=True) if end >= 0 else spoken
