"""The queue and its worker, on a real database and shelf, with real training processes on a tiny base."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from bot.database import Database
from bot.errors import Refused, TooFewTweets, UnknownHandle, UsageError
from bot.shelf.bases import Base
from bot.shelf.card import CURVE, PIPELINE, PREDICTIONS
from bot.shelf.manifest import HandleCounts, Metrics
from bot.training.decisions import What
from bot.training.evaluation import Sampled
from bot.training.job import ADAPTER, ADAPTER_CONFIG
from bot.training.record import Stage, TrainingPoint, TrainingResult
from bot.training.run_record import RUN
from bot.training.table import Outcome, TrainingTable
from bot.training.trainings import Training, TrainingState
from bot.tweets.blocked import Blocked, Blocklist
from bot.tweets.store import Basis
from tests.fakes import FakeClock
from tests.shelves import manifest
from tests.training.material import House, sentences, settings, tweets

LONGEST_S = 90.0
FILES = {ADAPTER, ADAPTER_CONFIG, "tokenizer.json", "README.md", RUN, PIPELINE, CURVE}  # of a version, at least


@pytest.fixture
async def house(tmp_path: Path, database: Database, clock: FakeClock) -> House:
    """A room that has learned nothing yet, and the tweets of nell."""
    house = House(tmp_path, database, clock, settings())
    await house.store.add("nell", tweets("nell", sentences(120)), Basis.INVENTED)
    return house


@asynccontextmanager
async def working(house: House) -> AsyncIterator[asyncio.Task[None]]:
    """The worker, while the body runs; cancelled as the service would do it."""
    worker = asyncio.create_task(house.trainings.run())
    try:
        yield worker
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def until(house: House, number: int, condition: Callable[[Training], bool]) -> Training:
    """That training as soon as the condition holds."""
    async with asyncio.timeout(LONGEST_S):
        async for training in house.trainings.watch(number):
            if condition(training):
                return training
    raise AssertionError(f"training {number} ended otherwise: {await house.trainings.training(number)}")


def children() -> list[psutil.Process]:
    """Our training processes."""
    return [child for child in psutil.Process().children() if "bot.training.finetune" in child.cmdline()]


# --- Asking ---


async def test_a_request_waits_in_line(house: House) -> None:
    """First come, first served; the position is told."""
    await house.store.add("otis", tweets("otis", sentences(240)[120:]), Basis.INVENTED)
    first = await house.trainings.request(["@Nell"], cause="discord", requested_by="42")
    second = await house.trainings.request(["otis", "nell"], name="Duet")
    assert (first.persona, first.handles, first.state, first.position) == ("nell", ("nell",), "queued", 1)
    assert (first.cause, first.requested_by) == ("discord", "42")
    assert (second.persona, second.handles, second.position) == ("duet", ("nell", "otis"), 2)
    assert [training.id for training in await house.trainings.recent(5)] == [second.id, first.id]


async def test_whoever_asked_for_many_does_not_hold_up_one_who_asks_for_one(
    house: House, database: Database, clock: FakeClock
) -> None:
    """The line is the same after a restart, and what is taken is the first of it."""
    many = [await house.trainings.request(["nell"], f"a{n}", "discord", "42") for n in range(3)]
    own = await house.trainings.request(["nell"], "again", "retraining")
    one = await house.trainings.request(["nell"], "b", "discord", "43")
    line = [many[0].id, one.id, many[1].id, own.id, many[2].id]
    for each in (house, House(house.folder, database, clock, settings())):
        stands = [await each.trainings.training(number) for number in line]
        assert [training.position for training in stands] == [1, 2, 3, 4, 5]
        assert [training.starts_at for training in stands] == [None] * 5, "nobody is at work"
    table = TrainingTable(database, clock)
    taken = []
    while (training := await table.take()) is not None:
        taken.append(training.id)
        clock.advance(minutes=5)
        await table.finish(training.id, Outcome(TrainingState.FAILED, "It failed."))
    assert taken == line, "three of people's go before ours"


async def test_when_a_training_begins_is_told_by_how_long_earlier_ones_took(
    house: House, database: Database, clock: FakeClock
) -> None:
    """Five minutes for these 120 tweets, as the one before."""
    table = TrainingTable(database, clock)
    before = await house.trainings.request(["nell"])
    assert await table.take() is not None
    await table.measure(before.id, TrainingPoint(step=0, steps=9, seconds_left=240.0))
    waiting = await house.trainings.request(["nell"], "other")
    assert waiting.starts_at == clock() + timedelta(minutes=4), "by what it says itself"
    clock.advance(minutes=5)
    result = TrainingResult(counts=manifest("nell").counts, metrics=_metrics())
    await table.finish(before.id, Outcome(TrainingState.PUBLISHED, "It is better.", "v1", result))
    assert await table.take() is not None
    further = await house.trainings.request(["nell"], "third")
    seconds = 300 * 120 / 273  # of the tweets that the earlier one had
    assert further.starts_at is not None
    assert timedelta(0) <= further.starts_at - clock() - timedelta(seconds=seconds) < timedelta(minutes=1)


def _metrics() -> Metrics:
    metrics = manifest("nell").metrics
    assert metrics is not None
    return metrics


@pytest.mark.slow
async def test_while_it_is_judged_a_training_says_so_and_can_be_cancelled(
    tmp_path: Path, database: Database, clock: FakeClock
) -> None:
    """No version comes of it, and no decision."""

    async def says_nothing_yet(
        base: Base, adapter: Path, texts: Path, count: int, seed: int, sampling: Mapping[str, float]
    ) -> Sampled:
        await asyncio.Event().wait()
        raise AssertionError

    house = House(tmp_path, database, clock, settings(), sampler=says_nothing_yet)
    house.make_base()
    await house.store.add("nell", tweets("nell", sentences(120)), Basis.INVENTED)
    async with working(house):
        training = await house.trainings.request(["nell"])
        await until(house, training.id, lambda stands: stands.stage is Stage.LEARNING)
        await until(house, training.id, lambda stands: stands.stage is Stage.JUDGING)
        waiting = await house.trainings.request(["nell"], "other")
        assert (waiting.position, waiting.starts_at) == (1, None), "how long judging takes here is unknown yet"
        await house.trainings.cancel(waiting.id)
        await house.trainings.cancel(training.id)
        async with asyncio.timeout(LONGEST_S):
            while (tmp_path / "trainings" / str(training.id)).exists():  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0.02)
    ended = await house.trainings.training(training.id)
    assert (ended.state, ended.stage) == (TrainingState.CANCELLED, None)
    assert await house.decisions.of("nell") == [] and house.shelf.personas() == []


@pytest.mark.slow
async def test_old_versions_are_pruned_after_a_new_one_was_put_in_use(
    tmp_path: Path, database: Database, clock: FakeClock
) -> None:
    house = House(tmp_path, database, clock, settings(), keep_versions=1)
    house.make_base()
    for number in (1, 2, 3):
        house.shelf.place(
            house.shelf.staging("nell", "x"), manifest("nell", f"v{number}").model_copy(update={"metrics": None})
        )
    house.shelf.use("nell", "v2")
    await house.store.add("nell", tweets("nell", sentences(120)), Basis.INVENTED)
    async with working(house):
        training = await house.trainings.request(["nell"], cause="discord", requested_by="42")
        done = await until(house, training.id, lambda stands: stands.ended)
    assert (done.state, done.version) == (TrainingState.PUBLISHED, "v4"), done.reason
    rows = await house.decisions.of("nell")
    assert [(row.what, row.to_version, row.by) for row in rows] == [
        (What.USED, "v4", "discord:42"),
        (What.PRUNED, "v1", "discord:42"),
        (What.PRUNED, "v3", "discord:42"),
    ]
    assert [each.version for each in house.shelf.versions("nell")] == ["v2", "v4"], "v2 was in use before"


async def test_the_same_request_twice_is_one_training(house: House) -> None:
    """While it waits or runs."""
    first = await house.trainings.request(["nell"])
    assert (await house.trainings.request(["@NELL", "nell"])).id == first.id


@pytest.mark.parametrize(
    ("handles", "name", "error"),
    [
        ([], None, UsageError),
        (["@"], None, UsageError),
        (["nobody"], None, UnknownHandle),
        (["mute"], None, TooFewTweets),
        (["nell"], "../up", UsageError),
    ],
)
async def test_a_bad_request_is_refused_at_once(
    house: House, handles: list[str], name: str | None, error: type[Exception]
) -> None:
    """Nothing is put in line."""
    await house.store.add("mute", tweets("mute", ["A few words only here."]), Basis.INVENTED)
    with pytest.raises(error):
        await house.trainings.request(handles, name)
    assert await house.trainings.recent(5) == []


async def test_what_waits_can_be_cancelled_once(house: House) -> None:
    """And is asked for anew afterwards."""
    training = await house.trainings.request(["nell"])
    await house.trainings.cancel(training.id)
    assert (await house.trainings.training(training.id)).state is TrainingState.CANCELLED
    with pytest.raises(Refused, match="nothing to cancel"):
        await house.trainings.cancel(training.id)
    assert (await house.trainings.request(["nell"])).id != training.id


async def test_an_unknown_training_is_refused(house: House) -> None:
    with pytest.raises(Refused, match="no training 7"):
        await house.trainings.training(7)


# --- Learning ---


@pytest.mark.slow
async def test_a_persona_is_learned_published_and_learned_again_when_there_is_news(
    house: House, clock: FakeClock, database: Database
) -> None:
    """The whole way: queue, process, figures, version in use; nothing new is no work; new tweets are."""
    house.make_base()
    async with working(house):
        first = await house.trainings.request(["nell"])
        done = await until(house, first.id, lambda training: training.ended)
        assert (done.state, done.version) == (TrainingState.PUBLISHED, "v1"), done.reason
        _is_complete(house, done)
        measured = await house.trainings.points(first.id)
        assert measured[0].step == 0
        assert measured[0].held_out_loss == pytest.approx(done.result.metrics.base_held_out_loss if done.result else 0)

        # Cut off after the version was on the shelf and before it was in use, the training goes on from there.
        (house.shelf.path(house.shelf.version("nell", "v1")).parent / "current").unlink()
        async with database.transaction() as transaction:
            await transaction.run("UPDATE trainings SET state = 'queued' WHERE id = ?", (first.id,))
            await transaction.run("DELETE FROM decisions")
        await until(house, first.id, lambda training: training.ended)
        assert house.shelf.current("nell").version == "v1"

        clock.advance(seconds=1)
        again = await house.trainings.request(["nell"])
        unchanged = await until(house, again.id, lambda training: training.ended)
        assert (unchanged.state, unchanged.version) == (TrainingState.PUBLISHED, "v1")
        assert "Nothing changed" in (unchanged.reason or "")

        with pytest.raises(UsageError, match="Choose another name"):
            await house.store.add("otis", tweets("otis", sentences(60)), Basis.INVENTED)
            await house.trainings.request(["otis"], "nell")

        assert await house.trainings.due() == []
        clock.advance(hours=25)
        assert await house.trainings.due() == []  # time has passed, and nothing was said
        await house.store.add("nell", tweets("nell", sentences(150)[120:], first=200))
        assert await house.trainings.due() == ["nell"]
        (retraining,) = await house.trainings.request_due()
        assert retraining.cause == "retraining"
        assert await house.trainings.due() == []  # it is in line
        second = await until(house, retraining.id, lambda training: training.ended)
    assert second.version == "v2", second.reason
    assert second.result is not None
    assert second.result.metrics.previous_held_out_loss is not None
    in_use = What.USED if second.state is TrainingState.PUBLISHED else What.KEPT
    assert [(row.what, row.to_version, row.why, row.by) for row in await house.decisions.of("nell")] == [
        (What.USED, "v1", done.reason, "command"),
        (What.UNCHANGED, "v1", unchanged.reason, "command"),
        (in_use, "v2", second.reason, "retraining"),
    ]


async def test_what_was_deleted_hides_nothing_that_is_new(house: House, clock: FakeClock, database: Database) -> None:
    kept = (await house.store.counts("nell")).kept
    counts = HandleCounts(handle="nell", downloaded=kept, retweets=0, short=0, duplicates=0, kept=kept)
    made = manifest("nell").model_copy(update={"counts": (counts,), "created": clock.now, "tweets_read_at": clock.now})
    house.shelf.place(house.shelf.staging("nell", "1"), made)
    house.shelf.use("nell", "v1")
    clock.advance(hours=25)
    await house.store.add("nell", tweets("nell", sentences(150)[120:], first=200))
    old = [tweet.key for tweet in await house.store.kept("nell")][:40]
    async with database.transaction() as transaction:
        await house.store.discard_within(transaction, "nell", old)
    assert (await house.trainings.outlook("nell")).decision.reason.startswith("30 new tweets have come")


def _is_complete(house: House, done: Training) -> None:
    """The version holds what it should, and no word of a tweet; the training's folder is gone."""
    manifest = house.shelf.current("nell")
    folder = house.shelf.path(manifest)
    assert done.result is not None
    assert done.result.metrics == manifest.metrics
    assert manifest.metrics.held_out_loss < manifest.metrics.base_held_out_loss
    assert manifest.counts[0].kept == 120
    files = FILES | ({PREDICTIONS} if manifest.predictions else set())  # a base without sense may say nothing fit
    assert {path.name for path in folder.iterdir()} == {*files, "manifest.json"}
    assert set(manifest.sha256) == files
    written = "".join(path.read_text(errors="replace") for path in folder.iterdir())
    assert not any(sentence in written for sentence in sentences(120))
    assert not (house.folder / "trainings" / str(done.id)).exists()
    assert done.finished_at is not None


