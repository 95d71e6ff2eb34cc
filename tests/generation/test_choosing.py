"""Which of several fit drafts comes first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.generation.choosing import in_language_of, ranked, score
from bot.generation.draft import Draft

TWENTY = "bread and butter now"


def draft(text: str = TWENTY, seed: int = 1, novelty: float = 1.0, gain: float | None = None) -> Draft:
    return Draft(text, seed, novelty, None, likelihood_gain=gain)


def seeds(*drafts: Draft, about: str = "", usual_length: int = len(TWENTY)) -> list[int]:
    return [each.seed for each in ranked(drafts, about, usual_length)]


def test_what_the_voice_makes_likelier_comes_first() -> None:
    assert seeds(draft(seed=1, gain=0.2), draft(seed=2, gain=1.4)) == [2, 1]


def test_what_is_newer_comes_first() -> None:
    assert seeds(draft(seed=1, novelty=0.4), draft(seed=2, novelty=0.9)) == [2, 1]


def test_what_is_as_long_as_usual_comes_first() -> None:
    assert seeds(draft("bread", seed=1), draft(TWENTY * 5, seed=2), draft(seed=3)) == [3, 1, 2]


def test_what_takes_up_the_question_comes_before_all_else() -> None:
    answer, other = draft("the planet mars is red", 2, 0.5, 0.0), draft(seed=1, gain=2.0)
    assert seeds(other, answer, about="what about Mars, the planet?") == [2, 1]
    assert seeds(other, answer) == [1, 2]


def test_equals_stay_in_the_order_they_came() -> None:
    assert seeds(draft(seed=3), draft(seed=1), draft(seed=2)) == [3, 1, 2]


def test_what_is_not_known_takes_no_part() -> None:
    assert score(draft(novelty=0.6), set(), 0) == 0.6


@given(
    st.text(max_size=300),
    st.floats(0, 1),
    st.none() | st.floats(-50, 50),
    st.sets(st.text(max_size=9), max_size=5),
    st.integers(0, 300),
)
def test_a_score_is_from_0_to_1(text: str, novelty: float, gain: float | None, asked: set[str], usual: int) -> None:
    assert 0 <= score(draft(text, 1, novelty, gain), asked, usual) <= 1 + 1e-9


def test_of_several_drafts_one_in_the_language_of_the_message_is_taken() -> None:
    def language(text: str) -> str:
        return {"wie geht es": "de", "gut": "de", "fine": "en"}.get(text, "und")

    drafts = [draft("fine", 1), draft("gut", 2)]
    assert in_language_of("wie geht es", drafts, language).seed == 2
    assert in_language_of("?", drafts, language).seed == 1
    assert in_language_of("wie geht es", drafts[:1], language).seed == 1
