"""Forgetting an account: what goes, what stays, and that nothing can come in between."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from bot.app.rooms import open_rooms
from bot.app.upkeep import keep_forgetting
from bot.config import load
from bot.errors import (
    Busy,
    ConfigError,
    NotPermitted,
    OutsideError,
    Refused,
    UnknownHandle,
    UnknownPersona,
    UsageError,
    XUnreachable,
)
from bot.forgetting.export import export
from bot.personas.takedown import DELETED, Said
from bot.replies.drafting import Wanted
from bot.replies.incoming import Incoming, Platform
from bot.replies.posts import PostState
from bot.replies.similar import SaidBefore
from bot.shelf.figures import Figures
from bot.shelf.manifest import HandleSplit
from bot.training.evaluations import Evaluations
from bot.training.trainings import TrainingState
from bot.tweets.charges import Charges
from bot.tweets.store import Basis
from tests.fakes import FakeClock
from tests.forgetting_stage import SECRET, Town, town
from tests.posting import handed_over as on_its_way
from tests.processes import ROOT, environment, write_config
from tests.shelves import manifest
from tests.training.material import sentences


@pytest.fixture
async def place(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Town]:
    """Nell and otis, each with a persona, and one of both."""
    async with town(tmp_path, clock) as ready:
        await people(ready)
        yield ready


async def people(place: Town) -> None:
    await place.settle("nell")
    await place.settle("otis")
    place.publish("nell", "nell")
    place.publish("keeper", "nell", version="v1")
    place.publish("otis", "otis")
    place.publish("duo", "nell", "otis")


# --- What goes ---


async def test_everything_that_was_learned_goes_and_everybody_else_stays(place: Town) -> None:
    await place.answer("nell", "1", "1001")
    await place.post("nell", "555")
    await place.posts.propose("main", "nell")
    await place.posts.propose("main", "otis")
    await place.conversation.set_channel_persona(Platform.DISCORD, "7", "keeper")
    done = await place.takedowns.forget("@Nell", "command")
    assert done.finished_at is not None
    assert done.receipt.personas == ("duo", "keeper", "nell")
    assert place.shelf.personas() == ["otis"]
    assert [path.name for path in (place.folder / "models").iterdir() if path.is_dir()] == ["otis"]
    assert await place.store.handles() == ["otis"]
    assert [post.persona for post in await place.posts.recent()] == ["otis"]
    assert await place.conversation.channel_persona(Platform.DISCORD, "7") == "otis"
    with pytest.raises(UnknownHandle):
        await place.store.counts("nell")


async def test_the_receipt_says_how_much_and_which_and_not_a_word_of_it(place: Town) -> None:
    await place.answer("duo", "1", "1001")
    await place.post("nell", "555")
    done = await place.takedowns.forget("nell", "command", "she asked by e-mail")
    found = done.receipt.found
    assert found is not None
    assert found["tweets"] == {"tweets": 40}
    assert found["versions"]["nell/v1"] == {"data set": "f" * 64, "files": {"README.md": "0f" * 32}}
    assert set(found["versions"]) == {"nell/v1", "keeper/v1", "duo/v1"}
    assert found["posts"] == {"sent": 1}
    assert [(said.platform, said.id, said.outcome) for said in done.receipt.said] == [
        ("x", "555", None),
        ("discord", "1001", None),
    ]
    assert SECRET not in json.dumps(done.as_json())
    assert await place.takedowns.all("nell") == [done]
    assert [(each.handle, each.reason) for each in await place.blocklist.all()] == [("nell", "she asked by e-mail")]


async def test_no_byte_of_it_is_left(tmp_path: Path, clock: FakeClock) -> None:
    """Neither in the database nor beside it, in its log, on the shelf or among trainings."""
    async with town(tmp_path, clock) as place:
        await place.settle("nell_of_the_lamp", 3_000)
        await place.settle("otis")
        place.publish("nell_of_the_lamp", "nell_of_the_lamp")
        await place.answer("nell_of_the_lamp", "1", "1001")
        await place.posts.propose("main", "nell_of_the_lamp")
        training = await place.trainings.request(["nell_of_the_lamp"])
        (tmp_path / "trainings" / str(training.id)).mkdir(parents=True)
        (tmp_path / "trainings" / str(training.id) / "tweets.json").write_text("nell_of_the_lamp number 17")
        async with place.database.transaction() as transaction:
            assert await Charges(clock).posts(transaction, ["7654321"]) == {"7654321"}
        looked_up = place.ledger.hold("mention", "otis", Decimal("0.010"), "A call", resource="author 8765432")
        async with looked_up as call:  # on behalf of another persona, who may be anybody
            await call.settle(1, Decimal("0.010"))
        for _ in range(3):  # pages are filled, emptied and filled anew
            await place.store.add("nell_of_the_lamp", [], Basis.OWN)
        words = ("nell_of_the_lamp number", "nell_of_the_lamp number 17 & more")
        assert len(place.traces(*words)) == 3
        await place.takedowns.forget("nell_of_the_lamp", "command")
        assert place.traces(*words, "7654321", "8765432") == []
        files = {trace.partition(":")[0] for trace in place.traces("nell_of_the_lamp")}
        assert files <= {"mockingbird.db", "mockingbird.db-wal"}  # the blocked list and the receipt, as seen below
    with sqlite3.connect(tmp_path / "mockingbird.db") as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        holding = {
            table
            for table in tables
            if any("nell_of_the_lamp" in str(row) for row in database.execute(f"SELECT * FROM {table}"))
        }
        spent = database.execute("SELECT about, usd FROM costs ORDER BY id").fetchall()
    database.close()
    assert holding == {"blocked", "takedowns"}
    assert spent == [("forgotten-1", "0.10"), ("otis", "0.10"), ("otis", "0.010")]


async def test_an_account_that_changed_its_name_goes_under_all_its_names(place: Town) -> None:
    async with place.database.transaction() as transaction:
        await transaction.run("UPDATE accounts SET platform_id = '17'")
    done = await place.takedowns.forget("otis", "command")
    assert done.receipt.handles == ("otis", "nell")
    assert await place.store.handles() == []
    assert {(each.handle, each.platform_id) for each in await place.blocklist.all()} == {("otis", "17"), ("nell", "17")}


async def test_somebody_who_was_never_here_is_blocked_all_the_same(place: Town) -> None:
    done = await place.takedowns.forget("stranger", "command")
    assert (done.receipt.personas, done.receipt.found and done.receipt.found["tweets"]) == ((), {"tweets": 0})
    with pytest.raises(NotPermitted, match="@stranger is blocked"):
        await place.settle("stranger")
    with pytest.raises(UsageError):
        await place.takedowns.forget(" @ ", "command")


async def test_a_name_that_is_somebody_elses_now_stays(place: Town) -> None:
    """A training of nell that came to nothing was to be called fresh; the persona of that name is of otis."""
    async with place.database.transaction() as transaction:
        await transaction.run(
            "INSERT INTO trainings (persona, handles, cause, requested_by, state, created_at) "
            "VALUES ('fresh', '[\"nell\"]', 'command', '', 'failed', '2026-01-01')"
        )
    place.publish("fresh", "otis")
    await place.takedowns.forget("nell", "command")
    assert place.shelf.personas() == ["fresh", "otis"]


# --- What comes in between ---


async def test_nothing_of_it_is_learned_again(place: Town) -> None:
    await place.takedowns.forget("nell", "command")
    with pytest.raises(NotPermitted, match="blocked --remove nell"):
        await place.settle("nell")
    with pytest.raises(NotPermitted):
        await place.trainings.request(["otis", "nell"])
    with pytest.raises(NotPermitted):
        await place.store.set_basis("nell", Basis.OWN)
    assert await place.trainings.request_due() == []
    await place.blocklist.remove("nell")
    await place.settle("nell")


async def test_a_training_under_way_elsewhere_is_waited_for(place: Town) -> None:
    """Its row is cancelled, and nothing is deleted while a worker in another process may still write."""
    training = await place.trainings.request(["nell", "otis"], "duet")
    async with place.database.transaction() as transaction:
        await transaction.run("UPDATE trainings SET state = 'running'")
    folder = place.folder / "trainings" / str(training.id)
    folder.mkdir(parents=True)
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _WORKER, str(place.folder / "trainings.lock")), stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None
    await worker.stdout.readline()
    forgetting = asyncio.create_task(place.takedowns.forget("nell", "command"))
    async with asyncio.timeout(20):
        while (await place.trainings.training(training.id)).state is not TrainingState.CANCELLED:  # noqa: ASYNC110 - a row
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert folder.exists() and not forgetting.done()
    worker.kill()
    await worker.wait()
    await asyncio.wait_for(forgetting, 20)
    assert not folder.exists()
    with pytest.raises(Refused):
        await place.trainings.training(training.id)


async def test_what_a_killed_training_of_somebody_else_was_judged_with_goes(place: Town) -> None:
    """Tweets of nell stood there to tell otis from her."""
    training = await place.trainings.request(["otis"])
    material = place.folder / "trainings" / str(training.id) / "judging" / "material.json"
    material.parent.mkdir(parents=True)
    material.write_text("nell number 17")
    await place.takedowns.forget("nell", "command")
    assert place.traces("nell number") == []
    assert material.parent.parent.exists()  # otis is learned on


async def test_what_an_evaluation_found_out_meanwhile_is_not_kept(place: Town) -> None:
    manifest = place.shelf.current("duo")
    evaluations = Evaluations(place.database, FakeClock())
    figures = Figures.model_construct()
    await place.takedowns.forget("nell", "command")
    with pytest.raises(NotPermitted, match="@nell is blocked"):
        await evaluations.add(manifest, figures)
    assert await evaluations.about(["duo"]) == []


_WORKER = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("at work", flush=True)
    time.sleep(60)
"""


