"""The training of the embedded base: what a run learns from, and that being cut off changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from base.presets import KINDS
from base.rows import IGNORED, Rows, Stream, cut
from base.train import Decay, Run, kinds_of, mixture, share, tokenised
from tests.base.material import TINY, work_folder


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return work_folder(tmp_path_factory.mktemp("work"))


def run_of(work: Path) -> Run:
    run = Run(work, TINY, 1, "cpu")
    run.decay = Decay(first=4, steps=4)
    return run


def test_a_run_that_goes_on_from_its_checkpoint_ends_with_the_very_same_weights(work: Path, tmp_path: Path) -> None:
    """Cut off once in the stable part and once in the decay, each time by a process that knows nothing but the file."""
    whole = run_of(work)
    losses = [whole.learn() for _ in range(8)]
    first = run_of(work)
    pieces = [first.learn() for _ in range(2)]
    first.save(tmp_path / "run.pt")
    for steps in (4, 2):
        next_one = Run(work, TINY, 1, "cpu")
        next_one.load(tmp_path / "run.pt")
        pieces += [next_one.learn() for _ in range(steps)]
        next_one.save(tmp_path / "run.pt")
    assert pieces == losses
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, next_one.model.state_dict()[name]), name
    assert losses[-1] < losses[0]


def test_a_checkpoint_that_was_being_written_when_the_process_died_does_not_hide_the_one_before(
    work: Path, tmp_path: Path
) -> None:
    run = run_of(work)
    run.learn()
    run.save(tmp_path / "run.pt")
    (tmp_path / "run.4711").write_bytes(b"half a che")
    other = run_of(work)
    other.load(tmp_path / "run.pt")
    assert other.step == 1


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    decay = Decay(first=100, steps=50)
    assert [share(step, 10, decay) for step in (0, 9, 50, 100, 125, 150)] == [0.1, 1.0, 1.0, 1.0, 0.5, 0.0]
    assert share(10**6, 10, None) == 1.0


def test_an_epoch_takes_every_row_once_and_the_next_one_in_another_order(work: Path) -> None:
    rows = tokenised(work, TINY.positions)["posts"][0]
    first, second = (rows.order(1, "posts", epoch, 256) for epoch in (0, 1))
    for batches in (first, second):
        assert sorted(number for batch in batches for number in batch) == list(range(len(rows)))
        assert all(len(batch) * rows.widths[batch].max() <= 256 for batch in batches)
    assert [list(batch) for batch in first] != [list(batch) for batch in second]
    assert len(first) == len(second)


def test_a_stream_that_is_opened_later_gives_what_it_would_have_given(work: Path) -> None:
    rows = tokenised(work, TINY.positions)["posts"][0]
    stream = Stream(rows, "posts", 1, 256)
    given = [stream.next().inputs.tolist() for _ in range(40)]
    assert stream.epochs > 1
    later = Stream(rows, "posts", 1, 256, taken=30)
    assert [later.next().inputs.tolist() for _ in range(10)] == given[30:]


def test_a_row_begins_and_ends_with_the_end_token_and_predicts_each_token_after_the_first(work: Path) -> None:
    rows = tokenised(work, TINY.positions)["posts"][0]
    row = rows.ids[rows.starts[0] : rows.starts[1]].tolist()
    assert row[0] == row[-1] == 0 and 0 not in row[1:-1]
    batch = Rows(rows.ids, rows.starts).batch(rows.order(1, "posts", 0, 256)[0])
    for inputs, targets in zip(batch.inputs, batch.targets, strict=True):
        real = int((targets != IGNORED).sum())
        assert inputs[1:real].tolist() == targets[: real - 1].tolist()
        assert (inputs[0], targets[real - 1]) == (0, 0)


def test_a_long_text_is_cut_into_rows_that_together_predict_each_token_once() -> None:
    pieces = cut(range(100), 32)
    assert [len(piece) - 1 for piece in pieces] == [32, 32, 32, 3]
    assert [token for piece in pieces for token in piece[1:]] == list(range(1, 100))


def test_batches_are_of_kinds_as_often_as_the_weights_say() -> None:
    weights = {"posts": 0.75, "general": 0.25}
    drawn = [kind for step in range(500) for kind in kinds_of(step, 1, 4, weights)]
    assert 0.72 < drawn.count("posts") / len(drawn) < 0.78


def test_a_kind_of_which_there_is_little_is_not_read_again_and_again() -> None:
    found = mixture({"posts": 0.5, "general": 0.5}, {"posts": 10, "general": 990}, most_often=10.0)
    assert found == {"posts": pytest.approx(0.1), "general": 0.5}
    assert mixture({"posts": 0.5, "general": 0.5}, {"posts": 500, "general": 500}, 10.0) == found | {"posts": 0.5}


def test_bits_per_byte_of_held_out_text_fall_while_learning(work: Path) -> None:
    run = Run(work, TINY, 1, "cpu")
    before = run.bits_per_byte()
    for _ in range(10):
        run.learn()
    after = run.bits_per_byte()
    assert before.keys() == after.keys() == set(KINDS)
    assert all(after[kind] < before[kind] for kind in before)
