"""Judging a version, at the end of its training and later: real processes on a tiny base, and the gate behind them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import pytest

from bot.config import Judging
from bot.database import Database
from bot.errors import JudgingFailed, NotPermitted, UnknownHandle
from bot.shelf.bases import Base, BaseRecord
from bot.shelf.figures import Figures, Samples
from bot.shelf.manifest import Manifest
from bot.training.dataset import build, words
from bot.training.decisions import What
from bot.training.evaluation import Candidate, Evaluator, Sampled, other_voices, voices_of
from bot.training.evaluations import Evaluations
from bot.training.exploring import Explorer
from bot.training.ingredients import Stored
from bot.training.job import Texts
from bot.training.record import Training, TrainingState
from bot.tweets.blocked import Blocked, Blocklist
from bot.tweets.store import Basis
from tests.fakes import FakeClock
from tests.processes import ROOT
from tests.shelves import metrics_of
from tests.training.material import House, dated, sentences, settings, tweets

pytestmark = pytest.mark.timeout(400)  # processes that judge load torch and scikit-learn, at low priority

OWN = sentences(120)
LOUD = [f"ARRR! {text.upper()}" for text in sentences(120, seed=2)]


class Parrot:
    """Stands in for the engine: says what it was told, or fails as it was told."""

    def __init__(self, says: Sequence[str] = (), fails: Exception | None = None) -> None:
        self.says = tuple(says)
        self.fails = fails
        self.asked: list[tuple[str, int]] = []

    async def __call__(
        self, base: Base, adapter: Path, texts: Path, count: int, seed: int, sampling: Mapping[str, float]
    ) -> Sampled:
        assert (adapter / "adapter_model.safetensors").is_file()
        assert Texts.model_validate_json(await asyncio.to_thread(texts.read_text)).train
        self.asked.append((base.record.spec, count))
        if self.fails:
            raise self.fails
        how = Samples(count=len(self.says), seed=seed, temperature=0.8, top_p=0.95, top_k=0, max_tokens=80, passed=0.75)
        return Sampled(self.says, how)


async def trained(house: House, persona: str = "nell") -> Training:
    """A training of that persona, seen to its end."""
    house.make_base()
    worker = asyncio.create_task(house.trainings.run())
    try:
        requested = await house.trainings.request([persona])
        async with asyncio.timeout(90):
            async for training in house.trainings.watch(requested.id):
                if training.ended:
                    return training
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    raise AssertionError("the training never ended")


async def furnished(house: House, *others: str) -> House:
    """With tweets of nell and of others."""
    await house.store.add("nell", tweets("nell", OWN), basis=Basis.INVENTED)
    for name in others:
        await house.store.add(name, tweets(name, LOUD), basis=Basis.INVENTED)
    return house


@pytest.mark.slow
async def test_a_version_stands_on_the_shelf_with_its_figures_and_is_judged_again_later(
    tmp_path: Path, database: Database, clock: FakeClock
) -> None:
    """One training, and everything that can be asked about what came of it."""
    parrot = Parrot(says=[*sentences(200)[120:180], *OWN[:2]])
    lenient = Judging(samples=8, max_near_copies=1.0)  # all these sentences are of the same few words
    house = await furnished(House(tmp_path, database, clock, settings(), sampler=parrot, judging=lenient), "otis")
    done = await trained(house)
    assert done.state is TrainingState.PUBLISHED, done.reason
    assert "near copies" in (done.reason or "")
    manifest = house.shelf.current("nell")
    figures = metrics_of(manifest).figures
    assert figures is not None
    assert done.result is not None and done.result.metrics.figures == figures  # the decision's row has them as well
    _agrees_with_training(manifest, figures)
    _tells_the_accounts_apart(figures)
    assert figures.copies is not None
    assert figures.copies.exact == pytest.approx(2 / 62)
    assert figures.samples is not None
    assert (figures.samples.count, figures.samples.passed) == (62, 0.75)
    assert parrot.asked == [("tiny", 8)]
    _leaves_nothing_behind(tmp_path)

    clock.advance(hours=1)  # what comes in later is left out, so that the figures are the same
    await house.store.add("nell", tweets("nell", sentences(220)[200:], first=300))
    assert house.evaluator is not None
    again = await house.evaluator.of_version(manifest)
    assert again.same_data_set
    assert again.model_copy(update={"seconds": 0.0}) == figures.model_copy(update={"seconds": 0.0})
    _leaves_nothing_behind(tmp_path)
    await _is_made_of_what_was_learned(house, database, manifest)
    await _later_figures_are_rows(database, clock, manifest, again)
    await _with_other_tweets_no_samples_and_the_examples(house, database, clock, manifest)


def _agrees_with_training(manifest: Manifest, figures: Figures) -> None:
    """The child that judges finds the losses that the child that learned has found."""
    (account,) = figures.accounts
    assert (account.handle, account.tweets) == ("nell", metrics_of(manifest).held_out_tweets)
    assert account.loss == pytest.approx(metrics_of(manifest).held_out_loss, rel=2e-3)  # weights are stored in float16
    assert account.base_loss == pytest.approx(metrics_of(manifest).base_held_out_loss, rel=1e-3)
    assert account.bits_per_byte == pytest.approx(metrics_of(manifest).bits_per_byte, rel=2e-3)
    assert account.in_use_loss is None
    assert figures.same_data_set


async def _is_made_of_what_was_learned(house: House, database: Database, manifest: Manifest) -> None:
    """What the version says of its data set is what the child that learned has counted, and what is found out again."""
    explorer = Explorer(house.shelf, database.path, settings())
    found = await explorer.of_version(manifest)
    assert (found.stored, found.together.new) == (Stored.GROWN, 20)
    steps = {step.name: step.tweets for step in found.together.steps}
    learned = manifest.hyperparameters
    assert (steps["train"], found.together.tokens) == (learned["train_tweets"], learned["train_tokens"])
    assert steps["held_out"] == metrics_of(manifest).held_out_tweets
    older = await explorer.of_version(manifest.model_copy(update={"splits": ()}))
    assert older.accounts == found.accounts


def _tells_the_accounts_apart(figures: Figures) -> None:
    assert figures.others is not None
    assert (figures.others.accounts, figures.others.source) == (1, "stored")
    assert figures.margin is not None
    assert figures.margin.margin == pytest.approx(figures.margin.own_gain - figures.margin.others_gain)
    assert figures.margin.margin > 0.5  # who shouts is not better foreseen for what nell wrote
    assert figures.authorship is not None
    assert figures.authorship.samples > 0.8 > 0.2 > figures.authorship.others
    assert {shape.feature for shape in figures.shapes} >= {"characters", "capitals"}
    assert figures.toxicity is not None
    assert figures.diversity is not None


def _leaves_nothing_behind(folder: Path) -> None:
    """No tweet lies about when a version is judged."""
    for file in folder.rglob("*"):
        if file.is_file() and not file.name.startswith("test.db"):
            assert OWN[0].encode() not in file.read_bytes(), file


async def _later_figures_are_rows(database: Database, clock: FakeClock, manifest: Manifest, figures: Figures) -> None:
    """And the manifest stays as it is."""
    evaluations = Evaluations(database, clock)
    assert await evaluations.latest(manifest) == metrics_of(manifest).figures
    newer = figures.model_copy(update={"seconds": 99.0})
    await evaluations.add(manifest, newer)
    assert await evaluations.latest(manifest) == newer
    assert await evaluations.latest(manifest.model_copy(update={"version": "v2"})) == metrics_of(manifest).figures


async def _with_other_tweets_no_samples_and_the_examples(
    house: House, database: Database, clock: FakeClock, manifest: Manifest
) -> None:
    """Where the old tweets can't be put together again, that is said; the examples stand in for other accounts."""
    async with database.transaction() as transaction:
        await transaction.run("DELETE FROM tweets WHERE handle = 'otis'")
        await transaction.run("DELETE FROM accounts WHERE handle = 'otis'")
    shutil.copytree(ROOT / "examples", house.examples)
    judging = Judging(samples=0, tweets=5)
    evaluator = Evaluator(house.shelf, house.store, house.folder, house.examples, settings(), judging, Parrot())
    found = await evaluator.of_version(manifest.model_copy(update={"fingerprint": "0" * 64}))
    assert not found.same_data_set
    assert found.accounts[0].tweets == 5
    assert (found.samples, found.copies, found.diversity, found.shapes) == (None, None, None, ())
    assert found.others is not None
    assert (found.others.source, found.others.accounts, found.others.tweets) == ("examples", 3, 15)
    assert found.margin is not None


