"""The `mockingbird` command: parses, calls one room, prints. Results go to stdout, progress and logs to stderr.

With `--json` a reading command prints one JSON document and nothing else on stdout. Exit codes: 0 done, 1 a bug,
2 wrong usage or configuration, 3 something outside is unavailable or refused, 130 interrupted.
"""

from __future__ import annotations

import asyncio
import functools
import json
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from bot import __version__, app, doctor, logs
from bot.config import Config, load
from bot.errors import MockingbirdError, TrainingFailed, UsageError
from bot.generation.draft import Drafts, Sampling
from bot.shelf.manifest import Manifest
from bot.training.record import Training, TrainingPoint, TrainingState
from bot.tweets.cleaning import Profile
from bot.tweets.costs import dollars
from bot.tweets.counts import AccountCounts
from bot.tweets.store import Basis
from bot.tweets.tweet import normalise_handle

P = ParamSpec("P")
out = Console()
err = Console(stderr=True)


def main() -> None:
    """Entry point: runs the command and turns every outcome into its exit code."""
    try:
        cli.main(standalone_mode=False)
    except MockingbirdError as error:
        err.print(f"[bold red]Error:[/] {error}", highlight=False, markup=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except BrokenPipeError:  # the reader, `head` for example, has seen enough
        sys.exit(0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mockingbird")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Settings; ./config.toml by default.")
@click.pass_context
def cli(context: click.Context, config_file: Path | None) -> None:
    """Learns the voice of an X account and speaks it in Discord, on X and on a web page."""
    config = load(config_file)
    logs.configure(config.log, run=secrets.token_hex(4))
    context.obj = config


def command(function: Callable[Concatenate[Config, P], Awaitable[None]]) -> Callable[P, None]:
    """The coroutine as a command that is given the configuration."""

    def run(config: Config, /, *arguments: P.args, **options: P.kwargs) -> None:
        async def body() -> None:
            await function(config, *arguments, **options)

        asyncio.run(body())

    return functools.update_wrapper(click.pass_obj(run), function)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@cli.command()
@command
async def serve(config: Config) -> None:
    """Run the service until SIGTERM or Ctrl-C."""
    await app.serve(config)


@cli.command()
@command
async def prepare(config: Config) -> None:
    """Make the configured base ready, so that the first start is a quick one."""
    base = await app.ready_base(config, _say)
    _say(f"The base {base.record.spec} is ready.")


@cli.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--handle", help="Whose tweets these are, where the file does not say.")
@click.option("--basis", type=click.Choice([basis.value for basis in Basis]), help="Why this account may be learned.")
@click.option("--profile", type=click.Choice([profile.value for profile in Profile]), help="How tweets are cleaned.")
@json_option
@command
async def import_(
    config: Config, path: Path, handle: str | None, basis: str | None, profile: str | None, as_json: bool
) -> None:
    """Read tweets from an X archive (zip or folder), CSV, TSV, JSON or JSONL."""
    async with app.open_rooms(config) as rooms:
        counts, skipped = await app.import_file(
            rooms, path, handle, Basis(basis) if basis else None, Profile(profile) if profile else None
        )
    if as_json:
        skipped_json = [{"where": each.where, "reason": each.reason} for each in skipped]
        _json({"accounts": [account.as_json() for account in counts], "skipped": skipped_json})
        return
    _print_counts(counts)
    for each in skipped[:10]:
        _say(f"Skipped {each.where}: {each.reason}")
    if len(skipped) > 10:
        _say(f"… and {len(skipped) - 10} more.")
    if counts:
        _say(f"Next: mockingbird train {counts[0].handle}")


@cli.command()
@click.argument("handles", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Go on without asking about the cost.")
@json_option
@command
async def fetch(config: Config, handles: Sequence[str], yes: bool, as_json: bool) -> None:
    """Fetch new tweets from X: says what it will cost, asks, then does it."""
    fetched: list[dict[str, object]] = []
    async with app.open_rooms(config) as rooms, app.open_collector(rooms) as collector:
        for handle in map(normalise_handle, handles):
            estimate = await collector.estimate(handle)
            _say(
                f"@{handle}: about {estimate.posts} posts, {dollars(estimate.usd)}. "
                f"This month {dollars(estimate.month)} of {dollars(estimate.cap)} are spent."
            )
            if not yes and not click.confirm("Fetch them?", err=True):
                raise click.Abort
            result = await collector.fetch(handle)
            _say(f"@{handle}: {result.new} new tweets for {dollars(result.usd)}.")
            fetched.append({"handle": handle, "new": result.new, "usd": str(result.usd)})
    if as_json:
        _json({"accounts": fetched})


@cli.command()
@click.argument("handle")
@json_option
@command
async def tweets(config: Config, handle: str, as_json: bool) -> None:
    """Counts of an account and a few of its tweets as they are learned."""
    handle = normalise_handle(handle)
    async with app.open_rooms(config, examples=True) as rooms:
        counts = await rooms.store.counts(handle)
        examples = await rooms.store.examples(handle, 5)
    if as_json:
        _json({"account": counts.as_json(), "examples": list(examples)})
        return
    _print_counts([counts])
    for example in examples:
        out.print(f"· {example}", markup=False, highlight=False)


@cli.command()
@click.argument("handles", nargs=-1, required=True)
@click.option("--name", help="The persona's name; the handles joined by - unless given.")
@json_option
@command
async def train(config: Config, handles: Sequence[str], name: str | None, as_json: bool) -> None:
    """Train a persona on one account, or on several blended into a cyborg."""
    async with app.open_rooms(config, examples=True) as rooms:
        with _progress() as show:
            training = await app.train(rooms, [normalise_handle(handle) for handle in handles], name, show)
        manifest = rooms.shelf.version(training.persona, training.version) if training.version else None
    if as_json:
        _json(
            {
                "persona": training.persona,
                "state": training.state.value,
                "version": training.version,
                "reason": training.reason,
                "metrics": manifest.metrics.model_dump() if manifest else None,
            }
        )
    elif manifest:
        out.print(f"{training.persona} {training.version}: {training.reason}", markup=False, highlight=False)
        _print_versions([manifest], manifest.version)
        _say(f"Next: mockingbird say {training.persona}")
    if training.state in (TrainingState.FAILED, TrainingState.CANCELLED):
        raise TrainingFailed(training.reason or "The training ended without a version. The log says more.")


@cli.command()
@click.argument("persona")
@click.option("--start", default="", help="How each draft begins.")
@click.option("-n", "count", type=click.IntRange(1, 100), default=5, show_default=True, help="How many drafts.")
@click.option("--seed", type=click.IntRange(0), help="The first draft's seed; the next ones count up.")
@click.option("--temperature", type=click.FloatRange(0, 5, min_open=True))
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True))
@json_option
@command
async def say(
    config: Config,
    persona: str,
    start: str,
    count: int,
    seed: int | None,
    temperature: float | None,
    top_p: float | None,
    as_json: bool,
) -> None:
    """Drafts in a persona's voice."""
    sampling = Sampling.from_settings(config.generation, temperature, top_p)
    async with app.open_rooms(config, examples=True) as rooms:
        persona = normalise_handle(persona)
        rooms.shelf.current(persona)  # a wrong name need not wait for the engine
        async with app.open_engine(config, _say) as engine:
            rooms.speaker.speak_with(engine)
            made = await rooms.speaker.drafts(persona, count=count, sampling=sampling, start=start, seed=seed)
    if as_json:
        _json(_drafts_json(made))
        return
    for draft in made.drafts:
        out.print(draft.text, markup=False, highlight=False)
        out.print(f"  [dim]seed {draft.seed} · novelty {draft.novelty:.2f}[/]", highlight=False)


