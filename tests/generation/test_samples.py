"""What a version says by itself, drawn by the real process on a tiny base."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import psutil
import pytest

from bot.config import Generation
from bot.errors import JudgingFailed
from bot.generation.draft import Request, Sampling
from bot.generation.engine import Engine
from bot.generation.graph import build_graph
from bot.generation.graph_description import graph_folder
from bot.generation.samples import TOGETHER, Order, sample
from bot.shelf.bases import base_folder, find_base
from tests.tiny_base import make_tiny_gpt2

SETTINGS = Generation(temperature=1.0, max_tokens=12, min_novelty=0.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a tiny base, its graph, and an adapter that changes nothing."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("data")
    base = make_tiny_gpt2(base_folder(folder, "tiny"), "tiny")
    build_graph(base.model, graph_folder(base.graphs, "float32"), "float32")
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(base.model)
    get_peft_model(model, LoraConfig(r=2, target_modules=["c_fc"], fan_in_fan_out=True)).save_pretrained(folder / "v1")
    (folder / "tweets.json").write_text(json.dumps({"train": ["The lamp was lit."], "held_out": ["A gull sat."]}))
    return folder


def order(data: Path, count: int, **changed: object) -> Order:
    base = find_base(data, "tiny")
    assert base is not None
    usual = {
        "data": data,
        "base": "tiny",
        "base_sha256": base.record.sha256,
        "weights": "float32",
        "threads": 1,
        "adapter": data / "v1",
        "texts": data / "tweets.json",
        "count": count,
        "seed": 5,
        "settings": SETTINGS,
    }
    return Order.model_validate({**usual, **changed})


async def test_as_many_are_drawn_as_were_asked_for_and_a_seed_gives_the_same_text(data: Path) -> None:
    """In more than one batch; each is what the engine of the service says for that seed."""
    drawn = await sample(order(data, 8 * TOGETHER + 3))
    assert (len(drawn.texts), drawn.how.count, drawn.how.seed) == (8 * TOGETHER + 3, 8 * TOGETHER + 3, 5)
    assert (drawn.how.temperature, drawn.how.max_tokens) == (1.0, 12)
    assert len(set(drawn.texts)) > 4 * TOGETHER
    assert 0.0 <= drawn.how.passed <= 1.0
    base = find_base(data, "tiny")
    assert base is not None
    async with Engine(base, graph_folder(base.graphs, "float32"), threads=1, max_waiting=1) as engine:
        request = Request(data / "v1", "", (5, 5 + 8 * TOGETHER + 2), Sampling.from_settings(SETTINGS))
        first, last = await engine.generate(request)
    assert [drawn.texts[0], drawn.texts[-1]] == [" ".join(first.text.split()), " ".join(last.text.split())]


async def test_filters_that_let_nothing_through_pass_nothing(data: Path) -> None:
    """The share that passes is that of the drafts' own filters."""
    strict = SETTINGS.model_copy(update={"min_novelty": 1.0, "max_tokens": 1})
    assert (await sample(order(data, 4, settings=strict))).how.passed == 0.0


async def test_what_fails_is_one_sentence(data: Path) -> None:
    with pytest.raises(JudgingFailed, match="The base elsewhere is not ready"):
        await sample(order(data, 4, base="elsewhere"))


async def test_cut_off_it_leaves_no_process(data: Path) -> None:
    drawing = asyncio.create_task(sample(order(data, 100_000)))
    async with asyncio.timeout(60):
        while not processes():  # noqa: ASYNC110 - nothing else tells that the child has begun
            await asyncio.sleep(0.02)
    drawing.cancel()
    await asyncio.gather(drawing, return_exceptions=True)
    assert processes() == []


def processes() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "bot.generation.samples" in child.cmdline()]