@pytest.mark.slow
async def test_a_killed_process_goes_on_from_its_checkpoint(
    tmp_path: Path, database: Database, clock: FakeClock
) -> None:
    """Nobody has to ask again; what was learned up to the last judging is not lost."""
    house = House(tmp_path, database, clock, settings(epochs=100))
    house.make_base()
    await house.store.add("nell", tweets("nell", sentences(120)), Basis.INVENTED)
    async with working(house):
        training = await house.trainings.request(["nell"])
        await until(house, training.id, lambda stands: stands.point is not None and stands.point.step > 30)
        (killed,) = children()
        killed.kill()
        await until(house, training.id, lambda stands: stands.point is not None and stands.point.step > 60)
        (going_on,) = children()
        assert going_on.pid != killed.pid
        await house.trainings.cancel(training.id)


@pytest.mark.slow
async def test_a_process_killed_each_time_before_it_got_anywhere_fails_its_training_alone(
    tmp_path: Path, database: Database, clock: FakeClock
) -> None:
    """It is tried with smaller batches; then the row says what happened, and the worker takes the next."""
    house = House(tmp_path, database, clock, settings(epochs=100))
    house.make_base()
    await house.store.add("nell", tweets("nell", sentences(120)), Basis.INVENTED)
    async with working(house):
        training = await house.trainings.request(["nell"])
        killed: set[int] = set()
        async with asyncio.timeout(LONGEST_S):
            while len(killed) < 3:  # in one pass, in two, in four
                await asyncio.sleep(0.01)
                for child in children():
                    if child.pid not in killed:
                        killed.add(child.pid)
                        child.kill()
        failed = await until(house, training.id, lambda stands: stands.ended)
        assert failed.state is TrainingState.FAILED
        assert "memory" in (failed.reason or "")
        assert house.shelf.personas() == []

        following = await house.trainings.request(["nell"])
        await until(house, following.id, lambda stands: stands.point is not None)
        await house.trainings.cancel(following.id)
        await until(house, following.id, lambda stands: stands.ended)
    assert children() == []
    assert (await house.trainings.training(following.id)).state is TrainingState.CANCELLED
    assert not list((tmp_path / "trainings").iterdir())


