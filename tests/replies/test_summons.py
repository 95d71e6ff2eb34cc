"""Who calls an account, who is a bot, and who wants to be left alone, told from what stands there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.generation.length import weighted_length
from bot.replies.opting_out import confirmations, opt_out_language
from bot.replies.summons import is_bot
from bot.tweets.languages import language as detected
from bot.tweets.x_mentions import Author, read_mention

POST = {"id": "9", "author_id": "7", "created_at": "2026-11-01T12:00:00Z", "conversation_id": "5"}
NELL = {"start": 0, "end": 5, "username": "Nell", "id": "1"}
BOB = {"start": 6, "end": 10, "username": "bob", "id": "2"}


@pytest.mark.parametrize(
    "text",
    [
        "stop", "STOP!", "@Nell stop.", "Please stop", "opt out", "Unsubscribe", "leave me alone!!",
        "Lass mich in Ruhe",
        "déjame en paz", "arrête", "стоп", "やめて", "I'd like to opt out", "don't reply to me again",
        "@Nell I said no, leave me alone", "please stop replying to me", "Unsubscribe me from this",
        "Opt-Out", "stop https://t.co/4xWgLmOPqR", "Stop replying!", "stop, bot", "please unsubscribe", "ＳＴＯＰ",
        "\u200fتوقف من فضلك", "stop tagging me", "I want you to stop replying to me",
        "Could you please stop mentioning me?", "why can’t you leave me alone",
        "ok. do not respond to me", "Never reply\nto me again", "Bitte hör auf", "Stopp bitte!",
        "Lasst mich bitte in Ruhe", "Hör auf, mir zu antworten", "laisse-moi tranquille", "arrête s’il te plaît",
        "I said leave me alone", "opt me out of this", "“stop replying to me”, I said. Stop replying to me",
        "no me respondas", "deja de responderme", "para, por favor", "хватит, пожалуйста", "返信しないでください。",
    ],
)  # fmt: skip
def test_these_words_mean_no_more_answers(text: str) -> None:
    assert opt_out_language(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "I can't stop laughing", "the bus stop", "don't stop", "stop the war", "non-stop rain", "The end is near", "",
        "my cats never leave me alone", "how do I unsubscribe from the newsletter of the harbour?", "para ti",
        "why did you stop posting?", "please", "thank you, bot", "now", "https://t.co/4xWgLmOPqR", "@Nell",
        "why did you stop replying to me?",
        "don't ever stop replying to me!", "You don't reply to me anymore", "They never mention me",
        "you never answer me",
        "I don't want you to stop talking to me", "pourquoi tu ne me réponds plus ?",
        "I never answer my phone", "stop by the lighthouse, please", "do you never tag anybody?",
        "Do you know the song 'Leave me alone'?", "“Leave me alone” is a song", "My ex said leave me alone",
        "Please don't answer me in English", "How do I opt out of the newsletter?", "I don't want to opt out of this",
    ],
)  # fmt: skip
def test_these_words_mean_something_else(text: str) -> None:
    assert opt_out_language(text) is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("stop", "en"), ("@Nell stop replying to me", "en"), ("Stopp!", "de"),
        ("Hör auf, mir zu antworten", "de"), ("arrête s’il te plaît", "fr"), ("deja de responderme", "es"),
        ("pare de me responder", "pt"), ("smettila", "it"), ("dur", "tr"), ("przestań", "pl"),
        ("хватит, пожалуйста", "ru"), ("やめて", "ja"), ("不要回复我", "zh"), ("그만해", "ko"), ("توقف من فضلك", "ar"),
    ],
)  # fmt: skip
def test_whoever_wants_no_answers_is_told_so_in_the_language_of_these_words(text: str, language: str) -> None:
    """In several wordings, of which none is another language's or too long; the last ones are English."""
    asked_at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    wordings, english = confirmations(language, asked_at), confirmations("en", asked_at)
    assert opt_out_language(text) == language
    assert wordings[-len(english) :] == english
    assert len(set(wordings)) == len(wordings) >= 3
    assert all("2026-11-01 12:00:00 UTC" in each and weighted_length(each) <= 280 for each in wordings)
    own = wordings[: -len(english)] or wordings
    assert all(detected(each.partition("(")[0]) == language for each in own)


@pytest.mark.parametrize(
    ("handle", "name", "description", "expected"),
    [
        ("rain", "Rain", "A bot that says when it rains", True),
        ("rain", "Rain Robot", "", True),
        ("rain_bot", "Rain", "", True),
        ("RainBot", "Rain", "", True),
        ("rain", "Rain", "Automated by @ada", True),
        ("abbot", "Abbot", "Botany and bottles", False),
        ("ada", "Ada", "Keeps a lighthouse. Not a bot.", False),
    ],
)
def test_a_bot_is_told_by_what_it_says_of_itself(handle: str, name: str, description: str, expected: bool) -> None:
    assert is_bot(Author("1", handle, name, description, False)) is expected


def test_the_own_words_begin_where_x_says() -> None:
    post = POST | {
        "text": "@Nell @bob I agree",
        "display_text_range": [11, 18],
        "entities": {"mentions": [NELL, BOB]},
        "referenced_tweets": [{"type": "replied_to", "id": "8"}],
        "in_reply_to_user_id": "2",
    }
    mention = read_mention(post)
    assert (mention.text, mention.named, mention.carried) == ("I agree", frozenset(), frozenset({"1", "2"}))
    typed = read_mention(post | {"display_text_range": [0, 18]})
    assert typed.named == {"1", "2"}


def test_a_name_in_front_of_what_is_no_reply_is_the_authors_own() -> None:
    mention = read_mention(POST | {"text": "@Nell you &amp; me", "entities": {"mentions": [NELL]}})
    assert (mention.named, mention.said_without("1")) == (frozenset({"1"}), "you & me")


def test_of_a_long_post_all_words_are_read() -> None:
    note = {"text": "a long story, isn't it @Nell", "entities": {"mentions": [NELL]}}
    mention = read_mention(POST | {"text": "a long…", "note_tweet": note})
    assert (mention.text, mention.named) == (note["text"], frozenset({"1"}))
