"""The model in two halves says what the whole model says, tweet by tweet, whoever shares the batch."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from bot.shelf.bases import Base
from bot.training.dataset import tokenise
from bot.training.epochs import of_each, plan
from bot.training.halves import Whole, cut
from bot.training.learner import attach, load_base, lowest_layer
from bot.training.loss import Choice, choose, nats, score
from bot.training.orphans import Stop
from bot.training.rows import Rows, batches, keep_states, width
from bot.training.run import Run, learning_rate
from tests.tiny_base import make_tiny_gpt2, make_tiny_llama
from tests.training.material import job, sentences

# Importing peft and attaching an adapter warns of names that transformers is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

TEXTS = [text * (1 + number % 3) for number, text in enumerate(sentences(24))]  # of different lengths


class Stage:
    """A tiny model with an adapter that has learned something, and rows for it."""

    def __init__(self, base: Base, folder: Path, **changed: object) -> None:
        self.job = job(base, folder, TEXTS, TEXTS[:4], precision="float32", **changed)
        self.model = load_base(self.job)
        self.adapted = attach(self.model, self.job)
        torch.manual_seed(7)
        for name, weight in self.adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.3)
        tokenizer = Tokenizer.from_file(str(base.model / "tokenizer.json"))
        self.ids = tokenise(tokenizer, TEXTS, base.record.end_id)
        self.rows = Rows([torch.tensor(ids) for ids in self.ids])
        self.halves: Any = cut(self.model, lowest_layer(self.model, self.job))

    def whole_loss(self, number: int) -> float:
        """Summed nats of one row by transformers' own loss over the whole model."""
        ids = torch.tensor([self.ids[number]])
        with torch.no_grad():
            return float(self.model(ids, labels=ids).loss) * (ids.shape[1] - 1)


