"""A persona's name is a folder on the shelf and a word in a chat, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import UsageError
from bot.personas.name import is_persona_name, persona_name


def test_several_handles_make_one_name_in_alphabetical_order() -> None:
    assert persona_name(("nasa", "dog_rates")) == "dog_rates-nasa"


def test_a_handle_that_begins_with_an_underscore_is_a_name() -> None:
    assert persona_name(("_nasa",)) == "_nasa"


def test_a_given_name_is_taken_in_lower_case() -> None:
    assert persona_name(("nasa",), "Rocket-Dog") == "rocket-dog"


@pytest.mark.parametrize("name", ["..", "a/b", "-nasa", "na sa", "näsa", ".staging-1", "a" * 61, "nasa esa"])
def test_a_name_that_is_no_folder_of_its_own_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(UsageError, match="for example nasa"):
        persona_name(("nasa",), name)


@given(st.text(max_size=70))
def test_whatever_is_asked_for_a_name_stays_within_the_shelf(name: str) -> None:
    try:
        chosen = persona_name(("nasa",), name)
    except UsageError:
        return
    assert is_persona_name(chosen)
