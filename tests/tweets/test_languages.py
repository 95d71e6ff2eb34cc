"""Which language a tweet is in, with the real detector, on tweets written for the purpose and on real ones."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from bot.tweets.cleaning import Profile, clean
from bot.tweets.languages import NAMES, UNKNOWN, language

WRITTEN = Path(__file__).parent / "languages.tsv"  # 185 short tweets in 28 languages, written for this test
FOLDER = os.environ.get("MOCKINGBIRD_TEST_TWEETS")


def test_short_tweets_are_told_apart_in_many_languages() -> None:
    rows = [line.split("\t") for line in WRITTEN.read_text(encoding="utf-8").splitlines()]
    right: dict[str, list[bool]] = defaultdict(list)
    for code, text in rows:
        right[code].append(language(text) == code)
    assert len(right) >= 25
    assert sum(map(sum, right.values())) / len(rows) >= 0.97
    poor = {code: sum(each) / len(each) for code, each in right.items() if sum(each) / len(each) < 0.75}
    assert not poor


@pytest.mark.parametrize("text", ["", "ok", "lol", "12345 67", "😂😂😂", "@nasa @esa", "#MondayMotivation", "👀 !!!"])
def test_what_is_too_short_is_unknown(text: str) -> None:
    assert language(text) == UNKNOWN


@pytest.mark.parametrize(("text", "code"), [("今天很冷", "zh"), ("오늘 정말", "ko"), ("ありがとう", "ja")])
def test_few_letters_say_much_where_each_is_a_syllable(text: str, code: str) -> None:
    assert language(text) == code


def test_mentions_and_hashtags_do_not_count() -> None:
    assert language("@thequickbrownfox #jumpsoverthelazydog Ich glaube, wir brauchen mehr Kaffee.") == "de"


@given(st.text(max_size=300))
def test_every_text_has_an_answer_and_always_the_same(text: str) -> None:
    code = language(text)
    assert code in NAMES
    assert language(text) == code


def test_every_language_that_can_be_told_has_a_name() -> None:
    told = {code for code in LanguageIdentifier.from_model_file(MODEL_FILE).labels if len(code) == 2}
    assert told | {UNKNOWN} == set(NAMES)
    assert all(name.strip() == name != "" for name in NAMES.values())


@pytest.mark.skipif(not FOLDER, reason="MOCKINGBIRD_TEST_TWEETS names no folder")
def test_of_real_tweets_it_says_what_x_says() -> None:
    """X's own field `lang` is no truth, but where both are sure they should agree."""
    file = Path(FOLDER or "") / "archives/andreruffert_2022-11/unzipped/data/tweets.js"
    entries = json.loads(file.read_text(encoding="utf-8").partition("=")[2])
    tweets = [entry["tweet"] for entry in entries]
    own = [tweet for tweet in tweets if len(tweet["lang"]) == 2 and not tweet["full_text"].startswith("RT @")]
    pairs = [(tweet["lang"], language(clean(tweet["full_text"], Profile.MOCKINGBIRD))) for tweet in own]
    sure = [(x, ours) for x, ours in pairs if ours != UNKNOWN]
    assert len(sure) / len(pairs) >= 0.75
    assert sum(x == ours for x, ours in sure) / len(sure) >= 0.97
    assert sum(ours == "de" for x, ours in sure if x == "de") >= 60
