"""Another back end behind the same protocol says the same: transformers in torch, slow and plain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from bot.generation.adapters import Adapter
from bot.generation.batch import Floats
from bot.generation.draft import Request, Sampling
from bot.generation.graph_description import Site
from bot.generation.rows import BackEnd, Job, Rows
from bot.shelf.bases import Base
from tests.generation.test_engine import MAKERS, batch_of, engine_for, make_adapter

Hook = Callable[[torch.nn.Module, tuple[Any, ...], Any], Any]

SAMPLING = Sampling(temperature=0.9, top_p=0.95, top_k=0, max_tokens=12, repetition_penalty=1.2)


class TorchBatch:
    """Each row's whole text goes through transformers at each step, its adapter beside the projections."""

    def __init__(self, base: Base, sites: Sequence[Site]) -> None:
        self._model = AutoModelForCausalLM.from_pretrained(base.model)
        self._sites = sites
        self._rows: list[tuple[Adapter | None, list[int]]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def takes(self, adapter: Adapter | None, rows: int) -> bool:
        return True

    def join(self, adapter: Adapter | None, prompt: Sequence[int], rows: int, room: int) -> Floats | None:
        known = [] if len(prompt) == 1 else list(prompt)
        self._rows += [(adapter, list(known)) for _ in range(rows)]
        return self._logits(adapter, known)[-1] if known else None

    def step(self, tokens: Sequence[int]) -> Floats:
        for (_, said), token in zip(self._rows, tokens, strict=True):
            said.append(token)
        return np.array([self._logits(adapter, said)[-1] for adapter, said in self._rows])

    def leave(self, slot: int) -> None:
        self._rows[slot] = self._rows[-1]
        del self._rows[-1]

    def score(self, adapter: Adapter | None, ids: Sequence[int], after: int) -> float:
        logits = torch.tensor(self._logits(adapter, ids[:-1])[after - 1 :])
        said = torch.tensor(ids[after:])[:, None]
        return float(logits.log_softmax(-1).gather(1, said).mean())

    def let_go(self) -> None:
        pass  # it holds nothing of a voice but its rows

    def _logits(self, adapter: Adapter | None, ids: Sequence[int]) -> Floats:
        hooks = [
            self._model.get_submodule(part.module).register_forward_hook(low_rank(adapter, number, site, place))
            for number, site in enumerate(self._sites)
            for place, part in enumerate(site.parts)
            if adapter is not None and adapter.sites[number] is not None
        ]
        with torch.no_grad():
            logits: Floats = self._model(torch.tensor([list(ids)])).logits[0].numpy()
        for hook in hooks:
            hook.remove()
        return logits


def low_rank(adapter: Adapter | None, number: int, site: Site, place: int) -> Hook:
    """A hook that adds what the adapter adds at one projection."""
    assert adapter is not None
    halves = adapter.sites[number]
    assert halves is not None
    rows = slice(place * adapter.rank, (place + 1) * adapter.rank)
    part = site.parts[place]
    a = torch.tensor(halves[0].reshape(-1, site.inputs)[rows]).float()
    b = torch.tensor(halves[1][rows, part.offset : part.offset + part.width]).float()

    def add(module: torch.nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        return output + adapter.scale * (inputs[0] @ a.T) @ b

    return add


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.slow
async def test_torch_behind_the_same_protocol_says_the_same(kind: str, tmp_path: Path) -> None:
    """Several voices, prompts and seeds at once, with their likelihoods; in float32."""
    base = MAKERS[kind](tmp_path / kind)
    voices = [make_adapter(base, 3, 4), None, make_adapter(base, 4, 9)]
    requests = [
        Request(voice, start, (number, number + 10), SAMPLING, scored=True)
        for number, (voice, start) in enumerate(zip(voices * 2, ["", "The lamp was"] * 3, strict=True))
    ]
    async with engine_for(base) as engine:
        wanted = [await engine.generate(request) for request in requests]
        shape = batch_of(engine)._shape
        batch: BackEnd = TorchBatch(base, shape.sites)
        rows = Rows(batch, engine.adapters, engine._rows._tokenizer, base.record.end_id, shape.positions)
    jobs = [Job(request) for request in requests]
    for job in jobs:
        rows.join(job)
    while len(rows):
        rows.step()
    for job, spoken in zip(jobs, wanted, strict=True):
        found = [job.spoken[number] for number in range(2)]
        assert [(row.text, row.seed, row.ended) for row in found] == [(row.text, row.seed, row.ended) for row in spoken]
        for row, other in zip(found, spoken, strict=True):
            assert row.likelihood == pytest.approx(other.likelihood, abs=1e-3)
            assert row.base_likelihood == pytest.approx(other.base_likelihood, abs=1e-3)