async def test_an_answer_that_is_being_made_meanwhile_is_not_given(place: Town) -> None:
    place.speaker.free.clear()
    asked = asyncio.create_task(
        place.conversation.answer(Incoming(Platform.DISCORD, "5", "7", "99", "nell: are you there?"))
    )
    proposed = asyncio.create_task(place.posts.propose("main", "nell"))
    await asyncio.wait_for(place.speaker.asking.wait(), 10)
    await asyncio.sleep(0.05)
    await place.takedowns.forget("nell", "command")
    place.speaker.free.set()
    with pytest.raises(UnknownPersona, match="nell was taken down"):
        await asked
    with pytest.raises(UnknownPersona, match="nell was taken down"):
        await proposed
    assert place.traces("tweet number") == []


async def test_whoever_asks_for_it_is_told(place: Town) -> None:
    await place.takedowns.forget("nell", "command")
    with pytest.raises(UnknownPersona, match="keeper was taken down"):
        await place.conversation.answer(Incoming(Platform.DISCORD, "5", "7", "99", "keeper: are you there?"))
    with pytest.raises(UnknownPersona, match="duo was taken down"):
        await place.conversation.drafts(Incoming(Platform.WEB, "6", "7", "99"), Wanted("duo"))
    with pytest.raises(UnknownPersona, match="nell was taken down"):
        await place.conversation.set_channel_persona(Platform.WEB, "7", "nell")
    answer = await place.conversation.answer(Incoming(Platform.DISCORD, "7", "7", "99", "otis: and you?"))
    assert answer is not None and answer.persona == "otis"


