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


def test_about_half_of_the_pieces_are_posts() -> None:
    """And the others dialogue and paragraphs."""
    kinds = Counter(prompt(1, piece).kind for piece in range(2_000))
    assert 0.5 < kinds["posts"] / 2_000 < 0.7
    assert 0.2 < kinds["dialogue"] / 2_000 < 0.3
    assert 0.1 < kinds["paragraphs"] / 2_000 < 0.2


def test_every_topic_and_example_is_whole() -> None:
    """No line of the data files was read wrongly."""
    assert all(topic == topic.strip() and topic for topic in topics())
    assert all(title and len(text) > 200 for title, text in paragraphs())
    assert all(topic and 5 < len(post) <= 280 for voice in voices().values() for topic, post in voice)
