"""The model's loss, and the tokenizer that it begins with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn import functional

from base.model import SummedLoss, new_model
from base.rows import Batch
from base.tokenizer import fewer_dimensions, shortened, teachers_rows
from tests.base.material import TINY, work_folder
from tests.tiny_base import SENTENCES, tiny_tokenizer


def test_the_loss_in_chunks_and_its_slopes_are_those_of_torch() -> None:
    torch.manual_seed(1)
    states, head = torch.randn(700, 16, requires_grad=True), torch.randn(50, 16, requires_grad=True)
    targets = torch.randint(0, 50, (700,))
    wanted = functional.cross_entropy(states @ head.T, targets, reduction="sum")
    slopes = torch.autograd.grad(3 * wanted, (states, head))
    loss = SummedLoss.apply(states, head, targets[:, None], torch.ones(700, 1))  # type: ignore[no-untyped-call]
    found = torch.autograd.grad(3 * loss, (states, head))
    torch.testing.assert_close(loss, wanted)
    for slope, other in zip(found, slopes, strict=True):
        torch.testing.assert_close(slope, other, rtol=1e-3, atol=1e-4)


def test_shares_of_several_tokens_count_as_torch_counts_probabilities() -> None:
    torch.manual_seed(1)
    states, head = torch.randn(40, 16, requires_grad=True), torch.randn(50, 16, requires_grad=True)
    probabilities = torch.randn(40, 50).softmax(1)
    wanted = functional.cross_entropy(states @ head.T, probabilities, reduction="sum")
    slopes = torch.autograd.grad(wanted, (states, head))
    ids = torch.stack([torch.randperm(50) for _ in range(40)])
    loss = SummedLoss.apply(states, head, ids, probabilities.gather(1, ids))  # type: ignore[no-untyped-call]
    torch.testing.assert_close(loss, wanted)
    for slope, other in zip(torch.autograd.grad(loss, (states, head)), slopes, strict=True):
        torch.testing.assert_close(slope, other, rtol=1e-3, atol=1e-4)


def test_a_model_begins_with_the_embeddings_that_it_is_given_and_ends_texts_with_token_0() -> None:
    embeddings = np.random.default_rng(1).normal(0, 0.02, (300, TINY.width)).astype(np.float32)
    model = new_model(TINY, embeddings, 1, "cpu")
    assert np.array_equal(model.lm_head.weight.detach().numpy(), embeddings)
    assert model.config.eos_token_id == 0


def test_a_shortened_tokenizer_reads_as_the_long_one_does_with_fewer_merges() -> None:
    whole = json.loads(tiny_tokenizer().to_str())
    short = Tokenizer.from_str(json.dumps(shortened(whole, 400)))
    assert short.get_vocab_size() == 400
    assert short.token_to_id("<|endoftext|>") == 0
    for sentence in SENTENCES:
        ids = short.encode(sentence).ids
        assert short.decode(ids) == sentence
        assert len(ids) >= len(tiny_tokenizer().encode(sentence).ids)
    same = Tokenizer.from_str(json.dumps(shortened(whole, 10_000)))
    assert same.encode(SENTENCES[0]).tokens == tiny_tokenizer().encode(SENTENCES[0]).tokens


def test_rows_in_fewer_dimensions_keep_which_of_them_are_alike() -> None:
    generator = np.random.default_rng(1)
    few = generator.normal(size=(40, 8)) @ generator.normal(size=(8, 64))
    brought_down = fewer_dimensions(few.astype(np.float32), 8)
    assert brought_down.shape == (40, 8)
    alike = few @ few.T
    assert abs(np.corrcoef((brought_down @ brought_down.T).ravel(), alike.ravel())[0, 1]) > 0.999


def test_each_token_takes_its_own_row_of_the_teacher(tmp_path: Path) -> None:
    work = work_folder(tmp_path)
    teacher = work / "teacher" / "model"
    names = sorted(Tokenizer.from_file(str(teacher / "tokenizer.json")).get_vocab())
    rows = teachers_rows(teacher, names)
    assert rows.shape == (len(names), TINY.width)
    assert np.array_equal(rows[3], teachers_rows(teacher, [names[3]])[0])
    assert not np.array_equal(rows[3], rows[4])


def test_a_batch_counts_what_it_predicts() -> None:
    batch = Batch(np.zeros((1, 4), np.int64), np.array([[5, 6, -100, -100]]))
    assert batch.tokens == 2
