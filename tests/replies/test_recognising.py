"""A post is recognised in the words in which X shows it, and no other is taken for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.replies.recognising import id_at, is_same


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("Fog & <rain>", "Fog &amp; &lt;rain&gt;"),
        ("See https://example.org/a?b=c&d=e, then go", "See https://t.co/AbC123, then go"),
        ("See example.org", "See https://t.co/AbC123"),
        ("See example.org", "See example.org"),
        ("Two\n\nparagraphs ", "Two\nparagraphs"),
        ("cafe\u0301", "café"),
    ],
)
def test_what_x_changes_does_not_count(sent: str, shown: str) -> None:
    assert is_same(sent, shown)


def test_the_link_to_a_picture_counts_only_where_there_is_one() -> None:
    assert is_same("The lamp.", "The lamp. https://t.co/AbC123", with_picture=True)
    assert is_same("The lamp.", "The lamp.", with_picture=True)
    assert not is_same("The lamp.", "The lamp. https://t.co/AbC123")


@pytest.mark.parametrize("shown", ["Fog", "fog.", "Fog. Rain.", "RT @nell: Fog."])
def test_another_post_is_another_post(shown: str) -> None:
    assert not is_same("Fog.", shown)


def test_ids_rise_with_time() -> None:
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert int(id_at(at)) < int(id_at(at + timedelta(milliseconds=1)))
    assert id_at(datetime(2006, 1, 1, tzinfo=UTC)) == "0"