@cli.command()
@json_option
@command
async def personas(config: Config, as_json: bool) -> None:
    """Everybody on the shelf, with the version in use."""
    async with app.open_rooms(config) as rooms:
        current = [rooms.shelf.current(name) for name in rooms.shelf.personas()]
    if as_json:
        _json({"personas": [manifest.model_dump(mode="json") for manifest in current]})
    elif current:
        _print_versions(current, None)
    else:
        _say("No persona yet. `mockingbird train HANDLE` makes one.")


@cli.command()
@click.argument("persona")
@json_option
@command
async def versions(config: Config, persona: str, as_json: bool) -> None:
    """All versions of a persona; the one in use is marked."""
    async with app.open_rooms(config) as rooms:
        found = rooms.shelf.versions(normalise_handle(persona))
        current = rooms.shelf.current(normalise_handle(persona)).version
    if as_json:
        _json({"current": current, "versions": [manifest.model_dump(mode="json") for manifest in found]})
    else:
        _print_versions(found, current)


@cli.command()
@click.argument("persona")
@click.argument("version", required=False)
@command
async def rollback(config: Config, persona: str, version: str | None) -> None:
    """Put an earlier version in use: the one before the present one, or the one that is named."""
    async with app.open_rooms(config) as rooms:
        name = normalise_handle(persona)
        target = version or rooms.shelf.current(name).parent
        if target is None:
            raise UsageError(f"{name} has no earlier version to go back to. `mockingbird versions {name}` lists them.")
        manifest = rooms.shelf.use(name, target)
    out.print(f"{name} speaks as {manifest.version} from now on.", highlight=False)


