"""Copies are found however they are dressed up; new texts are not accused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.generation.novelty import Novelty, NoveltyIndex

TWEETS = [
    ("1", "The lamp was lit before the fog came in, and the gulls went quiet."),
    ("2", "Bread rises slowly when the harbour is cold and the oven is colder still today"),
    ("3", "Morning log: wind north west six, rain, visibility poor."),
]


def test_a_copy_is_found_whatever_its_case_and_punctuation() -> None:
    novelty = NoveltyIndex(TWEETS).check("the LAMP was lit, before the fog came in and the gulls went quiet!!")
    assert (novelty.score, novelty.nearest) == (0.0, "1")


def test_a_run_of_nine_words_is_a_copy() -> None:
    novelty = NoveltyIndex(TWEETS).check("I think bread rises slowly when the harbour is cold and so do I")
    assert (novelty.score, novelty.nearest) == (0.0, "2")


def test_a_shared_word_or_two_is_no_copy_but_has_a_nearest() -> None:
    novelty = NoveltyIndex(TWEETS).check("The fog has opinions about my lamp")
    assert novelty.nearest == "1"
    assert 0.5 < novelty.score < 1


def test_a_text_that_shares_nothing_is_new() -> None:
    novelty = NoveltyIndex(TWEETS).check("Zebras juggle pineapples")
    assert (novelty.score, novelty.nearest) == (1.0, None)


def test_without_tweets_everything_is_new() -> None:
    assert NoveltyIndex([]).check("anything at all").score == 1.0


def test_links_handles_and_width_do_not_hide_a_copy() -> None:
    dressed = "@crumb ＴＨＥ lamp was lit before the fog came in and the gulls went quiet https://example.org/lamp"
    assert NoveltyIndex(TWEETS).check(dressed) == Novelty(0.0, "1", 1.0)


def test_a_run_is_found_across_links_handles_and_punctuation() -> None:
    text = "so: bread rises – slowly @nell when https://example.org the HARBOUR is… cold and so do I"
    assert NoveltyIndex(TWEETS).check(text).score == 0.0


def test_eight_words_in_a_row_may_be_shared_and_nine_may_not() -> None:
    real = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    index = NoveltyIndex([("7", real)])
    other = "gulls bread lamps fog rain"
    assert index.check(f"{' '.join(real.split()[:8])} {other}").score > 0
    assert index.check(f"{' '.join(real.split()[:9])} {other}").score == 0


def test_the_same_words_in_another_order_are_a_copy() -> None:
    """Four of five distinct words in common are too many; three of five are not."""
    index = NoveltyIndex([("1", "fog rain gulls lamp bread")])
    assert index.check("bread lamp gulls rain fog") == Novelty(0.0, "1", 1.0)
    assert index.check("bread lamp gulls rain") == Novelty(0.0, "1", 0.8)
    assert index.check("bread lamp gulls").score == 0.4


def test_what_is_nearest_is_told_with_its_share_of_words() -> None:
    novelty = NoveltyIndex(TWEETS).check("rain and bread")
    assert novelty.nearest is not None
    assert novelty.similarity == round(1 - novelty.score, 3) > 0


def test_words_that_stand_in_every_tweet_still_find_the_nearest() -> None:
    index = NoveltyIndex((str(number), f"the sea is number{number}") for number in range(5_000))
    assert index.check("the sea is number4321") == Novelty(0.0, "4321", 1.0)
    assert index.check("the sea is calm").nearest is not None


def test_a_text_without_words_is_nobodys_copy() -> None:
    assert NoveltyIndex([("1", "…")]).check("!!!") == Novelty(1.0, None)


def test_copies_are_found_where_words_have_no_spaces() -> None:
    index = NoveltyIndex([("1", "今日は港に霧が出ていてランプを早く灯した")])
    assert index.check("ねえ、今日は港に霧が出ていて寒いです").score == 0
    assert index.check("明日は晴れるでしょう").score > 0.5


WORDS = st.lists(st.text("abcdefgé", min_size=1, max_size=4), min_size=10, max_size=20)


@given(WORDS, WORDS, st.integers(0, 1), st.sampled_from([" ", ", ", "\n", " @crumb ", " https://x.com/a ", "… "]))
def test_nine_words_in_a_row_are_found_wherever_they_stand(
    real: list[str], other: list[str], at: int, between: str
) -> None:
    text = between.join([*other[:5], *real[at : at + 9], *other[5:]]).upper()
    assert NoveltyIndex([("0", " ".join(other)), ("1", " ".join(real))]).check(text).score == 0
