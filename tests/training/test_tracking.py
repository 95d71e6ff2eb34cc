"""Trackers, real ones in real processes: what they are told of a version, and what they are not.

Weights & Biases writes what it would send into a file of its own when it is offline, and is read back from there.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
import struct
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from bot.config import Tracking
from bot.database import Database
from bot.forgetting.rooms import TrainingRoom
from bot.personas.takedown import Subject
from bot.shelf.bases import Base, BaseRecord
from bot.shelf.forms import TOKENIZER
from bot.shelf.manifest import HandleCounts, Manifest, Prediction, Tracked
from bot.shelf.shelf import Shelf
from bot.training.dataset import DataSet, build
from bot.training.job import ADAPTER, ADAPTER_CONFIG, Evaluation, Result, Score
from bot.training.publishing import Provenance, put_on_shelf
from bot.training.record import TrainingPoint
from bot.training.run_record import RUN, RunRecord
from bot.training.tracking import CHILD, FOLDER, SOURCES, UNFINISHED, Material, Sources, Trackers
from bot.training.tracking_lineage import lineage
from bot.training.trainings import TrainingState
from bot.tweets.store import Basis
from tests.fakes import FakeClock
from tests.tiny_base import tiny_tokenizer
from tests.training.material import House, dated, sentences, settings, tweets
from tests.training.wandb_server import wandb_server

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TWEETS = sentences(60)
DROPPED = "Too short, and dropped before it could be learned."  # raw, and in no data set
SAID = (Prediction(prompt="", text="What the lamp never said."), Prediction(prompt="My dream", text="My dream sails."))
POINTS = (
    TrainingPoint(step=0, steps=20, held_out_loss=4.5),
    TrainingPoint(step=5, steps=20, loss=4.0, tokens_per_second=900.0),
    TrainingPoint(step=10, steps=20, loss=3.5, held_out_loss=3.6, tokens_per_second=950.0),
    TrainingPoint(step=20, steps=20, loss=3.0, held_out_loss=3.25, tokens_per_second=940.0),
)
SERVICES = ("wandb", "trackio")
KEY = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Place:
    """A data folder with a shelf that has a version, and a home that a library may write into."""

    folder: Path
    shelf: Shelf
    base: Base
    data_set: DataSet

    @property
    def kept(self) -> Path:
        """What trackers keep of nell."""
        return self.folder / FOLDER / "nell"

    def place(self, tracked: Tracked | None, run: str = "7") -> Manifest:
        """A version of nell, published as a training does it."""
        finished = self.folder / f"finished-{run}"
        finished.mkdir(exist_ok=True)
        (finished / ADAPTER).write_bytes(b"weights " * 100)
        (finished / ADAPTER_CONFIG).write_text("{}", encoding="utf-8")
        counts = HandleCounts(handle="nell", downloaded=61, retweets=0, short=1, duplicates=0, kept=60)
        provenance = Provenance(
            persona="nell",
            parent=None,
            run=run,
            base=self.base,
            data_set=self.data_set,
            counts=(counts,),
            consent={"nell": "invented"},
            settings=settings(),
            tweets_read_at=NOW,
            points=POINTS,
            tracked=tracked,
        )
        return put_on_shelf(self.shelf, finished, result(), provenance, NOW)

    async def track(self, in_use: bool = True, **changed: object) -> tuple[Manifest, Tracked | None, str | None]:
        """The version that is placed while it is tracked, its run, and what went wrong."""
        trackers = Trackers(Tracking.model_validate(changed), self.folder)
        async with trackers.tracking("nell", 7) as tracking:
            tracked = await tracking.open(self.shelf.next_version("nell"), self.data_set.fingerprint)
            manifest = self.place(tracked)
            raw = {"nell": (*TWEETS, DROPPED)}
            sources = Sources(raw=raw, train=self.data_set.train, held_out=self.data_set.held_out)
            tracking.give(manifest, self.shelf.path(manifest), in_use, sources)
            await tracking.send()
            return manifest, tracking.tracked, tracking.remark

    def written(self) -> dict[str, bytes]:
        """Every file that a tracker may have written, wherever."""
        folders = (self.folder / FOLDER, self.folder / "home")
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


def result() -> Result:
    """What a run leaves behind, with figures that can be found again."""
    return Result(
        best=Evaluation(step=20, loss=3.25, bits_per_byte=1.375),
        base=Score(loss=4.5, bits_per_byte=1.9),
        previous=None,
        held_out_tweets=6,
        evaluations=(
            Evaluation(step=10, loss=3.6, bits_per_byte=1.5),
            Evaluation(step=20, loss=3.25, bits_per_byte=1.375),
        ),
        ended="finished",
        steps=20,
        planned_steps=20,
        trained_tokens=2_000,
        seconds=12.5,
        predictions=SAID,
        run={"precision": "float32", "threads": 1, "peak_memory_bytes": 123_456_789},
    )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith(("WANDB_", "TRACKIO_"))]:
        monkeypatch.delenv(name)
    base = Base(BaseRecord(spec="tiny", sha256="b" * 64, architecture="gpt2", end_id=0), tmp_path / "base")
    base.model.mkdir(parents=True)
    tiny_tokenizer().save(str(base.model / TOKENIZER))
    data_set = build({"nell": dated(TWEETS)}, settings(), base.record.sha256)
    return Place(tmp_path, Shelf(tmp_path / "models"), base, data_set)


# --- Reading back what a tracker was told ---


def wandb_records(path: Path) -> Iterator[Any]:
    """The records in an offline run's file, which is a LevelDB log: blocks of 32 KiB of pieces of records."""
    from wandb.proto import wandb_internal_pb2

    data = path.read_bytes()
    assert data.startswith(b":W&B")
    whole, last, at, block, head = 1, 4, 7, 2**15, struct.Struct("<IHB")
    record = b""
    while at < len(data):
        left = block - at % block
        if left < head.size:
            at += left
            continue
        _, length, kind = head.unpack_from(data, at)
        at += head.size
        record += data[at : at + length]
        at += length
        if kind in (whole, last):
            yield wandb_internal_pb2.Record.FromString(record)
            record = b""


