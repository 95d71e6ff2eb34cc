"""What a version says by itself, a thousand times: a process of its own, and how it is asked.

Judging wants many texts and is in no hurry, while people wait for the engine of the service. So a second engine draws
them, in a child at low priority that ends with its parent: `python -m bot.generation.samples`, an `Order` on standard
input, a `Batch` a line on standard output. Each text is judged by the filters that drafts have to pass.
"""

from __future__ import annotations

import asyncio
import os
import sys
from io import FileIO
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bot.config import Generation
from bot.errors import DiskFull, JudgingFailed, MockingbirdError
from bot.generation.draft import Draft, Request, Sampling
from bot.generation.engine import Engine
from bot.generation.filters import judged
from bot.generation.graph_description import Weights, graph_folder
from bot.generation.novelty import NoveltyIndex
from bot.shelf.bases import Base, find_base
from bot.shelf.figures import Samples
from bot.shelf.forms import form_of, whole_model
from bot.training.child import started
from bot.training.evaluation import Sampled
from bot.training.job import DISK_FULL, Texts, say_why
from bot.training.orphans import end_with_parent

TOGETHER = 4  # texts of a request


class Value(BaseModel):
    """Frozen, and with no room for a key that means nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Order(Value):
    """What is to be drawn."""

    data: Path  # where bases are
    base: str  # as the configuration names it
    base_sha256: str  # its weights, as in `BaseRecord`
    weights: Weights  # of the graph
    threads: int  # 0 is all cores
    adapter: Path | None  # folder of the version, of either form; None speaks as the bare base
    texts: Path  # file with the `Texts` that drafts must not come too near to
    count: int
    seed: int  # of the first; the next ones count up
    settings: Generation


class Batch(Value):
    """Some of what was drawn."""

    texts: tuple[str, ...]
    passed: int  # of them, as drafts


async def sample(order: Order) -> Sampled:
    """`count` texts in that version's voice, drawn in a child process. Raises `JudgingFailed`, `DiskFull`."""
    texts: list[str] = []
    passed = 0
    async with started("bot.generation.samples", first_line=order.model_dump_json()) as child:
        async for line in child.lines():
            batch = Batch.model_validate_json(line)
            texts += batch.texts
            passed += batch.passed
        code = await child.ended()
    if code == DISK_FULL:
        raise DiskFull(child.last_words)
    if code or not texts:
        raise JudgingFailed(f"No samples could be drawn ({child.last_words or f'exit code {code}'}).")
    settings = order.settings
    how = Samples(
        count=len(texts),
        seed=order.seed,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        max_tokens=settings.max_tokens,
        passed=passed / len(texts),
    )
    return Sampled(tuple(texts), how)


async def _draw(order: Order, base: Base) -> None:
    """Batch by batch to standard output."""
    real = Texts.model_validate_json(order.texts.read_bytes())
    index = NoveltyIndex((str(number), text) for number, text in enumerate([*real.train, *real.held_out]))
    sampling = Sampling.from_settings(order.settings)
    threads = order.threads or len(os.sched_getaffinity(0))
    adapter = order.adapter
    if adapter is not None and form_of(adapter) == "whole":
        base, adapter = whole_model(adapter), None
    seeds = range(order.seed, order.seed + order.count)
    requests = [
        Request(adapter, "", tuple(seeds[at : at + TOGETHER]), sampling) for at in range(0, order.count, TOGETHER)
    ]
    async with Engine(base, graph_folder(base.graphs, order.weights), threads, max_waiting=order.count) as engine:
        # All at once: as soon as some have ended the next ones take their places, so that the rows stay full.
        for speaking in [asyncio.create_task(engine.generate(request)) for request in requests]:
            rows = await speaking
            drafts = [judged(each, "", index, order.settings.min_novelty) for each in rows]
            texts = tuple(" ".join(each.text.split()) for each in rows)
            batch = Batch(texts=texts, passed=sum(isinstance(draft, Draft) for draft in drafts))
            sys.stdout.write(batch.model_dump_json() + "\n")
            sys.stdout.flush()


def main() -> int:
    """Exit code 0 when everything was drawn; else the error's own, with its sentence as the last line on stderr."""
    standard_input = FileIO(0, closefd=False)
    order = Order.model_validate_json(standard_input.readline())
    end_with_parent(standard_input)
    base = find_base(order.data, order.base, order.base_sha256)
    try:
        if base is None:
            raise JudgingFailed(f"The base {order.base} is not ready. Run `mockingbird prepare`.")
        asyncio.run(_draw(order, base))
    except MockingbirdError as error:
        return say_why(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
