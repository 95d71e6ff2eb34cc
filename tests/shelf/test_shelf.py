"""Readers of the shelf see the old version or the new one, whatever happens in between.

The kills are real: a process of its own publishes a version and is killed, by SIGKILL, at the first, the second, … of
its steps on disk.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path
from signal import SIGKILL

import pytest

from bot.errors import DamagedVersion, DiskFull, UnknownPersona, UnknownVersion
from bot.shelf.shelf import Shelf, file_sha256
from tests.shelves import manifest, shelf_with

ROOT = Path(__file__).parents[2]
PUBLISH = """
import os, signal, sys
from pathlib import Path
from bot.shelf.shelf import Shelf
from tests.shelves import manifest

shelf, staging, steps_left = Shelf(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
new = manifest("nell", "v2")


def count_down(event, arguments):
    global steps_left
    on_shelf = event in ("open", "os.rename") and str(shelf.folder) in str(arguments[0])
    if on_shelf and steps_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    steps_left -= on_shelf


sys.addaudithook(count_down)
shelf.place(staging, new)
shelf.use("nell", "v2")
"""


def add(shelf: Shelf, persona: str, version: str) -> Path:
    """Publish a version with one file of weights, not yet in use; its folder."""
    staging = shelf.staging(persona, version)
    (staging / "adapter_model.safetensors").write_bytes(version.encode())
    shelf.place(staging, manifest(persona, version))
    return shelf.path(manifest(persona, version))


def killed_at(shelf: Shelf, step: int) -> bool:
    """Publish v2 of nell in a process that is killed before that step on disk; False when it was done by then."""
    staging = shelf.staging("nell", "2")
    (staging / "adapter_model.safetensors").write_bytes(b"v2")
    command = [sys.executable, "-c", PUBLISH, str(shelf.folder), str(staging), str(step)]
    ended = subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode
    assert ended in (0, -SIGKILL)
    return ended != 0


# Publishing


def test_a_version_appears_whole_with_every_file_that_was_staged(tmp_path: Path) -> None:
    shelf = shelf_with(tmp_path, "nell")
    folder = add(shelf, "nell", "v2")
    assert {file.name for file in folder.iterdir()} == {"adapter_model.safetensors", "manifest.json"}
    assert shelf.version("nell", "v2") == manifest("nell", "v2")


def test_what_is_staged_is_seen_by_nobody(tmp_path: Path) -> None:
    shelf = shelf_with(tmp_path, "nell")
    (shelf.staging("nell", "2") / "manifest.json").write_text(manifest("nell", "v2").model_dump_json())
    shelf.staging("crumb", "3")
    assert shelf.personas() == ["nell"]
    assert [found.version for found in shelf.versions("nell")] == ["v1"]


def test_a_published_version_waits_until_it_is_put_in_use(tmp_path: Path) -> None:
    shelf = shelf_with(tmp_path, "nell")
    add(shelf, "nell", "v2")
    assert shelf.current("nell").version == "v1"
    assert shelf.use("nell", "v2") == manifest("nell", "v2")
    assert shelf.current("nell").version == "v2"


def test_another_process_sees_the_new_version_at_once(tmp_path: Path) -> None:
    writing, reading = shelf_with(tmp_path, "nell"), Shelf(tmp_path)
    assert reading.current("nell").version == "v1"
    add(writing, "nell", "v2")
    writing.use("nell", "v2")
    assert reading.current("nell").version == "v2"


def test_the_next_version_counts_on_from_the_highest_number(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert shelf.next_version("nell") == "v1"
    for version in ("v1", "v2", "v9", "v10"):
        add(shelf, "nell", version)
    assert shelf.next_version("nell") == "v11"
    assert [found.version for found in shelf.versions("nell")] == ["v1", "v2", "v9", "v10"]


def test_a_published_version_is_never_written_over(tmp_path: Path) -> None:
    shelf = shelf_with(tmp_path, "nell")
    weights = add(shelf, "nell", "v2") / "adapter_model.safetensors"
    staging = shelf.staging("nell", "again")
    (staging / "adapter_model.safetensors").write_bytes(b"other weights")
    with pytest.raises(DiskFull, match="the version in use is untouched"):
        shelf.place(staging, manifest("nell", "v2"))
    assert weights.read_bytes() == b"v2"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_publishes_nothing_and_says_so(tmp_path: Path) -> None:
    shelf = shelf_with(tmp_path, "nell")
    staging = shelf.staging("nell", "2")
    (staging / "manifest.json").symlink_to("/dev/full")
    with pytest.raises(DiskFull, match=r"No space left on device.*Free some space"):
        shelf.place(staging, manifest("nell", "v2"))
    assert [found.version for found in shelf.versions("nell")] == ["v1"]
    assert shelf.current("nell").version == "v1"


# Killed in the middle


@pytest.mark.slow
def test_a_kill_at_any_step_leaves_the_old_version_or_the_new_one_in_use(tmp_path: Path) -> None:
    in_use = []
    for step in count():
        shelf = shelf_with(tmp_path / str(step), "nell")
        killed = killed_at(shelf, step)
        in_use.append(shelf.current("nell").version)
        assert shelf.personas() == ["nell"]
        for found in shelf.versions("nell"):
            assert found == manifest("nell", found.version)
        if not killed:
            break
    assert in_use[-1] == "v2"
    assert in_use == sorted(in_use), "once the new version was in use it stays so"
    assert in_use.count("v1") >= 4  # before the manifest, the two renames, and the new `current`


@pytest.mark.slow
def test_a_kill_between_publishing_and_use_leaves_the_old_one_in_use_and_the_new_one_at_hand(tmp_path: Path) -> None:
    seen = set()
    for step in count():
        shelf = shelf_with(tmp_path / str(step), "nell")
        if not killed_at(shelf, step):
            break
        versions = tuple(found.version for found in shelf.versions("nell"))
        seen.add((versions, shelf.current("nell").version))
    assert (("v1", "v2"), "v1") in seen
    assert shelf.use("nell", "v2").version == "v2"


def test_after_a_kill_the_same_version_can_be_published_again(tmp_path: Path) -> None:
    shelf = shelf_with(tmp_path, "nell")
    assert killed_at(shelf, 0)
    assert shelf.next_version("nell") == "v2"
    assert not killed_at(shelf, 1_000)
    assert shelf.current("nell") == manifest("nell", "v2")


def test_readers_never_see_half_of_a_change(tmp_path: Path) -> None:
    shelf = shelf_with(tmp_path, "nell")
    add(shelf, "nell", "v2")

    def change() -> None:
        for turn in range(40):
            shelf.use("nell", f"v{1 + turn % 2}")

    writer = threading.Thread(target=change)
    writer.start()
    while writer.is_alive():
        assert shelf.current("nell").version in ("v1", "v2")
    writer.join()


# Rolling back


def test_rolling_back_puts_the_earlier_version_in_use_and_keeps_the_later_one(tmp_path: Path) -> None:
    shelf = shelf_with(tmp_path, "nell")
    add(shelf, "nell", "v2")
    shelf.use("nell", "v2")
    shelf.use("nell", "v1")
    assert shelf.current("nell").version == "v1"
    assert [found.version for found in shelf.versions("nell")] == ["v1", "v2"]
    assert shelf.next_version("nell") == "v3"


def test_a_version_that_is_not_there_can_not_be_put_in_use(tmp_path: Path) -> None:
    shelf = shelf_with(tmp_path, "nell")
    with pytest.raises(UnknownVersion, match=r"nell has no version v7. `mockingbird versions nell`"):
        shelf.use("nell", "v7")
    assert shelf.current("nell").version == "v1"


# What is not there


def test_an_unknown_persona_is_answered_with_those_that_are_known(tmp_path: Path) -> None:
    shelf = shelf_with(tmp_path, "nell", "crumb")
    with pytest.raises(UnknownPersona, match=r"There is no persona nel\. Known are crumb, nell\."):
        shelf.current("nel")


@pytest.mark.parametrize("name", ["..", "../elsewhere", "/", "", ".", "nell/v1", "NELL"])
def test_a_name_never_leads_off_the_shelf(tmp_path: Path, name: str) -> None:
    shelf = shelf_with(tmp_path / "models", "nell")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "current").write_text("v1\n", encoding="utf-8")
    for look in (shelf.current, shelf.versions, shelf.next_version):
        with pytest.raises(UnknownPersona, match="Known are nell"):
            look(name)


def test_an_empty_shelf_says_how_to_fill_it(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "not made yet")
    assert shelf.personas() == []
    with pytest.raises(UnknownPersona, match="`mockingbird train HANDLE` makes one"):
        shelf.versions("nell")


def test_a_version_whose_manifest_was_damaged_does_not_count(tmp_path: Path) -> None:
    shelf = shelf_with(tmp_path, "nell")
    (add(shelf, "nell", "v2") / "manifest.json").write_text("{", encoding="utf-8")
    assert [found.version for found in shelf.versions("nell")] == ["v1"]
    assert shelf.next_version("nell") == "v3", "its number is taken all the same"
    with pytest.raises(UnknownVersion):
        shelf.use("nell", "v2")


def test_a_persona_whose_version_in_use_was_removed_by_hand_says_which_one_is_missing(tmp_path: Path) -> None:
    shelf = shelf_with(tmp_path, "nell")
    add(shelf, "nell", "v2")
    (shelf.folder / "nell" / "current").write_text("v3\n", encoding="utf-8")
    with pytest.raises(UnknownVersion, match="v3"):
        shelf.current("nell")
    assert shelf.use("nell", "v2").version == "v2"


# Staging folders


def test_each_run_has_a_staging_folder_of_its_own(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    folders = {shelf.staging("nell", "1"), shelf.staging("nell", "2"), shelf.staging("crumb", "1")}
    assert len(folders) == 3
    assert all(folder.is_dir() for folder in folders)


def test_sweeping_removes_what_was_left_half_made_and_nothing_else(tmp_path: Path) -> None:
    shelf = shelf_with(tmp_path, "nell", "crumb")
    add(shelf, "nell", "v2")
    (shelf.staging("nell", "3") / "adapter_model.safetensors").write_bytes(b"half")
    shelf.staging("crumb", "4")
    shelf.sweep()
    kept = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*"))
    assert kept == ["crumb/current", "crumb/v1", "nell/current", "nell/v1", "nell/v2"]
    assert shelf.current("nell").version == "v1"


def test_a_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"abc")
    assert file_sha256(tmp_path / "weights") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# Damage, and pruning


def whole(shelf: Shelf, persona: str, version: str) -> Path:
    """A version with weights, a card, and the digests of both; its folder."""
    staging = shelf.staging(persona, version)
    for name in ("adapter_model.safetensors", "README.md"):
        (staging / name).write_bytes(version.encode() + name.encode())
    digests = {file.name: file_sha256(file) for file in staging.iterdir()}
    made = manifest(persona, version).model_copy(update={"sha256": digests})
    shelf.place(staging, made)
    return shelf.path(made)


def test_a_version_is_compared_with_what_was_published(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    folder = whole(shelf, "nell", "v1")
    assert shelf.verified(shelf.version("nell", "v1")) == folder
    assert shelf.damaged(shelf.version("nell", "v1")) == []


def test_damage_is_seen_even_when_the_file_was_read_before_and_names_what_to_do(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    folder = whole(shelf, "nell", "v1")
    shelf.verified(shelf.version("nell", "v1"))
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(bytes(reversed(weights.read_bytes())))
    with pytest.raises(
        DamagedVersion, match=r"nell v1 is damaged on disk .*`mockingbird rollback nell`.*`mockingbird tr"
    ):
        shelf.verified(shelf.version("nell", "v1"))
    weights.unlink()
    assert shelf.damaged(shelf.version("nell", "v1")) == ["adapter_model.safetensors"]


def test_a_card_that_was_changed_keeps_nobody_from_speaking(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    (whole(shelf, "nell", "v1") / "README.md").write_text("scribbled over")
    shelf.verified(shelf.version("nell", "v1"))
    assert shelf.damaged(shelf.version("nell", "v1")) == ["README.md"]


def test_what_another_process_is_placing_is_not_swept_away(tmp_path: Path) -> None:
    with Shelf(tmp_path).placing():
        staging = Shelf(tmp_path).staging("nell", "adopted")
        Shelf(tmp_path).sweep()
        assert staging.is_dir()
    Shelf(tmp_path).sweep()
    assert not staging.exists()


def test_nothing_is_left_of_a_persona_although_somebody_else_deletes_there_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version vanishes just before it is looked into."""
    shelf = shelf_with(tmp_path, "nell")
    for version in ("v2", "v3"):
        shelf.place(shelf.staging("nell", "x"), manifest("nell", version))
    vanished: list[str] = []
    real = os.open

    def vanishing(path: str, flags: int, **options: int) -> int:
        if str(path).startswith("v") and not vanished:
            vanished.append(path)
            shutil.move(tmp_path / "nell" / path, tmp_path / "elsewhere")
        return real(path, flags, **options)

    monkeypatch.setattr(os, "open", vanishing)
    shelf.remove("nell")
    assert vanished and not (tmp_path / "nell").exists()


def test_a_pruned_version_is_gone_with_what_was_built_of_it(tmp_path: Path) -> None:
    shelf = shelf_with(tmp_path, "nell")
    gone = manifest("nell", "v2")
    whole(shelf, "nell", "v2")
    (tmp_path / "nell" / ".graphs-v2").mkdir()
    shelf.prune("nell", "v2")
    shelf.prune("nell", "v2")
    shelf.clear_pruned("nell", "v2")
    assert sorted(path.name for path in (tmp_path / "nell").iterdir()) == ["current", "v1"]
    with pytest.raises(UnknownVersion, match="nell has no version v2"):
        shelf.verified(gone)
