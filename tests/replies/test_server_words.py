"""Each server has its own words that are not said."""

from __future__ import annotations

import pytest

from bot.database import Database
from bot.errors import Refused
from bot.replies.server_words import MOST, ServerWords
from tests.fakes import FakeClock


@pytest.fixture
def words(database: Database) -> ServerWords:
    return ServerWords(database, FakeClock())


async def test_a_word_that_was_added_is_listed_once_and_folded(words: ServerWords) -> None:
    for word in ("Fudge", "darn", "FUDGE"):
        await words.add("discord", "1", word, "99")
    assert await words.of("discord", "1") == ("darn", "fudge")


async def test_other_servers_and_platforms_have_their_own_lists(words: ServerWords) -> None:
    await words.add("discord", "1", "fudge", "99")
    assert await words.of("discord", "2") == ()
    assert await words.of("web", "1") == ()


async def test_a_word_that_was_removed_may_be_said_again(words: ServerWords) -> None:
    await words.add("discord", "1", "fudge", "99")
    await words.remove("discord", "1", "Fudge")
    assert await words.of("discord", "1") == ()
    with pytest.raises(Refused, match="not on the list"):
        await words.remove("discord", "1", "fudge")


async def test_only_single_words_are_taken(words: ServerWords) -> None:
    for text in ("two words", "", "!!"):
        with pytest.raises(Refused, match="not one word"):
            await words.add("discord", "1", text, "99")


async def test_a_list_is_full_some_time(words: ServerWords) -> None:
    for number in range(MOST):
        await words.add("discord", "1", f"word{number}", "99")
    with pytest.raises(Refused, match="full"):
        await words.add("discord", "1", "fudge", "99")
