"""`mockingbird demo`: the whole loop on this machine, without any account or key, told as a transcript.

The service runs as it always does, in a process of its own and through its ordinary settings; only `api_base` and
`gateway_url` point to a Discord and an X that are played here. Everything happens in a temporary folder; the prepared
base and the example persona are borrowed from the configured ones.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import click

from bot.app.engines import ready_base
from bot.config import Config
from bot.errors import TrainingFailed
from bot.loopback.discord import LoopbackDiscord, Message
from bot.loopback.x import LoopbackX
from bot.shelf.shelf import Shelf

LEARNED_BEFORE = "lighthouse_nell"  # on the shelf when the demo begins
LEARNED_HERE = "captain_crumb"  # learned before your eyes
PATIENCE_S = 600.0  # for a training, on a slow machine


@dataclass(slots=True)
class Transcript:
    """What happened, with the time since the beginning."""

    began: float

    def scene(self, title: str) -> None:
        click.echo(f"\n── {title} " + "─" * max(4, 86 - len(title)))

    def line(self, who: str, text: str) -> None:
        click.echo(f"{time.monotonic() - self.began:6.1f} s  {who:>14}  " + text.replace("\n", "\n" + " " * 26))


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo plays."""

    folder: Path
    discord: LoopbackDiscord
    x: LoopbackX
    tell: Transcript


async def run_demo(config: Config) -> None:
    """Play it; the transcript goes to stdout. Raises `TrainingFailed` and the like when a step does not come off."""
    await ready_base(config, lambda text: click.echo(text, err=True))
    tell = Transcript(time.monotonic())
    with tempfile.TemporaryDirectory(prefix="mockingbird-demo-") as folder:
        async with LoopbackDiscord() as discord, LoopbackX(["mockingbird", LEARNED_BEFORE]) as x:
            stage = Stage(Path(folder), discord, x, tell)
            _furnish(config, stage)
            await _import(stage)
            async with _service(stage):
                await _talk(stage)
                await _train(stage)
                await _keep_up(stage)
                await _post(stage)
    tell.scene("The end")
    tell.line("service", "stopped on SIGTERM, exit 0")
    tell.line("X", f"would have charged ${x.bill()}")


# What learns soonest, for a somewhat worse voice: larger steps, and of a larger base the upper layers alone, once.
FASTER = {"epochs": 1, "layers": 16, "batch_tokens": 512, "learning_rate": 4e-3}
FASTER_ON_EMBEDDED = {"epochs": 1, "batch_tokens": 256, "learning_rate": 4e-3}


def _furnish(config: Config, stage: Stage) -> None:
    """Settings, the borrowed base and persona, and two years of tweets for X to give out."""
    settings: dict[str, dict[str, object]] = {
        "paths": {"data": "data", "models": "models", "examples": "nothing"},
        "model": {"base": config.model.base, "weights": config.model.weights, "threads": config.model.threads},
        "training": dict(config.training) | (FASTER_ON_EMBEDDED if config.model.base == "embedded" else FASTER),
        "judging": {"samples": 0},  # `mockingbird evaluate` shows the figures; here they would take two minutes
        "retraining": {"min_new_tweets": 30, "min_hours_between": 0.0, "check_every_minutes": 0.05},
        "replies": {"default_persona": LEARNED_BEFORE},
        "discord": {"enabled": True, "api_base": stage.discord.api_base, "gateway_url": stage.discord.gateway_url},
        "x": {
            "enabled": True,
            "api_base": stage.x.api_base,
            "i_have_permission_to_train": True,
            "fetch_interval_minutes": 0.05,
            "persona": LEARNED_BEFORE,
            "post_every_minutes": 60.0,
        },
        "web": {"enabled": False},
        "log": {"level": "warning"},
    }
    lines = [
        f"[{section}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        for section, keys in settings.items()
    ]  # JSON's strings, numbers and booleans are TOML's too
    (stage.folder / "config.toml").write_text("\n".join(lines), encoding="utf-8")
    (stage.folder / "data").mkdir()
    (stage.folder / "data" / "bases").symlink_to(config.paths.data / "bases")
    shelf = Shelf(config.paths.models)
    version = shelf.current(LEARNED_BEFORE)
    home = stage.folder / "models" / LEARNED_BEFORE
    shutil.copytree(shelf.path(version), home / version.version)
    Shelf(stage.folder / "models").use(LEARNED_BEFORE, version.version)
    shutil.copytree(config.paths.examples, stage.folder / "examples")


