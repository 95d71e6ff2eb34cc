"""What a version says about itself survives the disk, and nothing that it does not know gets in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.errors import UsageError
from bot.shelf.manifest import PERSONA_NAME, Manifest, persona_name
from tests.shelves import manifest


def test_a_manifest_reads_back_as_it_was_written() -> None:
    written = manifest("nell", "v7")
    assert Manifest.model_validate_json(written.model_dump_json(indent=2)) == written


def test_versions_are_ordered_by_number_and_not_by_letters() -> None:
    assert sorted(["v10", "v9", "v1"], key=lambda version: manifest("nell", version).number) == ["v1", "v9", "v10"]


@pytest.mark.parametrize("version", ["1", "v0", "v01", "v-1", "v1a", "V1", "v", "../v1", "v1\n"])
def test_a_version_is_v_and_a_number_from_1(version: str) -> None:
    with pytest.raises(ValidationError):
        Manifest.model_validate(manifest("nell").model_dump() | {"version": version})


def test_a_field_that_means_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="mood"):
        Manifest.model_validate(manifest("nell").model_dump() | {"mood": "stormy"})


def test_a_manifest_that_lacks_its_figures_is_refused() -> None:
    with pytest.raises(ValidationError, match="metrics"):
        Manifest.model_validate(manifest("nell").model_dump(exclude={"metrics"}))


def test_a_manifest_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        manifest("nell").seed = 2


def test_several_handles_make_one_name_in_alphabetical_order() -> None:
    assert persona_name(("nasa", "dog_rates")) == "dog_rates-nasa"


def test_a_given_name_is_taken_in_lower_case() -> None:
    assert persona_name(("nasa",), "Rocket-Dog") == "rocket-dog"


@pytest.mark.parametrize("name", ["..", "a/b", "-nasa", "_nasa", "na sa", "näsa", ".staging-1", "a" * 61, "nasa\n"])
def test_a_name_that_is_no_folder_of_its_own_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(UsageError, match="for example nasa"):
        persona_name(("nasa",), name)


@given(st.text(max_size=70))
def test_whatever_is_asked_for_a_name_stays_within_the_shelf(name: str) -> None:
    try:
        chosen = persona_name(("nasa",), name)
    except UsageError:
        return
    assert PERSONA_NAME.fullmatch(chosen)