@dataclass
class Told:
    """A run as a tracker knows it."""

    config: dict[str, Any]
    history: dict[int, dict[str, Any]]
    summary: dict[str, Any]
    predictions: list[tuple[str, str]]
    artifacts: list[tuple[str, str, str, frozenset[str]]]  # in or out, name, type, aliases without "latest"
    files: frozenset[str]  # of all artifacts


def wandb_told(place: Place, kind: str) -> Told:
    """The offline run of that job type."""
    told = Told({}, {}, {}, [], [], frozenset())
    [file] = [file for file in place.kept.rglob("run-*.wandb") if file.stem.endswith("-data") == (kind == "prepare")]
    for record in wandb_records(file):
        which = record.WhichOneof("record_type")
        if which == "run":
            assert (record.run.job_type, record.run.host) == (kind, "mockingbird")
        if which in ("run", "config"):
            config = record.run.config if which == "run" else record.config
            told.config |= {each.key: json.loads(each.value_json) for each in config.update}
        elif which == "history":
            figures = {each.key or each.nested_key[0]: json.loads(each.value_json) for each in record.history.item}
            told.history.setdefault(record.history.step.num, {}).update(figures)
        elif which == "summary":
            told.summary |= {
                ".".join(each.nested_key) or each.key: json.loads(each.value_json) for each in record.summary.update
            }
        elif which in ("artifact", "request"):
            artifact = record.artifact if which == "artifact" else record.request.log_artifact.artifact
            if artifact.name and artifact.type != "run_table":  # wandb's own copy of the predictions
                way = "in" if artifact.use_after_commit else "out"
                aliases = frozenset(artifact.aliases) - {"latest"}
                told.artifacts.append((way, artifact.name, artifact.type, aliases))
                told.files |= {entry.path for entry in artifact.manifest.contents}
    for table in place.kept.rglob("predictions*.table.json"):
        told.predictions = [(prompt, text) for prompt, text in json.loads(table.read_text())["data"]]
    return told