@pytest.fixture(params=[make_tiny_gpt2, make_tiny_llama], ids=["gpt2", "llama"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    make: Callable[[Path], Base] = request.param
    return Stage(make(tmp_path / "base"), tmp_path / "job")


def test_kept_states_and_shared_batches_do_not_change_the_loss(stage: Stage) -> None:
    """One batch of rows of all lengths, from states computed before, beside the whole model on each row alone."""
    kept = keep_states(stage.rows, stage.halves, stage.job, Stop())
    assert len(kept.states) == len(TEXTS)
    everyone = list(range(len(TEXTS)))
    with torch.no_grad():
        total, tokens = nats(stage.halves, kept, everyone)
    assert tokens == sum(len(ids) - 1 for ids in stage.ids)
    assert float(total) == pytest.approx(sum(stage.whole_loss(number) for number in everyone), rel=1e-4)


def test_states_that_are_not_kept_are_computed_when_needed(stage: Stage) -> None:
    """Where memory does not allow them."""
    little = stage.job.model_copy(update={"keep_bytes": 100})
    rows = keep_states(stage.rows, stage.halves, little, Stop())
    assert not rows.states
    with torch.no_grad():
        total, _ = nats(stage.halves, rows, [3, 4])
    assert float(total) == pytest.approx(stage.whole_loss(3) + stage.whole_loss(4), rel=1e-4)


def test_gradients_are_those_of_the_whole_model(stage: Stage) -> None:
    """The upper half learns what the whole would have learned."""
    kept = keep_states(stage.rows, stage.halves, stage.job, Stop())
    by_halves, by_whole = (_gradients(stage, halves, rows) for halves, rows in _ways(stage, kept))
    assert by_halves.keys() == by_whole.keys()
    assert len(by_halves) > 0
    for name, gradient in by_halves.items():
        torch.testing.assert_close(gradient, by_whole[name], rtol=2e-3, atol=1e-5)


def _ways(stage: Stage, kept: Rows) -> list[tuple[Any, Rows]]:
    return [(stage.halves, kept), (Whole(stage.model), stage.rows)]


def _gradients(stage: Stage, halves: Any, rows: Rows) -> dict[str, torch.Tensor]:
    stage.adapted.zero_grad()
    total, tokens = nats(halves, rows, [0, 1, 2])
    (total / tokens).backward()  # type: ignore[no-untyped-call]
    return {name: weight.grad.clone() for name, weight in stage.adapted.named_parameters() if weight.grad is not None}


def cramped(halves: Any, most: int) -> Any:
    """The halves on a machine whose memory ends at so many rows."""

    def upper(states: torch.Tensor) -> torch.Tensor:
        if len(states) > most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99999999999 bytes.")
        return halves.upper(states)  # type: ignore[no-any-return]

    return replace(halves, upper=upper)


def test_a_batch_that_memory_has_no_room_for_is_taken_in_parts(stage: Stage) -> None:
    """The same loss and, but for rounding, the same gradients; the parts stay for the steps that follow."""
    weights = {name: weight for name, weight in stage.adapted.named_parameters() if weight.requires_grad}
    task = stage.job.model_copy(update={"batch_tokens": 600})
    run = Run(task, stage.halves, weights, stage.rows, stage.rows)
    assert len(run.plan[0]) > 4
    loss, tokens = run.add_gradients(run.plan[0], None)
    whole = {name: weight.grad.clone() for name, weight in weights.items() if weight.grad is not None}
    run.parts = 3
    loss_in_parts, tokens_in_parts = run.add_gradients(run.plan[0], None)
    assert loss_in_parts == pytest.approx(loss, rel=1e-5)
    assert tokens_in_parts == tokens
    for name, gradient in whole.items():
        torch.testing.assert_close(weights[name].grad, gradient, rtol=1e-3, atol=1e-5)

    smaller = Run(task, stage.halves, weights, stage.rows, stage.rows)
    smaller.halves = cramped(stage.halves, most=3)
    assert smaller.take_step()[0] == pytest.approx(loss, rel=0.05)  # it weighs a sample of the head
    assert smaller.parts in (2, 4, 8)
    smaller.halves = cramped(stage.halves, most=0)
    with pytest.raises(RuntimeError, match="allocate memory"):
        smaller.take_step()


def test_only_upper_layers_learn(stage: Stage) -> None:
    """Those that the job names, by their numbers in the whole model."""
    layers = {
        int(part)
        for name, weight in stage.adapted.named_parameters()
        if weight.requires_grad
        for part in name.split(".")
        if part.isdigit()
    }
    assert layers == {2, 3}


def test_judging_is_in_nats_per_token_and_bits_per_byte(stage: Stage) -> None:
    """Over all rows together."""
    made = score(stage.halves, stage.rows, 1_000, stage.job, Stop())
    nats_in_all = sum(stage.whole_loss(number) for number in range(len(TEXTS)))
    assert made.loss == pytest.approx(nats_in_all / stage.rows.tokens, rel=1e-4)
    assert made.bits_per_byte == pytest.approx(nats_in_all / math.log(2) / 1_000, rel=1e-4)


def test_weighing_a_sample_gives_the_loss_of_weighing_all(stage: Stage) -> None:
    """On average over many steps; every token of the tweets is always weighed itself."""
    kept = keep_states(stage.rows, stage.halves, stage.job, Stop())
    said = torch.unique(torch.cat(stage.rows.ids))
    everything = torch.arange(len(stage.halves.head))
    choice = Choice(always=said, rest=everything[~torch.isin(everything, said)])
    picked = list(range(len(TEXTS)))
    with torch.no_grad():
        whole = float(nats(stage.halves, kept, picked)[0])
        sampled = [
            float(nats(stage.halves, kept, picked, choice.in_step(stage.halves.head, step, sample=64))[0])
            for step in range(30)
        ]
    assert sum(sampled) / len(sampled) == pytest.approx(whole, rel=0.01)


def test_a_small_vocabulary_is_weighed_whole(stage: Stage) -> None:
    """There is nothing to save."""
    kept = keep_states(stage.rows, stage.halves, stage.job, Stop())
    choice = choose(stage.halves, kept, stage.job)
    assert choice is not None
    assert len(choice.always) == len(stage.halves.head)
    with torch.no_grad():
        some = nats(stage.halves, kept, [1], choice.in_step(stage.halves.head, 1))[0]
        assert float(some) == pytest.approx(stage.whole_loss(1), rel=1e-4)


def test_a_model_that_nobody_can_cut_learns_whole(tmp_path: Path) -> None:
    """Slower, and the same."""
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    base = make_tiny_gpt2(tmp_path / "base")
    config = GPTNeoXConfig(
        vocab_size=512,
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=256,
    )
    GPTNeoXForCausalLM(config).save_pretrained(base.model)
    stage = Stage(base, tmp_path / "job")
    assert isinstance(stage.halves, Whole)
    weights = {name: weight for name, weight in stage.adapted.named_parameters() if weight.requires_grad}
    rows = keep_states(stage.rows, stage.halves, stage.job, Stop())
    run = Run(stage.job, stage.halves, weights, rows, rows)
    before = score(stage.halves, rows, 1, stage.job, Stop()).loss
    while run.progress.step < len(run.plan):
        run.take_step()
        run.progress.step += 1
    assert score(stage.halves, rows, 1, stage.job, Stop()).loss < before


def test_the_base_can_be_loaded_as_it_is_described(tmp_path: Path) -> None:
    """By transformers' own means."""
    base = make_tiny_gpt2(tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(base.model)
    assert model.config.eos_token_id == base.record.end_id


def test_a_batch_holds_rows_of_about_one_length_and_every_row_once(tmp_path: Path) -> None:
    """And no more tokens than asked for, unless a single row has more."""
    lengths = [random.Random(3).randint(5, 60) for _ in range(10)] + list(range(3, 90))
    rows = Rows([torch.zeros(length, dtype=torch.long) for length in lengths])
    made = batches(rows, 64, random.Random(1))
    assert sorted(index for picked in made for index in picked) == list(range(len(lengths)))
    for picked in made:
        widest = max(width(lengths[index]) for index in picked)
        assert len(picked) == 1 or widest * len(picked) <= 64


def test_the_plan_is_the_same_whenever_it_is_asked(tmp_path: Path) -> None:
    """So that a run which was cut off goes on as if it had not been; other seeds give other plans."""
    rows = Rows([torch.zeros(5 + number % 7, dtype=torch.long) for number in range(50)])
    base = make_tiny_gpt2(tmp_path / "base")
    one = job(base, tmp_path / "job", TEXTS, TEXTS, batch_tokens=64, epochs=2)
    assert plan(rows, one) == plan(rows, one)
    assert plan(rows, one) != plan(rows, one.model_copy(update={"seed": 2}))


@pytest.mark.parametrize(
    ("balance", "taken"), [(0.0, [25, 25, 0, 25]), (0.5, [50, 25, 0, 71]), (1.0, [100, 25, 0, 200])]
)
def test_an_epoch_takes_of_each_account_what_its_weight_says(balance: float, taken: list[int]) -> None:
    """None twice, others in the next epoch, and the same whenever it is asked."""
    accounts = (100, 25, 0, 200)
    first, second = (of_each(accounts, balance, order) or [] for order in [random.Random(1)] * 2)
    starts = [0, 100, 125, 125, 325]
    assert [sum(start <= row < end for row in first) for start, end in itertools.pairwise(starts)] == taken
    assert len(set(first)) == len(first)
    assert (first == second) == (balance == 1.0)
    assert of_each(accounts, balance, random.Random(1)) == first
    assert of_each((100,), balance, random.Random(1)) is None


def test_the_learning_rate_rises_and_falls_to_nothing() -> None:
    """Never above its peak."""
    rates = [learning_rate(step, 100, 1.0) for step in range(100)]
    assert max(rates) == 1.0
    assert rates[0] < 0.5
    assert rates[-1] < 0.001
    assert rates.index(1.0) < 10
