"""What a version says about itself survives the disk, and nothing that it does not know gets in."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bot.shelf.bases import SMOLLM2_SHA256, embedded_record
from bot.shelf.manifest import Manifest, Part
from tests.shelves import manifest


def test_a_manifest_reads_back_as_it_was_written() -> None:
    written = manifest("nell", "v7")
    assert Manifest.model_validate_json(written.model_dump_json(indent=2)) == written


def test_a_blend_reads_back_with_its_parts_and_an_older_manifest_has_none() -> None:
    one = manifest("nell")
    part = Part(
        persona="nell",
        version="v1",
        weight=1 / 3,
        weights_sha256="0" * 64,
        handles=("nell",),
        fingerprint=one.fingerprint,
        tweets_read_at=one.tweets_read_at,
        seed=1,
        hyperparameters={"rank": 4},
    )
    blend = one.model_copy(update={"blended_from": (part,)})
    assert Manifest.model_validate_json(blend.model_dump_json()) == blend
    assert part.share == "33.3%"
    assert Manifest.model_validate(one.model_dump(exclude={"blended_from"})) == one


def test_a_version_that_was_trained_on_the_former_embedded_base_stands_on_smollm2() -> None:
    """And one that was trained on ours stands on "embedded", as it says."""
    former = manifest("nell", base_sha256=SMOLLM2_SHA256).model_copy(update={"base": "embedded"})
    assert Manifest.model_validate_json(former.model_dump_json()).base == "smollm2"
    ours = former.model_copy(update={"base_sha256": embedded_record().sha256})
    assert Manifest.model_validate_json(ours.model_dump_json()).base == "embedded"


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
