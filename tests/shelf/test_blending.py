"""A blend adds to the base exactly what its parts add, each times its weight: for peft and for the engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from bot.errors import UsageError
from bot.generation.draft import Request, Sampling
from bot.generation.engine import Engine
from bot.generation.graph import build_graph
from bot.generation.graph_description import graph_folder
from bot.shelf.bases import Base
from bot.shelf.blending import Adapter, blended, read_adapter, write_adapter
from tests.tiny_base import make_tiny_gpt2, make_tiny_llama

Logits = npt.NDArray[np.float32]
WEIGHTS = (0.6, 0.4)


def adapter_on(base: Base, folder: Path, rank: int, layers: Sequence[int], seed: int, **changed: object) -> Path:
    """An adapter with random weights, as a training leaves it: in float16, beside every projection of these layers."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    names = ["c_attn", "c_proj"] if base.record.architecture == "gpt2" else ["q_proj", "v_proj", "down_proj"]
    settings: dict[str, object] = {
        "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 2 * rank, "target_modules": names,
        "layers_to_transform": list(layers), "fan_in_fan_out": base.record.architecture == "gpt2",
    }  # fmt: skip
    config = LoraConfig(**{**settings, **changed})
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base.model, dtype="float32"), config)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.05)
    model.save_pretrained(folder)
    found = read_adapter(folder)
    write_adapter(
        Adapter({name: each.astype(np.float16) for name, each in found.tensors.items()}, found.config), folder
    )
    return folder


def logits_of(
    base: Base, folder: Path | None, delta: Sequence[tuple[Path, float]] = (), ids: Sequence[int] = range(1, 25)
) -> Logits:
    """What peft makes of the adapter in `folder`; or the base with the deltas of peft added, weighted."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    def fresh() -> torch.nn.Module:
        return AutoModelForCausalLM.from_pretrained(base.model, dtype="float32")

    model = fresh()
    if folder is not None:
        model = PeftModel.from_pretrained(model, folder)
    with torch.no_grad():
        before = {name: weight.clone() for name, weight in fresh().state_dict().items()}
        weights = model.state_dict()
        for part, weight in delta:
            merged = PeftModel.from_pretrained(fresh(), part).merge_and_unload().state_dict()
            for name, each in merged.items():
                weights[name] += weight * (each - before[name])
        found: Logits = model.eval()(input_ids=torch.tensor([list(ids)])).logits.numpy()
    return found


def blend_of(parts: Sequence[tuple[Path, float]], folder: Path) -> Path:
    """Their blend, written down."""
    folder.mkdir()
    write_adapter(blended([(read_adapter(part), weight) for part, weight in parts]), folder)
    return folder


@pytest.mark.parametrize("make", [make_tiny_gpt2, make_tiny_llama], ids=["gpt2", "llama"])
def test_peft_reads_a_blend_as_the_weighted_sum_of_its_parts(tmp_path: Path, make: Callable[[Path], Base]) -> None:
    """Of other ranks, scales and layers, one of them by the square root of its rank; merged it is the same."""
    base = make(tmp_path / "base")
    one = adapter_on(base, tmp_path / "one", 4, (1, 2, 3), 1)
    other = adapter_on(base, tmp_path / "other", 2, (0, 1), 2, lora_alpha=3, use_rslora=True)
    parts = list(zip((one, other), WEIGHTS, strict=True))
    blend = blend_of(parts, tmp_path / "blend")
    expected = logits_of(base, None, parts)
    assert np.abs(expected - logits_of(base, None)).max() > 0.1  # it says something
    np.testing.assert_allclose(logits_of(base, blend), expected, rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(logits_of(base, None, [(blend, 1.0)]), expected, rtol=1e-5, atol=2e-5)
    assert json.loads((blend / "adapter_config.json").read_text())["r"] == 6


def test_a_blend_of_blends_is_the_sum_of_all_parts(tmp_path: Path) -> None:
    base = make_tiny_llama(tmp_path / "base")
    one, two, three = (adapter_on(base, tmp_path / str(seed), 2, (1, 2), seed) for seed in (1, 2, 3))
    inner = blend_of([(one, 0.5), (two, 0.5)], tmp_path / "inner")
    outer = blend_of([(inner, 0.6), (three, 0.4)], tmp_path / "outer")
    expected = logits_of(base, None, [(one, 0.3), (two, 0.3), (three, 0.4)])
    np.testing.assert_allclose(logits_of(base, outer), expected, rtol=1e-5, atol=2e-5)


async def test_the_engine_speaks_with_a_blend_as_with_the_sum_of_its_parts(tmp_path: Path) -> None:
    """Its likeliest tokens are those of the base to which the parts' deltas were added."""
    base = make_tiny_llama(tmp_path / "base")
    parts = [(adapter_on(base, tmp_path / str(seed), 4, (seed, seed + 1), seed), 0.5) for seed in (1, 2)]
    blend = blend_of(parts, tmp_path / "blend")
    likeliest = Sampling(temperature=1.0, top_p=1.0, top_k=1, max_tokens=12, min_tokens=0)
    graph = graph_folder(base.graphs, "float32")
    build_graph(base.model, graph, "float32")
    async with Engine(base, graph, threads=1, max_waiting=1) as engine:
        ((said,), (bare,)) = [await engine.generate(Request(each, "The", (1,), likeliest)) for each in (blend, None)]
    assert said.text == greedy(base, parts, 12) != bare.text


def greedy(base: Base, parts: Sequence[tuple[Path, float]], tokens: int) -> str:
    """What comes after "The" when the likeliest token is taken each time."""
    tokenizer = Tokenizer.from_file(str(base.model / "tokenizer.json"))
    start = [base.record.end_id, *tokenizer.encode("The", add_special_tokens=False).ids]
    ids = list(start)
    while len(ids) < len(start) + tokens:
        ids.append(int(logits_of(base, None, parts, ids)[0, -1].argmax()))
        if ids[-1] == base.record.end_id:
            break
    return tokenizer.decode(ids[len(start) :])


def test_a_large_number_stays_in_range() -> None:
    """What float16 could not hold after its scale and weight is kept in float32."""
    tensors = {"base_model.model.x.lora_A.weight": np.ones((1, 2), np.float16)}
    tensors["base_model.model.x.lora_B.weight"] = np.full((3, 1), 60_000, np.float16)
    large = Adapter(tensors, {"r": 1, "lora_alpha": 16})
    made = blended([(large, 0.5), (large, 0.5)])
    made_b = made.tensors["base_model.model.x.lora_B.weight"]
    np.testing.assert_array_equal(made_b, np.full((3, 2), 480_000, np.float32))
    assert made.tensors["base_model.model.x.lora_A.weight"].dtype == np.float16


@pytest.mark.parametrize("odd", [{"use_dora": True}, {"rank_pattern": {"x": 2}}, {"modules_to_save": ["lm_head"]}])
def test_what_has_no_weighted_sum_is_refused(tmp_path: Path, odd: dict[str, object]) -> None:
    save_file({"base_model.model.x.lora_A.weight": np.ones((1, 2), np.float16)}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 1, "lora_alpha": 1, **odd}))
    with pytest.raises(UsageError, match="more than products of two matrices"):
        blended([(read_adapter(tmp_path), 1.0)])
