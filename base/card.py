"""Writes the card: `python -m base.card MODEL_FOLDER --work FOLDER [--learned learning.jsonl] [--into bot/embedded]`.

Outcome: `bot/embedded/README.md`, from what `base.train` wrote beside the weights, the newest line of each base in
`FOLDER/evaluation.jsonl`, and the lines that `benchmarks/learning.py` wrote about bases that learned an account. A
figure that nobody has measured is absent.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from base.presets import KINDS
from bot.shelf.bases import EMBEDDED, embedded_record
from bot.shelf.card import plain, table

Line = Mapping[str, Any]
NAMES = {"embedded": "this base", "smollm2": "SmolLM2-135M-Instruct", "untrained": "this shape, random weights"}


def newest(file: Path) -> dict[str, Line]:
    """The last line about each base."""
    lines = map(json.loads, file.read_text(encoding="utf-8").splitlines()) if file.is_file() else ()
    return {line["base"]: line for line in lines}


def reading(found: Mapping[str, Line]) -> str:
    """Bits per byte of the held-out text, and how varied it speaks."""
    kinds = [kind for kind in KINDS if any(kind in line["bits_per_byte"] for line in found.values())]
    rows = [
        [
            NAMES.get(base, base),
            *(f"{line['bits_per_byte'][kind]:.3f}" if kind in line["bits_per_byte"] else "" for kind in kinds),
            f"{line['distinct_2']:.3f}" if line.get("distinct_2") else "",
        ]
        for base, line in found.items()
    ]
    return table(["Bits per byte", *kinds, "distinct-2"], rows)


def learning(file: Path) -> str:
    """What the bases are worth once they have learned an account of real tweets."""
    found = {}
    for line in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
        found[line["base"], line["account"]] = line
    bases = list(dict.fromkeys(base for base, _ in found))
    accounts = list(dict.fromkeys(account for _, account in found))
    rows = []
    for account in accounts:
        lines = [found.get((base, account)) for base in bases]
        tweets = next(line["train_tweets"] for line in lines if line)
        figures = [cell(line, name) for name in ("best_bits_per_byte", "distinct_2") for line in lines]
        rows.append([plain(account), f"{tweets:,}", *figures])
    names = [NAMES.get("untrained" if "untrained" in base else base, base) for base in bases]
    head = ["Account", "Tweets", *names, *(f"distinct-2, {name}" for name in names)]
    return table(head, rows)


def cell(line: Line | None, name: str) -> str:
    """A figure, where it is known."""
    return f"{line[name]:.3f}" if line and line.get(name) is not None else ""


def card(training: Line, config: Line, size: int, found: Mapping[str, Line], learned: Path | None) -> str:
    """The whole card."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown: samples pass `plain`
    )
    return environment.get_template("card.jinja").render(
        training=training,
        config=config,
        megabytes=size / 1e6,
        epochs=", ".join(f"{kind} {times} times" for kind, times in training["epochs"].items()),
        reading=reading(found) if found else "",
        learning=learning(learned) if learned else "",
        samples=[plain(text) for text in found.get("embedded", {}).get("samples", ())],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--learned", type=Path)
    parser.add_argument("--into", type=Path, default=EMBEDDED)
    asked = parser.parse_args()
    sha256 = embedded_record(asked.into).sha256
    found = newest(asked.work / "evaluation.jsonl")
    if found.get("embedded", {}).get("sha256", sha256) != sha256:
        raise SystemExit("evaluation.jsonl is of another edition. Run `python -m base.evaluate embedded` first.")
    training = json.loads((asked.model / "training.json").read_text(encoding="utf-8"))
    config = json.loads((asked.into / "config.json").read_text(encoding="utf-8"))
    size = sum(file.stat().st_size for file in asked.into.iterdir())
    text = card(training, config, size, found, asked.learned)
    (asked.into / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