async def test_a_name_can_be_used_again_for_others(place: Town) -> None:
    await place.takedowns.forget("nell", "command")
    place.publish("duo", "otis")
    clocked = await place.conversation.answer(Incoming(Platform.DISCORD, "5", "7", "99", "otis: hello"))
    assert clocked is not None


async def test_what_is_on_its_way_is_waited_for_and_what_was_cut_off_is_not(
    place: Town, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is deleted as long as its id may still come; a process that died while sending holds nothing up."""
    monkeypatch.setattr("bot.replies.messages._LOOKS", 2)
    post = await place.posts.propose("main", "nell")
    await place.posts.approve(post.id, "web")
    outbox, part = await on_its_way(place.database, place.takedowns._clock, post.id)
    with pytest.raises(Busy, match="is being sent"):
        await place.takedowns.forget("nell", "command")
    await outbox.arrived(part, "555")
    asked = Incoming(Platform.DISCORD, "1", "7", "99", "otis: hello")
    assert await place.conversation.answer(asked) is not None
    with pytest.raises(Busy, match="is being sent"):
        await place.takedowns.forget("otis", "command")
    clock.advance(minutes=6)
    assert await place.takedowns.go_on()
    nell, otis = await place.takedowns.all()
    assert [each.id for each in nell.receipt.said] == ["555"] and nell.finished_at is not None
    assert [each.id for each in otis.receipt.said] == [None] and otis.finished_at is not None


# --- Interrupted ---


@pytest.mark.slow
async def test_it_goes_on_after_a_kill_at_any_step(tmp_path: Path) -> None:
    """A process that is killed after each thing that it does leaves what the next one finishes, receipt and all."""
    async with town(tmp_path) as place:
        await people(place)
        await place.answer("nell", "1", "1001")
        await place.post("nell", "555")
        number = await place.takedowns._ask("nell", "command", "", False)
        whole = await place.takedowns.preview("nell")
    step, killed = 0, 0
    while True:
        step += 1
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.personas.killed_at", str(tmp_path), str(step)),
            cwd=ROOT,
            env=environment(),
        )
        async with asyncio.timeout(60):
            code = await child.wait()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
    assert killed >= 18  # stopping twice and removing, in each of six rooms
    async with town(tmp_path) as place:
        done = await place.takedowns.takedown(number)
        assert done.finished_at is not None
        assert done.receipt.found is not None and whole.found is not None
        assert done.receipt.found["tweets"] == whole.found["tweets"] == {"tweets": 40}
        assert done.receipt.found["versions"] == whole.found["versions"]
        assert done.receipt.said == whole.said
        assert place.shelf.personas() == ["otis"]
        assert place.traces("nell number") == []
        assert await place.store.handles() == ["otis"]


async def test_half_a_version_that_a_kill_left_goes_too(place: Town) -> None:
    """Its manifest is gone already, so only the takedown's own row says that it belongs to it."""
    number = await place.takedowns._ask("nell", "command", "", False)
    (place.shelf.folder / "keeper" / "current").unlink()
    (place.shelf.folder / "keeper" / "v1" / "manifest.json").unlink()
    assert place.shelf.of_handles(["nell"]) == ["duo", "nell"]
    await place.takedowns.go_on()
    assert (await place.takedowns.takedown(number)).finished_at is not None
    assert not (place.shelf.folder / "keeper").exists()


async def test_what_can_not_be_wiped_yet_is_not_called_finished(tmp_path: Path, clock: FakeClock) -> None:
    """Somebody reads the database, so its log can't be emptied; once that is over the takedown goes on."""
    async with town(tmp_path, clock, busy_timeout_ms=50) as place:
        await people(place)
        reader = sqlite3.connect(tmp_path / "mockingbird.db")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM tweets").fetchone()
        with pytest.raises(Busy):
            await place.takedowns.forget("nell", "command")
        assert [each.handle for each in await place.takedowns.unfinished()] == ["nell"]
        reader.close()
        assert await place.takedowns.go_on()
        assert await place.takedowns.unfinished() == []
        assert place.traces("nell number") == []


async def test_one_process_at_a_time(place: Town) -> None:
    await place.takedowns._ask("nell", "command", "", False)
    async with place.takedowns._alone():
        assert not await place.takedowns.go_on()
    assert await place.takedowns.go_on()
    assert await place.takedowns.unfinished() == []


# --- Taking back what was said ---


class Shelfless:
    """A platform on which things are deleted, and which fails when it is told to."""

    def __init__(self, lacks: str = "") -> None:
        self.lacks = lacks  # what has to be set before anything can be deleted
        self.standing = {"1001", "1002", "1003"}
        self.fails_at: str | None = None

    async def require_means(self) -> None:
        if self.lacks:
            raise ConfigError(f"Set {self.lacks}.")

    async def take_back(self, said: Sequence[Said], label: str) -> AsyncGenerator[Said]:
        for each in said:
            if each.id == self.fails_at:
                raise XUnreachable("The platform is down; try again later.", False)
            self.standing.discard(each.id or "")
            yield each.model_copy(update={"outcome": DELETED})


async def test_what_was_said_is_taken_back_and_trouble_outside_is_gone_on_with(place: Town) -> None:
    platform = Shelfless()
    takedowns = place.forgetting({"discord": platform})
    for number in ("1", "2", "3"):
        await place.answer("nell", number, f"100{number}")
    platform.fails_at = "1002"
    with pytest.raises(OutsideError):
        await takedowns.forget("nell", "command", delete_posts=True)
    (waiting,) = await takedowns.unfinished()
    assert [each.outcome for each in waiting.receipt.said] == [DELETED, None, None]
    assert place.shelf.personas() == ["otis"] and place.traces("nell number") == []
    platform.fails_at = None
    assert await takedowns.go_on()
    (done,) = await takedowns.all("nell")
    assert done.finished_at is not None
    assert [each.outcome for each in done.receipt.said] == [DELETED] * 3
    assert platform.standing == set()


async def test_without_a_key_nothing_is_begun_that_could_not_be_finished(place: Town) -> None:
    """Only what platforms need on which something stands."""
    hub, discord = Shelfless(lacks="HF_TOKEN"), Shelfless()
    takedowns = place.forgetting({"hub": hub, "discord": discord})
    await place.answer("nell", "1", "1001")
    async with place.database.transaction() as transaction:
        row = ("nell", "v1", "whole", "me/nell", "2026-11-22")
        await transaction.run("INSERT INTO pushes (persona, version, form, repo, at) VALUES (?, ?, ?, ?, ?)", row)
    with pytest.raises(ConfigError, match=r"Nothing was done\. Set HF_TOKEN"):
        await takedowns.forget("nell", "discord:1", delete_posts=True)
    assert await takedowns.all() == [] and place.shelf.personas() == ["duo", "keeper", "nell", "otis"]
    assert discord.standing == {"1001", "1002", "1003"}
    takedowns = place.forgetting({"hub": Shelfless(), "x": Shelfless(lacks="four keys"), "discord": discord})
    await takedowns.forget("nell", "discord:1", delete_posts=True)
    assert place.shelf.personas() == ["otis"]


async def test_one_platform_in_trouble_does_not_hold_up_the_other(place: Town) -> None:
    x, discord = Shelfless(), Shelfless()
    takedowns = place.forgetting({"x": x, "discord": discord})
    await place.post("nell", "555")
    await place.answer("nell", "1", "1001")
    x.fails_at = "555"
    with pytest.raises(OutsideError, match="is down"):
        await takedowns.forget("nell", "command", delete_posts=True)
    (waiting,) = await takedowns.unfinished()
    assert {each.id: each.outcome for each in waiting.receipt.said} == {"555": None, "1001": DELETED}
    assert "1001" not in discord.standing


async def test_a_name_that_is_used_again_while_a_takedown_waits_is_left_alone(place: Town, clock: FakeClock) -> None:
    """All that was nell's is gone; the platform is down, and somebody else is called duo by now."""
    platform = Shelfless()
    takedowns = place.forgetting({"discord": platform})
    await place.answer("nell", "1", "1001")
    platform.fails_at = "1001"
    with pytest.raises(OutsideError):
        await takedowns.forget("nell", "command", delete_posts=True)
    place.publish("duo", "otis")
    clock.advance(seconds=1)
    await place.answer("duo", "2", "1002")
    with pytest.raises(OutsideError):
        await takedowns.go_on()
    assert place.shelf.personas() == ["duo", "otis"]
    platform.fails_at = None
    assert await takedowns.go_on()
    assert place.shelf.personas() == ["duo", "otis"] and "1002" in platform.standing


async def test_what_came_again_while_a_takedown_waits_is_forgotten_again(place: Town) -> None:
    platform = Shelfless()
    takedowns = place.forgetting({"discord": platform})
    await place.answer("nell", "1", "1001")
    platform.fails_at = "1001"
    with pytest.raises(OutsideError):
        await takedowns.forget("nell", "command", delete_posts=True)
    with pytest.raises(OutsideError):  # nothing came meanwhile: it is the same takedown
        await takedowns.forget("nell", "command")
    assert [each.id for each in (await takedowns.preview("nell")).said] == ["1001"]  # it is said before what that costs
    await place.blocklist.remove("nell")
    await place.settle("nell")
    await takedowns.forget("nell", "command", delete_posts=True)
    assert await place.store.handles() == ["otis"] and place.traces("nell number") == []
    platform.fails_at = None
    assert await takedowns.go_on()
    first, second = await takedowns.all("nell")
    assert [each.outcome for each in first.receipt.said] == [DELETED] and second.receipt.said == ()


async def test_what_was_left_standing_can_be_taken_back_later(place: Town) -> None:
    """The answers' rows speak of nobody any more; the first receipt knows where they stand."""
    platform = Shelfless()
    takedowns = place.forgetting({"discord": platform})
    await place.answer("nell", "1", "1001 1002")
    await takedowns.forget("nell", "command")
    assert platform.standing == {"1001", "1002", "1003"}
    done = await takedowns.forget("nell", "command", delete_posts=True)
    assert [(each.id, each.outcome) for each in done.receipt.said] == [("1001", DELETED), ("1002", DELETED)]
    assert platform.standing == {"1003"}


async def test_a_post_that_may_stand_is_listed_without_an_id(place: Town) -> None:
    post = await place.posts.propose("main", "nell")
    await place.posts.approve(post.id, "web")
    outbox, part = await on_its_way(place.database, place.takedowns._clock, post.id)
    await outbox.doubtful(part, "the connection broke")
    done = await place.takedowns.forget("nell", "command", delete_posts=True)
    assert done.receipt.said == (Said(platform="x", channel="", id=None),)
    assert await place.posts.recent() == []
    assert PostState.UNKNOWN.value in (done.receipt.found or {})["posts"]


# --- Handing over ---


async def handed_over(place: Town, handle: str, path: Path) -> list[str]:
    return await export(place.store, place.rooms, place.blocklist, place.takedowns, handle, path)


async def test_an_export_holds_all_of_one_account_and_nobody_else(place: Town, tmp_path: Path) -> None:
    await place.answer("nell", "1", "1001")
    await place.answer("duo", "2", "1002")
    await place.answer("keeper", "3", "1003")
    await place.post("nell", "555")
    await place.posts.propose("main", "duo")
    await place.trainings.request(["nell", "otis"], "duo")
    await place.store.set_basis("nell", Basis.PERMISSION, "her e-mail of 2026-11-01")
    path = tmp_path / "nell.zip"
    names = await handed_over(place, "@Nell", path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == names
        texts = {name: archive.read(name).decode() for name in names}
    tweets = [json.loads(line) for line in texts["tweets.jsonl"].splitlines()]
    assert len(tweets) == 40
    (first,) = sentences(1)
    assert tweets[0]["text"] == f"{first} {SECRET} nell number 1 &amp; more."
    assert tweets[0]["cleaned"] == f"{first} {SECRET} nell number 1 & more."
    (account,) = json.loads(texts["account.json"])
    assert (account["basis"], account["basis_note"]) == ("permission", "her e-mail of 2026-11-01")
    assert len(json.loads(texts["versions.json"])) == 3
    assert {name for name in names if name.startswith("cards/")} == {"cards/nell-v1.md", "cards/keeper-v1.md"}
    assert len(texts["posts.jsonl"].splitlines()) == 2
    voices = [json.loads(line)["persona"] for line in texts["messages.jsonl"].splitlines()]
    assert voices == ["nell", "a blend with other accounts, which are not named here", "keeper"]
    assert len(json.loads(texts["trainings.json"])) == 1
    assert "0.10" in texts["costs.csv"]
    everything = "\n".join(texts.values())
    assert "otis" not in everything and "duo" not in everything and '"99"' not in everything
    for name in names:
        assert name == "README.md" or f"`{name.partition('/')[0]}" in texts["README.md"]
    with pytest.raises(UsageError, match="exists"):
        await handed_over(place, "nell", path)
    with pytest.raises(UnknownHandle):
        await handed_over(place, "stranger", tmp_path / "no.zip")


async def test_an_export_of_a_blend_that_was_adopted_names_nobody_else(place: Town, tmp_path: Path) -> None:
    """Nobody could judge it, and whoever named it may have named them all."""
    numbers = ("said_before", "said_elsewhere", "known_already", "train", "held_out", "epoch", "characters")
    unknown = dict.fromkeys(("tokens", "first", "boundary", "last"))
    split = dict.fromkeys(numbers, 7) | unknown
    splits = tuple(HandleSplit.model_validate({**split, "handle": each}) for each in ("nell", "otis"))
    adopted = manifest("duo", "v2").model_copy(
        update={"handles": ("nell", "otis"), "metrics": None, "adopted_from": "hub/otis-nell", "splits": splits}
    )
    place.shelf.place(place.shelf.staging("duo", "v2"), adopted)
    await handed_over(place, "nell", tmp_path / "nell.zip")
    with zipfile.ZipFile(tmp_path / "nell.zip") as archive:
        versions = archive.read("versions.json").decode()
    [found] = [each for each in json.loads(versions) if each["version"] == "v2"]
    assert (found["metrics"], [each["handle"] for each in found["splits"]]) == (None, ["nell"])
    assert "otis" not in versions


async def test_after_a_takedown_the_receipt_and_the_blocked_line_are_all_that_is_held(
    place: Town, tmp_path: Path
) -> None:
    await place.answer("duo", "1", "1001")
    await place.takedowns.forget("nell", "discord:99", "asked by letter")
    names = await handed_over(place, "nell", tmp_path / "nell.zip")
    with zipfile.ZipFile(tmp_path / "nell.zip") as archive:
        texts = {name: archive.read(name).decode() for name in names}
    (blocked,) = json.loads(texts["blocked.json"])
    assert (blocked["handle"], blocked["reason"]) == ("nell", "asked by letter")
    (receipt,) = json.loads(texts["receipts.json"])
    assert (receipt["handle"], receipt["personas"], receipt["found"]["tweets"]) == ("nell", 3, {"tweets": 40})
    assert [each["id"] for each in receipt["said"]] == ["1001"]
    assert len(receipt["found"]["versions"]) == 3
    assert texts["tweets.jsonl"] == texts["posts.jsonl"] == texts["messages.jsonl"] == ""
    everything = "\n".join(texts.values())
    assert "duo" not in everything and "discord:99" not in everything


async def test_what_can_not_be_let_go_of_is_tried_again_and_stops_nothing(tmp_path: Path) -> None:
    """A fault there ends neither the task nor the service around it."""
    tries = 0
    let_go = asyncio.Event()

    def dropped(personas: Collection[str]) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("cannot schedule new futures after shutdown")
        let_go.set()

    async with open_rooms(load(write_config(tmp_path, {}), {})) as rooms, asyncio.timeout(30):
        await rooms.takedowns.forget("nell", "test")
        keeping = asyncio.create_task(keep_forgetting(rooms, dropped, 0.01, 0.0))
        await asyncio.wait([keeping, asyncio.create_task(let_go.wait())], return_when=asyncio.FIRST_COMPLETED)
        assert let_go.is_set() and not keeping.done()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_after_a_takedown_elsewhere_the_service_lets_go_of_texts_that_it_compares_with(tmp_path: Path) -> None:
    """Also the words of replies and posts that it held in memory are gone."""
    forgotten = asyncio.Event()

    class Watched(SaidBefore):
        def forget(self) -> None:
            forgotten.set()

    config = load(write_config(tmp_path, {}), {})
    async with open_rooms(config) as rooms, open_rooms(config) as elsewhere, asyncio.timeout(30):
        service = replace(rooms, said=Watched())
        keeping = asyncio.create_task(keep_forgetting(service, lambda personas: None, 0.01, 0.0))
        await elsewhere.takedowns.forget("nell", "test")
        await forgotten.wait()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