def trackio_told(place: Place, kind: str) -> Told:
    """The run of that kind in trackio's database."""
    name = "nell v1, data set" if kind == "prepare" else "nell v1"
    told = Told({}, {}, {}, [], [], frozenset())
    with sqlite3.connect(place.kept / "trackio" / "mockingbird.db") as database:
        for (config,) in database.execute("SELECT config FROM configs WHERE run_name = ?", [name]):
            told.config = json.loads(config)
        for step, metrics in database.execute("SELECT step, metrics FROM metrics WHERE run_name = ?", [name]):
            figures = json.loads(metrics)
            table = figures.pop("predictions", None)
            told.history.setdefault(step, {}).update(figures)
            if table:
                told.predictions = [(row["prompt"], row["text"]) for row in table["_value"]]
        rows = database.execute(
            "SELECT direction, name, type, manifest, artifact_version_id FROM run_artifact_links"
            " JOIN artifact_versions ON artifact_versions.id = artifact_version_id"
            " JOIN artifacts ON artifacts.id = artifact_id WHERE run_name = ?",
            [name],
        ).fetchall()
        for direction, artifact, type_, manifest, number in rows:
            aliases = database.execute("SELECT alias FROM artifact_aliases WHERE artifact_version_id = ?", [number])
            names = frozenset(alias for (alias,) in aliases) - {"latest"}
            told.artifacts.append((direction.removesuffix("put"), artifact, type_, names))
            told.files |= {entry["path"] for entry in json.loads(manifest)}
    told.summary = told.config.get("figures", {})
    database.close()
    return told


def told(place: Place, service: str, kind: str) -> Told:
    """The run of that kind: prepare or train."""
    return wandb_told(place, kind) if service == "wandb" else trackio_told(place, kind)


# --- What is told ---


@pytest.mark.parametrize("service", SERVICES)
async def test_a_tracker_has_the_whole_run_and_no_tweet(place: Place, service: str) -> None:
    """Config, every figure by step, what it says, and raw tweets, data set and model, each made from the one before."""
    manifest, tracked, remark = await place.track(service=service, mode="offline")
    assert remark is None
    assert tracked is not None
    assert (tracked.service, tracked.url, manifest.tracked) == (service, None, tracked)
    train = told(place, service, "train")
    assert train.config["hyperparameters"] == manifest.hyperparameters
    assert (train.config["seed"], train.config["fingerprint"]) == (1, place.data_set.fingerprint)
    assert train.history[5] | {"loss": 4.0, "tokens_per_second": 900.0} == train.history[5]
    assert train.history[20] | {"loss": 3.0, "held_out_loss": 3.25, "bits_per_byte": 1.375} == train.history[20]
    assert (train.summary["held_out_loss"], train.summary["ended"]) == (3.25, "finished")
    assert train.predictions == [(each.prompt, each.text) for each in SAID]
    assert train.artifacts == [
        ("in", "nell-data-set", "dataset", frozenset()),
        ("out", "nell", "model", frozenset({"version-1", "in-use"})),
    ]
    assert {ADAPTER, "README.md", "manifest.json", RUN, "data-set.json"} <= train.files
    prepare = told(place, service, "prepare")
    assert prepare.artifacts == [
        ("in", "nell-tweets", "raw", frozenset()),
        ("out", "nell-data-set", "dataset", frozenset()),
    ]
    assert prepare.files == {"tweets.json", "data-set.json"}
    written = place.written()
    assert not [name for name, data in written.items() if sys.executable.encode() in data]
    assert not {Path(name).name for name in written} & {"wandb-metadata.json", "requirements.txt", "output.log"}
    assert any(b"What the lamp never said." in data for data in written.values())  # so that a text would be found
    for text in (*TWEETS, DROPPED):
        assert [name for name, data in written.items() if text.encode() in data] == []


@pytest.mark.parametrize("service", SERVICES)
async def test_tweets_are_sent_when_the_operator_says_so(place: Place, service: str) -> None:
    """All that are stored as the raw artifact, what is learned and held out as the data set; of a version, here, that
    is kept back, and so has no such alias.
    """
    _, _, remark = await place.track(in_use=False, service=service, mode="offline", send_tweets=True)
    assert remark is None
    assert told(place, service, "train").artifacts[-1] == ("out", "nell", "model", frozenset({"version-1"}))
    assert told(place, service, "prepare").files == {
        *("tweets.json", "nell.jsonl", "data-set.json", "train.jsonl", "held-out.jsonl")
    }
    written = b"".join(place.written().values())
    assert [text for text in (*TWEETS, DROPPED) if text.encode() not in written] == []
    assert not (place.kept / "sources").exists()


