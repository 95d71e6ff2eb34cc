"""Learning an account: ours beside the recipe of huggingtweets, on the same tweets, base and machine.

    python benchmarks/learning.py ACCOUNTS… [--database data/mockingbird.db] [--data data] [--base smollm2]
                                  [--seeds 1] [--threads 1] [--samples 1000] [--bfloat16] [--only ours|recipe]
                                  [--cut BLOCKS] [--out FILE]
    python benchmarks/learning.py --table FILE

ACCOUNTS are stored accounts, several joined by + for a blend: `nasa noaa+noaaresearch`. Both learn from the same
training tweets, are judged on the same held-out ones, and say as many texts with the same sampling, whose copies are
counted. Seconds are of processor time, which with one thread is what a run takes alone on a machine; judging is not
counted in the recipe's, and is in ours. A recipe's run that takes hours may be cut after some blocks: its speed and its
memory are known by then, its seconds are reckoned, and nothing is said of what it learns. Each run is a line of JSON in
FILE as soon as it is known; the table takes of each kind of run the newest, and of seeds the median.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from bot.config import Generation, Training
from bot.database import Database
from bot.generation.engines import ready_graph
from bot.generation.samples import Order, sample
from bot.shelf.bases import Base, find_base
from bot.shelf.forms import files_of, form_of, whole_model
from bot.training.dataset import DataSet, build
from bot.training.figures import copies, diversity
from bot.training.hyperparameters import suited
from bot.training.job import RESULT, TEXTS, Event, Job, Result, Texts
from bot.tweets.store import TweetStore


async def data_set_of(database: Path, handles: Sequence[str], settings: Training, base: Base) -> DataSet:
    """What is learned, and what is judged with."""
    async with Database(database) as opened:
        store = TweetStore(opened, lambda: datetime.now(UTC))
        kept = {handle: await store.kept(handle, handles) for handle in handles}
    return build(kept, suited(settings, base.record.spec), base.record.sha256)


def by_account(data_set: DataSet) -> dict[str, list[str]]:
    """The training tweets of each account."""
    tweets = iter(data_set.train)
    return {split.handle: [next(tweets) for _ in range(split.train)] for split in data_set.splits}


def child(module: Sequence[str], first_line: str) -> list[tuple[float, dict[str, Any]]]:
    """The child's events, each with the processor seconds that it had used by then."""
    with subprocess.Popen(
        [sys.executable, *module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(first_line + "\n")
        process.stdin.flush()
        if module[0] != "-m":
            process.stdin.close()
        watched = psutil.Process(process.pid)
        events = [(sum(watched.cpu_times()[:2]), json.loads(line)) for line in process.stdout]
        if module[0] == "-m":
            process.stdin.close()
    if process.returncode:
        raise SystemExit(f"{' '.join(module)} ended with {process.returncode}")
    return events


def recipe(data_set: DataSet, base: Base, seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    """The ancestor's way."""
    with tempfile.TemporaryDirectory() as name:
        job = {
            "base": str(base.model), "end_id": base.record.end_id, "train": by_account(data_set),
            "held_out": list(data_set.held_out), "seed": seed, "threads": asked.threads, "bfloat16": asked.bfloat16,
            "save": None if asked.cut else name, "cut": asked.cut,
        }  # fmt: skip
        events = [event for _, event in child([str(Path(__file__).with_name("recipe.py"))], json.dumps(job))]
        if asked.cut:
            return reckoned(events[-1])
        said = spoken(Path(name), data_set, base, asked)
    curve = [(event["seconds"], event["loss"], event["bits_per_byte"]) for event in events if "loss" in event]
    return summary(curve, events[-1]) | said


def reckoned(end: dict[str, Any]) -> dict[str, Any]:
    """What is to be said of a run that was cut."""
    per_second = end["tokens"] / end["seconds"]
    known = {name: end[name] for name in ("peak_mb", "size_mb")}
    return {"seconds": round(end["whole_tokens"] / per_second), "tokens_per_second": round(per_second), **known}


def job_for(data_set: DataSet, base: Base, folder: Path, **settings: Any) -> Job:
    """Ours, with the settings as they are shipped but for these; its texts lie in the folder afterwards."""
    texts = Texts(
        train=data_set.train, held_out=data_set.held_out, accounts=tuple(split.train for split in data_set.splits),
        prompts=data_set.prompts, held_out_prompts=data_set.held_out_prompts,
    )  # fmt: skip
    (folder / TEXTS).write_text(texts.model_dump_json(), encoding="utf-8")
    told = data_set.settings.model_dump(include=Training.model_fields.keys() & Job.model_fields.keys())
    return Job(
        base=base.model, base_name="", end_id=base.record.end_id, folder=folder, fingerprint="", **{**told, **settings}
    )  # fmt: skip


def ours(data_set: DataSet, base: Base, seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Ours, with the settings as they are shipped."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = job_for(data_set, base, folder, seed=seed, threads=asked.threads)
        events = child(["-m", "bot.training.finetune"], job.model_dump_json())
        result = Result.model_validate_json((folder / RESULT).read_bytes())
        size = sum((folder / file).stat().st_size for file in files_of(form_of(folder)))
        said = spoken(folder, data_set, base, asked)
    prepared = next(at for at, event in events if event["event"] == "preparing")
    scores = {evaluation.step: evaluation for evaluation in result.evaluations}
    curve = [
        (at - prepared, scores[event.step].loss, scores[event.step].bits_per_byte)
        for at, line in events
        if (event := Event.model_validate(line)).event == "evaluation" and event.step in scores
    ]
    end = {
        "seconds": curve[-1][0],
        "tokens": result.trained_tokens,
        "peak_mb": round(result.run["peak_memory_bytes"] / 2**20),
        "size_mb": round(size / 1e6, 1),
    }
    base_loss = {"base_loss": result.base.loss, "base_bits_per_byte": result.base.bits_per_byte}
    return summary(curve, end) | said | base_loss


def spoken(folder: Path, data_set: DataSet, base: Base, asked: argparse.Namespace) -> dict[str, Any]:
    """What is to be said about the texts that the version in that folder says by itself."""
    if not asked.samples:
        return {}
    texts = folder / TEXTS
    texts.write_text(Texts(train=data_set.train, held_out=data_set.held_out).model_dump_json(), encoding="utf-8")
    voice = whole_model(folder) if form_of(folder) == "whole" else base
    asyncio.run(ready_graph(voice, "int8", lambda _: None))
    order = Order(
        data=asked.data, base=base.record.spec, base_sha256=base.record.sha256, weights="int8",
        threads=asked.threads, adapter=folder, texts=texts, count=asked.samples, seed=1, settings=Generation(),
    )  # fmt: skip
    said = asyncio.run(sample(order)).texts
    copied = copies(said, data_set.train, data_set.held_out)
    varied = diversity(said, data_set.train, data_set.held_out)
    return {
        "samples": len(said),
        "exact_copies": copied.exact,
        "near_copies": copied.near,
        "real_near_copies": copied.real_near,
        "distinct_2": varied and varied.distinct_2,
        "real_distinct_2": varied and varied.real_distinct_2,
    }


def summary(curve: list[tuple[float, float, float]], end: dict[str, Any]) -> dict[str, Any]:
    """Figures of one run; `curve` holds seconds, loss and bits per byte of each judging."""
    best = min(curve, key=lambda each: each[1])
    return {
        "seconds": round(end["seconds"], 1),
        "tokens_per_second": round(end["tokens"] / end["seconds"]),
        "peak_mb": end["peak_mb"],
        "size_mb": end["size_mb"],
        "loss": round(curve[-1][1], 4),
        "bits_per_byte": round(curve[-1][2], 4),
        "best_loss": round(best[1], 4),
        "best_bits_per_byte": round(best[2], 4),
        "best_after_s": round(best[0], 1),
        "curve": [(round(seconds, 1), round(loss, 4)) for seconds, loss, _ in curve],
    }


def reached(curve: list[tuple[float, float]], loss: float) -> float | None:
    """Seconds until the loss was first that low, between two judgings in a straight line."""
    before: tuple[float, float] | None = None
    for seconds, value in curve:
        if value <= loss:
            if before is None:
                return seconds
            share = (before[1] - loss) / (before[1] - value)
            return before[0] + share * (seconds - before[0])
        before = (seconds, value)
    return None


def compared(theirs: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Ours beside the recipe's. Its last loss is what ours has to reach: that is the model it gives you."""
    until = reached([(0.0, own["base_loss"]), *own["curve"]], theirs["loss"])
    return {
        "seconds_to_its_loss": inf if until is None else until,
        "times_sooner": 0.0 if until is None else theirs["seconds"] / until,
        "memory": own["peak_mb"] / theirs["peak_mb"],
        "bits_per_byte_less": 1 - own["best_bits_per_byte"] / theirs["bits_per_byte"],
    }


# --- The table ---

COLUMNS = {
    "seconds": "{:.0f}", "best_after_s": "{:.0f}", "tokens_per_second": "{:.0f}", "peak_mb": "{:,.0f}",
    "size_mb": "{:.1f}", "bits_per_byte": "{:.3f}", "best_bits_per_byte": "{:.3f}", "exact_copies": "{:.1%}",
    "near_copies": "{:.1%}", "distinct_2": "{:.3f}",
}  # fmt: skip
RATIOS = {
    "seconds_to_its_loss": "{:.0f}", "times_sooner": "{:.1f}", "memory": "{:.2f}", "bits_per_byte_less": "{:.1%}",
}  # fmt: skip

Runs = dict[tuple[str, str, int, str], dict[str, Any]]


def runs_of(file: Path) -> Runs:
    """The newest run of each account, base, seed and side."""
    runs = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {(run["base"], run["account"], run["seed"], run["side"]): run for run in runs}


def table(runs: Runs) -> str:
    """Both sides of each account, and ours beside the recipe's, in Markdown; medians over the seeds."""
    lines = [
        f"| base | account | tweets | | seeds | {' | '.join(COLUMNS)} |",
        f"| --- | --- | ---: | --- | ---: |{' ---: |' * len(COLUMNS)}",
    ]
    beside = [
        f"| base | account | seeds | {' | '.join(RATIOS)} |",
        f"| --- | --- | ---: |{' ---: |' * len(RATIOS)}",
    ]
    for base, account in dict.fromkeys((base, account) for base, account, _, _ in runs):
        of_account = [run for (at, name, _, _), run in runs.items() if (at, name) == (base, account)]
        for side in ("recipe", "ours"):
            own = [run for run in of_account if run["side"] == side]
            if own:
                name = f"{side}, bfloat16" if own[0]["bfloat16"] and side == "recipe" else side
                name += ", cut" if own[0].get("loss") is None else ""
                start = f"| {base} | {account} | {own[0]['train_tweets']} | {name} | {len(own)} | "
                lines.append(start + " | ".join(medians(own, COLUMNS)) + " |")
        pairs = [
            compared(runs[base, account, run["seed"], "recipe"], run)
            for run in of_account
            if run["side"] == "ours" and "loss" in runs.get((base, account, run["seed"], "recipe"), {})
        ]
        if pairs:
            beside.append(f"| {base} | {account} | {len(pairs)} | " + " | ".join(medians(pairs, RATIOS)) + " |")
    return "\n".join([*lines, "", *beside])


def medians(runs: Sequence[dict[str, Any]], columns: Mapping[str, str]) -> list[str]:
    """A cell for each column."""
    cells = []
    for column, form in columns.items():
        values = [run[column] for run in runs if run.get(column) is not None]
        cells.append(form.format(median(values)) if values else "")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("accounts", nargs="*")
    parser.add_argument("--database", type=Path, default=Path("data/mockingbird.db"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--base", default="smollm2")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--bfloat16", action="store_true", help="the recipe in bfloat16, where float32 takes hours")
    parser.add_argument("--cut", type=int, help="blocks after which the recipe's run is cut, where it takes hours")
    parser.add_argument("--only", choices=["ours", "recipe"])
    parser.add_argument("--out", type=Path, default=Path("learning.jsonl"))
    parser.add_argument("--table", type=Path)
    asked = parser.parse_args()
    if asked.table:
        print(table(runs_of(asked.table)))
        return
    base = find_base(asked.data, asked.base)
    if base is None:
        parser.error(
            f"the base {asked.base} is not prepared in {asked.data}; "
            f"run `MOCKINGBIRD_MODEL__BASE={asked.base} mockingbird prepare` first"
        )
    for account in asked.accounts:
        data_set = asyncio.run(data_set_of(asked.database, account.split("+"), Training(), base))
        for seed in range(1, asked.seeds + 1):
            for side, learn in {"recipe": recipe, "ours": ours}.items():
                if asked.only in (None, side):
                    what = {"base": asked.base, "account": account, "seed": seed, "side": side}
                    sizes = {"train_tweets": len(data_set.train), "held_out_tweets": len(data_set.held_out)}
                    what |= {"bfloat16": asked.bfloat16}
                    line = json.dumps(what | sizes | learn(data_set, base, seed, asked))
                    with asked.out.open("a", encoding="utf-8") as out:
                        out.write(line + "\n")
                    print(line, flush=True)


if __name__ == "__main__":
    main()
