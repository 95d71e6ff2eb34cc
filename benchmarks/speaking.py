"""Five drafts of 48 tokens for many at once: the engine beside `transformers.pipeline`, as a model card recommends it.

    python benchmarks/speaking.py [--data data] [--base smollm2] [--rounds 5] [--threads 1]

The pipeline answers one request after the other; the engine takes all together. Both make every token: the end token
is left out. Interleaved in one run, medians. Personas are random adapters of rank 8, which cost what learned ones cost.
Memory, start and the delay of the event loop are measured in processes of their own that never import torch.
CTranslate2 in int8 stands beside it where the package is installed. Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from safetensors.numpy import save_file

from bot.generation.batch import Batch
from bot.generation.draft import Request, Sampling
from bot.generation.engine import Engine
from bot.generation.graph import build_graph
from bot.generation.graph_description import GraphDescription, graph_folder
from bot.shelf.bases import Base, find_base

PROMPT = "My dream is"
DRAFTS = 5
TOKENS = 48
RANK = 8
SAMPLING = Sampling(temperature=1.0, top_p=0.95, top_k=0, max_tokens=TOKENS, min_tokens=TOKENS)
MANY = [(1, 1), (8, 1), (32, 1), (32, 16)]  # requests at once, over so many personas
RESIDENT = (1, 10, 50, 200)  # personas in memory
TICK_S = 0.01


def make_personas(shape: GraphDescription, folder: Path, number: int) -> list[Path]:
    """So many adapters on all projections, in peft's format, with a manifest."""
    random = np.random.default_rng(1)
    personas = []
    for name in range(number):
        persona = folder / str(name)
        persona.mkdir()
        tensors = {}
        for site in shape.sites:
            for part in site.parts:
                key = f"base_model.model.{part.module}.lora_{{}}.weight"
                tensors[key.format("A")] = (random.standard_normal((RANK, site.inputs)) * 0.02).astype(np.float16)
                tensors[key.format("B")] = (random.standard_normal((part.width, RANK)) * 0.02).astype(np.float16)
        save_file(tensors, persona / "adapter_model.safetensors")
        (persona / "adapter_config.json").write_text(json.dumps({"r": RANK, "lora_alpha": 2 * RANK}))
        (persona / "manifest.json").write_text("{}")
        personas.append(persona)
    return personas


def graph_of(base: Base) -> tuple[Path, GraphDescription]:
    folder = graph_folder(base.graphs, "int8")
    build_graph(base.model, folder, "int8")
    return folder, GraphDescription.model_validate_json((folder / "graph.json").read_bytes())


def request(persona: Path | None, number: int) -> Request:
    return Request(persona, PROMPT, tuple(range(number * DRAFTS, (number + 1) * DRAFTS)), SAMPLING)


# --- Beside the pipeline ---


def pipeline(base: Base, threads: int) -> Callable[[], object]:
    """Five drafts by the reference, in float32 as it loads by default on a processor."""
    import torch
    from transformers import AutoTokenizer
    from transformers import pipeline as make

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(base.model)
    speak: Any = make("text-generation", model=str(base.model), tokenizer=tokenizer, dtype=torch.float32)
    return lambda: speak(
        PROMPT, num_return_sequences=DRAFTS, max_new_tokens=TOKENS, min_new_tokens=TOKENS, do_sample=True, top_p=0.95
    )


