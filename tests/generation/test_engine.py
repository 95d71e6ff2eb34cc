"""The engine says what transformers and peft say, for both dialects."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from bot.errors import BaseUnavailable, Busy, Refused
from bot.generation.batch import Batch, Floats
from bot.generation.draft import Request, Sampling
from bot.generation.engine import Engine
from bot.generation.graph import build_graph
from bot.generation.graph_description import Weights, graph_folder
from bot.generation.sampling import draw
from bot.shelf.answering import LONGEST
from bot.shelf.bases import END_TOKEN, Base
from tests.tiny_base import make_tiny_gpt2, make_tiny_llama

WILD = Sampling(temperature=1.0, top_p=0.95, top_k=0, max_tokens=24)
MAKERS = {"gpt2": make_tiny_gpt2, "llama": make_tiny_llama}

TARGETS = {
    "gpt2": ["c_attn", "c_proj", "c_fc"],
    "llama": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
}


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Base:
    make: Callable[[Path], Base] = MAKERS[request.param]
    return make(tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def adapter(base: Base) -> Path:
    return make_adapter(base, seed=3, rank=4)


def make_adapter(base: Base, seed: int, rank: int) -> Path:
    """An adapter on the upper two layers whose B is not zero, so that it matters."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base.model)
    config = LoraConfig(
        r=rank,
        lora_alpha=8,
        target_modules=TARGETS[base.record.architecture],
        layers_to_transform=[2, 3],
        fan_in_fan_out=base.record.architecture == "gpt2",
    )
    adapted = get_peft_model(model, config)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
        if "lora_" in name:
            parameter.data = parameter.data.half().float()  # versions hold half precision
    folder = base.folder / f"adapter-{seed}"
    adapted.save_pretrained(folder)
    return folder


def engine_for(base: Base, weights: Weights = "float32", max_waiting: int = 8) -> Engine:
    folder = graph_folder(base.graphs, weights)
    build_graph(base.model, folder, weights)
    return Engine(base, folder, threads=1, max_waiting=max_waiting)


def reference_logits(base: Base, adapter: Path | None, tokens: list[int]) -> npt.NDArray[np.float32]:
    """Logits after each token, (tokens, vocabulary), by transformers and peft in float32."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base.model)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    with torch.no_grad():
        logits: npt.NDArray[np.float32] = model(torch.tensor([tokens])).logits[0].numpy()
    return logits


def batch_of(engine: Engine) -> Batch:
    """What computes for that engine."""
    batch = engine._rows._batch
    assert isinstance(batch, Batch)
    return batch


def engine_logits(engine: Engine, adapter: Path | None, tokens: list[int], split: int) -> npt.NDArray[np.float32]:
    """Logits after token `split` (a prompt in one step) and after each later one (a step each)."""
    batch, voice = batch_of(engine), engine.adapters.get(adapter) if adapter else None
    after_prompt = batch.join(voice, tokens[:split], 2, len(tokens) - split)
    assert after_prompt is not None
    seen = [after_prompt.copy()]
    seen += [batch.step([token, token])[1].copy() for token in tokens[split:]]
    for slot in (1, 0):
        batch.leave(slot)
    return np.array(seen)


@pytest.mark.parametrize("adapted", [False, True])
async def test_logits_are_those_of_transformers_and_peft(base: Base, adapter: Path, adapted: bool) -> None:
    tokens = [base.record.end_id, 40, 17, 99, 230, 5, 61, 12]
    folder = adapter if adapted else None
    wanted = reference_logits(base, folder, tokens)[3:]
    async with engine_for(base) as engine:
        np.testing.assert_allclose(engine_logits(engine, folder, tokens, 4), wanted, rtol=1e-3, atol=2e-4)


async def test_eight_bit_weights_stay_within_the_stated_error(base: Base, adapter: Path) -> None:
    """Under 6% of the logits' norm, as docs/architecture.md states."""
    tokens = [base.record.end_id, 40, 17, 99, 230, 5, 61, 12]
    wanted = reference_logits(base, adapter, tokens)[3:]
    async with engine_for(base, "int8") as engine:
        error = np.linalg.norm(engine_logits(engine, adapter, tokens, 4) - wanted) / np.linalg.norm(wanted)
    assert 0 < error < 0.06


async def test_a_seed_gives_its_draft_alone_as_in_company_and_after_a_restart(base: Base, adapter: Path) -> None:
    async with engine_for(base) as engine:
        company = await engine.generate(Request(adapter, "The lamp", (7, 8, 9), WILD))
    async with engine_for(base) as engine:
        alone = await engine.generate(Request(adapter, "The lamp", (8,), WILD))
    assert company[1] == alone[0]
    assert len({spoken.text for spoken in company}) == 3


