"""The whole service in a process of its own: started, talked to, told to stop, and killed in the middle of work."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import aiosqlite
import psutil
import pytest

from bot.database import Database
from bot.loopback.discord import LoopbackDiscord
from bot.personas.takedown import Receipt
from bot.shelf.bases import base_folder
from bot.shelf.shelf import Shelf
from bot.tweets.blocked import Blocked, Blocklist
from tests.fakes import FakeClock
from tests.frontends.web_stage import visitor
from tests.processes import ROOT, Service, mockingbird, service, write_config
from tests.tiny_base import make_tiny_gpt2

NELL = ROOT / "examples" / "lighthouse_nell.zip"
CRUMB = ROOT / "examples" / "captain_crumb.zip"
QUICK: dict[str, object] = {"epochs": 1, "layers": 1, "rank": 2, "batch_tokens": 2048}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny base, two imported accounts and a published persona, made by the commands themselves."""
    folder = tmp_path_factory.mktemp("trained")
    make_tiny_gpt2(base_folder(folder / "data", "tiny"), "tiny")
    config = write_config(folder, {"training": QUICK})

    async def prepare() -> None:
        for command in (["import", str(NELL)], ["import", str(CRUMB)], ["train", "lighthouse_nell"]):
            outcome = await mockingbird(config, *command)
            assert outcome.code == 0, outcome.err

    asyncio.run(prepare())
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy for one test."""
    return Path(shutil.copytree(trained, tmp_path / "service", symlinks=True))


@asynccontextmanager
async def on_discord(
    folder: Path, discord: LoopbackDiscord, sections: Mapping[str, Mapping[str, object]] | None = None
) -> AsyncIterator[Service]:
    """The service, connected to that Discord."""
    settings: dict[str, Mapping[str, object]] = {
        "discord": {"enabled": True, "api_base": discord.api_base, "gateway_url": discord.gateway_url},
        "training": QUICK,
        "log": {"format": "json"},
        **(sections or {}),
    }
    config = write_config(folder, settings)
    async with service(config, {"DISCORD_TOKEN": discord.token}) as running:
        await running.logged("ready to speak")
        await discord.bot_ready(60)
        yield running


async def mention(discord: LoopbackDiscord, text: str = "how is the weather?") -> int:
    return await discord.say(discord.world.channel("talk"), discord.world.user("robin"), text)


async def test_the_service_starts_without_any_key_serves_its_page_and_stops_on_sigterm(folder: Path) -> None:
    left = folder / "data" / "pushing" / "nell" / "killed"  # by a push that nobody answered
    (left / "model").mkdir(parents=True)
    async with service(write_config(folder, {"log": {"format": "json"}})) as running:
        page = await running.logged("the web page is on")
        assert not left.exists()
        await running.logged("ready to speak")
        said = {line["event"] for line in running.lines}
        assert {"Discord is off: [discord] enabled is false", "X is off: [x] enabled is false"} <= said
        async with aiohttp.ClientSession() as session, session.get(f"{page['url']}/healthz") as answer:
            assert answer.status == 200
        assert await running.stop() == 0


@pytest.mark.slow
async def test_all_weights_may_be_learned_and_the_voice_then_has_an_engine_of_its_own(folder: Path) -> None:
    """By the commands, beside a version that is an adapter: trained, judged with samples of its own, spoken with."""
    full = {**QUICK, "layers": 0, "method": "full", "learning_rate": 5e-3}
    judged = {"samples": 16, "max_near_copies": 1.0, "max_more_toxicity": 1.0}  # a tiny model says little
    config = write_config(folder, {"training": full, "judging": judged, "retraining": {"tolerance": 9.0}})
    outcome = await mockingbird(config, "train", "lighthouse_nell", "--json")
    assert outcome.code == 0, outcome.err
    shelf = Shelf(folder / "models")
    version = shelf.current("lighthouse_nell")
    assert (version.version, version.form) == ("v2", "whole"), outcome.out
    assert version.metrics is not None and version.metrics.previous_held_out_loss is not None
    assert version.metrics.figures is not None and version.metrics.figures.copies is not None
    outcome = await mockingbird(config, "say", "lighthouse_nell", "-n", "2", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["version"] == "v2"
    outcome = await mockingbird(config, "rollback", "lighthouse_nell")
    assert outcome.code == 0, outcome.err
    assert shelf.current("lighthouse_nell").form == "adapter"
    assert str(folder) not in (shelf.path(version) / "config.json").read_text()


async def test_the_serving_process_knows_neither_torch_nor_transformers(folder: Path) -> None:
    async with service(write_config(folder, {"log": {"format": "json"}})) as running:
        await running.logged("ready to speak")
        loaded = [mapped.path for mapped in psutil.Process(running.process.pid).memory_maps()]
        assert any("onnxruntime" in path for path in loaded)
        assert not any("torch" in path for path in loaded)


async def test_two_services_on_one_database_are_refused(folder: Path) -> None:
    async with service(write_config(folder, {"log": {"format": "json"}})) as running:
        await running.logged("ready to speak")
        outcome = await mockingbird(folder / "config.toml", "serve")
        assert outcome.code == 2
        assert "runs on" in outcome.err


async def test_a_mention_is_answered_once_over_a_kill_and_a_restart(folder: Path) -> None:
    async with LoopbackDiscord() as discord:
        async with on_discord(folder, discord) as running:
            first = await mention(discord)
            await discord.reply_to(first, 30)
            await running.stop(signal.SIGKILL)
        async with on_discord(folder, discord) as running:
            await discord.redeliver(first)
            second = await mention(discord)
            await discord.reply_to(second, 30)
            assert await running.stop() == 0
        replies = [m for m in discord.messages_in(discord.world.channel("talk")) if m.replies_to == first]
        assert len(replies) == 1


async def test_sigterm_drains_the_answers_under_way(folder: Path) -> None:
    async with LoopbackDiscord() as discord, on_discord(folder, discord) as running:
        said = [await mention(discord, f"question {number}") for number in range(5)]
        await discord.reply_to(said[0], 30)
        assert await running.stop() == 0
        for number in said:
            await discord.reply_to(number, 1)


@pytest.mark.slow
async def test_a_new_version_is_adopted_while_mentions_are_answered(folder: Path) -> None:
    """New tweets come in from the command line beside the service; nothing is restarted and nobody goes unanswered."""
    retraining = {"min_new_tweets": 20, "min_hours_between": 0.0, "check_every_minutes": 0.01, "tolerance": 10.0}
    later = ROOT / "examples" / "later" / "lighthouse_nell.jsonl"
    shelf = Shelf(folder / "models")
    sections: dict[str, Mapping[str, object]] = {"retraining": retraining, "replies": {"requests_per_hour": 100_000}}
    async with LoopbackDiscord() as discord, on_discord(folder, discord, sections) as running:
        imported = await mockingbird(folder / "config.toml", "import", str(later), "--handle", "lighthouse_nell")
        assert imported.code == 0, imported.err
        async with asyncio.timeout(90):
            while shelf.current("lighthouse_nell").version == "v1":
                await discord.reply_to(await mention(discord), 30)
        await discord.reply_to(await mention(discord), 30)
        assert await running.stop() == 0
    rows = await _rows(folder, "SELECT version, state FROM messages")
    assert {row[0] for row in rows} == {"v1", "v2"}
    assert {row[1] for row in rows} == {"answered"}


@pytest.mark.slow
async def test_a_training_goes_on_after_the_service_was_killed_and_its_child_does_not_outlive_it(folder: Path) -> None:
    long = {"training": {**QUICK, "epochs": 6, "patience": 6}}
    async with LoopbackDiscord() as discord:
        channel, wren = discord.world.channel("talk"), discord.world.user("wren")
        async with on_discord(folder, discord, long) as running:
            use = await discord.slash(channel, wren, "train", {"handles": "captain_crumb"})
            message = await use.answered(30)
            await discord.press(message, wren, "Go on")
            await discord.until(lambda: "step" in message.content, 60, "the first step")
            (child,) = [
                p for p in psutil.Process(running.process.pid).children() if "finetune" in " ".join(p.cmdline())
            ]
            await running.stop(signal.SIGKILL)
            await asyncio.to_thread(psutil.wait_procs, [child], 30)
            assert not child.is_running()
        async with on_discord(folder, discord, long) as running:
            await discord.until(lambda: "is in use" in message.content, 90, "the end of the training")
            assert await running.stop() == 0
    assert Shelf(folder / "models").current("captain_crumb").version == "v1"


@pytest.mark.slow
async def test_the_service_falls_silent_when_somebody_is_forgotten_beside_it(folder: Path) -> None:
    """The command runs in another process. What was said is taken back, what was shown goes, who asks is told."""
    async with LoopbackDiscord() as discord, on_discord(folder, discord) as running:
        (page,) = (line for line in running.lines if line["event"] == "the web page is on")
        said = await discord.reply_to(await mention(discord, "lighthouse_nell: are you there?"), 30)
        async with visitor(str(page["url"])) as browser:
            await browser.say("lighthouse_nell: and here?")
            await browser.page_with("lighthouse_nell AI", "novelty")
            forgotten = await mockingbird(
                folder / "config.toml",
                *("forget", "lighthouse_nell", "--delete-posts", "--yes", "--json"),
                extra={"DISCORD_TOKEN": discord.token},
            )
            assert forgotten.code == 0, forgotten.err
            receipt = json.loads(forgotten.out)
            refused = await discord.reply_to(await mention(discord, "lighthouse_nell: still there?"), 30)
            await browser.page_with("lighthouse_nell was taken down on request")
            assert "novelty" not in browser.text
            await browser.say("lighthouse_nell: still there?")
            await browser.page_with("lighthouse_nell was taken down on request and is not imitated here any more.")
            await browser.open("/personas")
            assert browser.text.count("lighthouse_nell") == 0
        by_default = await discord.reply_to(await mention(discord), 30)
        assert await running.stop() == 0
    assert said.deleted
    assert receipt["found"]["tweets"] == {"tweets": 550} and receipt["said"][0]["outcome"] == "deleted"
    for answer in (refused, by_default):
        assert answer.content.startswith("lighthouse\\_nell was taken down") or "was taken down" in answer.content
    assert not (folder / "models" / "lighthouse_nell").exists()
    again = await mockingbird(folder / "config.toml", "say", "lighthouse_nell")
    assert (again.code, "was taken down" in again.err) == (2, True)


@pytest.mark.slow
async def test_a_training_in_the_service_ends_when_its_account_is_forgotten_beside_it(folder: Path) -> None:
    """The command waits until the service has let go: then the process, its files and its row are gone."""
    long = {"training": {**QUICK, "epochs": 100, "patience": 100}}
    async with LoopbackDiscord() as discord, on_discord(folder, discord, long) as running:
        channel, wren = discord.world.channel("talk"), discord.world.user("wren")
        use = await discord.slash(channel, wren, "train", {"handles": "captain_crumb"})
        message = await use.answered(30)
        await discord.press(message, wren, "Go on")
        await discord.until(lambda: "step" in message.content, 60, "the first step")
        forgotten = await mockingbird(folder / "config.toml", "forget", "captain_crumb", "--yes", "--json")
        assert forgotten.code == 0, forgotten.err
        assert json.loads(forgotten.out)["found"]["trainings"] == {"trainings": 1}
        assert not any("finetune" in " ".join(p.cmdline()) for p in psutil.Process(running.process.pid).children())
        assert list((folder / "data" / "trainings").iterdir()) == []
        await discord.until(lambda: "was forgotten" in message.content, 30, "the message's end")
        assert await running.stop() == 0
    assert await _rows(folder, "SELECT persona, state FROM trainings WHERE persona = 'captain_crumb'") == []


async def test_the_service_finishes_a_takedown_that_was_cut_off(folder: Path) -> None:
    """One that was cut off before the start, and one whose command is killed beside it."""
    await _ask(folder, "lighthouse_nell")
    async with service(write_config(folder, {"log": {"format": "json"}})) as running:
        await running.logged("an account was forgotten")
        await _ask(folder, "captain_crumb")
        await running.logged("an account was forgotten")
        assert await running.stop() == 0
    assert Shelf(folder / "models").personas() == []
    assert await _rows(folder, "SELECT handle, 1 FROM accounts") == []
    assert await _rows(folder, "SELECT handle, 1 FROM takedowns WHERE finished_at IS NULL") == []


@pytest.mark.slow
async def test_a_forgotten_example_account_does_not_come_back_with_the_next_start(folder: Path) -> None:
    for name in ("lighthouse_nell", "captain_crumb"):
        assert (await mockingbird(folder / "config.toml", "forget", name, "--yes")).code == 0
    config = write_config(folder, {"log": {"format": "json"}, "paths": {"examples": str(ROOT / "examples")}})
    async with service(config) as running:
        await running.logged("example account left out")
        await running.logged("ready to speak")
        assert await running.stop() == 0
    assert await _rows(folder, "SELECT handle, basis FROM accounts") == [("prof_obsolete", "invented")]


async def _ask(folder: Path, handle: str) -> None:
    """Leave a takedown as a command does that is killed right after its first step."""
    async with Database(folder / "data" / "mockingbird.db") as database:
        blocked, receipt = Blocked(handle, None, "asked"), Receipt(handles=(handle,), personas=(handle,))
        async with database.transaction() as transaction:
            await Blocklist(database, FakeClock()).add_within(transaction, blocked)
            await transaction.run(
                "INSERT INTO takedowns (handle, asked_by, delete_posts, begun_at, receipt) VALUES (?, '', 0, ?, ?)",
                (handle, FakeClock()().isoformat(), receipt.model_dump_json()),
            )


async def _rows(folder: Path, sql: str) -> list[tuple[str, str]]:
    async with aiosqlite.connect(folder / "data" / "mockingbird.db") as database:
        return [tuple(row) for row in await database.execute_fetchall(sql)]


async def test_a_rollback_on_the_command_line_is_noticed_and_told_where_the_persona_was_chosen(
    folder: Path,
) -> None:
    """By a service that runs: in its log, in the channels in which it speaks, and in its next answer."""
    shelf = Shelf(folder / "models")
    before = shelf.current("lighthouse_nell")
    home = shelf.path(before)
    changed = before.model_copy(update={"version": "v2", "parent": "v1"})
    shutil.copytree(home, home.with_name("v2"))
    (home.with_name("v2") / "manifest.json").write_text(changed.model_dump_json())
    shelf.use("lighthouse_nell", "v2")
    async with LoopbackDiscord() as discord, on_discord(folder, discord) as running:
        talk, wren = discord.world.channel("talk"), discord.world.user("wren")
        await (await discord.slash(talk, wren, "channel persona", {"persona": "lighthouse_nell"})).answered(60)
        outcome = await mockingbird(folder / "config.toml", "rollback", "lighthouse_nell")
        assert outcome.code == 0, outcome.err
        noticed = await running.logged("a persona speaks as another version")
        assert (noticed["version"], noticed["before"], noticed["what"]) == ("v1", "v2", "rolled back")
        told = "**lighthouse\\_nell** speaks as v1 again (rolled back from v2)."
        await discord.until(
            lambda: any(message.content == told for message in discord.messages_in(talk)), 60, "the announcement"
        )
        drafts = await (await discord.slash(talk, wren, "tweet", {"persona": "lighthouse_nell"})).answered(60)
        assert "v1 (AI)" in drafts.content
