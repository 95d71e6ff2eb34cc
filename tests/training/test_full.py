"""Full fine-tuning: every weight of the upper layers, and a whole model at the end."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from bot.shelf.bases import Base
from bot.training.dataset import tokenise
from bot.training.finetune import fine_tune
from bot.training.job import ADAPTER, RESULT, Event, Job, Result
from bot.training.orphans import Stop, Stopped
from bot.training.report import Report
from tests.tiny_base import make_tiny_gpt2, make_tiny_llama
from tests.training.material import job, sentences

# Importing peft and attaching an adapter warns of names that transformers is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

TEXTS = sentences(100)


def full_job(base: Base, folder: Path, **changed: object) -> Job:
    usual = {"method": "full", "precision": "float32", "learning_rate": 2e-3, "epochs": 3}
    return job(base, folder, TEXTS[:90], TEXTS[90:], **{**usual, **changed})


class StopsAt(Stop):
    """Is told to stop at one of its checks."""

    def __init__(self, check: int) -> None:
        super().__init__()
        self._left = check

    def check(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Stopped


def learned(task: Job, stop: Stop | None = None) -> Result:
    """The job's result, learned in this process."""
    fine_tune(task, Report(io.StringIO(), 1.0), stop or Stop())
    return Result.model_validate_json((task.folder / RESULT).read_bytes())


@pytest.fixture(params=[make_tiny_gpt2, make_tiny_llama], ids=["gpt2", "llama"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Base:
    make: Callable[[Path], Base] = request.param
    return make(tmp_path / "base")


def test_a_whole_model_is_left_behind_that_others_load(base: Base, tmp_path: Path) -> None:
    """With the loss that was reported, the lower layers untouched, and no folder of this machine in it."""
    result = learned(full_job(base, tmp_path / "job"))
    assert result.best.loss < result.base.loss - 0.1
    assert not (tmp_path / "job" / ADAPTER).exists()
    assert str(tmp_path) not in (tmp_path / "job" / "config.json").read_text()
    assert json.loads((tmp_path / "job" / "config.json").read_text())["eos_token_id"] == base.record.end_id

    model = AutoModelForCausalLM.from_pretrained(tmp_path / "job", dtype="float32")
    tokenizer = Tokenizer.from_file(str(base.model / "tokenizer.json"))
    total, tokens = 0.0, 0
    for ids in tokenise(tokenizer, TEXTS[90:], base.record.end_id):
        with torch.no_grad():
            total += float(model(torch.tensor([ids]), labels=torch.tensor([ids])).loss) * (len(ids) - 1)
        tokens += len(ids) - 1
    assert total / tokens == pytest.approx(result.best.loss, rel=1e-3)

    before, after = load_file(base.model / "model.safetensors"), load_file(tmp_path / "job" / "model.safetensors")
    changed = {name for name, weight in after.items() if not torch.equal(weight.half(), before[name].half())}
    layers = {int(part) for name in changed for part in name.split(".") if part.isdigit()}
    assert layers == {2, 3}  # of four
    assert not any(name in changed for name in ("transformer.wte.weight", "model.embed_tokens.weight"))


def test_it_goes_on_to_the_same_figures(tmp_path: Path) -> None:
    """Stopped in the middle, and begun again from its checkpoint."""
    base = make_tiny_gpt2(tmp_path / "base")
    whole = learned(full_job(base, tmp_path / "whole"))
    with pytest.raises(Stopped):
        learned(full_job(base, tmp_path / "cut"), StopsAt(12))
    resumed = learned(full_job(base, tmp_path / "cut"))
    assert resumed.evaluations == whole.evaluations
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_the_version_in_use_may_have_the_other_form(base: Base, tmp_path: Path) -> None:
    """An adapter is set beside a whole model, and a whole model beside an adapter, with the loss it had itself."""
    first = learned(full_job(base, tmp_path / "first"))
    second = learned(
        full_job(base, tmp_path / "second", method="lora", learning_rate=5e-3, previous=tmp_path / "first")
    )
    third = learned(full_job(base, tmp_path / "third", previous=tmp_path / "second"))
    assert second.previous is not None
    assert second.previous.loss == pytest.approx(first.best.loss, rel=1e-3)
    assert third.previous is not None
    assert third.previous.loss == pytest.approx(second.best.loss, rel=1e-3)
    assert third.base == second.base == first.base


def test_events_are_those_of_any_run(tmp_path: Path) -> None:
    """So that whoever watches need not know the method."""
    out = io.StringIO()
    fine_tune(full_job(make_tiny_gpt2(tmp_path / "base"), tmp_path / "job"), Report(out, 0.0), Stop())
    kinds = [Event.model_validate_json(line).event for line in out.getvalue().splitlines()]
    assert kinds[:2] == ["loading", "preparing"]
    assert {"step", "evaluation"} <= set(kinds)
    assert kinds[-1] == "done"