def _later_tweets(stage: Stage) -> list[str]:
    """What the keeper wrote after her archive ends."""
    source = stage.folder / "examples" / "later" / f"{LEARNED_BEFORE}.jsonl"
    return [json.loads(line)["text"] for line in source.read_text(encoding="utf-8").splitlines()]


async def _import(stage: Stage) -> None:
    stage.tell.scene("Reading two archives as X hands them out, and asking X what is new")
    for handle in (LEARNED_BEFORE, LEARNED_HERE):
        archive = stage.folder / "examples" / f"{handle}.zip"
        answer = json.loads(await _mockingbird(stage, "import", str(archive), "--basis", "invented", "--json"))
        counts = answer["accounts"][0]
        stage.tell.line(
            "import",
            f"@{handle}: {counts['downloaded']} tweets, minus {counts['retweets']} retweets, "
            f"{counts['short']} short, {counts['duplicates']} doubles: {counts['kept']} kept",
        )
    stage.x.post_as(LEARNED_BEFORE, _later_tweets(stage)[0], created_at=datetime.now(UTC) - timedelta(hours=1))
    fetched = json.loads(await _mockingbird(stage, "fetch", LEARNED_BEFORE, "--yes", "--json"))["accounts"][0]
    stage.tell.line("fetch", f"@{LEARNED_BEFORE}: {fetched['new']} new, ${fetched['usd']}; the rest was in the archive")


async def _talk(stage: Stage) -> None:
    stage.tell.scene("Discord: somebody mentions the bot")
    await stage.discord.bot_ready(60)
    await _ask(stage, "good morning, how is the weather out there?")
    await _ask(stage, "what do you think of gulls?")


async def _train(stage: Stage) -> None:
    stage.tell.scene(f"Discord: /train {LEARNED_HERE}")
    discord = stage.discord
    channel, wren = discord.world.channel("talk"), discord.world.user("wren")
    use = await discord.slash(channel, wren, "train", {"handles": LEARNED_HERE})
    stage.tell.line("wren", f"/train handles:{LEARNED_HERE}")
    message = await use.answered(30)
    stage.tell.line("Mockingbird", message.content)
    await discord.press(message, wren, "Go on")
    stage.tell.line("wren", "presses “Go on”")
    await discord.until(lambda: not _is_question(message), PATIENCE_S, "the beginning of a training")
    while not _ended(message):
        stage.tell.line("Mockingbird", message.content.splitlines()[-1])
        await discord.until(partial(_changed, message, message.content), PATIENCE_S, "progress of a training")
    stage.tell.line("Mockingbird", message.content)
    await _ask(stage, f"{LEARNED_HERE}: what is in the oven today?")


