"""Learning an account: ours beside the recipe of huggingtweets, on the same tweets, base and machine.

    python benchmarks/learning.py ACCOUNTS… [--database data/mockingbird.db] [--data data] [--base embedded]
                                  [--seeds 1] [--threads 2] [--only ours|recipe]

ACCOUNTS are stored accounts, several joined by + for a blend: `nasa noaa+noaaresearch`. Both learn from the same
training tweets and are judged on the same held-out ones. Judging is not counted in the recipe's time, and is in ours.
Prints a JSON document for each account and seed, as soon as it is known.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.config import Training
from bot.database import Database
from bot.shelf.bases import Base, find_base
from bot.training.dataset import DataSet, build
from bot.training.job import ADAPTER, RESULT, TEXTS, Event, Job, Result, Texts
from bot.tweets.store import TweetStore


async def data_set_of(database: Path, handles: Sequence[str], settings: Training, base: Base) -> DataSet:
    """What is learned, and what is judged with."""
    async with Database(database) as opened:
        store = TweetStore(opened, lambda: datetime.now(UTC))
        kept = {handle: await store.kept(handle) for handle in handles}
    return build(kept, settings, base.record.sha256)


def by_account(data_set: DataSet) -> dict[str, list[str]]:
    """The training tweets of each account."""
    tweets = iter(data_set.train)
    return {split.handle: [next(tweets) for _ in range(split.train)] for split in data_set.splits}


def child(module: Sequence[str], first_line: str) -> list[tuple[float, dict[str, Any]]]:
    """The child's events, each with the seconds since its start."""
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, *module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(first_line + "\n")
        process.stdin.flush()
        if module[0] != "-m":
            process.stdin.close()
        events = [(time.monotonic() - began, json.loads(line)) for line in process.stdout]
        if module[0] == "-m":
            process.stdin.close()
    if process.returncode:
        raise SystemExit(f"{' '.join(module)} ended with {process.returncode}")
    return events


def recipe(data_set: DataSet, base: Base, seed: int, threads: int) -> dict[str, Any]:
    """The ancestor's way."""
    job = {
        "base": str(base.model), "end_id": base.record.end_id, "train": by_account(data_set),
        "held_out": list(data_set.held_out), "seed": seed, "threads": threads,
    }  # fmt: skip
    events = [event for _, event in child([str(Path(__file__).with_name("recipe.py"))], json.dumps(job))]
    curve = [(event["seconds"], event["loss"], event["bits_per_byte"]) for event in events if "loss" in event]
    return summary(curve, events[-1])


def ours(data_set: DataSet, base: Base, seed: int, settings: Training, threads: int) -> dict[str, Any]:
    """Ours, with the settings as they are shipped."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        accounts = tuple(split.train for split in data_set.splits)
        texts = Texts(train=data_set.train, held_out=data_set.held_out, accounts=accounts)
        (folder / TEXTS).write_text(texts.model_dump_json(), encoding="utf-8")
        job = Job(
            base=base.model, base_name="", end_id=base.record.end_id, folder=folder, fingerprint="",
            rank=settings.rank, layers=settings.layers, epochs=settings.epochs,
            learning_rate=settings.learning_rate, batch_tokens=settings.batch_tokens, balance=settings.balance,
            patience=settings.patience,
            seed=seed, threads=threads,
        )  # fmt: skip
        events = child(["-m", "bot.training.finetune"], job.model_dump_json())
        result = Result.model_validate_json((folder / RESULT).read_bytes())
        size = (folder / ADAPTER).stat().st_size
    prepared = next(at for at, event in events if event["event"] == "preparing")
    scores = {evaluation.step: evaluation for evaluation in result.evaluations}
    curve = [
        (at - prepared, scores[event.step].loss, scores[event.step].bits_per_byte)
        for at, line in events
        if (event := Event.model_validate(line)).event == "evaluation" and event.step in scores
    ]
    end = {
        "seconds": events[-1][0] - prepared,
        "tokens": result.trained_tokens,
        "peak_mb": round(result.run["peak_memory_bytes"] / 2**20),
        "size_mb": round(size / 1e6, 1),
    }
    return summary(curve, end) | {"base_loss": result.base.loss, "base_bits_per_byte": result.base.bits_per_byte}


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
    """Ours beside the recipe's, as ratios. The recipe's best loss is what ours has to reach, whenever it had it."""
    start = [(0.0, own["base_loss"])]
    until = reached(start + own["curve"], theirs["best_loss"])
    return {
        "seconds_to_the_recipes_loss": until and round(until, 1),
        "times_sooner_than_its_best": until and round(theirs["best_after_s"] / until, 1),
        "times_sooner_than_its_end": until and round(theirs["seconds"] / until, 1),
        "share_of_its_memory": round(own["peak_mb"] / theirs["peak_mb"], 2),
        "bits_per_byte_less_than_its_end": f"{1 - own['best_bits_per_byte'] / theirs['bits_per_byte']:.1%}",
        "bits_per_byte_less_than_its_best": f"{1 - own['best_bits_per_byte'] / theirs['best_bits_per_byte']:.1%}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("accounts", nargs="+")
    parser.add_argument("--database", type=Path, default=Path("data/mockingbird.db"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--base", default="embedded")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=["ours", "recipe"])
    arguments = parser.parse_args()
    base = find_base(arguments.data, arguments.base)
    if base is None:
        parser.error(f"the base {arguments.base} is not prepared in {arguments.data}; run `mockingbird prepare` first")
    settings = Training()
    for account in arguments.accounts:
        data_set = asyncio.run(data_set_of(arguments.database, account.split("+"), settings, base))
        for seed in range(1, arguments.seeds + 1):
            found: dict[str, Any] = {"account": account, "seed": seed, "train_tweets": len(data_set.train)}
            if arguments.only != "recipe":
                found["ours"] = ours(data_set, base, seed, settings, arguments.threads)
            if arguments.only != "ours":
                found["recipe"] = recipe(data_set, base, seed, arguments.threads)
            if arguments.only is None:
                found["compared"] = compared(found["recipe"], found["ours"])
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