@cli.command()
@click.argument("persona")
@command
async def card(config: Config, persona: str) -> None:
    """The model card of the version in use."""
    async with app.open_rooms(config) as rooms:
        manifest = rooms.shelf.current(normalise_handle(persona))
        click.echo((rooms.shelf.path(manifest) / "README.md").read_text(encoding="utf-8"))


@cli.command("doctor")
@json_option
@click.pass_obj
def doctor_(config: Config, as_json: bool) -> None:
    """Check settings, keys, disk, base and shelf, and say what to do about each finding."""
    findings = doctor.examine(config)
    if as_json:
        _json({"findings": [asdict(finding) for finding in findings]})
    else:
        colours = {doctor.Grade.OK: "green", doctor.Grade.NOTE: "yellow", doctor.Grade.WRONG: "red"}
        for finding in findings:
            out.print(f"[{colours[finding.grade]}]{finding.grade.value:5}[/] [bold]{finding.about}[/]", end="  ")
            out.print(finding.text, markup=False, highlight=False)
    if any(finding.grade is doctor.Grade.WRONG for finding in findings):
        sys.exit(2)


@cli.command("sync-commands")
@command
async def sync_commands(config: Config) -> None:
    """Tell Discord the bot's commands now."""
    async with app.open_rooms(config) as rooms:
        names = await app.sync_commands(rooms)
    out.print(f"Discord knows {', '.join(f'/{name}' for name in sorted(names))} now.", highlight=False)


@cli.command()
@command
async def demo(config: Config) -> None:
    """The whole loop in a minute or two, on the example accounts, without any account or key."""
    from bot.demo import run_demo  # the loopback servers are of no use to any other command

    await run_demo(config)


@contextmanager
def _progress() -> Iterator[Callable[[Training], None]]:
    """A bar on stderr that follows a training."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=err) as progress:
        bar = progress.add_task("waiting", total=None, figures="")

        def show(training: Training) -> None:
            point = training.point
            total = point.steps if point and point.steps else None
            done = point.step if point else 0
            progress.update(bar, description=_stage(training), total=total, completed=done, figures=_figures(point))

        yield show


def _stage(training: Training) -> str:
    if training.state is TrainingState.QUEUED:
        return f"{training.persona}: number {training.position or 1} in line"
    if training.state is TrainingState.RUNNING and training.point is None:
        return f"{training.persona}: loading the base"
    return f"{training.persona}: {training.state.value}"


def _figures(point: TrainingPoint | None) -> str:
    """Loss, held-out loss, speed and time left, as far as they are known."""
    if point is None:
        return ""
    figures = [
        ("loss {:.3f}", point.loss),
        ("held-out {:.3f}", point.held_out_loss),
        ("{:.0f} tokens/s", point.tokens_per_second),
        ("{:.0f} s left", point.seconds_left),
    ]
    return " · ".join(form.format(value) for form, value in figures if value is not None)


def _say(text: str) -> None:
    err.print(text, markup=False, highlight=False)


def _json(document: object) -> None:
    click.echo(json.dumps(document, ensure_ascii=False, indent=1, default=_plain))


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _drafts_json(made: Drafts) -> dict[str, Any]:
    drafts = [
        {"text": draft.text, "seed": draft.seed, "novelty": draft.novelty, "nearest": draft.nearest}
        for draft in made.drafts
    ]
    return {"persona": made.persona, "version": made.version, "drafts": drafts}


def _print_counts(counts: Iterable[AccountCounts]) -> None:
    table = Table("account", "tweets", "retweets", "short", "duplicates", "kept", "characters", "enough?")
    for each in counts:
        numbers = (each.downloaded, each.retweets, each.short, each.duplicates, each.kept, each.characters)
        table.add_row(f"@{each.handle}", *(f"{number:,}" for number in numbers), each.verdict.value)
    out.print(table)


def _print_versions(manifests: Iterable[Manifest], current: str | None) -> None:
    table = Table("persona", "version", "accounts", "tweets kept", "held-out loss", "base", "bits/byte", "created")
    for each in manifests:
        mark = " *" if each.version == current else ""
        table.add_row(
            each.persona,
            each.version + mark,
            ", ".join(f"@{handle}" for handle in each.handles),
            f"{sum(count.kept for count in each.counts):,}",
            f"{each.metrics.held_out_loss:.3f}",
            f"{each.metrics.base_held_out_loss:.3f}",
            f"{each.metrics.bits_per_byte:.3f}",
            f"{each.created:%Y-%m-%d %H:%M}",
        )
    out.print(table)