def ctranslate2(base: Base, threads: int, folder: Path) -> Callable[[], object] | None:
    """Five drafts by CTranslate2 in int8 with nothing around it, where it is installed."""
    try:
        from ctranslate2 import Generator  # type: ignore[import-not-found]
        from ctranslate2.converters import TransformersConverter  # type: ignore[import-not-found]
    except ImportError:
        return None
    from tokenizers import Tokenizer

    TransformersConverter(str(base.model)).convert(str(folder / "ct2"), quantization="int8")
    generator = Generator(str(folder / "ct2"), intra_threads=threads, inter_threads=1)
    prompt = Tokenizer.from_file(str(base.model / "tokenizer.json")).encode(PROMPT).tokens
    return lambda: generator.generate_batch(
        [prompt] * DRAFTS, max_length=TOKENS + len(prompt), min_length=TOKENS + len(prompt), sampling_topk=0,
        sampling_topp=0.95,
    )  # fmt: skip


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def beside(base: Base, asked: argparse.Namespace, folder: Path) -> None:
    """Time until all have their five drafts, and tokens a second."""
    graph, shape = graph_of(base)
    personas = make_personas(shape, folder, 16)
    references = {"pipeline": pipeline(base, asked.threads), "CTranslate2": ctranslate2(base, asked.threads, folder)}
    one = {name: speak for name, speak in references.items() if speak is not None}
    times: dict[str, list[float]] = {name: [] for name in one}
    ours: dict[tuple[int, int], list[float]] = {many: [] for many in MANY}
    first: dict[tuple[int, int], list[float]] = {many: [] for many in MANY}
    async with Engine(base, graph, asked.threads, max_waiting=64) as engine:
        for persona in personas:
            await engine.generate(Request(persona, PROMPT, (1,), SAMPLING))
        for _ in range(asked.rounds):
            for name, speak in one.items():
                began = time.perf_counter()
                speak()
                times[name].append(time.perf_counter() - began)
            for requests, over in MANY:
                began = time.perf_counter()
                done: list[float] = []

                async def ask(number: int, over: int = over, began: float = began, done: list[float] = done) -> None:
                    await engine.generate(request(personas[number % over], number))
                    done.append(time.perf_counter() - began)

                await asyncio.gather(*(ask(number) for number in range(requests)))
                ours[requests, over].append(max(done))
                first[requests, over].append(min(done))
    seconds = {name: statistics.median(taken) for name, taken in times.items()}
    print("| Requests at once | Personas | First has its five, s | All have, s | Tokens/s | Times the pipeline's |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for (requests, over), taken in ours.items():
        all_s, first_s = statistics.median(taken), statistics.median(first[requests, over])
        tokens, times_it = requests * DRAFTS * TOKENS / all_s, requests * seconds["pipeline"] / all_s
        print(f"| {requests} | {over} | {first_s:.2f} | {all_s:.2f} | {tokens:.0f} | {times_it:.1f} |")
    for name, taken_s in seconds.items():
        print(f"\n{name}: {taken_s:.2f} s for one request, {DRAFTS * TOKENS / taken_s:.0f} tokens/s")


# --- Without torch, each in a process of its own ---


async def bare(base: Base, asked: argparse.Namespace, folder: Path) -> None:
    """What our own code adds to the session: its steps alone, beside whole requests."""
    import onnxruntime

    graph, shape = graph_of(base)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = asked.threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(graph / "graph.onnx", options, providers=["CPUExecutionProvider"])
    (persona,) = make_personas(shape, folder, 1)
    for rows in (5, 30):
        ratios = []
        async with Engine(base, graph, asked.threads, max_waiting=64) as engine:
            await engine.generate(request(persona, 0))
            for _ in range(asked.rounds):
                batch = Batch(session, shape, 32)
                began = time.process_time()
                for _ in range(rows // DRAFTS):
                    batch.join(engine.adapters.get(persona), [1, 2, 3, 4], DRAFTS, TOKENS)
                for _ in range(TOKENS - 1):
                    batch.step([7] * rows)
                alone = time.process_time() - began
                began = time.process_time()
                await asyncio.gather(*(engine.generate(request(persona, n)) for n in range(rows // DRAFTS)))
                ratios.append((time.process_time() - began) / alone)
        print(f"{rows} rows: {statistics.median(ratios):.2f} times the processor time of the session's steps")


async def memory(base: Base, asked: argparse.Namespace, folder: Path) -> None:
    """Start to the first answer, and resident memory with so many personas."""
    graph, shape = graph_of(base)
    personas = make_personas(shape, folder, max(RESIDENT))
    before = psutil.Process().memory_info().rss / 2**20
    began = time.perf_counter()
    async with Engine(base, graph, asked.threads, max_waiting=64) as engine:
        engine.adapters.limit = 2**30
        loaded = psutil.Process().memory_info().rss / 2**20
        await engine.generate(request(None, 0))
        print(f"start to the first five drafts: {time.perf_counter() - began:.2f} s")
        print(f"resident: {before:.0f} MB before, {loaded:.0f} MB with the base loaded")
        cold, warm = [], []
        for number, persona in enumerate(personas, 1):
            one = Request(persona, PROMPT, (1,), Sampling(1.0, 1.0, 1, 4))
            cold.append(await timed(lambda one=one: engine.generate(one)))  # type: ignore[misc]
            warm.append(await timed(lambda one=one: engine.generate(one)))  # type: ignore[misc]
            if number in RESIDENT:
                print(f"resident with {number} personas: {psutil.Process().memory_info().rss / 2**20:.0f} MB")
        late = statistics.median(a - b for a, b in zip(cold, warm, strict=True))
        print(f"a cold persona's answer comes {late * 1000:.0f} ms later than a warm one's")


@contextmanager
def training(base: Base, asked: argparse.Namespace) -> Iterator[None]:
    """A training beside it, on this base, at low priority."""
    from bot.training.job import TEXTS, Job, Texts

    with tempfile.TemporaryDirectory() as name:
        tweets = tuple(f"The lamp was lit {number} times before the fog came in." for number in range(400))
        (Path(name) / TEXTS).write_text(Texts(train=tweets, held_out=tweets[:9], accounts=(400,)).model_dump_json())
        job = Job(
            base=base.model, base_name="", end_id=base.record.end_id, folder=Path(name), fingerprint="", rank=8,
            layers=0, epochs=50, learning_rate=1e-4, batch_tokens=256, patience=50, seed=1, threads=1,
        )  # fmt: skip
        command = ["nice", "-n", "10", sys.executable, "-m", "bot.training.finetune"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
            assert run.stdin is not None and run.stdout is not None
            run.stdin.write(job.model_dump_json().encode() + b"\n")
            run.stdin.flush()
            while json.loads(run.stdout.readline())["event"] != "step":
                pass
            yield
            run.stdin.close()
            run.kill()


async def loop_delay(base: Base, asked: argparse.Namespace, folder: Path) -> None:
    """How late a timer of the event loop comes: alone, while 32 requests are spoken, and while one learns as well."""
    graph, shape = graph_of(base)
    (persona,) = make_personas(shape, folder, 1)
    async with Engine(base, graph, asked.threads, max_waiting=64) as engine:
        await engine.generate(request(persona, 0))

        async def speak() -> None:
            await asyncio.gather(*(engine.generate(request(persona, number)) for number in range(32)))

        print(f"idle: {await lateness(asyncio.sleep(5))}")
        print(f"speaking: {await lateness(speak())}")
        with training(base, asked):
            print(f"speaking and training: {await lateness(speak())}")


async def lateness(work: Awaitable[None]) -> str:
    """Percentiles of how late a tick comes meanwhile."""
    late: list[float] = []

    async def tick() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(TICK_S)
            late.append(time.perf_counter() - began - TICK_S)

    ticking = asyncio.create_task(tick())
    await work
    ticking.cancel()
    p50, p99 = np.percentile(late, [50, 99]) * 1000
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms of {len(late)} ticks"


PARTS = {"bare": bare, "memory": memory, "loop_delay": loop_delay, "beside": beside}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--base", default="smollm2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--part", choices=PARTS, help="one part alone, in this process")
    asked = parser.parse_args()
    base = find_base(asked.data, asked.base)
    if base is None:
        parser.error(
            f"the base {asked.base} is not prepared in {asked.data}; "
            f"run `MOCKINGBIRD_MODEL__BASE={asked.base} mockingbird prepare` first"
        )
    if asked.part is None:
        for part in PARTS:
            print(f"\n{part}", flush=True)
            subprocess.run([sys.executable, *sys.argv, "--part", part], check=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(PARTS[asked.part](base, asked, Path(folder)))


if __name__ == "__main__":
    main()
