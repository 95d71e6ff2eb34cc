"""Five drafts of 48 tokens: the engine beside `transformers.pipeline`, as a model card tells people to use it.

    python benchmarks/speaking.py [--data data] [--base embedded] [--rounds 5]

Interleaved in one run, medians, one thread each. The end token is left out, so that both make every token. Prints one
JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from pathlib import Path
from typing import Any

import psutil

from bot.generation.draft import Sampling
from bot.generation.engine import Engine
from bot.generation.rows import Request
from bot.generation.graph import build_graph
from bot.generation.graph_description import graph_folder
from bot.shelf.bases import Base, find_base

PROMPT = "My dream is"
DRAFTS = 5
TOKENS = 48


def pipeline(base: Base) -> Any:
    """The reference, in float32 as it loads by default on a processor, with one thread."""
    import torch
    from transformers import AutoTokenizer
    from transformers import pipeline as make

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(base.model)
    return make("text-generation", model=str(base.model), tokenizer=tokenizer, dtype=torch.float32)


async def measure(base: Base, rounds: int) -> dict[str, float]:
    """Median seconds for five drafts, and how many times faster the engine is."""
    folder = graph_folder(base.graphs, "int8")
    build_graph(base.model, folder, "int8")
    began = time.perf_counter()
    sampling = Sampling(temperature=1.0, top_p=0.95, top_k=0, max_tokens=TOKENS)
    ours: list[float] = []
    theirs: list[float] = []
    async with Engine(base, folder, threads=1, max_waiting=1) as engine:
        engine._banned = [*engine._banned, base.record.end_id]
        await engine.generate(Request(None, PROMPT, (0,), sampling))
        ready = time.perf_counter() - began
        memory = psutil.Process().memory_info().rss
        speak = pipeline(base)
        for number in range(rounds):
            began = time.perf_counter()
            await engine.generate(Request(None, PROMPT, tuple(range(number, number + DRAFTS)), sampling))
            ours.append(time.perf_counter() - began)
            began = time.perf_counter()
            speak(
                PROMPT,
                num_return_sequences=DRAFTS,
                max_new_tokens=TOKENS,
                min_new_tokens=TOKENS,
                do_sample=True,
                top_p=0.95,
            )
            theirs.append(time.perf_counter() - began)
    return {
        "engine_s": round(statistics.median(ours), 2),
        "pipeline_s": round(statistics.median(theirs), 2),
        "times_faster": round(statistics.median(theirs) / statistics.median(ours), 1),
        "engine_to_first_draft_s": round(ready, 2),
        "engine_process_mb": round(memory / 1e6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--base", default="embedded")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    base = find_base(arguments.data, arguments.base)
    if base is None:
        parser.error(f"the base {arguments.base} is not prepared in {arguments.data}; run `mockingbird prepare` first")
    print(json.dumps(asyncio.run(measure(base, arguments.rounds)), indent=1))


if __name__ == "__main__":
    main()
