"""JSON read a piece at a time says what the standard library says of the whole."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.tweets import json_pieces
from bot.tweets.json_pieces import JsonReader

SCALARS = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=30)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
TRICKY = st.sampled_from(
    ['"},{"', "\\", '{"a":[{"b":1},{"b":2}]}', "]", "\ud83d", "},\n  {\n", ",", {"a": [{"a": 1}, {"a": 2}]}, [[]], {}]
)


@pytest.fixture(autouse=True)
def small_pieces() -> Iterator[None]:
    with patch.object(json_pieces, "PIECE", 48):
        yield


def all_of(text: str) -> list[object]:
    return [element for elements in JsonReader(io.StringIO(text)).elements() for element in elements]


@given(st.lists(VALUES | TRICKY, max_size=40), st.sampled_from([None, 0, 1, 4]), st.booleans())
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_array_in_pieces_is_the_array(elements: list[object], indent: int | None, is_ascii: bool) -> None:
    text = json.dumps(elements, indent=indent, ensure_ascii=is_ascii)
    assert repr(all_of(text)) == repr(json.loads(text))  # repr, since NaN is not equal to itself


@given(st.lists(st.fixed_dictionaries({"tweet": st.dictionaries(st.text(max_size=4), VALUES | TRICKY)}), max_size=60))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_entries_of_an_archive_in_pieces_are_the_entries(entries: list[object]) -> None:
    for text in (json.dumps(entries, indent=2, separators=(",", " : ")), json.dumps(entries, separators=(",", ":"))):
        assert repr(all_of(text)) == repr(json.loads(text))


@given(st.lists(VALUES | TRICKY, min_size=1, max_size=20), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_cut_off_is_no_json(elements: list[object], data: st.DataObject) -> None:
    text = json.dumps(elements)
    with pytest.raises(ValueError):
        all_of(text[: data.draw(st.integers(0, len(text) - 1))])


@given(st.lists(VALUES, max_size=20), st.integers(0, 400), st.sampled_from(list('{}[]",:\\ 0a\n')))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_character_is_taken_or_refused_as_by_the_standard_library(
    elements: list[object], at: int, character: str
) -> None:
    text = json.dumps(elements)
    place = 1 + at % max(len(text) - 2, 1)  # the brackets stay: what follows an array is another value
    changed = f"{text[:place]}{character}{text[place + 1 :]}"
    try:
        expected = json.loads(changed)
    except ValueError:
        expected = None
    try:
        found = all_of(changed)
    except ValueError:
        found = None
    if expected is not None:
        assert repr(found) == repr(expected)


def test_one_value_larger_than_allowed_is_refused() -> None:
    with pytest.raises(ValueError):
        JsonReader(io.StringIO(json.dumps("x" * 5_000))).value(longest=1_000)


def test_values_follow_each_other() -> None:
    reader = JsonReader(io.StringIO(' {"a": 1}\n[1, 2]\n 3 '))
    assert reader.value() == {"a": 1}
    assert [*reader.elements()] == [[1], [2]]
    assert reader.value() == 3
    assert reader.peek() == ""


def test_what_is_nested_too_deep_is_no_json() -> None:
    with pytest.raises(ValueError):
        JsonReader(io.StringIO("[" * 100_000)).value()
