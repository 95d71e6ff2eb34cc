"""The training process: what it leaves behind, how it is stopped, and that it goes on to the same figures."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from bot.shelf.bases import Base
from bot.training.child import started
from bot.training.job import ADAPTER, ADAPTER_CONFIG, CHECKPOINT, RESULT, Event, Job, Result
from bot.training.learning import FINETUNE, learn
from tests.tiny_base import make_tiny_gpt2
from tests.training.material import job, sentences

LONGEST_S = 90.0


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_tiny_gpt2(tmp_path_factory.mktemp("base") / "tiny")


def _job(base: Base, folder: Path, **changed: object) -> Job:
    texts = sentences(160)
    return job(base, folder, texts[:140], texts[140:], epochs=3, **changed)


async def _ignore(event: Event) -> None:
    """Nobody watches."""


@pytest.mark.slow
async def test_a_run_that_was_cut_off_goes_on_to_the_same_figures(base: Base, tmp_path: Path) -> None:
    """Stopped by SIGTERM after its first evaluation, and then by its parent's death: the losses are as without."""
    whole = await learn(_job(base, tmp_path / "whole"), _ignore)
    assert whole is not None
    assert whole.ended == "finished"
    assert whole.best.loss < whole.base.loss

    cut_off = _job(base, tmp_path / "cut")
    events = await _stopped_after(cut_off, "evaluation", 1)
    assert events[-1].event == "stopped"
    assert (cut_off.folder / CHECKPOINT).is_file()
    assert not (cut_off.folder / RESULT).exists()

    seen: list[Event] = []

    async def note(event: Event) -> None:
        seen.append(event)

    resumed = await learn(cut_off, note)
    assert resumed is not None
    assert resumed.evaluations == whole.evaluations
    assert resumed.best == whole.best
    assert next(event.step for event in seen if event.event == "step") > 1
    assert (cut_off.folder / ADAPTER).read_bytes() == (tmp_path / "whole" / ADAPTER).read_bytes()
    _loads_with_peft(base, tmp_path / "whole", whole)


async def _stopped_after(task: Job, kind: str, least_step: int) -> list[Event]:
    """Run the job and send SIGTERM at the first event of that kind from that step on."""
    events = []
    async with asyncio.timeout(LONGEST_S), started(FINETUNE, first_line=task.model_dump_json()) as child:
        async for line in child.lines():
            events.append(Event.model_validate_json(line))
            if events[-1].event == kind and events[-1].step >= least_step:
                os.kill(child.pid, signal.SIGTERM)
        assert await child.ended() == 0
    return events


def _loads_with_peft(base: Base, folder: Path, result: Result) -> None:
    """The adapter that was written has the loss that was reported, by others' means, and names no folder of ours."""
    import peft
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    from bot.training.dataset import tokenise

    config = json.loads((folder / ADAPTER_CONFIG).read_text())
    assert config["base_model_name_or_path"] == "tiny"
    assert config["layers_to_transform"] == [2, 3]
    adapted = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base.model), folder)
    tokenizer = Tokenizer.from_file(str(base.model / "tokenizer.json"))
    total, tokens = 0.0, 0
    for ids in tokenise(tokenizer, sentences(160)[140:], base.record.end_id):
        row = torch.tensor([ids])
        with torch.no_grad():
            total += float(adapted(row, labels=row).loss) * (len(ids) - 1)
        tokens += len(ids) - 1
    assert total / tokens == pytest.approx(result.best.loss, rel=0.02)  # it learned in bfloat16


@pytest.mark.slow
async def test_it_never_outlives_its_parent(base: Base, tmp_path: Path) -> None:
    """Killed with -9 the parent can't say goodbye; the child writes its checkpoint and ends by itself."""
    task = _job(base, tmp_path / "orphan", report_seconds=0.0).model_copy(update={"epochs": 100})
    script = (
        "import asyncio, sys\n"
        "from bot.training.child import started\n"
        "async def main():\n"
        f"    async with started({FINETUNE!r}, first_line=sys.stdin.readline().strip()) as child:\n"
        "        print(child.pid, flush=True)\n"
        "        async for line in child.lines():\n"
        '            if b\'"event":"step"\' in line:\n'
        "                print('learning', flush=True)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(task.model_dump_json().encode() + b"\n")
    async with asyncio.timeout(LONGEST_S):
        child = psutil.Process(int(await parent.stdout.readline()))
        assert (await parent.stdout.readline()).strip() == b"learning"
        parent.kill()
        await parent.communicate()
    _, alive = await asyncio.to_thread(psutil.wait_procs, [child], LONGEST_S)
    assert not alive
    assert (task.folder / CHECKPOINT).is_file()


@pytest.mark.slow
async def test_a_loss_without_bounds_ends_in_one_sentence(base: Base, tmp_path: Path) -> None:
    """Nothing was learned before it broke, so there is nothing to keep."""
    from bot.errors import TrainingFailed

    task = _job(base, tmp_path / "wild").model_copy(update={"learning_rate": 1e30, "precision": "float32"})
    with pytest.raises(TrainingFailed, match=r"Lower \[training\] learning_rate"):
        await learn(task, _ignore)
