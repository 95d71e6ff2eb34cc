"""Replies learned with what they answer: the answer is learned, the prompt is only read."""

from __future__ import annotations

import asyncio
import io
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from bot.database import Database
from bot.shelf.bases import Base
from bot.training.dataset import behind_prompts, build, tokenise
from bot.training.epochs import plan, prompted
from bot.training.finetune import fine_tune
from bot.training.halves import cut
from bot.training.job import CHECKPOINT, RESULT, TEXTS, Evaluation, Event, Job, Result, Texts
from bot.training.learner import load_base
from bot.training.loss import nats
from bot.training.orphans import Stop
from bot.training.rebuilding import rebuilt
from bot.training.report import Report
from bot.training.rows import Rows
from bot.tweets.store import Basis
from bot.tweets.tweet import Source, Tweet
from tests.fakes import FakeClock
from tests.tiny_base import make_tiny_gpt2
from tests.training.material import FIRST_DAY, House, job, sentences, settings, tweets

# Importing peft and attaching an adapter warns of names that transformers is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

CALLS = {"The lamp": "lit before the fog", "A gull": "a small rocket", "My kettle": "snow and snowballs"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_tiny_gpt2(tmp_path_factory.mktemp("base") / "tiny")


def task(base: Base, folder: Path, texts: Texts, **changed: object) -> Job:
    """A job for these texts."""
    made = job(base, folder, texts.train, texts.held_out, precision="float32", **changed)
    (folder / TEXTS).write_text(texts.model_dump_json(), encoding="utf-8")
    return made


def calls_and_replies(count: int) -> Texts:
    """Each call has one reply, and without the call nobody could know which: a third of the time each."""
    pairs = [pair for pair in CALLS.items() for _ in range(count)]
    prompts, replies = zip(*pairs, strict=True)
    return Texts(train=replies, held_out=tuple(CALLS.values()), prompts=prompts, held_out_prompts=tuple(CALLS))


def learned(made: Job) -> Result:
    fine_tune(made, Report(io.StringIO(), 1.0), Stop())
    return Result.model_validate_json((made.folder / RESULT).read_bytes())


def tokenizer_of(base: Base) -> Tokenizer:
    return Tokenizer.from_file(str(base.model / "tokenizer.json"))


def test_a_model_that_learned_pairs_says_the_reply_that_belongs_to_the_prompt(base: Base, tmp_path: Path) -> None:
    """It has learned to speak unprompted as well: then each of the three replies has its third."""
    hard = {"layers": 0, "rank": 16, "epochs": 40, "learning_rate": 1e-2, "batch_tokens": 512}
    made = task(base, tmp_path / "job", calls_and_replies(8), **hard)
    answering = learned(made).answering
    assert answering is not None
    assert answering.held_out == 3
    tokens = [len(ids) - 1 for ids in tokenise(tokenizer_of(base), tuple(CALLS.values()), made.end_id)]
    gain = (answering.loss_alone - answering.loss) * sum(tokens) / 3  # nats for each reply
    assert gain > 0.75 * math.log(3)
    assert answering.loss < answering.loss_alone / 2


def test_the_loss_is_that_of_the_reply_behind_its_prompt_and_of_nothing_else(base: Base, tmp_path: Path) -> None:
    """Beside transformers' own log-likelihoods of the whole row, of which only the reply's are taken."""
    made = task(base, tmp_path / "job", Texts(train=(), held_out=()))
    model, texts = load_base(made), sentences(6)
    ids = tokenise(tokenizer_of(base), texts, made.end_id)
    pairs = behind_prompts(tokenizer_of(base), ["Who is it?", None, "A gull?", None, None, "So?"], ids)
    rows = Rows([torch.tensor(each) for each in ids]).with_prompts(pairs)
    picked = [rows.answering[number] for number in (0, 2, 5)] + [1]
    total, tokens = nats(cut(model, 2), rows, picked)
    assert tokens == sum(len(ids[number]) - 1 for number in (0, 2, 5, 1)) == rows.predicted(picked)
    wanted = sum(own_nats(model, *pairs[number]) for number in (0, 2, 5)) + own_nats(model, ids[1], 0)
    assert float(total) == pytest.approx(wanted, rel=1e-4)
    assert rows.tweets == 6
    assert rows.tokens == sum(len(each) - 1 for each in ids)


def own_nats(model: torch.nn.Module, ids: Sequence[int], read: int) -> float:
    """Minus log likelihood of what follows the first `read` + 1 tokens."""
    whole = torch.tensor([list(ids)])
    with torch.no_grad():
        found = model(whole).logits[0, :-1].log_softmax(-1)
    return -float(found.gather(1, whole[0, 1:, None])[read:].sum())


def test_an_epoch_takes_each_reply_once_behind_its_prompt_or_alone(base: Base, tmp_path: Path) -> None:
    """Drawn anew for each epoch; of accounts that are balanced, among what the epoch takes of them."""
    ids = [torch.arange(4 + number % 3) for number in range(60)]
    pairs = {number: ([0] * 9, 3) for number in range(0, 60, 2)}
    rows = Rows(ids, accounts=(40, 20)).with_prompts(pairs)
    tweet_of = {row: tweet for tweet, row in rows.answering.items()}
    for share, behind in ((0.0, 0), (1.0, 30), (0.5, None)):
        made = task(base, tmp_path / "job", Texts(train=(), held_out=()), epochs=2, balance=1.0, prompted=share)
        taken = [row for batch in plan(rows, made) for row in batch]
        assert len(taken) == 120
        for epoch in (taken[:60], taken[60:]):
            assert sorted(tweet_of.get(row, row) for row in epoch) == list(range(60))
            found = sum(row in tweet_of for row in epoch)
            assert found == behind if behind is not None else 5 < found < 25
    assert set(taken[:60]) != set(taken[60:])


def test_without_prompts_no_chance_is_drawn(base: Base, tmp_path: Path) -> None:
    """So that whatever was learned before comes out the same."""
    rows, order = Rows([torch.arange(4)] * 5), random.Random(1)
    assert list(prompted(rows, None, 0.5, order)) == [0, 1, 2, 3, 4]
    assert list(prompted(rows, [2, 4], 0.5, order)) == [2, 4]
    assert order.random() == random.Random(1).random()


class _StopAt(Stop):
    """Told to stop as soon as there is a checkpoint."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._file = folder / CHECKPOINT

    def check(self) -> None:
        if self._file.exists():
            self._tell()
        super().check()


def test_a_run_with_prompts_that_was_cut_off_goes_on_to_the_same_figures(base: Base, tmp_path: Path) -> None:
    """The same replies are behind their prompts as without the interruption."""
    from bot.training.orphans import Stopped

    texts = sentences(50)
    prompts = tuple("Who is there?" if number % 3 else None for number in range(40))
    whole_texts = Texts(train=tuple(texts[:40]), held_out=tuple(texts[40:]), prompts=prompts)
    results: list[tuple[tuple[Evaluation, ...], int]] = []
    for name in ("whole", "cut"):
        made = task(base, tmp_path / name, whole_texts, epochs=2)
        if name == "cut":
            with pytest.raises(Stopped):
                fine_tune(made, Report(io.StringIO(), 1.0), _StopAt(made.folder))
            assert not (made.folder / RESULT).exists()
        result = learned(made)
        results.append((result.evaluations, result.trained_tokens))
        assert result.answering is None  # no held-out reply has a prompt
    assert results[0] == results[1]


def test_a_prompt_is_in_no_event_and_not_in_the_result(base: Base, tmp_path: Path) -> None:
    """It stays in the file that is deleted."""
    out = io.StringIO()
    made = task(base, tmp_path / "job", calls_and_replies(4), epochs=1)
    fine_tune(made, Report(out, 0.0), Stop())
    assert all(Event.model_validate_json(line) for line in out.getvalue().splitlines())
    left = [file for file in made.folder.iterdir() if file.name != TEXTS]
    for call in CALLS:
        assert call not in out.getvalue()
        assert not any(call.encode() in file.read_bytes() for file in left)


async def test_a_training_learns_the_stored_replies_and_keeps_no_word_of_what_they_answer(
    tmp_path: Path, database: Database, clock: FakeClock
) -> None:
    """Once the answered tweets are deleted the next data set is another one, without prompts."""
    house = House(tmp_path, database, clock, settings(epochs=1))
    house.make_base()
    called = Tweet("nell", "Ahoy Xylophonia!", "1", FIRST_DAY, False, None, Source.ARCHIVE)  # too short to be learned
    said = tweets("nell", sentences(80), first=100)
    replies = [replace(tweet, reply_to="nell", reply_to_id="1") for tweet in said[::4]]
    await house.store.add("nell", [called, *replies, *(tweet for tweet in said if tweet not in said[::4])], Basis.OWN)

    asked = await house.trainings.request(["nell"])
    worker = asyncio.create_task(house.trainings.run())
    async with asyncio.timeout(180):
        async for training in house.trainings.watch(asked.id):
            if training.ended:
                break
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)

    (made,) = house.shelf.versions("nell")
    assert made.answers == sum(split.answers for split in made.splits) == 18
    assert made.metrics is not None
    assert made.metrics.answering is not None
    assert made.metrics.answering.held_out == 2
    for file in (file for folder in ("models", "trainings") for file in (tmp_path / folder).rglob("*")):
        assert file.is_dir() or b"Xylophonia" not in file.read_bytes(), file

    kept = {"nell": await house.store.kept("nell")}
    assert rebuilt(made, kept, settings()).is_its_own
    async with database.transaction() as transaction:
        await house.store.discard_within(transaction, "nell", ["1"])
    after = build({"nell": await house.store.kept("nell")}, settings(epochs=1), made.base_sha256)
    assert (after.answers, set(after.held_out_prompts)) == (0, {None})
    assert after.fingerprint != made.fingerprint