async def test_online_the_service_has_all_of_it_and_this_machine_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a real socket: the run's page, config, history, and artifacts with their files; no tweet.

    Folders of this machine are told by the library's own lists of an artifact's files, which it offers no way to
    change, and by nothing else.
    """
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    async with wandb_server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        manifest, tracked, remark = await place.track(service="wandb", limit_seconds=60.0)
    assert remark is None
    assert tracked is not None
    assert tracked.url == f"{server.url}/team/mockingbird/runs/{tracked.run}"
    assert tracked.url in (place.shelf.path(manifest) / "README.md").read_text()
    config = json.loads(server.runs[tracked.run]["config"])
    assert config["hyperparameters"]["value"] == manifest.hyperparameters
    assert [each["held_out_loss"] for each in server.history if "held_out_loss" in each] == [4.5, 3.6, 3.25]
    prepare = f"{tracked.run}-data"
    assert server.used == [(prepare, "nell-tweets"), (tracked.run, "nell-data-set")]
    assert [(each.run, each.name, each.aliases) for each in server.artifacts if each.type != "run_table"] == [
        (None, "nell-tweets", {"latest"}),
        (prepare, "nell-data-set", {"latest"}),
        (tracked.run, "nell", {"latest", "version-1", "in-use"}),
    ]
    assert {each.state for each in server.artifacts} == {"COMMITTED"}
    model = next(each.id for each in server.artifacts if each.type == "model")
    for path in place.shelf.path(manifest).iterdir():
        assert server.uploads[f"/upload/{model}/{path.name}"] == path.read_bytes()
    sent = b"".join(server.bodies)
    assert b"What the lamp never said." in sent
    assert [text for text in (*TWEETS, DROPPED) if text.encode() in sent] == []
    assert server.keys == {KEY}
    lists = [body for path, body in server.uploads.items() if "/manifests/" in path]
    besides = b"".join(body for body in server.bodies if body not in lists)
    for word in (KEY, str(place.folder), sys.executable, str(Path(__file__).parent)):
        assert word.encode() not in besides
    assert place.written() == {}


async def test_what_trackers_keep_here_goes_with_the_persona(place: Place) -> None:
    trackers = Trackers(Tracking(), place.folder)
    await place.track(service="trackio")
    assert place.kept.is_dir()
    await trackers.idle()
    trackers.remove(["nell", "otis"])
    assert not place.kept.exists()


# --- What the process sees ---


async def test_its_process_has_the_trackers_key_and_no_other_secret(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("DISCORD_TOKEN", "a secret")
    monkeypatch.setenv("HF_TOKEN", "another secret")
    trackers = Trackers(Tracking(service="wandb", mode="offline"), place.folder)
    async with trackers.tracking("nell", 7) as tracking:
        assert await tracking.open("v1", "f" * 64) is not None
        [child] = [each for each in psutil.Process().children() if CHILD in each.cmdline()]
        seen = child.environ()
        assert seen["WANDB_API_KEY"] == KEY
        assert not {"DISCORD_TOKEN", "HF_TOKEN"} & seen.keys()
        assert KEY not in " ".join(child.cmdline())
    assert not child.is_running()
    assert not [name for name, data in place.written().items() if KEY.encode() in data]


# --- What goes wrong ---


async def test_without_a_tracker_nothing_happens(place: Place) -> None:
    manifest, tracked, remark = await place.track()
    assert (manifest.tracked, tracked, remark) == (None, None, None)
    assert not (place.folder / FOLDER).exists()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_missing_package_is_remarked_with_the_command_that_installs_it(
    place: Place, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Played by an interpreter that does not find it; the version is placed all the same."""
    hidden = place.folder / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "found = util.find_spec\n"
        f"util.find_spec = lambda name, *rest: None if name == {service!r} else found(name, *rest)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(hidden))
    manifest, tracked, remark = await place.track(service=service)
    assert (manifest.version, tracked) == ("v1", None)
    assert remark is not None
    assert f"{service} is not installed" in remark
    assert f"'.[{service}]'" in remark


@pytest.mark.slow
async def test_a_service_that_does_not_answer_is_given_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that takes every request and says nothing: after the limit there is a version, and a remark."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        manifest, tracked, remark = await place.track(service="wandb", limit_seconds=4.0)
    assert (manifest.version, tracked) == ("v1", None)
    assert remark == "The run could not be opened within 4 seconds, [tracking] limit_seconds."
    assert not [child for child in psutil.Process().children() if CHILD in child.cmdline()]


async def test_a_tracker_that_breaks_while_it_is_sent_is_a_remark(place: Place) -> None:
    """Here the version is gone when it is to be shown."""
    trackers = Trackers(Tracking(service="trackio"), place.folder)
    async with trackers.tracking("nell", 7) as tracking:
        tracked = await tracking.open("v1", place.data_set.fingerprint)
        manifest = place.place(tracked)
        tracking.give(manifest, place.folder / "elsewhere", True, None)
        assert tracking.remark == UNFINISHED
        await tracking.send()
        assert tracking.remark is not None
        assert tracking.remark.startswith("trackio did not take the run: ")
    assert place.shelf.version("nell", "v1") == manifest


