"""Making a base ready: from a folder, and what is said when it can't be had."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.errors import BaseUnavailable
from bot.shelf.bases import find_base
from bot.training.adopting import generation_settings
from bot.training.child import ensure_base, environment
from bot.training.prepare import FOR_A_BASE, Origin, load, prepare_base
from tests.tiny_base import make_tiny_gpt2, make_tiny_llama

LONGEST_S = 90.0


def test_a_folder_becomes_a_base(tmp_path: Path) -> None:
    """In float16, with the end token that all of its texts will have, saying what it said before."""
    import torch
    from transformers import AutoModelForCausalLM

    theirs = make_tiny_gpt2(tmp_path / "theirs")
    ours = prepare_base(str(theirs.model), tmp_path / "data")
    assert ours.record.architecture == "gpt2"
    assert ours.record.end_id == theirs.record.end_id
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in ours.model.iterdir()}
    ids = torch.arange(40)[None]
    with torch.no_grad():
        before, after = (
            AutoModelForCausalLM.from_pretrained(base.model, dtype="float32")(ids).logits for base in (theirs, ours)
        )
    torch.testing.assert_close(before, after, rtol=0.01, atol=0.02)
    assert str(tmp_path) not in (ours.model / "config.json").read_text()


def test_a_base_is_made_once_and_always_the_same(tmp_path: Path) -> None:
    """What was trained on one machine is spoken on another."""
    folder = str(make_tiny_llama(tmp_path / "theirs").model)
    first = prepare_base(folder, tmp_path / "data")
    written = (first.folder / "base.json").stat().st_mtime_ns
    assert prepare_base(folder, tmp_path / "data") == first
    assert (first.folder / "base.json").stat().st_mtime_ns == written
    assert prepare_base(folder, tmp_path / "elsewhere").record == first.record
    assert find_base(tmp_path / "data", folder) == first


@pytest.mark.parametrize("spec", ["./no-such-folder", "/no/such/folder", "no hub id"])
def test_a_base_that_does_not_exist_is_refused(tmp_path: Path, spec: str) -> None:
    """The sentence names the base that needs no download, and nothing is left behind."""
    with pytest.raises(BaseUnavailable, match='base = "embedded"'):
        prepare_base(spec, tmp_path)
    assert [path.name for path in (tmp_path / "bases").iterdir()] == [".lock"]


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    """Whatever else it holds."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "config.json").write_text("{}")
    with pytest.raises(BaseUnavailable, match="no causal language model"):
        prepare_base(str(tmp_path / "photos"), tmp_path)


def rewrite(file: Path, **changes: object) -> None:
    """Other values for some keys of a JSON file."""
    found = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**found, **changes}))


def own_code(folder: Path) -> None:
    """A kind of model that only the Python file beside it knows."""
    rewrite(folder / "config.json", model_type="evil", auto_map={"AutoConfig": "evil.Config"})
    (folder / "evil.py").write_text("print('I ran')\n")


def tokens_without_weights(folder: Path) -> None:
    """One that no English sentence holds."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(["<|more|>"])
    tokenizer.save(str(folder / "tokenizer.json"))


def no_number(folder: Path) -> None:
    """One weight of all."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["transformer.h.2.ln_1.weight"][3] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def an_adapter(folder: Path) -> None:
    """It names a base, which nobody here chose."""
    rewrite(folder / "adapter_config.json", peft_type="LORA", base_model_name_or_path=str(folder.parent / "elsewhere"))
    (folder / "config.json").rename(folder / "another.json")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (own_code, "needs a program of its own, which is never run here"),
        (tokens_without_weights, "no tokenizer that fits its weights"),
        (no_number, r"transformer\.h\.2\.ln_1\.weight holds what is no finite number"),
        (an_adapter, "holds an adapter, which is no model without its base"),
    ],
    ids=["code of its own", "tokens without weights", "no number", "adapter"],
)
def test_what_can_not_be_had_safely_is_refused(
    tmp_path: Path, damage: Callable[[Path], None], sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """In a sentence; nobody is asked on the terminal and nothing runs."""
    theirs = make_tiny_gpt2(tmp_path / "theirs").model
    damage(theirs)
    with pytest.raises(BaseUnavailable, match=sentence):
        prepare_base(str(theirs), tmp_path / "data")
    said = capfd.readouterr().out
    assert "I ran" not in said and "custom code" not in said


def test_of_a_foreign_configuration_only_what_its_kind_declares_is_kept(tmp_path: Path) -> None:
    """Code to be loaded from elsewhere does not go on to others, and settings of a wrong form stop nothing."""
    theirs = make_tiny_gpt2(tmp_path / "theirs").model
    hostile = {
        "auto_map": {"AutoModelForCausalLM": "someone/evil--evil.Model"},
        "custom_pipelines": {"text-generation": {"impl": "evil.Pipeline"}},
        "note": "whatever somebody wrote",
        "id2label": {"0": "whatever somebody wrote"},
        "task_specific_params": [1],
    }
    rewrite(theirs / "config.json", **hostile)
    model, _ = load(Origin(str(theirs), local_only=True), "theirs", FOR_A_BASE)
    assert generation_settings(model) == {}
    kept = json.loads((prepare_base(str(theirs), tmp_path / "data").model / "config.json").read_text())
    assert not hostile.keys() & kept.keys()
    assert (kept["n_embd"], kept["n_layer"], kept["architectures"]) == (64, 4, ["GPT2LMHeadModel"])


async def test_an_unreachable_hub_is_one_sentence_in_seconds(tmp_path: Path) -> None:
    """From the process that the service starts for it; no retries that take minutes."""
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot.training.prepare", "gpt2", str(tmp_path)),
        stderr=asyncio.subprocess.PIPE,
        env=environment({**os.environ, **nowhere}, may_ask_the_hub=True),
    )
    async with asyncio.timeout(LONGEST_S):
        _, errors = await child.communicate()
    assert child.returncode == BaseUnavailable.exit_code
    assert "The hub can't be reached and gpt2 was not downloaded before" in errors.decode()


async def test_the_service_has_a_base_made_in_a_process_of_its_own(tmp_path: Path) -> None:
    """And only if it is not there."""
    folder = str(make_tiny_gpt2(tmp_path / "theirs").model)
    stages: list[str] = []
    base = await ensure_base(folder, tmp_path / "data", stages.append)
    assert base == await ensure_base(folder, tmp_path / "data", stages.append)
    assert len(stages) == 1


def test_a_child_sees_no_secret() -> None:
    """Of the environment it gets what it needs; the hub's token only where it asks the hub."""
    ours = {"PATH": "/bin", "DISCORD_TOKEN": "secret", "HF_TOKEN": "secret", "HF_HOME": "/hub", "OMP_NUM_THREADS": "2"}
    assert "secret" not in environment(ours, may_ask_the_hub=False).values()
    ours |= {"HF_PUSH_TOKEN": "written with", "HF_ENDPOINT": "http://mirror"}
    for may_ask_the_hub in (False, True):
        seen = environment(ours, may_ask_the_hub)
        assert "written with" not in seen.values() and seen["HF_ENDPOINT"] == "http://mirror"
    asking = environment(ours, may_ask_the_hub=True)
    assert asking["HF_TOKEN"] == "secret"
    assert "DISCORD_TOKEN" not in asking
    assert (asking["PATH"], asking["HF_HOME"], asking["OMP_NUM_THREADS"]) == ("/bin", "/hub", "2")
