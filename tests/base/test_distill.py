"""The teacher's shares: where they are known, what they are, and that the training learns from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from base.distill import END, Translation, main, soft_file, soften, softened
from base.rows import SOFT, Rows, hard, write_rows
from base.tokenizer import shortened
from base.train import Run, tokenised
from tests.base.material import TINY, work_folder
from tests.tiny_base import make_tiny_llama, tiny_tokenizer
from tests.training.material import sentences

OURS = 300  # tokens, so that many of the teacher's are several of ours


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_llama(tmp_path_factory.mktemp("teacher")).model


@pytest.fixture(scope="module")
def model(teacher: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(teacher)


@pytest.fixture(scope="module")
def translation() -> Translation:
    theirs = tiny_tokenizer()
    return Translation(theirs, Tokenizer.from_str(json.dumps(shortened(json.loads(theirs.to_str()), OURS))))


def test_where_one_of_the_teachers_tokens_ends_its_place_is_known_and_inside_of_one_it_is_not() -> None:
    theirs, ours = ["Good", "Ġmorning", "!"], ["G", "ood", "Ġmor", "ning", "!"]
    assert Translation.places(theirs, ours).tolist() == [0, -1, 1, -1, 2, 3]


def test_a_token_of_the_teachers_is_ours_that_it_begins_with(translation: Translation) -> None:
    theirs, ours = translation.teachers, translation.ours
    for name, number in theirs.get_vocab().items():
        if number != theirs.token_to_id("<|endoftext|>"):
            assert name.startswith(ours.id_to_token(int(translation.first[number])) or "?")
    assert translation.first[theirs.token_to_id("<|endoftext|>")] == END
    line = theirs.token_to_id("Ċ")
    assert ours.id_to_token(int(translation.first[line])) == "Ċ"
    assert translation.first_at_end[line] == END


def test_the_shares_are_the_teachers_probabilities_counted_together(model: Any, translation: Translation) -> None:
    text = "The lamp was lit before the fog came in."
    found = soften(model, translation, "general", [text])
    ours = translation.ours.encode(text)
    theirs = translation.teachers.encode(text)
    assert len(found) == len(ours.ids) + 1
    np.testing.assert_allclose(found["shares"].astype(np.float64).sum(1), 1, atol=4e-3)
    places = Translation.places(theirs.tokens, ours.tokens)
    assert (places < 0).any()
    between = translation.teachers.encode("\n\nA").ids[:-1]
    with torch.inference_mode():
        logits = model(torch.tensor([[*between, *theirs.ids]])).logits[0, len(between) - 1 :]
    for number, place in enumerate(places):
        if place < 0:
            assert found["ids"][number, 0] == [*ours.ids, END][number]
            assert found["shares"][number, 0] == 1
            continue
        wanted = torch.zeros(OURS)
        likely = logits[place].softmax(0).topk(64)
        for token, share in zip(likely.indices.tolist(), likely.values.tolist(), strict=True):
            name = translation.teachers.id_to_token(token) or ""
            ends = name.startswith("Ċ") or name == "<|endoftext|>"
            wanted[END if ends else translation.ours.model.tokenize(name)[0].id] += share
        best = wanted.topk(16)
        assert found["ids"][number, 0] == best.indices[0]
        np.testing.assert_allclose(found["shares"][number], best.values / best.values.sum(), atol=4e-3)


def test_in_a_dialogue_the_first_end_of_a_line_is_not_the_end(model: Any, translation: Translation) -> None:
    line = translation.ours.token_to_id("Ċ")
    text = "Good morning\nThe lamp was lit"
    said = soften(model, translation, "dialogue", [text])
    behind = len(translation.ours.encode("Good morning\n").ids)
    assert END not in said["ids"][:behind][said["shares"][:behind] > 0]
    assert line not in said["ids"][behind:][said["shares"][behind:] > 0]


def test_soft_targets_stand_beside_the_tokens_that_they_follow_also_where_a_text_is_cut(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_str(json.dumps(shortened(json.loads(tiny_tokenizer().to_str()), OURS)))
    texts = sentences(40, 3)
    lengths = [len(each.ids) + 1 for each in tokenizer.encode_batch(texts)]
    made = hard(np.arange(sum(lengths)) % OURS)
    made["shares"][:, 0] = 0.5
    write_rows(tokenizer, 0, texts, tmp_path / "rows", 8, lambda some: made)
    rows = Rows.open(tmp_path / "rows")
    assert len(rows) > len(texts)
    batch = rows.batch(np.arange(len(rows)))
    assert batch.soft is not None
    assert batch.soft.dtype == SOFT
    assert np.array_equal(batch.soft[batch.targets >= 0], made)
    write_rows(tokenizer, 0, texts, tmp_path / "rows", 8)
    assert Rows.open(tmp_path / "rows").batch(np.arange(3)).soft is None


def test_what_was_asked_once_is_not_asked_again_and_the_training_learns_from_it(
    teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = work_folder(tmp_path)
    before = Run(work, TINY, 1, "cpu")
    arguments = ["--work", str(work), "--teacher", str(teacher), "posts"]
    assert main(arguments) == 0
    assert "posts-" in capsys.readouterr().err
    assert main(arguments) == 0
    assert "posts-" not in capsys.readouterr().err
    some = [json.loads(line)["text"] for line in (work / "clean" / "posts" / "train.jsonl").read_text().splitlines()]
    assert soft_file(work, "posts", some).is_file()
    assert softened(work, "posts", some) is not None
    assert softened(work, "posts", some[:-1]) is None
    rows = tokenised(work, TINY.positions)
    assert rows["posts"][0].soft is not None
    assert rows["general"][0].soft is None
    after = Run(work, TINY, 1, "cpu")
    for run in (before, after):
        for _ in range(3):
            run.learn()
    assert before.bits_per_byte() != after.bits_per_byte()
    tokenizer = work / "tokenizer" / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert softened(work, "posts", some) is None, "another tokenizer has other tokens"
