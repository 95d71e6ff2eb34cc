"""Judges bases: `python -m base.evaluate SPEC… --work FOLDER --data DATA_FOLDER [--untrained]`.

Outcome: a line of JSON for each base, as the service names it, in `FOLDER/evaluation.jsonl`: the bits per byte of our
own held-out text of each kind, each text alone between two end tokens as the service scores tweets; how varied what it
says is (distinct-2); and the first samples, not picked. With `--untrained` a model of the first base's shape whose
weights are still random is judged as well. What a base is worth after learning an account is told by
`benchmarks/learning.py --only ours --base SPEC`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

from base.presets import KINDS
from base.tokenizer import texts
from bot.config import Generation
from bot.generation.engines import ready_graph
from bot.generation.samples import Order, sample
from bot.shelf.bases import Base
from bot.training.child import ensure_base
from bot.training.figures import diversity
from bot.training.halves import Whole
from bot.training.job import Asking, Texts
from bot.training.learner import load_base
from bot.training.loss import score
from bot.training.orphans import Stop
from bot.training.rows import read

MOST_TEXTS = 150  # of each kind that are scored
SAMPLES = 200  # from whose words distinct-2 is counted
SHOWN = 40  # of them


def bits_per_byte(base: Base, work: Path, threads: int) -> dict[str, float]:
    """Of the held-out text of each kind."""
    asking = Asking(base=base.model, end_id=base.record.end_id, threads=threads)
    model = load_base(asking)
    tokenizer = Tokenizer.from_file(str(base.model / "tokenizer.json"))
    found = {}
    for kind in KINDS:
        chosen = list(islice(texts(work / "clean" / kind / "heldout.jsonl"), MOST_TEXTS))
        if chosen:
            rows, size = read(model, tokenizer, asking.end_id, chosen)
            found[kind] = round(score(Whole(model), rows, size, asking, Stop()).bits_per_byte, 4)
    return found


async def said(base: Base, data: Path, threads: int) -> tuple[str, ...]:
    """What it says by itself, from seed 1 on."""
    await ready_graph(base, "int8", print)
    with tempfile.TemporaryDirectory() as name:
        nothing = Path(name) / "texts.json"
        nothing.write_text(Texts(train=(), held_out=()).model_dump_json(), encoding="utf-8")
        order = Order(
            data=data, base=base.record.spec, base_sha256=base.record.sha256, weights="int8", threads=threads,
            adapter=None, texts=nothing, count=SAMPLES, seed=1, settings=Generation(),
        )  # fmt: skip
        return (await sample(order)).texts


def untrained(base: Base, folder: Path) -> Path:
    """A model of the same shape, with random weights and the same tokenizer."""
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base.model))  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    shutil.copyfile(base.model / "tokenizer.json", folder / "tokenizer.json")
    return folder


async def evaluate(base: Base, name: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Everything that is to be said of a base."""
    spoken = await said(base, asked.data, asked.threads)
    real = list(islice(texts(asked.work / "clean" / "posts" / "train.jsonl"), 20 * SAMPLES))
    held_out = list(texts(asked.work / "clean" / "posts" / "heldout.jsonl"))
    varied = diversity(spoken, real, held_out)
    return {
        "base": name,
        "sha256": base.record.sha256,
        "bits_per_byte": bits_per_byte(base, asked.work, asked.threads),
        "distinct_2": varied and round(varied.distinct_2, 4),
        "real_distinct_2": varied and round(varied.real_distinct_2, 4),
        "samples": spoken[:SHOWN],
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("specs", nargs="+", help="embedded, smollm2, or a folder with a model")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="where bases are made ready")
    parser.add_argument("--untrained", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    named = {spec: spec for spec in asked.specs}
    first = await ensure_base(asked.specs[0], asked.data, print)
    if asked.untrained:
        named[str(untrained(first, asked.work / f"untrained-{first.record.sha256[:12]}"))] = "untrained"
    for spec, name in named.items():
        found = await evaluate(await ensure_base(spec, asked.data, print), name, asked)
        with (asked.work / "evaluation.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps(found, ensure_ascii=False) + "\n")
        print(json.dumps({**found, "samples": found["samples"][:5]}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
