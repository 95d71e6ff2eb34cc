"""A blend of accounts beside the cyborg that was trained on all of them, and beside each account's own version.

    python benchmarks/blending.py ACCOUNTS [--weights 0.5 0.5 …] [--as-given 1 1 …]
                                  [--database data/mockingbird.db] [--data data] [--base smollm2]
                                  [--threads 1] [--samples 1000] [--work FOLDER] [--out FILE]
    python benchmarks/blending.py --table FILE

ACCOUNTS are stored accounts, joined by +: `nasa+noaa`. A version of each is trained, and a cyborg of all; the blend
is made of the first. `--weights` are those of the blend, which the accounts share alike unless they are given;
`--as-given` adds a blend whose weights need not sum to 1. All are judged on the same tweets, those that neither a
version nor the cyborg has learned, nor anything nearly the same, by the process that judges versions, and say as many
texts with the same sampling. Copies are counted among all that any of them has learned. `--work` keeps what was
trained, so that another blend needs no training. Seconds are of learning and judging it meanwhile, or of blending, by
the clock. Each line of FILE is one model's figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from learning import child, data_set_of, job_for

from bot.config import Generation, Training
from bot.generation.engines import ready_graph
from bot.generation.samples import Order, sample
from bot.shelf.bases import Base, find_base
from bot.shelf.blending import blended, read_adapter, write_adapter
from bot.shelf.figures import Figures
from bot.shelf.forms import files_of
from bot.training.dataset import DataSet
from bot.training.evaluation import ANSWER, MATERIAL, SCORING, Material, Question, Sampled, Voice, voices_of
from bot.training.job import RESULT, TEXTS, Result, Texts
from bot.training.rebuilding import Match, Rebuilt, together


def trained(data_set: DataSet, base: Base, folder: Path, threads: int) -> float:
    """Leave an adapter in the folder, with the settings as they are shipped; the seconds that learning it took."""
    if not (folder / RESULT).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        job = job_for(data_set, base, folder, threads=threads)
        child(["-m", "bot.training.finetune"], job.model_dump_json())
    return Result.model_validate_json((folder / RESULT).read_bytes()).seconds


def blend_of(folders: Sequence[Path], weights: Sequence[float], folder: Path) -> float:
    """Leave the blend of these adapters in the folder; the seconds that took."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    write_adapter(blended(list(zip(map(read_adapter, folders), weights, strict=True))), folder)
    return time.monotonic() - began


def judged_with(alone: Sequence[DataSet], cyborg: DataSet) -> DataSet:
    """Learned is what any of them has learned; judged is with what one kept aside and none has learned."""
    return together([Rebuilt(each, Match.SAME) for each in (*alone, cyborg)]).data_set


