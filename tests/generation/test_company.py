"""Requests of any kind meet in one batch, and none of them notices."""

from __future__ import annotations

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from bot.generation.draft import Request, Sampling
from bot.generation.engine import Engine
from bot.generation.graph import build_graph
from bot.generation.graph_description import Weights, graph_folder
from bot.generation.rows import Job
from bot.shelf.bases import Base
from tests.generation.test_engine import MAKERS, batch_of, engine_for, make_adapter, reference_logits

LONG = Sampling(temperature=1.0, top_p=0.95, top_k=0, max_tokens=40, min_tokens=40)
SHORT = Sampling(temperature=0.7, top_p=1.0, top_k=20, max_tokens=8)


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Base:
    return MAKERS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def voices(base: Base) -> list[Path | None]:
    """Two adapters of different ranks, and the bare base."""
    return [make_adapter(base, 3, 4), make_adapter(base, 4, 9), None]


def small_engine(base: Base, rows: int) -> Engine:
    """With room for so many rows."""
    folder = graph_folder(base.graphs, "float32")
    build_graph(base.model, folder, "float32")
    return Engine(base, folder, threads=1, max_waiting=64, rows=rows)


@pytest.mark.parametrize("weights", ["int8", "float32"])
async def test_personas_prompts_lengths_and_settings_mix_and_each_says_what_it_says_alone(
    base: Base, voices: list[Path | None], weights: Weights
) -> None:
    requests = [
        Request(voices[number % 3], start, (number, number + 100), sampling, asked)
        for number, (start, sampling, asked) in enumerate(
            [("", LONG, ""), ("The lamp", SHORT, ""), ("", SHORT, "Who is there?"), ("My dream is", LONG, "")] * 3
        )
    ]
    async with engine_for(base, weights, max_waiting=64) as engine:
        together = await asyncio.gather(*(engine.generate(request) for request in requests))
        for request, spoken in zip(requests, together, strict=True):
            alone = [await engine.generate(replace(request, seeds=(seed,))) for seed in request.seeds]
            assert [row for (row,) in alone] == spoken
    assert len({row.text for spoken in together for row in spoken}) == 24


async def test_who_comes_later_and_wants_less_is_done_first(base: Base) -> None:
    order = []
    async with small_engine(base, 4) as engine:

        async def ask(name: str, sampling: Sampling) -> None:
            await engine.generate(Request(None, "", (1, 2), sampling))
            order.append(name)

        first = asyncio.create_task(ask("long", LONG))
        await asyncio.sleep(0)
        await asyncio.gather(first, ask("short", SHORT))
    assert order == ["short", "long"]


async def test_who_waits_goes_before_what_is_scheduled(base: Base) -> None:
    """There is room for two rows, which somebody speaks with; of those in line the one that came last is urgent."""
    order = []
    async with small_engine(base, 2) as engine:

        async def ask(name: str, urgent: bool) -> None:
            await engine.generate(Request(None, "", (1, 2), SHORT, urgent=urgent))
            order.append(name)

        asked = [("speaking", True), ("scheduled", False), ("also scheduled", False), ("urgent", True)]
        await asyncio.gather(*(ask(name, urgent) for name, urgent in asked))
    assert order == ["speaking", "urgent", "scheduled", "also scheduled"]


async def test_who_goes_away_leaves_the_batch_and_the_line(base: Base) -> None:
    endless = replace(LONG, max_tokens=200, min_tokens=200)
    async with small_engine(base, 2) as engine:
        speaking, waiting = (asyncio.create_task(engine.generate(Request(None, "", (1, 2), endless))) for _ in range(2))
        await asyncio.sleep(0.05)
        for task in (speaking, waiting):
            task.cancel()
        await asyncio.gather(speaking, waiting, return_exceptions=True)
        assert await engine.generate(Request(None, "", (3,), SHORT))
        assert len(engine._rows) == 0
        assert engine._line == []


async def test_more_voices_than_fit_together_take_turns(base: Base) -> None:
    wide = [make_adapter(base, seed, 64) for seed in (11, 12, 13)]  # eight groups of ranks each, of sixteen
    async with engine_for(base, max_waiting=64) as engine:
        together = await asyncio.gather(*(engine.generate(Request(voice, "", (1,), LONG)) for voice in wide))
        assert together == [await engine.generate(Request(voice, "", (1,), LONG)) for voice in wide]
    assert len({spoken[0].text for spoken in together}) == 3


async def test_adapters_used_longest_ago_make_room(base: Base, voices: list[Path | None]) -> None:
    first, second, _ = voices
    assert first is not None and second is not None
    async with engine_for(base) as engine:
        before = await engine.generate(Request(first, "", (1,), LONG))
        engine.adapters.limit = engine.adapters.size  # no byte more
        await engine.generate(Request(second, "", (1,), LONG))
        assert first not in engine.adapters
        assert await engine.generate(Request(first, "", (1,), LONG)) == before


