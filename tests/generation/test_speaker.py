"""Which generated rows become drafts, and in which order."""

from __future__ import annotations

from pathlib import Path

from bot.database import Database
from bot.generation.draft import Draft
from bot.generation.novelty import NoveltyIndex
from bot.generation.rows import Spoken
from bot.generation.speaker import Speaker, asked_of, first_line, judged, ranked
from bot.shelf.answering import FEWEST
from bot.shelf.shelf import Shelf
from bot.tweets.store import TweetStore
from tests.fakes import FakeClock
from tests.shelves import manifest
from tests.training.material import sentences, tweets

INDEX = NoveltyIndex([("1", "The lamp was lit before the fog came in, and the gulls went quiet.")])


def spoken(text: str, ended: bool = True) -> Spoken:
    return Spoken(text, seed=5, ended=ended)


def test_a_fit_row_becomes_a_draft_with_its_seed_and_novelty() -> None:
    draft = judged(spoken("  a kettle   sings\nat dawn "), "", INDEX, 0.3)
    assert draft == Draft("a kettle sings at dawn", 5, 1.0, None)


def test_the_start_is_part_of_the_draft() -> None:
    draft = judged(spoken(" of a quiet harbour"), "My dream is", INDEX, 0.3)
    assert isinstance(draft, Draft)
    assert draft.text == "My dream is of a quiet harbour"


def test_copies_loops_and_empty_rows_are_dropped_with_a_reason() -> None:
    assert (
        judged(spoken("The lamp was lit before the fog came in, and the gulls went quiet"), "", INDEX, 0.3) == "copied"
    )
    assert judged(spoken("oh my gulls " * 5), "", INDEX, 0.3) == "looping"
    assert judged(spoken(" … "), "", INDEX, 0.3) == "empty"


def test_a_row_that_ran_out_of_tokens_ends_with_a_whole_sentence() -> None:
    draft = judged(spoken("Wind from the west. Rain on the gla", ended=False), "", INDEX, 0.3)
    assert isinstance(draft, Draft)
    assert draft.text == "Wind from the west."


def test_drafts_that_take_up_the_question_come_first() -> None:
    drafts = [Draft("bread and butter", 1, 1.0, None), Draft("the planet mars is red", 2, 1.0, None)]
    assert [draft.seed for draft in ranked(drafts, "what about Mars?")] == [2, 1]
    assert [draft.seed for draft in ranked(drafts, "")] == [1, 2]


async def test_what_was_removed_from_the_store_is_dropped_from_memory(database: Database, tmp_path: Path) -> None:
    store = TweetStore(database, FakeClock())
    await store.add("nell", tweets("nell", sentences(20)))
    speaker = Speaker(Shelf(tmp_path), store, 0.3)
    await speaker._index(("nell",))
    await speaker.drop_what_is_gone()
    assert list(speaker._indexes) == [("nell",)]
    await store.remove(["nell"])
    await speaker.drop_what_is_gone()
    assert not speaker._indexes


def test_only_a_version_that_learned_enough_replies_is_asked_in_their_form() -> None:
    """Cleaned as its tweets were, in one line; whoever else is addressed, linked or in control has no part in it."""
    message = "@nell_bot  What of\nMars? https://example.org <|endoftext|>"
    for answers, asked in ((0, ""), (FEWEST - 1, ""), (FEWEST, "What of Mars?")):
        assert asked_of(manifest("nell").model_copy(update={"answers": answers}), message) == asked
    ready = manifest("nell").model_copy(update={"answers": FEWEST})
    assert asked_of(ready, "") == ""
    assert asked_of(ready, "word " * 100_000).endswith("word word")


def test_an_answer_ends_with_its_line() -> None:
    """What follows answers it in turn."""
    assert first_line(spoken(" of a lamp\nWho asks?", ended=False)) == spoken(" of a lamp", ended=True)
    assert first_line(spoken("\nof a lamp\nWho asks?", ended=False)) == spoken("\nof a lamp", ended=True)
    assert first_line(spoken("of a lamp", ended=False)) == spoken("of a lamp", ended=False)


def test_an_answer_with_a_start_keeps_the_blank_behind_it() -> None:
    draft = judged(first_line(spoken(" is to fly\nWho asks?")), "My dream", INDEX, 0.3)
    assert isinstance(draft, Draft)
    assert draft.text == "My dream is to fly"