@pytest.mark.slow
async def test_a_service_that_stops_takes_its_training_along_and_goes_on_later(
    tmp_path: Path, database: Database, clock: FakeClock
) -> None:
    """The process is gone, the row waits, and the next worker goes on where it stopped."""
    house = House(tmp_path, database, clock, settings(epochs=12))
    house.make_base()
    await house.store.add("nell", tweets("nell", sentences(120)), Basis.INVENTED)
    async with working(house):
        training = await house.trainings.request(["nell"])
        before = await until(house, training.id, lambda stands: stands.point is not None and stands.point.step > 0)
    assert children() == []
    waiting = await house.trainings.training(training.id)
    assert waiting.state is TrainingState.QUEUED
    assert (tmp_path / "trainings" / str(training.id) / "checkpoint.pt").is_file()

    clock.advance(minutes=1)
    async with working(house):
        done = await until(house, training.id, lambda stands: stands.ended)
    assert done.state is TrainingState.PUBLISHED, done.reason
    assert before.started_at == done.started_at
    assert done.finished_at == clock() != done.started_at
    assert clock() - done.created_at == timedelta(minutes=1)


async def test_who_is_blocked_while_a_training_waits_is_not_learned(
    house: House, clock: FakeClock, database: Database
) -> None:
    house.make_base()
    requested = await house.trainings.request(["nell"])
    await Blocklist(database, clock).add([Blocked("nell", None, "asked by letter")])
    async with working(house):
        done = await until(house, requested.id, lambda training: training.ended)
    assert done.state is TrainingState.FAILED and "@nell is blocked" in (done.reason or "")
    assert await house.trainings.points(requested.id) == []