async def test_likelihoods_are_those_of_transformers_and_peft(base: Base, voices: list[Path | None]) -> None:
    """Of what is said, in nats per token, under the voice and under the base; here the likeliest tokens are said."""
    greedy = Sampling(temperature=1.0, top_p=1.0, top_k=1, max_tokens=6, min_tokens=6)
    async with engine_for(base) as engine:
        (spoken,) = await engine.generate(Request(voices[0], "The lamp", (5,), greedy, scored=True))
        prompt = engine._rows._prompt(Request(None, "The lamp", (5,), greedy))
    said: list[int] = []
    for _ in range(6):
        likely = reference_logits(base, voices[0], [*prompt, *said])[-1]
        likely[base.record.end_id] = -np.inf
        said.append(int(likely.argmax()))
    for voice, found in ((voices[0], spoken.likelihood), (None, spoken.base_likelihood)):
        logits = reference_logits(base, voice, [*prompt, *said])[len(prompt) - 1 : -1]
        logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        assert found == pytest.approx(logs[np.arange(6), said].mean(), abs=1e-3)


async def test_it_is_told_how_far_a_row_has_come(base: Base) -> None:
    told: list[str] = []
    async with engine_for(base) as engine:
        (spoken,) = await engine.generate(Request(None, "", (1,), LONG, on_text=lambda row, text: told.append(text)))
    assert len(told) == LONG.max_tokens - 1
    assert all(
        later.startswith(earlier.rstrip("\N{REPLACEMENT CHARACTER}"))
        for earlier, later in zip(told, [*told[1:], spoken.text], strict=True)
    )


async def test_a_banned_word_is_not_said(base: Base) -> None:
    greedy = Sampling(temperature=1.0, top_p=1.0, top_k=1, max_tokens=30, min_tokens=30)
    tokenizer = Tokenizer.from_file(str(base.model / "tokenizer.json"))
    async with engine_for(base) as engine:

        async def say(sampling: Sampling) -> str:
            (spoken,) = await engine.generate(Request(None, "The lamp", (1,), sampling))
            return spoken.text

        plain = await say(greedy)
        word = tokenizer.decode(tokenizer.encode(plain).ids[4:5]).strip().lower()
        assert word
        assert word not in (await say(replace(greedy, banned=(word,)))).lower().split()


async def test_a_prompt_that_fails_in_the_runtime_leaves_no_rows_behind(base: Base) -> None:
    async with engine_for(base) as engine:
        batch = batch_of(engine)
        with pytest.raises(Exception, match="indices element out of data bounds"):
            batch.join(None, [base.record.end_id, 1_000_000], 8, 4)
        assert len(batch) == 0
        assert await engine.generate(Request(None, "", (1,), SHORT))


async def test_who_is_refused_hears_it_while_others_speak(base: Base, tmp_path: Path) -> None:
    """A version that is gone, and a draft of one token, which is whole as soon as its prompt is computed."""
    endless = replace(LONG, max_tokens=250, min_tokens=250)
    begun = asyncio.Event()
    async with engine_for(base) as engine:
        request = Request(None, "", tuple(range(16)), endless, on_text=lambda row, text: begun.set())
        speaking = asyncio.create_task(engine.generate(request))
        await begun.wait()
        with pytest.raises(FileNotFoundError):
            await engine.generate(Request(tmp_path / "gone", "", (1,), SHORT))
        assert await engine.generate(Request(None, "The lamp", (1,), replace(SHORT, max_tokens=1)))
        assert not speaking.done()
        await speaking


async def test_a_voice_that_was_forgotten_while_it_spoke_is_let_go_when_it_ends(
    base: Base, voices: list[Path | None], tmp_path: Path
) -> None:
    forgotten, kept = (Path(shutil.copytree(voice, tmp_path / voice.name)) for voice in voices if voice)
    (kept / "manifest.json").write_text("{}")
    async with engine_for(base) as engine:
        rows, batch = engine._rows, batch_of(engine)
        brief, lasting = Job(Request(forgotten, "", (1,), SHORT)), Job(Request(kept, "", (1,), LONG))
        for job in (brief, lasting):
            rows.join(job)
        rows.step()
        shutil.rmtree(forgotten)
        rows.let_go()
        assert len(batch._voices._held) == 2
        while not brief.finished:
            rows.step()
        assert batch._voices._held == [engine.adapters.get(kept)]
        while not lasting.finished:
            rows.step()
        assert (batch._voices._held, batch._buffers) == ([], [])


def test_two_who_build_a_graph_at_once_build_it_once(base: Base, tmp_path: Path) -> None:
    folder = tmp_path / "graphs" / "float32-9"
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: build_graph(base.model, folder, "float32"), range(2)))
    built = {file.name: file.read_bytes() for file in graph_folder(base.graphs, "float32").iterdir()}
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == built
