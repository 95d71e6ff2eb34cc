"""A teacher in large batches says what transformers would, and its pieces are whole or not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from base.prompts import Prompt
from base.sample import choose, main, sample
from base.shards import read_lines
from base.teacher import Teacher
from tests.tiny_base import make_tiny_llama, tiny_tokenizer

ASKED = Prompt("posts", "The lamp was lit.\n", ["{0} is", "I"], "\n", 40, temperature=1.0, top_p=0.95, lead="")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Several would wait for each other longer than such small products take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_llama(tmp_path_factory.mktemp("llama")).model


@pytest.fixture(scope="module")
def teacher(folder: Path) -> Teacher:
    return Teacher(AutoModelForCausalLM.from_pretrained(folder), tiny_tokenizer(), "cpu")


def whole(folder: Path, ids: list[int]) -> torch.Tensor:
    """What transformers says follows these tokens, in float32."""
    logits: torch.Tensor = AutoModelForCausalLM.from_pretrained(folder)(torch.tensor([ids])).logits
    return logits[0, -1]


@torch.inference_mode()
def test_a_row_sees_the_prompt_and_its_own_text_alone(folder: Path, teacher: Teacher) -> None:
    """The first row goes on with its text, the second began another one in the third slot; both as in transformers."""
    beginning, one, other = [40, 50, 60, 70, 80], [90, 91, 92, 93], [100, 101]
    prefix, cache = teacher.read(beginning), teacher.room(2, 4)
    begins = torch.tensor([0, 0])
    for slot, tokens in enumerate([(90, 110), (91, 111), (92, 100), (93, 101)]):
        if slot == 2:
            begins = torch.tensor([0, 2])
        logits = teacher.step(prefix, cache, torch.tensor(tokens), begins, slot)
    for row, text in zip(logits, (one, other), strict=True):
        expected = whole(folder, beginning + text)
        assert torch.corrcoef(torch.stack([row.float(), expected]))[0, 1] > 0.999
        assert (row.float() - expected).norm() < 0.05 * expected.norm()


@torch.inference_mode()
def test_the_same_seed_samples_the_same(teacher: Teacher) -> None:
    """And another one samples something else."""
    first, again, other = (sample(teacher, ASKED, 8, seed) for seed in ("1", "1", "2"))
    assert [row.done for row in first] == [row.done for row in again]
    assert [row.done for row in first] != [row.done for row in other]


@torch.inference_mode()
def test_a_row_that_has_ended_goes_on_with_another_text(teacher: Teacher) -> None:
    """Every text but the last of each row was ended by the teacher; each begins as it was told to."""
    batch = sample(teacher, ASKED, 32, "3")
    assert max(len(row.done) for row in batch) > 1
    assert all(text.ended for row in batch for text in row.done[:-1])
    assert not any(row.done[-1].ended for row in batch)
    assert all("\n" not in text.text and "<|endoftext|>" not in text.text for row in batch for text in row.done)


def test_what_was_said_is_said_again_less_likely() -> None:
    """Of two tokens that are as likely the new one is chosen more often."""
    logits = torch.full((2_000, 80), -20.0)
    logits[:, :2] = 1.0
    said = torch.zeros(2_000, 80, dtype=torch.uint8)
    said[:, 0] = 3
    chosen = choose(logits, said, 1.0, 1.0, torch.Generator().manual_seed(1))
    assert 0.15 < (chosen == 0).float().mean() < 0.35  # exp(-1.05) beside 1


def test_what_is_there_is_not_sampled_again(teacher: Teacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run makes the missing piece alone, and makes what the first made."""
    monkeypatch.setattr(Teacher, "load", lambda spec, device: teacher)
    arguments = ["--work", str(tmp_path), "--pieces", "3", "--rows", "2", "--seed", "4"]
    main(arguments)
    files = sorted((tmp_path / "sampled").iterdir())
    before = [list(read_lines(file)) for file in files]
    assert [file.name for file in files] == ["00000.jsonl", "00001.jsonl", "00002.jsonl"]
    files[1].unlink()
    kept = files[0].stat().st_mtime_ns
    main(arguments)
    assert [list(read_lines(file)) for file in files] == before
    assert files[0].stat().st_mtime_ns == kept
