"""What of the teacher's text is worth learning from."""

from __future__ import annotations

import pytest

from base.rules import cleaned, is_loop, written


def test_a_plain_post_stays_as_it_is() -> None:
    """Short, English, finished, about nobody."""
    text = "my aunt keeps her best hat in the piano, so nobody may play on sundays"
    assert cleaned(text, "posts") == [text]


def test_of_a_post_that_the_end_of_its_piece_cut_off_whole_sentences_stay() -> None:
    """It would teach to stop in the middle."""
    assert cleaned("The number of cars with the name of your", "posts", ended=False) == []
    text = "The kettle is on the roof again. Nobody knows how it"
    assert cleaned(text, "posts", ended=False) == ["The kettle is on the roof again."]


@pytest.mark.parametrize(
    "text",
    [
        "As an AI language model I don't have a favourite soup",
        "I'm sorry, but I can't assist with soup today",
        "Here's a short post about soup: it is hot",
        "Post: the soup is hot and so is the day",
        "the soup is hot | the day is cold and long",
        "Dear [Name], the soup is hot and so am I",
    ],
    ids=["ai", "refusal", "introduction", "label", "separator", "gap"],
)
def test_a_teacher_out_of_its_part_is_not_learned(text: str) -> None:
    """Refusals, introductions, labels and pieces of the prompt."""
    assert cleaned(text, "posts") == []


@pytest.mark.parametrize(
    "text",
    ["write to me at soup@kitchen.example today", "ask @soupfan about the soup", "all about it on soup.com my friends"],
    ids=["mail", "handle", "site"],
)
def test_no_address_is_learned(text: str) -> None:
    """Whoever it would belong to did not write it."""
    assert cleaned(text, "posts") == []


def test_a_link_is_taken_out_and_its_post_stays() -> None:
    """As the service cleans a tweet."""
    assert cleaned("the soup is hot today https://soup.example/hot", "posts") == ["the soup is hot today"]


def test_the_famous_are_left_alone() -> None:
    """A small model only invents what they did."""
    assert cleaned("Shakespeare ate my soup last night", "posts") == []


@pytest.mark.parametrize(
    "text",
    [
        "I'm going to the party, I'm going to the party, I'm going to the party",
        "no no no, not the soup",
        "Awwwwwwwwwwwwww what a soup",
        "Soup is what soup does, and when soup is not soup then it is cold soup or no soup",
    ],
    ids=["phrase", "word", "letter", "subject"],
)
def test_whoever_says_the_same_over_and_over_is_in_a_loop(text: str) -> None:
    """Phrases, a word in a row, a letter in a row, one word everywhere."""
    assert is_loop(text)


def test_whoever_takes_a_word_up_again_is_in_no_loop() -> None:
    """Jokes live on it."""
    assert not is_loop("A bug was fixed by deleting the code that was fixing the bug that nobody had seen")


def test_an_offence_is_not_learned() -> None:
    """By the classifier that also looks at what the service says."""
    assert cleaned("you are a stupid fucking idiot and i hate you", "posts") == []


@pytest.mark.parametrize("kind", ["posts", "general"])
def test_what_is_grim_is_not_learned(kind: str) -> None:
    """However soberly an encyclopedia writes about it."""
    text = "The report of the commission says that prisoners were tortured in the cellar for many weeks in that winter."
    assert cleaned(text, kind) == []


def test_another_language_is_not_learned() -> None:
    """The base is to speak English."""
    assert cleaned("Die Suppe ist heute sehr heiß und der Tag ist kalt und lang", "posts") == []


def test_a_dialogue_is_a_message_and_its_answer() -> None:
    """On two lines, as the service asks a voice."""
    assert cleaned("do you like soup?\nB: only when it rains", "dialogue") == ["do you like soup?\nonly when it rains"]


def test_of_a_dialogue_that_goes_on_the_first_answer_stays() -> None:
    """The service answers once."""
    text = "do you like soup?\nB: only when it rains\nA: and in the snow?\nB: no, my friend"
    assert cleaned(text, "dialogue") == ["do you like soup?\nonly when it rains"]


@pytest.mark.parametrize("text", ["do you like soup?", "do you like soup?\nB:", "I like soup\nA: so do I\nB: and I do"])
def test_a_dialogue_without_a_message_and_an_answer_is_dropped(text: str) -> None:
    """None, an empty one, or whoever answers himself."""
    assert cleaned(text, "dialogue") == []


def test_each_paragraph_is_a_text_and_ends_with_a_sentence() -> None:
    """Of what was cut off the last whole sentence is the end."""
    first = "The kettle had been in the family for sixty years, and it sang like an old aunt."
    second = "Nobody remembered who had bought it. It came with the house, like the draught."
    assert cleaned(f"{first}\n\n{second} One day a", "paragraphs", ended=False) == [first, second]


def test_an_example_that_the_teacher_was_shown_is_not_its_own() -> None:
    """Nor a sentence of one with another end."""
    shown, kind = written()[0]
    assert kind == "posts"
    assert cleaned(shown, "posts") == []


def test_general_text_may_name_anybody() -> None:
    """An encyclopedia is about people, and knows what they did."""
    text = "Shakespeare wrote most of his known plays between 1589 and 1613, and the first of them were comedies."
    assert cleaned(text, "general") == [text]
