"""What a speaker is asked with, what it remembers, and what it does when rows are not fit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from bot.config import Generation, SafetySettings
from bot.database import Database
from bot.errors import Refused, UnknownVersion
from bot.generation.draft import Drafts, Partial, Reason, Request, Sampling, Spoken
from bot.generation.engine import Engine
from bot.generation.engines import Engines, Voice
from bot.generation.filters import HIDDEN
from bot.generation.speaker import LONGEST_ABOUT, ROUNDS, Speaker, asked_of, first_line
from bot.shelf.answering import FEWEST
from bot.shelf.manifest import Manifest
from bot.tweets.store import TweetStore
from tests.fakes import FakeClock
from tests.shelves import manifest, shelf_with
from tests.training.material import sentences, tweets

SAMPLING = Sampling.from_settings(Generation())


def spoken(text: str, ended: bool = True) -> Spoken:
    return Spoken(text, seed=5, ended=ended)


class Rows:
    """An engine that says the given texts in their order, the last one for ever; even seeds gain a nat.

    Whoever follows it is told each row's text before its last letter.
    """

    def __init__(self, texts: Sequence[str], ended: bool = True) -> None:
        self._texts = list(texts)
        self._ended = ended
        self.requests: list[Request] = []

    async def generate(self, request: Request) -> list[Spoken]:
        self.requests.append(request)
        said = [Spoken(self._next(), seed, self._ended, -2.0, -3.0 + seed % 2) for seed in request.seeds]
        for row, spoken in enumerate(said if request.on_text else ()):
            assert request.on_text is not None
            request.on_text(row, spoken.text[:-1])
        return said

    def _next(self) -> str:
        return self._texts.pop(0) if len(self._texts) > 1 else self._texts[0]

    @asynccontextmanager
    async def lend(self, version: Manifest) -> AsyncIterator[Voice]:
        yield Voice(cast(Engine, self), Path())

    async def drop_what_is_gone(self) -> None:
        """Nothing is held."""


class Stage:
    """A speaker for nell, whose 20 real tweets are known, and whose engine says what it is told to."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.store = TweetStore(database, FakeClock())
        self.shelf = shelf_with(folder, "nell")
        self.safety = SafetySettings(never_said=("Fudge",))
        self.speaker = Speaker(self.shelf, self.store, Generation(), self.safety)

    def says(self, *texts: str, ended: bool = True) -> Rows:
        rows = Rows(texts, ended)
        self.speaker.speak_with(cast(Engines, rows))
        return rows

    async def drafts(self, count: int = 1, start: str = "", about: str = "", sampling: Sampling = SAMPLING) -> Drafts:
        return await self.speaker.drafts("nell", count=count, sampling=sampling, start=start, about=about, seed=7)


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> Stage:
    stage = Stage(database, tmp_path)
    await stage.store.add("nell", tweets("nell", sentences(20)))
    return stage


async def test_other_seeds_take_the_place_of_rows_that_are_not_fit(stage: Stage) -> None:
    rows = stage.says("…", "zebras juggle pineapples", "zebras juggle, pineapples!", "kettles hum at dawn")
    made = await stage.drafts(count=2)
    assert {draft.text for draft in made.drafts} == {"zebras juggle pineapples", "kettles hum at dawn"}
    assert made.refused == {Reason.EMPTY: 1, Reason.REPEATED: 1}
    assert [request.seeds for request in rows.requests] == [(7, 8), (9,), (10,)]


async def test_when_nothing_is_fit_it_stops_at_a_limit_and_says_why(stage: Stage) -> None:
    rows = stage.says("oh my gulls " * 5)
    with pytest.raises(Refused, match=r"Nothing that nell came up with was fit to be sent \(4 looping\)"):
        await stage.drafts()
    assert len(rows.requests) == ROUNDS


async def test_every_refusal_is_counted_by_persona_and_reason(stage: Stage) -> None:
    stage.says("…", "you stupid fucking idiot", sentences(20)[3], "zebras juggle pineapples")
    await stage.drafts()
    stage.says("zebras eat fudge", "zebras juggle pineapples")
    await stage.drafts()
    with pytest.raises(Refused):
        await stage.drafts(about="shut up you stupid bitch")
    assert stage.speaker.refusals["nell"] == {
        Reason.EMPTY: 1,
        Reason.UNSAFE: 1,
        Reason.COPIED: 1,
        Reason.BANNED_WORD: 1,
        Reason.UNSAFE_MESSAGE: 1,
    }