async def _keep_up(stage: Stage) -> None:
    stage.tell.scene(f"X: @{LEARNED_BEFORE} writes on; the service fetches, learns again and compares")
    shelf = Shelf(stage.folder / "models")
    before = len(shelf.versions(LEARNED_BEFORE))
    new = _later_tweets(stage)[1:]
    for number, text in enumerate(new):
        stage.x.post_as(LEARNED_BEFORE, text, created_at=datetime.now(UTC) - timedelta(seconds=len(new) - number))
    stage.tell.line(f"@{LEARNED_BEFORE}", f"wrote {len(new)} tweets")
    async with asyncio.timeout(PATIENCE_S):
        while len(shelf.versions(LEARNED_BEFORE)) == before:  # noqa: ASYNC110 - another process changes the shelf
            await asyncio.sleep(0.5)
    old, newest = shelf.versions(LEARNED_BEFORE)[-2:]
    assert newest.metrics is not None  # only what was adopted has none
    stage.tell.line(
        "retrainer",
        f"{newest.version} was trained: held-out loss {newest.metrics.held_out_loss:.3f}, "
        f"{old.version} on the same tweets {newest.metrics.previous_held_out_loss or 0:.3f}, "
        f"the base {newest.metrics.base_held_out_loss:.3f}",
    )
    stage.tell.line("retrainer", f"in use now: {shelf.current(LEARNED_BEFORE).version}")
    await _ask(stage, "anything new out there?")


async def _post(stage: Stage) -> None:
    stage.tell.scene("X: a post waits for approval, is approved with a button, and goes out once")
    discord = stage.discord
    channel, wren = discord.world.channel("talk"), discord.world.user("wren")
    use = await discord.slash(channel, wren, "queue")
    stage.tell.line("wren", "/queue")
    message = await use.answered(30)
    stage.tell.line("Mockingbird", message.content)
    await discord.press(message, wren, "Approve 1")
    stage.tell.line("wren", "presses “Approve 1”")
    async with asyncio.timeout(120):
        await stage.x.wait_until(lambda: bool(stage.x.timeline("mockingbird")))
    stage.tell.line("@mockingbird", stage.x.timeline("mockingbird")[0].text)


async def _ask(stage: Stage, text: str) -> None:
    """A member mentions the bot, and it answers."""
    discord = stage.discord
    said = await discord.say(discord.world.channel("talk"), discord.world.user("robin"), text)
    stage.tell.line("robin", f"@Mockingbird {text}")
    reply = await discord.reply_to(said, 60)
    stage.tell.line("Mockingbird", reply.content)


def _is_question(message: Message) -> bool:
    """Whether a training's message still asks whether to begin."""
    return message.content.startswith("**Learn ")


def _ended(message: Message) -> bool:
    """Whether a training's message has come to its end."""
    return "learns from the stored tweets" not in message.content


def _changed(message: Message, shown: str) -> bool:
    return message.content != shown


def _environment(stage: Stage) -> dict[str, str]:
    keys = stage.x.keys
    return os.environ | {
        "DISCORD_TOKEN": stage.discord.token,
        "X_BEARER_TOKEN": keys.bearer_token,
        "X_CONSUMER_KEY": keys.consumer_key,
        "X_CONSUMER_SECRET": keys.consumer_secret,
        "X_ACCESS_TOKEN": keys.access_token,
        "X_ACCESS_TOKEN_SECRET": keys.access_token_secret,
    }


def _command(stage: Stage, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "bot", "--config", str(stage.folder / "config.toml"), *arguments]


async def _mockingbird(stage: Stage, *arguments: str) -> str:
    """What the command line prints to stdout."""
    child = await asyncio.create_subprocess_exec(
        *_command(stage, *arguments), stdout=asyncio.subprocess.PIPE, env=_environment(stage)
    )
    output, _ = await child.communicate()
    if child.returncode:
        raise TrainingFailed(f"mockingbird {arguments[0]} ended with {child.returncode}; its message stands above.")
    return output.decode()


@asynccontextmanager
async def _service(stage: Stage) -> AsyncIterator[None]:
    """`mockingbird serve`, running; told to stop at the end."""
    log = stage.folder / "serve.log"
    with log.open("wb") as errors:
        child = await asyncio.create_subprocess_exec(*_command(stage, "serve"), stderr=errors, env=_environment(stage))
    try:
        yield
    except BaseException:
        click.echo(log.read_text(encoding="utf-8"), err=True)
        raise
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
        code = await child.wait()
    if code:
        click.echo(log.read_text(encoding="utf-8"), err=True)
        raise TrainingFailed(f"The service ended with {code}; its log stands above.")
