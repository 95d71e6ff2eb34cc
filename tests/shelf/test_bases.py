"""A base is ready when its base.json can be read, and not before."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.shelf.bases import SMOLLM2_SHA256, BaseRecord, base_folder, embedded_record, find_base

RECORD = BaseRecord(spec="gpt2", sha256="0" * 64, architecture="gpt2", end_id=50256)


def prepared(data: Path, record: BaseRecord = RECORD) -> Path:
    """The folder of a base without weights."""
    folder = base_folder(data, record.spec)
    folder.mkdir(parents=True)
    (folder / "base.json").write_text(record.model_dump_json(), encoding="utf-8")
    return folder


def test_a_prepared_base_is_found_with_its_record_and_its_folders(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    base = find_base(tmp_path, "gpt2")
    assert base is not None
    assert base.record == RECORD
    assert (base.model, base.graphs) == (folder / "model", folder / "graphs")


def test_a_base_that_was_never_prepared_is_not_found(tmp_path: Path) -> None:
    assert find_base(tmp_path, "gpt2") is None


def test_a_folder_without_its_record_is_a_leftover_and_no_base(tmp_path: Path) -> None:
    (prepared(tmp_path) / "base.json").unlink()
    assert find_base(tmp_path, "gpt2") is None


@pytest.mark.parametrize("content", ["", "{", "{}", '{"spec": "gpt2"}', "null"])
def test_a_record_that_was_cut_off_is_no_base(tmp_path: Path, content: str) -> None:
    (prepared(tmp_path) / "base.json").write_text(content, encoding="utf-8")
    assert find_base(tmp_path, "gpt2") is None


def test_a_record_with_a_field_of_another_program_is_no_base(tmp_path: Path) -> None:
    record = RECORD.model_dump_json().replace("{", '{"revision": 2, ', 1)
    (prepared(tmp_path) / "base.json").write_text(record, encoding="utf-8")
    assert find_base(tmp_path, "gpt2") is None


def test_a_folder_name_shows_which_base_it_holds(tmp_path: Path) -> None:
    assert base_folder(tmp_path, "gpt2").name.startswith("gpt2-")


@pytest.mark.parametrize(("one", "other"), [("org/model", "org-model"), ("gpt2", "GPT2"), ("a" * 60 + "b", "a" * 60)])
def test_bases_whose_names_look_alike_have_folders_of_their_own(tmp_path: Path, one: str, other: str) -> None:
    assert base_folder(tmp_path, one) != base_folder(tmp_path, other)


@pytest.mark.parametrize("spec", ["../../elsewhere", "~/models/gpt2", "/", "", "日本語"])
def test_whatever_a_base_is_called_its_folder_lies_among_the_bases(tmp_path: Path, spec: str) -> None:
    folder = base_folder(tmp_path, spec)
    assert folder.parent == tmp_path / "bases"
    assert folder.resolve().parent == (tmp_path / "bases").resolve()


def test_an_upgrade_finds_smollm2_where_it_lay_when_it_was_the_embedded_base(tmp_path: Path) -> None:
    before = tmp_path / "bases" / "embedded-928914"
    before.mkdir(parents=True)
    record = BaseRecord(spec="embedded", sha256=SMOLLM2_SHA256, architecture="llama", end_id=0)
    (before / "base.json").write_text(record.model_dump_json(), encoding="utf-8")
    found = find_base(tmp_path, "smollm2", SMOLLM2_SHA256)
    assert found is not None
    assert (found.folder, found.record.spec) == (before, "smollm2")
    assert find_base(tmp_path, "embedded") is None


def test_another_edition_of_the_embedded_base_has_another_folder_and_both_are_found(tmp_path: Path) -> None:
    """A version that was trained on the older one asks for it by its digest."""
    older, now = "1" * 64, embedded_record()
    for record in (now, now.model_copy(update={"sha256": older})):
        folder = base_folder(tmp_path, "embedded", record.sha256)
        folder.mkdir(parents=True)
        (folder / "base.json").write_text(record.model_dump_json(), encoding="utf-8")
    assert find_base(tmp_path, "embedded", "2" * 64) is None
    found = [find_base(tmp_path, "embedded", sha256) for sha256 in (None, now.sha256, older)]
    assert [base and base.record.sha256 for base in found] == [now.sha256, now.sha256, older]


def test_a_base_with_other_weights_than_those_asked_for_is_not_found(tmp_path: Path) -> None:
    prepared(tmp_path)
    assert find_base(tmp_path, "gpt2", "1" * 64) is None
    assert find_base(tmp_path, "gpt2", RECORD.sha256) is not None