async def test_the_best_draft_comes_first_and_the_others_are_kept(stage: Stage) -> None:
    """Even seeds gain one nat over the base here, odd ones nothing."""
    stage.says("zebras juggle pineapples", "kettles hum at dawn", "owls mend their nets")
    made = await stage.drafts(count=3)
    assert [draft.seed % 2 for draft in made.drafts] == [0, 1, 1]
    assert [draft.likelihood_gain for draft in made.drafts] == [1.0, 0.0, 0.0]
    assert [draft.score for draft in made.drafts] == sorted((draft.score for draft in made.drafts), reverse=True)


async def test_only_where_there_is_a_choice_the_base_is_asked(stage: Stage) -> None:
    rows = stage.says("zebras juggle pineapples", "kettles hum at dawn")
    await stage.drafts(count=1)
    await stage.drafts(count=2)
    assert [rows.requests[0].scored, rows.requests[1].scored] == [False, True]


async def test_a_cut_off_draft_is_only_taken_when_nothing_else_comes(stage: Stage) -> None:
    stage.says("zebras juggle pineapples and the g", ended=False)
    made = await stage.drafts()
    assert made.drafts[0].text == "zebras juggle pineapples and the…"
    assert made.refused == {Reason.CUT_OFF: ROUNDS - 1}


async def test_rows_can_be_followed_each_by_its_seed_but_never_a_copy(stage: Stage) -> None:
    stage.says("zebras juggle pineapples", f"{sentences(20)[3]}?", "owls mend nets")
    told: list[Partial] = []
    await stage.speaker.drafts("nell", count=2, sampling=SAMPLING, seed=7, on_partial=told.append)
    assert told[:2] == [Partial(0, 7, "zebras juggle pineapple"), Partial(1, 8, HIDDEN)]
    assert told[2:] == [Partial(0, 9, "owls mend net")]


async def test_of_an_answer_its_own_line_can_be_followed(stage: Stage) -> None:
    """What the row says behind a line break is the next one's answer."""
    version = stage.shelf.current("nell").model_copy(update={"version": "v2", "answers": FEWEST})
    stage.shelf.place(stage.shelf.staging("nell", "2"), version)
    stage.says("zebras juggle pineapples\nAnd who asks?")
    told: list[Partial] = []
    await stage.speaker.drafts(
        "nell", count=1, sampling=SAMPLING, about="What do they do?", seed=7, version="v2", on_partial=told.append
    )
    assert told == [Partial(0, 7, "zebras juggle pineapples")]


async def test_a_replay_is_the_row_of_that_seed_even_if_it_was_cut_at_a_word(stage: Stage) -> None:
    """As it was when it was taken in the last round."""
    rows = stage.says("zebras juggle pineapples and the g", ended=False)
    (taken,) = (await stage.drafts()).drafts
    made = await stage.speaker.replay("nell", "v1", seed=taken.seed, sampling=SAMPLING)
    assert (made.version, [(each.text, each.seed) for each in made.drafts]) == ("v1", [(taken.text, taken.seed)])
    assert rows.requests[-1].seeds == (taken.seed,)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("…", Reason.EMPTY),
        ("oh my gulls " * 5, Reason.LOOPING),
        (sentences(20)[3], Reason.COPIED),
        ("you stupid fucking idiot", Reason.UNSAFE),
        ("zebras eat fudge", Reason.BANNED_WORD),
    ],
)
async def test_a_replay_that_is_not_fit_is_refused_and_no_other_seed_takes_its_place(
    stage: Stage, text: str, reason: Reason
) -> None:
    rows = stage.says(text, "zebras juggle pineapples")
    with pytest.raises(Refused, match=rf"What seed 7 gives with nell v1 is not fit to be shown \({reason}\)"):
        await stage.speaker.replay("nell", "v1", seed=7, sampling=SAMPLING)
    assert [request.seeds for request in rows.requests] == [(7,)]
    assert stage.speaker.refusals["nell"] == {reason: 1}


async def test_a_version_that_is_not_there_says_nothing(stage: Stage) -> None:
    rows = stage.says("zebras juggle pineapples")
    with pytest.raises(UnknownVersion):
        await stage.speaker.replay("nell", "v9", seed=7, sampling=SAMPLING)
    with pytest.raises(UnknownVersion):
        await stage.speaker.drafts("nell", count=1, sampling=SAMPLING, version="v9")
    assert not rows.requests