def figures_of(
    folder: Path, in_use: Path | None, judge: DataSet, base: Base, asked: argparse.Namespace
) -> tuple[Figures, Sampled | None]:
    """As a version on the shelf is judged, without other accounts to tell it from."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / TEXTS).write_text(Texts(train=judge.train, held_out=judge.held_out).model_dump_json())
        said = spoken(folder, scratch / TEXTS, base, asked) if asked.samples else None
        material = Material(
            own=tuple(voices_of(judge)), others=(), source=None, samples=said.texts if said else (),
            how=said.how if said else None, same_data_set=True,
        )  # fmt: skip
        (scratch / MATERIAL).write_text(material.model_dump_json(), encoding="utf-8")
        question = Question(
            base=base.model, end_id=base.record.end_id, threads=asked.threads, adapter=folder, in_use=in_use,
            tweets=10**6, material=scratch / MATERIAL, answer=scratch / ANSWER,
        )  # fmt: skip
        child(["-m", SCORING], question.model_dump_json())
        return Figures.model_validate_json((scratch / ANSWER).read_bytes()), said


def spoken(folder: Path, texts: Path, base: Base, asked: argparse.Namespace) -> Sampled:
    """What the adapter in that folder says by itself."""
    asyncio.run(ready_graph(base, "int8", lambda _: None))
    order = Order(
        data=asked.data, base=base.record.spec, base_sha256=base.record.sha256, weights="int8",
        threads=asked.threads, adapter=folder, texts=texts, count=asked.samples, seed=1, settings=Generation(),
    )  # fmt: skip
    return asyncio.run(sample(order))


def line_of(name: str, folder: Path, seconds: float, figures: Figures, voices: Sequence[Voice]) -> dict[str, Any]:
    """What is to be said about one model."""
    sizes = {voice.handle: sum(len(text.encode()) for text in voice.held_out) for voice in voices}

    def bits(field: str) -> dict[str, float]:
        found = {each.handle: getattr(each, field) for each in figures.accounts}
        whole = sum(found[handle] * sizes[handle] for handle in found) / sum(sizes[handle] for handle in found)
        return {**found, "together": whole}

    return {
        "model": name,
        "seconds": round(seconds, 2),
        "size_mb": round(sum((folder / file).stat().st_size for file in files_of("adapter")) / 1e6, 1),
        "rank": read_adapter(folder).rank,
        "bits_per_byte": bits("bits_per_byte"),
        "base_bits_per_byte": bits("base_bits_per_byte"),
        "tweets": {voice.handle: len(voice.held_out) for voice in voices},
        "near_copies": figures.copies and figures.copies.near,
        "real_near_copies": figures.copies and figures.copies.real_near,
        "distinct_2": figures.diversity and figures.diversity.distinct_2,
        "real_distinct_2": figures.diversity and figures.diversity.real_distinct_2,
    }


def table(lines: Sequence[dict[str, Any]]) -> str:
    """A row for each model, in Markdown; the base first."""
    whose = list(lines[0]["bits_per_byte"])
    head = ["Model", "Seconds", "Rank", "MB", *(f"Bits/byte, {name}" for name in whose), "Near copies", "Distinct-2"]
    rows = [["base", "", "", "", *(f"{lines[0]['base_bits_per_byte'][name]:.3f}" for name in whose), "", ""]]
    rows += [_row(line, whose) for line in lines]
    real = lines[0]
    if real["real_near_copies"] is not None:
        rows.append(
            [
                "real tweets",
                *[""] * (3 + len(whose)),
                f"{real['real_near_copies']:.1%}",
                f"{real['real_distinct_2']:.3f}",
            ]
        )
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def _row(line: dict[str, Any], whose: Sequence[str]) -> list[str]:
    return [
        line["model"], f"{line['seconds']:.1f}", str(line["rank"]), f"{line['size_mb']:.1f}",
        *(f"{line['bits_per_byte'][name]:.3f}" for name in whose),
        "" if line["near_copies"] is None else f"{line['near_copies']:.1%}",
        "" if line["distinct_2"] is None else f"{line['distinct_2']:.3f}",
    ]  # fmt: skip


def compare(handles: Sequence[str], base: Base, asked: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """Every model's figures."""
    alone = [asyncio.run(data_set_of(asked.database, [handle], Training(), base)) for handle in handles]
    cyborg = asyncio.run(data_set_of(asked.database, handles, Training(), base))
    models = {handle: work / handle for handle in handles}
    seconds = {
        handle: trained(each, base, models[handle], asked.threads) for handle, each in zip(handles, alone, strict=True)
    }
    parts = list(models.values())
    models["trained cyborg"] = work / "+".join(handles)
    seconds["trained cyborg"] = trained(cyborg, base, models["trained cyborg"], asked.threads)
    alike = [1 / len(handles)] * len(handles)
    for weights in [asked.weights or alike, *([asked.as_given] if asked.as_given else [])]:
        name = "blend " + ":".join(f"{weight:g}" for weight in weights)
        models[name] = work / name.replace(" ", "-").replace(":", "-")
        seconds[name] = blend_of(parts, weights, models[name])
    judge = judged_with(alone, cyborg)
    lines = []
    for name, folder in models.items():
        figures, _ = figures_of(folder, None, judge, base, asked)
        lines.append(line_of(name, folder, seconds[name], figures, voices_of(judge)))
        print(json.dumps(lines[-1]), flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("accounts", nargs="?")
    parser.add_argument("--weights", type=float, nargs="+")
    parser.add_argument("--as-given", type=float, nargs="+")
    parser.add_argument("--database", type=Path, default=Path("data/mockingbird.db"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--base", default="smollm2")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--work", type=Path, help="a folder that keeps what was trained")
    parser.add_argument("--out", type=Path, default=Path("blending.jsonl"))
    parser.add_argument("--table", type=Path)
    asked = parser.parse_args()
    if asked.table:
        print(table([json.loads(line) for line in asked.table.read_text(encoding="utf-8").splitlines()]))
        return
    base = find_base(asked.data, asked.base)
    if base is None or not asked.accounts:
        parser.error(f"name accounts, and have the base {asked.base} prepared in {asked.data}")
    with tempfile.TemporaryDirectory() as scratch:
        lines = compare(asked.accounts.split("+"), base, asked, asked.work or Path(scratch))
    with asked.out.open("a", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)
    print(table(lines))


if __name__ == "__main__":
    main()
