"""Large sources are read in little memory: each in a process of its own, whose peak is what counts."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tweets.archives import entry

SIZE = 100 << 20  # bytes; json.loads would take more than half a gigabyte for them
MOST_MB = 60  # what the readers may take beside the interpreter and its libraries

READ = """
import resource, sys
from pathlib import Path
from bot.tweets.reading import opened
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with opened(Path(sys.argv[1]), "ann") as batches:
    count = sum(len(batch) for batch in batches)
print(count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def archive(folder: Path) -> tuple[Path, int]:
    tweet = {"tweet": {**entry(1, "some words of a tweet"), "entities": [{"url": "https://t.co/x" * 10}] * 10}}
    element = json.dumps(tweet, indent=2).replace("\n", "\n  ").encode()
    count = SIZE // len(element)
    path = folder / "archive.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
        for part in range(2):  # each of which would look like a bomb if its tweets were alike to the letter
            with zipped.open(f"data/tweets-part{part}.js", "w") as member:
                member.write(b"window.YTD.tweets.part0 = [\n  " + element)
                for number in range(1, count // 2):
                    member.write(b",\n  " + element.replace(b"some words", f"{number * 7919:x}".encode()))
                member.write(b"\n]")
    return path, count // 2 * 2


def table(folder: Path) -> tuple[Path, int]:
    row = f"1013558869728071685,2018-07-01 10:00:00,ann,some words of a tweet,{'more than anybody wants ' * 60}"
    count = SIZE // len(row)
    path = folder / "table.csv"
    with path.open("w") as file:
        file.write("id,date,user,text,more\n")
        file.writelines(f"{row}\n" for _ in range(count))
    return path, count


def document(folder: Path) -> tuple[Path, int]:
    element = json.dumps({"user": {"screen_name": "ann"}, "text": "some words", "id": 5, "more": "x" * 2_000})
    count = SIZE // len(element)
    path = folder / "tweets.json"
    with path.open("w") as file:
        file.write(f"[{element}")
        file.writelines(f",{element}" for _ in range(1, count))
        file.write("]")
    return path, count


@pytest.mark.parametrize("make", [archive, table, document])
def test_a_large_source_takes_little_memory(tmp_path: Path, make: Callable[[Path], tuple[Path, int]]) -> None:
    path, count = make(tmp_path)
    child = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    read, grown_mb = map(int, child.stdout.split())
    assert read == count
    assert grown_mb < MOST_MB