@pytest.mark.slow
async def test_a_version_that_recites_is_kept(tmp_path: Path, database: Database, clock: FakeClock) -> None:
    """Its loss is fine; nobody speaks with it until somebody puts it in use by hand. It is alone in the world here."""
    house = await furnished(House(tmp_path, database, clock, settings(), sampler=Parrot(says=OWN[:30])))
    done = await trained(house)
    assert (done.state, done.version) == (TrainingState.KEPT, "v1")
    assert "100.0% of its samples are copies, and 5.0% may be." in (done.reason or "")
    assert house.shelf.personas() == []
    assert [each.what for each in await house.decisions.of("nell")] == [What.KEPT]
    figures = metrics_of(house.shelf.use("nell", "v1")).figures
    assert figures is not None
    assert (figures.others, figures.margin, figures.authorship) == (None, None, None)  # absent, not zero


@pytest.mark.slow
async def test_a_version_that_could_not_be_judged_is_kept_with_the_reason(
    tmp_path: Path, database: Database, clock: FakeClock
) -> None:
    """What was learned is not lost, and is not put in use by silence."""
    parrot = Parrot(fails=JudgingFailed("No samples could be drawn."))
    house = await furnished(House(tmp_path, database, clock, settings(), sampler=parrot))
    done = await trained(house)
    assert (done.state, done.version) == (TrainingState.KEPT, "v1")
    assert done.reason == "It was not judged. No samples could be drawn."
    assert metrics_of(house.shelf.versions("nell")[0]).figures is None

    assert house.evaluator is not None  # later it works, and is cut off in the middle
    parrot.fails, parrot.says = None, tuple(OWN[:3])
    manifest = house.shelf.version("nell", "v1")
    judging = asyncio.create_task(house.evaluator.of_version(manifest))
    async with asyncio.timeout(60):
        while not (scoring() or judging.done()):  # noqa: ASYNC110 - nothing else tells that the child has begun
            await asyncio.sleep(0.02)
    forgetting = asyncio.create_task(house.evaluator.idle())
    await asyncio.sleep(0.5)
    assert not forgetting.done()  # it waits until nobody is shown any tweets
    judging.cancel()
    assert isinstance((await asyncio.gather(judging, return_exceptions=True))[0], asyncio.CancelledError)
    await asyncio.wait_for(forgetting, 20)
    assert scoring() == []
    _leaves_nothing_behind(tmp_path)

    blocklist = Blocklist(database, clock)
    await blocklist.add([Blocked("nell", None, "asked to be forgotten")])
    with pytest.raises(NotPermitted, match="@nell is blocked"):
        await house.evaluator.of_version(manifest)
    await blocklist.remove("nell")
    async with database.transaction() as transaction:
        await transaction.run("DELETE FROM tweets WHERE handle = 'nell'")
        await transaction.run("DELETE FROM accounts WHERE handle = 'nell'")
    with pytest.raises(UnknownHandle, match="nell"):
        await house.evaluator.of_version(manifest)


