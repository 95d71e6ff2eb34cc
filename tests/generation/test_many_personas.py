"""A thousand personas on one box, and a base of the size that people use."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import numpy as np
import psutil
import pytest
from tokenizers import Tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

from bot.generation.draft import Request, Sampling
from bot.generation.engine import Engine
from bot.generation.graph import build_graph
from bot.generation.graph_description import graph_folder
from bot.shelf.bases import Base, BaseRecord
from tests.generation.test_engine import engine_for, engine_logits, make_adapter, reference_logits
from tests.tiny_base import make_tiny_gpt2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BRIEF = Sampling(temperature=1.0, top_p=0.95, top_k=0, max_tokens=4)
PERSONAS = 1_000
ROUNDS = 10


async def test_ten_thousand_requests_over_a_thousand_personas_take_no_more_memory_than_the_first(
    tmp_path: Path,
) -> None:
    """A fiftieth of the adapters fits into memory, so they come and go all the time."""
    base = make_tiny_gpt2(tmp_path / "base")
    adapter = make_adapter(base, 1, 8)
    personas = [Path(shutil.copytree(adapter, tmp_path / f"persona-{number}")) for number in range(PERSONAS)]
    resident = []
    async with engine_for(base, max_waiting=PERSONAS) as engine:
        await engine.generate(Request(personas[0], "", (1,), BRIEF))
        engine.adapters.limit = engine.adapters.size * PERSONAS // 50
        for _ in range(ROUNDS):
            asked = [engine.generate(Request(persona, "", (7,), BRIEF)) for persona in personas]
            spoken = await asyncio.gather(*asked)
            assert len({row.text for (row,) in spoken}) == 1  # all are the same voice
            resident.append(psutil.Process().memory_info().rss)
        assert len(engine.adapters) <= PERSONAS // 50
    assert resident[-1] < resident[0] * 1.1


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A GPT-2 of 124M shape with random weights and the tiny base's tokenizer."""
    folder = tmp_path_factory.mktemp("large")
    tiny = make_tiny_gpt2(folder / "tiny")
    GPT2LMHeadModel(GPT2Config(bos_token_id=0, eos_token_id=0)).save_pretrained(folder / "model")
    Tokenizer.from_file(str(tiny.model / "tokenizer.json")).save(str(folder / "model" / "tokenizer.json"))
    return Base(BaseRecord(spec="large", sha256="0" * 64, architecture="gpt2", end_id=0), folder)


async def test_a_gpt2_of_124_million_says_what_transformers_and_peft_say(large: Base) -> None:
    """Exact within rounding in float32, within 3% of the logits' norm in eight bits; two voices in one batch."""
    tokens = [0, 40, 17, 99, 230, 5, 61, 12]
    voice = make_adapter(large, 3, 8)
    wanted = reference_logits(large, voice, tokens)[3:]
    async with engine_for(large) as engine:
        np.testing.assert_allclose(engine_logits(engine, voice, tokens, 4), wanted, rtol=1e-3, atol=1e-3)
    folder = graph_folder(large.graphs, "int8")
    build_graph(large.model, folder, "int8")
    async with Engine(large, folder, threads=1, max_waiting=8) as engine:
        error = np.linalg.norm(engine_logits(engine, voice, tokens, 4) - wanted) / np.linalg.norm(wanted)
        requests = [Request(each, start, (1, 2), BRIEF) for each in (voice, None) for start in ("", "The lamp was")]
        together = await asyncio.gather(*(engine.generate(request) for request in requests))
        assert together == [await engine.generate(request) for request in requests]
    assert 0 < error < 0.03
