"""Shards: numbered .jsonl files that appear whole or not at all, so that work which was cut off goes on behind them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any


def missing(folder: Path, numbers: Iterable[int]) -> Iterator[tuple[int, Path]]:
    """Of the numbered shards those that are not in the folder, with their files, each asked for when its turn comes."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        file = folder / f"{number:05}.jsonl"
        if not file.exists():
            yield number, file


def write_shard(file: Path, lines: Iterable[Mapping[str, object]]) -> None:
    """All lines at once, by a rename. What a kill leaves behind is called .part and overwritten by the next try."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines), encoding="utf-8")
    part.rename(file)


def read_lines(file: Path) -> Iterator[dict[str, Any]]:
    """The lines of one shard."""
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