async def test_tweets_that_a_killed_tracking_left_are_never_sent(place: Place) -> None:
    """They go before anything is written to be sent, when a process that sends has ended, and at the next start."""
    stale = place.kept / SOURCES / "raw" / "nell.jsonl"

    def killed() -> None:
        stale.parent.mkdir(parents=True, exist_ok=True)
        stale.write_text("a tweet")

    killed()
    version = place.shelf.path(place.place(None))
    material = Material(version=version, in_use=True, sources=None)
    with lineage(material, place.kept) as shown:
        assert [path.name for path in shown.raw.iterdir()] == ["tweets.json"]
    trackers = Trackers(Tracking(service="trackio"), place.folder)
    async with trackers.tracking("nell", 7) as tracking:
        assert await tracking.open("v2", place.data_set.fingerprint) is not None
        killed()
        trackers.sweep()
        assert stale.exists()  # it may be what is being sent
    assert not stale.exists()
    killed()
    trackers.sweep()
    assert not stale.exists()


async def test_a_worker_begins_by_removing_what_was_to_be_sent(
    place: Place, database: Database, clock: FakeClock
) -> None:
    house = House(place.folder, database, clock, settings())
    (place.kept / SOURCES).mkdir(parents=True)
    worker = asyncio.create_task(house.trainings.run())
    try:
        async with asyncio.timeout(10):
            while (place.kept / SOURCES).exists():  # noqa: ASYNC110 - a folder rings no bell
                await asyncio.sleep(0.02)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


# --- The whole way ---


@pytest.mark.slow
async def test_a_training_is_tracked_and_forgotten(place: Place, database: Database, clock: FakeClock) -> None:
    """Its row, manifest and card name the run, the record of the run stands beside; all is gone when it is forgotten,
    and the receipt says where it was shown.
    """
    offline = Tracking(service="wandb", mode="offline", send_tweets=True)
    house = House(place.folder, database, clock, settings(), tracking=offline)
    await house.store.add("nell", tweets("nell", TWEETS), Basis.INVENTED)
    house.make_base()
    worker = asyncio.create_task(house.trainings.run())
    try:
        number = (await house.trainings.request(["nell"])).id
        async with asyncio.timeout(90):
            async for training in house.trainings.watch(number):
                assert training.state is not TrainingState.FAILED, training.reason
            await house.trainings.tracked()
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    ended = await house.trainings.training(number)
    version = house.shelf.version("nell", "v1")
    assert (ended.state, ended.tracking_remark) == (TrainingState.PUBLISHED, None)
    assert ended.tracked is not None
    assert version.tracked == ended.tracked
    assert ended.tracked.run in (house.shelf.path(version) / "README.md").read_text()
    record = RunRecord.model_validate_json((house.shelf.path(version) / RUN).read_bytes())
    points = await house.trainings.points(number)
    assert [(point.step, point.loss) for point in record.curve] == [(point.step, point.loss) for point in points]
    train = told(place, "wandb", "train")
    assert train.config["hyperparameters"] == version.hyperparameters
    assert {
        "device",
        "precision",
        "parts",
        "warm_up",
        "gradient_norm",
        "betas",
        "weight_decay",
    } <= version.hyperparameters.keys()
    assert sorted(train.history) == [point.step for point in points]
    assert any(TWEETS[0].encode() in data for data in place.written().values())

    await house.trainings.stop(["nell"])
    room = TrainingRoom(house.trainings, house.evaluator, database, house.shelf)  # type: ignore[arg-type]
    found = await room.find(Subject(("nell",), ("nell",), "forgotten-1"))
    assert found == {"trainings": 1, "tracked": "wandb in files here"}
    await house.trainings.remove(["nell"])
    assert not place.kept.exists()
    assert not [name for name, data in place.written().items() if b"nell" in data]


def test_two_versions_that_are_placed_at_once_get_numbers_of_their_own(place: Place) -> None:
    """Whoever draws the longer is not told that nothing could be written."""
    with ThreadPoolExecutor(2) as threads:
        made = [each.result() for each in [threads.submit(place.place, None, run) for run in ("7", "8")]]
    assert sorted(each.version for each in made) == ["v1", "v2"]
    assert place.shelf.versions("nell") == sorted(made, key=lambda each: each.number)