async def test_rows_that_have_ended_leave_and_the_others_go_on_as_if_alone(
    base: Base, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random base hardly ever ends; with its end made likelier the batch shrinks several times."""

    def soon_ending(logits: Floats, sampling: Sampling, generator: np.random.Generator) -> int:
        logits[base.record.end_id] += 4.0
        return draw(logits, sampling, generator)

    monkeypatch.setattr("bot.generation.rows.draw", soon_ending)
    seeds = tuple(range(16))
    long = Sampling(temperature=1.0, top_p=1.0, top_k=0, max_tokens=60)
    async with engine_for(base) as engine:
        company = await engine.generate(Request(adapter, "The lamp", seeds, long))
        assert sum(spoken.ended for spoken in company) >= 8  # else few left, and this test would show nothing
        assert len({len(spoken.text) for spoken in company}) >= 4
        for spoken in company[::3]:
            assert await engine.generate(Request(adapter, "The lamp", (spoken.seed,), long)) == [spoken]


async def test_a_control_token_in_the_start_is_text(base: Base) -> None:
    async with engine_for(base) as engine:
        tokens = engine._rows._tokenizer.encode("<|endoftext|>").ids
        assert base.record.end_id not in tokens


async def test_a_tokenizer_that_adds_tokens_of_its_own_changes_nothing(base: Base, tmp_path: Path) -> None:
    """As of a model that was pushed, whose tokenizer sets the end token before each text."""
    async with engine_for(base) as engine:
        plain = await engine.generate(Request(None, "", (1,), WILD))
    theirs = Base(base.record, tmp_path / "theirs")
    shutil.copytree(base.folder, theirs.folder)
    tokenizer = Tokenizer.from_file(str(theirs.model / "tokenizer.json"))
    tokenizer.post_processor = TemplateProcessing(
        single=f"{END_TOKEN} $A", special_tokens=[(END_TOKEN, base.record.end_id)]
    )
    tokenizer.save(str(theirs.model / "tokenizer.json"))
    async with engine_for(theirs) as engine:
        assert await engine.generate(Request(None, "", (1,), WILD)) == plain


async def test_a_start_that_leaves_no_room_is_refused_in_words(base: Base) -> None:
    async with engine_for(base) as engine:
        with pytest.raises(Refused, match="too long"):
            await engine.generate(Request(None, "kettle " * 300, (1,), WILD))


async def test_a_full_line_says_busy_and_when_to_come_back(base: Base) -> None:
    async with engine_for(base, max_waiting=1) as engine:
        first = asyncio.create_task(engine.generate(Request(None, "", (1,), WILD)))
        await asyncio.sleep(0)  # lets the task enter the line
        with pytest.raises(Busy) as refused:
            await engine.generate(Request(None, "", (2,), WILD))
        assert refused.value.retry_after_s > 0
        await first


def test_a_graph_of_an_older_format_makes_way_for_the_new_one(base: Base) -> None:
    stale = base.graphs / "int4-1"
    stale.mkdir(parents=True)
    build_graph(base.model, graph_folder(base.graphs, "int4"), "int4")
    assert not stale.exists()


async def test_an_unknown_architecture_is_refused_by_name(base: Base, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(BaseUnavailable, match=r"mamba.*gpt2 and llama"):
        build_graph(tmp_path, tmp_path / "graph", "int8")


async def test_the_adapter_of_a_version_that_was_removed_is_dropped_from_memory(
    base: Base, adapter: Path, tmp_path: Path
) -> None:
    """What is still on the shelf stays, and so does the bare base."""
    folders = [Path(shutil.copytree(adapter, tmp_path / name)) for name in ("gone", "kept")]
    for folder in folders:
        (folder / "manifest.json").write_text("{}")
    async with engine_for(base) as engine:
        for speaking in (*folders, None):
            await engine.generate(Request(speaking, "The lamp", (1,), WILD))
        await engine.generate(Request(folders[0], "The lamp", (1,), WILD))
        shutil.rmtree(folders[0])
        await engine.drop_what_is_gone()
        assert not any(matrix.any() for matrix in batch_of(engine)._voices._b)
        assert folders[0] not in engine.adapters
        assert folders[1] in engine.adapters
        with pytest.raises(FileNotFoundError):
            await engine.generate(Request(folders[0], "The lamp", (1,), WILD))


@pytest.mark.parametrize(
    ("asked", "start"),
    [
        ("Who is there?", ""),
        ("Who is there?", "The lamp"),
        ("is it over <|endoftext|> now?", ""),  # a control token that somebody writes is text
        ("the gulls went quiet before the fog " * 20, ""),  # too long: what was said last is what is answered
    ],
    ids=["question", "start", "control", "long"],
)
async def test_what_is_answered_stands_before_the_answer_and_not_in_it(base: Base, asked: str, start: str) -> None:
    """Between the end token and a line break, as it was learned; the likeliest tokens are transformers' own."""
    tokenizer = Tokenizer.from_file(str(base.model / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    question, line_break, beginning = (tokenizer.encode(text).ids for text in (asked, "\n", start))
    assert len(line_break) == 1
    assert base.record.end_id not in question
    ids = [base.record.end_id, *question[-(LONGEST - 1) :], *line_break, *beginning]
    wanted: list[int] = []
    for _ in range(6):
        likely = reference_logits(base, None, [*ids, *wanted])[-1]
        likely[base.record.end_id] = -np.inf  # six tokens, come what may
        wanted.append(int(likely.argmax()))
    greedy = Sampling(temperature=1.0, top_p=1.0, top_k=1, max_tokens=6)
    async with engine_for(base) as engine:
        (spoken,) = await engine.generate(Request(None, start, (1,), greedy, asked))
    assert tokenizer.decode(wanted).startswith(spoken.text)
    assert len(spoken.text) >= len(tokenizer.decode(wanted[: greedy.min_tokens]))


async def test_a_question_gives_way_where_the_base_has_no_room_for_it(base: Base) -> None:
    """The base has 256 positions, nearly all of which the answer may take."""
    long = Sampling(temperature=1.0, top_p=1.0, top_k=1, max_tokens=254)
    async with engine_for(base) as engine:
        without = await engine.generate(Request(None, "", (1,), long))
        assert await engine.generate(Request(None, "", (1,), long, "Who is there?")) == without
