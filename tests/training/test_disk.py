"""A disk without room, for real where this machine lets us make one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import mockingbird, write_config
from tests.tiny_base import make_tiny_gpt2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder of 300 kB; skips where mounting one is not allowed."""
    folder = tmp_path / "data"
    folder.mkdir()
    mounted = os.geteuid() == 0 and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=480k", "tmpfs", str(folder)], capture_output=True, check=False
    ).returncode  # fmt: skip
    if not mounted:
        pytest.skip("a small disk can be made by root alone")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
async def test_a_base_that_finds_no_room_is_a_sentence_and_leaves_nothing_behind(
    small_disk: Path, tmp_path: Path
) -> None:
    base = make_tiny_gpt2(tmp_path / "elsewhere")
    config = write_config(tmp_path, {"model": {"base": str(base.model)}})
    outcome = await mockingbird(config, "prepare")
    assert outcome.code == 3
    assert "The disk is full" in " ".join(outcome.err.split())
    assert "Traceback" not in outcome.err
    assert [name for _, _, names in os.walk(small_disk) for name in names if name.endswith(".safetensors")] == []


@pytest.mark.slow
async def test_an_import_that_finds_no_room_is_a_sentence_and_keeps_what_was_there(
    small_disk: Path, tmp_path: Path
) -> None:
    few, many = tmp_path / "few.csv", tmp_path / "many.csv"
    few.write_text("user,text\nnell,the lamp was lit before the fog came in\n")
    many.write_text("user,text\n" + "".join(f"nell,{n} {'fog and rain ' * 20}\n" for n in range(9000)))
    config = write_config(tmp_path, {})
    assert (await mockingbird(config, "import", str(few))).code == 0
    outcome = await mockingbird(config, "import", str(many))
    assert (outcome.code, "disk is full" in outcome.err) == (3, True), outcome.err
    counts = await mockingbird(config, "tweets", "nell", "--json")
    assert '"downloaded": 1,' in counts.out
