"""What is much like an earlier post is known, whoever of ours has said it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable

import pytest

from bot.database import Database
from bot.replies.similar import SaidBefore, Similar, are_alike

FOG = "The fog came in from the sea and stayed all night over the harbour."


@pytest.mark.parametrize(
    "other",
    [
        FOG.upper(),
        f"{FOG} https://example.org @ada",
        FOG.replace("all night", "for hours"),
        "All night over the harbour the fog stayed, and it came in from the sea.",
        f"As I said before, and say again with all my heart to whoever listens here today: {FOG}",
    ],
)
def test_the_same_in_nearly_the_same_words_is_alike(other: str) -> None:
    assert are_alike(FOG, other)
    assert are_alike(other, FOG)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (FOG, "The fog stayed out at sea, so we could count the stars over the old town."),
        ("The lamp is lit.", "The lamp is out."),
        ("tweet number 1", "tweet number 2"),
        ("https://example.org/1", "https://example.org/2"),
    ],
)
def test_something_else_is_not(one: str, other: str) -> None:
    assert not are_alike(one, other)


def test_the_nearest_is_found_among_many_and_an_edited_text_is_taken_as_it_is_now() -> None:
    similar = Similar()
    posts = [
        (f"post {number}", f"Post {number} is about rope, tar and {number * 7} other things.")
        for number in range(2_000)
    ]
    assert similar.nearest(FOG, posts) is None
    posts[1_500] = ("post 1500", FOG)
    assert similar.nearest(FOG.replace("sea", "ocean"), posts) == "post 1500"
    similar.forget()
    assert similar.nearest(FOG, posts[:1_500]) is None


async def test_while_texts_are_compared_the_event_loop_goes_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ten thousand of them that takes a second."""
    loop, goes_on = asyncio.get_running_loop(), threading.Event()

    def slow(self: Similar, text: str, said: Iterable[tuple[str, str]]) -> str | None:
        loop.call_soon_threadsafe(goes_on.set)
        return "post 1" if goes_on.wait(5) else None

    monkeypatch.setattr(Similar, "nearest", slow)
    async with database.transaction() as transaction:
        assert await SaidBefore().like_what_was_said(transaction, FOG) == "post 1"