def scoring() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "bot.training.scoring" in child.cmdline()]


async def test_a_version_is_not_told_apart_from_somebody_who_is_being_forgotten(
    tmp_path: Path, database: Database, clock: FakeClock
) -> None:
    """Who is blocked while still stored; the tweets go a moment later."""
    house = await furnished(House(tmp_path, database, clock, settings(), sampler=Parrot()), "otis", "bella")
    await Blocklist(database, clock).add([Blocked("otis", None, "asked to be forgotten")])
    data_set = build({"nell": await house.store.kept("nell")}, settings(), "0" * 64)
    base = Base(BaseRecord(spec="tiny", sha256="0" * 64, architecture="gpt2", end_id=0), tmp_path)
    assert house.evaluator is not None
    voices, source = await house.evaluator._others(Candidate(("nell",), tmp_path, None, base, data_set))
    assert ([voice.handle for voice in voices], source) == (["bella"], "stored")


def test_tweets_that_a_version_has_learned_too_do_not_stand_for_others() -> None:
    """And an account with hardly any tweets stands for nobody."""
    kept = {"otis": dated([*OWN[:20], *LOUD[:60]]), "mute": dated(LOUD[60:75])}
    (voice,) = other_voices(kept, settings(), {words(text) for text in OWN})
    assert voice.handle == "otis"
    assert not {*voice.train, *voice.held_out} & set(OWN)


def test_a_blend_is_told_account_by_account() -> None:
    """The joined sides of a data set fall apart into those they were made of."""
    data_set = build({"otis": dated(LOUD[:60]), "nell": dated(OWN[:50])}, settings(), "sha")
    voices = voices_of(data_set)
    assert [voice.handle for voice in voices] == ["nell", "otis"]
    assert [len(voice.held_out) for voice in voices] == [5, 6]
    assert set(voices[1].train) <= set(LOUD)
    assert sum((voice.train for voice in voices), ()) == data_set.train
