"""What is said on Discord, and what is taken as said to the bot."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import discord
import pytest
from discord import app_commands
from hypothesis import given
from hypothesis import strategies as st

from bot.frontends.discord import texts, texts_approvals, texts_changes
from bot.frontends.discord.commands import add_commands
from bot.frontends.discord.invite import invite_link
from bot.replies.changes import Change, Pair
from bot.replies.desk import Shown
from bot.replies.posts import Post, PostState
from bot.training.decisions import Decision, What


def units(text: str) -> int:
    """UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def test_a_short_text_is_one_piece() -> None:
    assert texts.pieces("hello") == ["hello"]
    assert texts.pieces("") == [""]


def test_a_long_text_is_cut_after_a_sentence() -> None:
    assert texts.pieces("One two. Three four. Five", 22) == ["One two. Three four.", "Five"]


def test_a_text_without_sentences_is_cut_between_words() -> None:
    assert texts.pieces("one two three four", 9) == ["one two", "three", "four"]


def test_a_word_without_end_is_cut_where_it_must_be() -> None:
    assert texts.pieces("a" * 25, 10) == ["a" * 10, "a" * 10, "a" * 5]


def test_an_emoji_is_never_divided() -> None:
    assert texts.pieces("🐦" * 5, 5) == ["🐦🐦", "🐦🐦", "🐦"]


@given(st.text(), st.integers(min_value=2, max_value=50))
def test_pieces_fit_and_lose_nothing_but_blanks(text: str, longest: int) -> None:
    found = texts.pieces(text, longest)
    assert all(units(piece) <= longest for piece in found)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(piece.strip() for piece in found) or not text.strip()


def test_markdown_is_shown_as_it_was_written() -> None:
    assert texts.plain("# not *a* title") == "\\# not \\*a\\* title"
    assert texts.quoted("one\n# two") == "> one\n> \\# two"


@pytest.mark.parametrize("typed", ["@NASA, esa", "nasa esa", "@nasa@esa nasa", " nasa,,ESA "])
def test_handles_are_read_however_they_are_typed(typed: str) -> None:
    assert texts.parse_handles(typed) == ("nasa", "esa")


def test_durations_are_said_in_the_largest_units() -> None:
    assert [texts.duration(seconds) for seconds in (5, 170, 7500)] == ["5 s", "3 min", "2 h 5 min"]


def post(number: int, text: str) -> Post:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    return Post(number, "nell", "v1", 1, text, 0.9, PostState.DRAFTED, moment, None, None, None, None)


def test_what_the_queue_shows_fits_in_a_message_however_long_the_post_is() -> None:
    """Only a text that is cut off comes with a file that has all of it."""
    short, long = Shown.of(post(1, "hello")), Shown.of(post(2, "_*" * 130 + " word" * 1000))
    assert not texts_approvals.is_cut(short) and texts_approvals.is_cut(long)
    for shown in (short, long):
        assert units(texts_approvals.queue(shown, 9, "v" * 200)) <= texts.LONGEST - 200  # prices stand below
    assert "the file has all" in texts_approvals.queue(long, 1)
    assert all(part in texts_approvals.in_full(long) for part in long.texts)


def test_samples_of_two_versions_fit_in_one_message_however_long_they_are() -> None:
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    decision = Decision(2, "n_" * 15, "v1", "v2", What.USED, "It is *better*. " * 10, "retraining", moment)
    long = tuple(Pair(seed, "_🎶" * 140, "word " * 56) for seed in range(3))
    said = texts_changes.with_samples(Change(decision, 27, 2.9, 3.1, long))
    assert units(said) <= texts.LONGEST
    assert said.count("> **v1**") == said.count("> **v2**") == 3 and " …" in said


# The guide


GUIDE = (Path(__file__).parents[2] / "docs" / "discord.md").read_text(encoding="utf-8")


def test_the_guide_has_the_invitation_that_the_bot_has() -> None:
    link = invite_link(1).replace("client_id=1", "client_id=APPLICATION_ID")
    assert sorted(link.partition("?")[2].split("&")) == sorted(
        GUIDE.partition("oauth2/authorize?")[2].split("\n")[0].split("&")
    )


async def test_the_guide_explains_every_command_and_option() -> None:
    tree = app_commands.CommandTree(discord.Client(intents=discord.Intents.none()))
    add_commands(tree)
    for command in tree.walk_commands():
        if isinstance(command, app_commands.Command):
            assert f"### `/{command.qualified_name}`" in GUIDE
            assert [option.name for option in command.parameters if f"{option.name}:" not in GUIDE] == []


@pytest.mark.parametrize(
    ("what", "before", "said"),
    [
        (What.ROLLED_BACK, "v4", "**nell\\_b** speaks as v3 again (rolled back from v4)."),
        (What.USED, "v2", "**nell\\_b** speaks as v3 from now on: it has learned."),
        (What.ADOPTED, None, "**nell\\_b** speaks as v3 from now on: it was adopted."),
    ],
    ids=str,
)
def test_a_channel_is_told_which_version_speaks(what: What, before: str | None, said: str) -> None:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    assert texts.another_version(Decision(1, "nell_b", before, "v3", what, "because", "command", moment)) == said