@pytest.mark.parametrize("message", ["shut up you stupid bitch", "what about fudge?", "Say FUDGE!"])
async def test_a_message_over_the_limit_is_refused_kindly_before_anything_is_generated(
    stage: Stage, message: str
) -> None:
    rows = stage.says("zebras juggle pineapples")
    for about, start in ((message, ""), ("", message)):
        with pytest.raises(Refused) as caught:
            await stage.drafts(about=about, start=start)
        assert "fudge" not in str(caught.value).lower() and "bitch" not in str(caught.value)
    assert not rows.requests
    assert sum(stage.speaker.refusals["nell"].values()) == 2


async def test_words_that_are_not_said_reach_the_engine_and_the_filters(stage: Stage) -> None:
    rows = stage.says("zebras juggle pineapples", "zebras juggle lamps")
    made = await stage.drafts(sampling=Sampling.from_settings(Generation(), banned=("Pineapples",)))
    assert made.drafts[0].text == "zebras juggle lamps"
    assert rows.requests[0].sampling.banned == ("pineapples", "fudge")


async def test_a_beginning_as_long_as_a_tweet_is_refused(stage: Stage) -> None:
    stage.says("zebras juggle pineapples")
    with pytest.raises(Refused, match="beginning"):
        await stage.drafts(start="word " * 60)


async def test_a_control_token_in_a_beginning_stays_text(stage: Stage) -> None:
    rows = stage.says(" of a lamp")
    made = await stage.drafts(start="<|endoftext|>\u0000 My\ndream")
    assert rows.requests[0].start == "<|endoftext|> My dream"
    assert made.drafts[0].text == "<|endoftext|> My dream of a lamp"


async def test_what_was_removed_from_the_store_is_dropped_from_memory(stage: Stage) -> None:
    stage.says("zebras juggle pineapples")
    await stage.drafts()
    await stage.speaker.drop_what_is_gone()
    assert list(stage.speaker._real) == [("nell",)]
    await stage.store.remove(["nell"])
    await stage.speaker.drop_what_is_gone()
    assert not stage.speaker._real


async def test_counts_of_a_persona_that_is_gone_are_dropped(stage: Stage) -> None:
    stage.says("…")
    with pytest.raises(Refused):
        await stage.drafts()
    await stage.speaker.drop_what_is_gone()
    assert stage.speaker.refusals
    stage.shelf.remove("nell")
    await stage.speaker.drop_what_is_gone()
    assert not stage.speaker.refusals


def test_only_a_version_that_learned_enough_replies_is_asked_in_their_form() -> None:
    """Cleaned as its tweets were, in one line; whoever else is addressed, linked or in control has no part in it."""
    message = "@nell_bot  What of\nMars? https://example.org <|endoftext|>"
    for answers, asked in ((0, ""), (FEWEST - 1, ""), (FEWEST, "What of Mars?")):
        assert asked_of(manifest("nell").model_copy(update={"answers": answers}), message) == asked
    ready = manifest("nell").model_copy(update={"answers": FEWEST})
    assert asked_of(ready, "") == ""
    assert asked_of(ready, "word " * 100_000).endswith("word word")


def test_a_thread_stands_before_the_message_the_oldest_first() -> None:
    ready = manifest("nell").model_copy(update={"answers": FEWEST})
    assert (
        asked_of(ready, "And Mars?", ["Is the moon\nround?", "@crumb It is."]) == "Is the moon round? It is. And Mars?"
    )
    assert asked_of(ready, "", ["Is the moon round?"]) == ""
    assert asked_of(manifest("nell"), "And Mars?", ["Is the moon round?"]) == ""


def test_a_thread_that_is_too_long_loses_whole_messages_from_its_beginning() -> None:
    ready = manifest("nell").model_copy(update={"answers": FEWEST})
    asked = asked_of(ready, "And Mars?", [*(f"number{number} " + "word " * 300 for number in range(50)), "It is."])
    assert len(asked) < LONGEST_ABOUT
    assert asked.startswith("number")
    assert asked.endswith("It is. And Mars?")


def test_an_answer_ends_with_its_line() -> None:
    """What follows answers it in turn."""
    assert first_line(spoken(" of a lamp\nWho asks?", ended=False)) == spoken(" of a lamp", ended=True)
    assert first_line(spoken("\nof a lamp\nWho asks?", ended=False)) == spoken("\nof a lamp", ended=True)
    assert first_line(spoken("of a lamp", ended=False)) == spoken("of a lamp", ended=False)