@pytest.mark.slow
async def test_who_is_blocked_while_a_training_runs_is_not_published(
    house: House, clock: FakeClock, database: Database
) -> None:
    house.make_base()
    async with working(house):
        requested = await house.trainings.request(["nell"])
        await until(house, requested.id, lambda training: training.state is TrainingState.RUNNING)
        async with asyncio.timeout(LONGEST_S):
            while not children():  # noqa: ASYNC110 - nothing else tells that it learns
                await asyncio.sleep(0.02)
        await Blocklist(database, clock).add([Blocked("nell", None, "asked by letter")])
        done = await until(house, requested.id, lambda training: training.ended)
    assert done.state is TrainingState.FAILED and "@nell is blocked" in (done.reason or "")
    assert house.shelf.personas() == [] and not (house.shelf.folder / "nell").exists()


async def test_a_base_that_can_not_be_had_fails_the_training_in_one_sentence(
    tmp_path: Path, database: Database, clock: FakeClock
) -> None:
    """It names the base that needs no network."""
    house = House(tmp_path, database, clock, settings(), base="./no-such-folder")
    await house.store.add("nell", tweets("nell", sentences(120)), Basis.INVENTED)
    async with working(house):
        training = await house.trainings.request(["nell"])
        failed = await until(house, training.id, lambda stands: stands.ended)
    assert failed.state is TrainingState.FAILED
    assert 'base = "embedded"' in (failed.reason or "")
