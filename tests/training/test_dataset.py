"""What is learned and what is judged with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import TooFewTweets
from bot.shelf.answering import LONGEST
from bot.shelf.bases import END_TOKEN
from bot.training.dataset import behind_prompts, build, text_bytes, tokenise, words
from bot.tweets.cleaning import Profile, clean
from tests.tiny_base import tiny_tokenizer
from tests.training.material import FIRST_DAY, Said, dated, sentences, settings

BASE = "0" * 64


def test_the_newest_tenth_of_each_account_is_kept_aside() -> None:
    """By time, whatever order the tweets come in."""
    nell, otis = sentences(40), sentences(70)[40:]
    made = build({"nell": dated(nell)[::-1], "otis": dated(otis)}, settings(), BASE)
    assert made.held_out == (*nell[36:], *otis[27:])
    assert made.train == (*nell[:36], *otis[:27])
    assert [(split.handle, split.train, split.held_out) for split in made.splits] == [("nell", 36, 4), ("otis", 27, 3)]


def test_tweets_without_a_time_are_learned_before_all_others() -> None:
    """Nobody knows whether they are new."""
    undated = [Said(text) for text in sentences(25)[20:]]
    made = build({"nell": [*dated(sentences(20)), *undated]}, settings(), BASE)
    assert made.train[:5] == tuple(sentences(25)[20:])
    assert made.held_out == tuple(sentences(20)[18:])


def test_the_same_words_are_learned_once() -> None:
    """Case, punctuation and emoji make no difference."""
    texts = sentences(20)
    copies = [text.upper().replace(".", "!! 🐶") for text in texts[:5]]
    made = build({"nell": dated([*texts[:10], *copies, *texts[10:]])}, settings(), BASE)
    assert [*made.train, *made.held_out] == texts
    assert made.splits[0].repeated == 5


def test_what_another_account_says_is_not_judged_with() -> None:
    """A held-out tweet that was learned from somebody else would flatter."""
    ours, theirs = sentences(20), sentences(40)[20:]
    made = build({"nell": dated([*ours, theirs[0]]), "otis": dated(theirs)}, settings(), BASE)
    assert theirs[0] in made.train
    assert theirs[0] not in made.held_out


def test_what_is_nearly_the_same_is_neither_learned_twice_nor_judged_with() -> None:
    """Whoever wrote it: one word in ten makes no other tweet."""
    said = "The lamp was lit at four today and nobody came to look."
    again = "The lamp was lit at five today and nobody came to look."
    ours, theirs = [*sentences(20), again], [said, *sentences(40)[20:]]
    made = build({"nell": dated(ours), "otis": dated(theirs)}, settings(), BASE)
    assert said in made.train
    assert again not in (*made.train, *made.held_out)
    assert [split.repeated for split in made.splits] == [1, 0]


def test_the_weight_of_accounts_matters_where_there_are_several() -> None:
    """A persona of one account stays as it is when it is set otherwise."""
    one, two = {"nell": dated(sentences(40))}, {"nell": dated(sentences(40)), "otis": dated(sentences(70)[40:])}
    for kept, prints in ((one, 1), (two, 2)):
        assert len({build(kept, settings(balance=weight), BASE).fingerprint for weight in (0.0, 1.0)}) == prints


def test_the_fingerprint_is_that_of_texts_order_split_settings_and_base() -> None:
    """It changes with each of them, and with nothing else."""
    texts = dated(sentences(40))
    one = build({"nell": texts}, settings(), BASE).fingerprint
    assert build({"nell": texts}, settings(threads=2, min_characters=100), BASE).fingerprint == one
    others = {
        build({"nell": dated([*sentences(39), "Something new."])}, settings(), BASE).fingerprint,
        build({"nell": dated(sentences(40)[::-1])}, settings(), BASE).fingerprint,
        build({"nell": texts}, settings(held_out=0.2), BASE).fingerprint,
        build({"nell": texts}, settings(rank=9), BASE).fingerprint,
        build({"nell": texts}, settings(), "1" * 64).fingerprint,
    }
    assert len(others | {one}) == 6


@pytest.mark.parametrize("texts", [[], ["Only one tweet, however long it may be. " * 10], sentences(5)])
def test_too_little_text_is_refused_with_the_numbers(texts: list[str]) -> None:
    """And with what to do about it."""
    with pytest.raises(TooFewTweets, match=r"@nell left \d+ characters in \d tweets to learn from; 200 are needed"):
        build({"nell": dated(texts)}, settings(), BASE)


def test_a_special_token_inside_a_tweet_is_mere_text() -> None:
    """Nobody ends a tweet for the model but the data set."""
    tokenizer = tiny_tokenizer()
    end = tokenizer.token_to_id(END_TOKEN) or 0
    (ids,) = tokenise(tokenizer, [f"before {END_TOKEN} after"], end)
    assert [place for place, token in enumerate(ids) if token == end] == [0, len(ids) - 1]
    assert tokenizer.decode(ids) == f"before {END_TOKEN} after"


def test_a_tweet_beyond_the_limit_is_cut_and_so_are_its_bytes() -> None:
    """What was not scored does not count."""
    tokenizer = tiny_tokenizer()
    texts = ["Café ☕ " * 100, "short"]
    tokens = tokenise(tokenizer, texts, 0, limit=50)
    assert len(tokens[0]) == 50
    assert text_bytes(tokenizer, texts[1:], tokens[1:]) == 5
    assert 50 < text_bytes(tokenizer, texts[:1], tokens[:1]) < len(texts[0].encode())


@given(st.lists(st.sampled_from(sentences(30)), min_size=2, max_size=80), st.floats(0.05, 0.5))
def test_nothing_is_both_learned_and_judged_with(texts: list[str], share: float) -> None:
    """Whatever comes in."""
    tweets = [Said(text, FIRST_DAY + timedelta(days=day % 7)) for day, text in enumerate(texts)]
    try:
        made = build({"nell": tweets}, settings(held_out=share, min_characters=0), BASE)
    except TooFewTweets:
        assert len(set(texts)) < 2
        return
    learned, judged = {words(text) for text in made.train}, {words(text) for text in made.held_out}
    assert not learned & judged
    assert learned | judged == {words(text) for text in texts}
    assert len(made.train) + len(made.held_out) == len(learned | judged)


# --- Replies with what they answer ---


def asked(texts: Sequence[str], prompts: Mapping[int, str]) -> list[Said]:
    """The texts as kept tweets, one a day, some of which answer something."""
    return [replace(tweet, prompt=prompts.get(day)) for day, tweet in enumerate(dated(texts))]


def test_a_reply_comes_with_what_it_answers_on_both_sides() -> None:
    """And without, where nobody wants that."""
    texts = sentences(40)
    kept = {"nell": asked(texts, {3: "Who is there?", 38: "And now?"})}
    made = build(kept, settings(), BASE)
    assert dict(zip(made.train, made.prompts, strict=True))[texts[3]] == "Who is there?"
    assert dict(zip(made.held_out, made.held_out_prompts, strict=True))[texts[38]] == "And now?"
    assert (made.answers, [split.answers for split in made.splits]) == (1, [1])
    without = build(kept, settings(prompted=0), BASE)
    assert (without.answers, set(without.prompts + without.held_out_prompts)) == (0, {None})


def test_what_is_judged_with_is_no_prompt_of_what_is_learned() -> None:
    """Of two accounts one may answer what the other said in the tenth that is kept aside."""
    nell, otis = sentences(40), sentences(70)[40:]
    kept = {"nell": asked(nell, {3: otis[29].upper(), 4: otis[0]}), "otis": dated(otis)}
    made = build(kept, settings(), BASE)
    assert otis[29] in made.held_out
    assert [prompt for prompt in made.prompts if prompt] == [otis[0]]


def test_prompts_change_the_fingerprint_and_an_account_without_any_keeps_its_own() -> None:
    texts = sentences(40)
    kept = [{"nell": asked(texts, prompts)} for prompts in ({}, {3: "Who?"}, {3: "What?"}, {38: "Who?"})]
    assert len({build(each, settings(), BASE).fingerprint for each in kept}) == 4
    prompted = {each: build(kept[1], settings(prompted=each), BASE).fingerprint for each in (0.0, 0.5, 1.0)}
    assert len(set(prompted.values())) == 3
    alone = {build(kept[0], settings(prompted=each), BASE).fingerprint for each in (0.0, 0.5)}
    assert alone == {prompted[0.0]}


@given(st.text(max_size=300), st.sampled_from(sentences(30)), st.integers(20, 80))
def test_a_pair_is_the_end_what_is_answered_a_line_break_and_the_reply(prompt: str, text: str, limit: int) -> None:
    """Whatever is answered: it loses its beginning where it is too long, and the reply is that of the tweet alone."""
    tokenizer = tiny_tokenizer()
    end = tokenizer.token_to_id(END_TOKEN) or 0
    line = clean(prompt, Profile.MOCKINGBIRD)
    (alone,) = tokenise(tokenizer, [text], end, limit)
    pairs = behind_prompts(tokenizer, [line or None], [alone], limit)
    room = limit - len(alone) - 1
    if not line or room < 1:
        assert not pairs
        return
    ids, read = pairs[0]
    assert len(ids) <= limit
    assert (ids[0], ids[1 + read :]) == (alone[0], alone[1:])
    asked, line_break = ids[1:read], tokenizer.decode(ids[read : read + 1])
    assert line_break == "\n"
    assert end not in asked
    whole = tokenizer.encode(line, add_special_tokens=False).ids
    assert asked == whole[-min(room, LONGEST - 1) :]
