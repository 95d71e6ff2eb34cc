"""What the teacher is asked."""

from __future__ import annotations

import random
from collections import Counter

from base.prompts import paragraphs, prompt, topics, voices


def test_the_same_seed_and_piece_ask_the_same() -> None:
    """In any process, in any order."""
    assert [prompt(1, piece) for piece in (7, 3)] == [prompt(1, piece) for piece in (7, 3)]
    assert prompt(1, 3) != prompt(2, 3)


def test_texts_of_a_piece_begin_differently() -> None:
    """A word or a topic of their own."""
    chance = random.Random(1)
    asked = prompt(1, 0)
    assert len({asked.start(chance) for _ in range(50)}) > 15


def test_any_run_of_pieces_has_each_kind_in_its_share() -> None:
    """More than half posts, a quarter dialogue, the rest paragraphs, which are longer."""
    for first in (0, 500, 77_777):
        kinds = Counter(prompt(1, piece).kind for piece in range(first, first + 50))
        assert 27 <= kinds["posts"] <= 31
        assert 11 <= kinds["dialogue"] <= 14
        assert 7 <= kinds["paragraphs"] <= 10


def test_every_topic_and_example_is_whole() -> None:
    """No line of the data files was read wrongly."""
    assert all(topic == topic.strip() and topic for topic in topics())
    assert all(title and len(text) > 200 for title, text in paragraphs())
    assert all(topic and 5 < len(post) <= 280 for voice in voices().values() for topic, post in voice)
