"""Which generated rows become drafts."""

from __future__ import annotations

import pytest

from bot.config import SafetySettings
from bot.generation.draft import Draft, Reason, Spoken
from bot.generation.filters import HIDDEN, Filters, judged, loops
from bot.generation.novelty import NoveltyIndex
from bot.generation.safety import Safety

REAL = "The lamp was lit before the fog came in, and the gulls went quiet."
INDEX = NoveltyIndex([("1", REAL)])
FILTERS = Filters(INDEX, 0.3, Safety(SafetySettings(never_said=("fudge",))), ("owl",))


def spoken(text: str, ended: bool = True) -> Spoken:
    return Spoken(text, seed=5, ended=ended)


def text_of(draft: Draft | Reason) -> str:
    assert isinstance(draft, Draft), draft
    return draft.text


def test_a_fit_row_becomes_a_draft_with_its_seed_and_novelty() -> None:
    assert judged(spoken("  a kettle   sings\nat dawn "), "", INDEX, 0.3) == Draft(
        "a kettle sings at dawn", 5, 1.0, None
    )


def test_a_draft_knows_the_nearest_real_tweet_and_how_near_it_is() -> None:
    draft = judged(spoken("the fog has opinions about gulls"), "", INDEX, 0.3)
    assert isinstance(draft, Draft)
    assert draft.nearest == "1"
    assert draft.similarity == round(1 - draft.novelty, 3) > 0


def test_a_draft_knows_how_much_likelier_the_voice_makes_it() -> None:
    draft = FILTERS.draft(Spoken("a kettle sings at dawn", 5, True, -2.0, -3.25), "")
    assert isinstance(draft, Draft)
    assert draft.likelihood_gain == 1.25


def test_the_start_is_part_of_the_draft() -> None:
    assert text_of(judged(spoken(" of a quiet harbour"), "My dream is", INDEX, 0.3)) == "My dream is of a quiet harbour"
    assert text_of(judged(spoken("s are of a harbour"), "My dream", INDEX, 0.3)) == "My dreams are of a harbour"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (REAL.upper(), Reason.COPIED),
        ("oh my gulls " * 5, Reason.LOOPING),
        (" … ", Reason.EMPTY),
        ("@crumb https://example.org", Reason.EMPTY),
        ("you stupid fucking idiot", Reason.UNSAFE),
        ("my FUDGE is the best", Reason.BANNED_WORD),
        ("an owl sings at dawn", Reason.BANNED_WORD),
    ],
)
def test_what_is_not_fit_is_out_with_a_reason(text: str, reason: Reason) -> None:
    assert FILTERS.draft(spoken(text), "") is reason


def test_the_beginning_alone_is_no_draft() -> None:
    assert FILTERS.draft(spoken(" "), "My dream is") is Reason.EMPTY


def test_a_row_that_ran_out_of_tokens_ends_with_a_whole_sentence() -> None:
    assert (
        text_of(judged(spoken("Wind from the west. Rain on the gla", ended=False), "", INDEX, 0.3))
        == "Wind from the west."
    )


def test_a_row_that_ran_out_within_its_first_sentence_is_cut_off() -> None:
    row = spoken("wind from the west and rain on the gla", ended=False)
    assert FILTERS.draft(row, "", cut_at_words=False) is Reason.CUT_OFF
    assert text_of(FILTERS.draft(row, "")) == "wind from the west and rain on the…"


def test_a_sentence_that_trails_off_by_itself_is_whole() -> None:
    row = spoken("wind from the west… and rain on the gla", ended=False)
    assert text_of(FILTERS.draft(row, "", cut_at_words=False)) == "wind from the west…"


def test_made_up_handles_and_links_are_taken_out_and_the_beginning_keeps_its_own() -> None:
    draft = FILTERS.draft(spoken(" sings at dawn via @crumb https://example.org"), "@nell says a kettle")
    assert text_of(draft) == "@nell says a kettle sings at dawn"
    assert text_of(FILTERS.draft(spoken(", a kettle https://x.com"), "My dream")) == "My dream a kettle"
    assert text_of(FILTERS.draft(spoken("@crumb sings a lot"), "A kettle")) == "A kettle sings a lot"
    plain = Filters(INDEX, 0.3, handles="plain", links=True)
    assert text_of(plain.draft(spoken("I met @crumb at example.org"), "")) == "I met crumb at example.org"


def test_an_emoji_family_survives_and_control_characters_do_not() -> None:
    assert (
        text_of(FILTERS.draft(spoken("a kettle \x07sings 👩‍👩‍👧\N{REPLACEMENT CHARACTER}"), ""))
        == "a kettle sings 👩‍👩‍👧"
    )


def test_three_words_may_come_twice() -> None:
    assert not loops("row row row your boat, row row row your boat")
    assert loops("so it goes. so it goes. so it goes.")


def test_what_is_half_spoken_may_be_shown_unless_it_is_a_copy_or_not_said() -> None:
    """It loses handles and links like a draft; eight words in a row of a real tweet are no copy, nine are."""
    assert FILTERS.partial(" a kettle @crumb sings at https://example.org da", "now") == "now a kettle sings at da"
    nine = " ".join(REAL.split()[:9])
    assert FILTERS.partial(nine.rpartition(" ")[0], "so") != HIDDEN
    for said in (nine, f"{nine} c", REAL, "you stupid fucking idiot", "my fudge is"):
        assert FILTERS.partial(f" {said}", "so") == HIDDEN
