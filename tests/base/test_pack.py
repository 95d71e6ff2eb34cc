"""From a trained model to the folder in the service, and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from base.card import card, learning, newest
from base.pack import pack
from bot.errors import BaseUnavailable
from bot.shelf.bases import END_TOKEN, embedded_record
from bot.shelf.shelf import file_sha256
from bot.training.embedded import WEIGHTS, unpack
from tests.tiny_base import make_tiny_gpt2


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_gpt2(tmp_path_factory.mktemp("trained")).model


@pytest.fixture(scope="module")
def packed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed") / "embedded"
    pack(trained, folder)
    return folder


def test_no_weight_moves_by_more_than_half_a_step_of_its_scale(trained: Path, packed: Path, tmp_path: Path) -> None:
    unpack(tmp_path / "base", packed)
    before, after = (load_file(place / "model.safetensors") for place in (trained, tmp_path / "base" / "model"))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        rounding = np.abs(tensor).max() * 2.0**-10  # float16
        largest = np.abs(tensor).max(1 if "wte" in name or "wpe" in name else 0, keepdims=True)
        step = largest / 127 if tensor.ndim == 2 else 0.0
        assert (np.abs(tensor - after[name].astype(np.float32)) <= step / 2 + rounding).all(), name


def test_what_is_unpacked_is_a_model_that_says_nearly_the_same(trained: Path, packed: Path, tmp_path: Path) -> None:
    unpack(tmp_path / "base", packed)
    ids = torch.tensor([[0, 5, 9, 70, 33]])
    first, second = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(ids).logits
        for folder in (trained, tmp_path / "base" / "model")
    )
    assert float((first - second).detach().norm() / first.detach().norm()) < 0.02
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base" / "model")
    assert tokenizer.decode(tokenizer.encode("The lamp was lit.")) == "The lamp was lit."


def test_packing_the_same_model_again_gives_the_same_base(trained: Path, packed: Path, tmp_path: Path) -> None:
    assert pack(trained, tmp_path / "again") == embedded_record(packed)
    unpack(tmp_path / "base", packed)
    assert file_sha256(tmp_path / "base" / "model" / "model.safetensors") == embedded_record(packed).sha256


@pytest.mark.parametrize("what", ["cut off", "other weights", "missing", "no record"])
def test_a_damaged_base_is_refused_in_a_sentence(what: str, packed: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "embedded"
    shutil.copytree(packed, damaged)
    weights = damaged / WEIGHTS
    if what == "cut off":
        weights.write_bytes(weights.read_bytes()[:5_000])
    elif what == "missing":
        weights.unlink()
    elif what == "no record":
        (damaged / "base.json").unlink()
    else:
        whole = bytearray(weights.read_bytes())
        whole[-1] ^= 1
        weights.write_bytes(bytes(whole))
    with pytest.raises(BaseUnavailable, match="Install the project again"):
        unpack(tmp_path / "base", damaged)
    assert not (tmp_path / "base" / "base.json").exists()  # so nobody takes it for a base


def test_the_card_has_the_figures_of_the_training_and_of_each_base(packed: Path, tmp_path: Path) -> None:
    training = {
        "parameters": 1_234_567, "steps": 900, "tokens": 3_600_000, "hours": 1.5, "seed": 1, "threads": 1,
        "device": "cpu", "epochs": {"posts": 2.5}, "decay_steps": 120,
    }  # fmt: skip
    figures = {"bits_per_byte": {"posts": 1.234}, "distinct_2": 0.456}
    said = tmp_path / "evaluation.jsonl"
    lines = (
        {"base": "embedded", **figures, "bits_per_byte": {"posts": 9.0}, "samples": ["old"]},
        {"base": "embedded", **figures, "samples": ["a lamp *was* lit"]},
        {"base": "smollm2", **figures, "samples": ["not shown"]},
    )
    said.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    learned = tmp_path / "learning.jsonl"
    run = {"base": "embedded", "account": "nell", "train_tweets": 437, "best_bits_per_byte": 1.777, "distinct_2": 0.5}
    learned.write_text(json.dumps(run) + "\n", encoding="utf-8")
    config = json.loads((packed / "config.json").read_text(encoding="utf-8"))
    text = card(training, config, 5_400_000, newest(said), learned)
    for wanted in ("1,234,567", "3,600,000", "900", "1.5 hours", "5.4 MB", "posts 2.5 times", "1.777", "437"):
        assert wanted in text
    assert "| this base | 1.234 | 0.456 |" in text and "| SmolLM2-135M-Instruct | 1.234 | 0.456 |" in text
    assert r"> a lamp \*was\* lit" in text
    assert "not shown" not in text and "old" not in text.partition("## What it says")[2]
    assert "| nell | 437 | 1.777 | 0.500 |" in learning(learned)


def test_a_text_may_hold_what_looks_like_the_end_token(packed: Path, tmp_path: Path) -> None:
    unpack(tmp_path / "base", packed)
    assert AutoTokenizer.from_pretrained(tmp_path / "base" / "model").convert_tokens_to_ids(END_TOKEN) == 0
