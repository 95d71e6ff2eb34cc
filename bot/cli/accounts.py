"""Commands about the accounts whose words come in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import click
from rich.table import Table

from bot import app
from bot.cli.terminal import cli, command, json_option, note, out, print_json
from bot.config import Config
from bot.tweets.cleaning import Profile
from bot.tweets.costs import dollars
from bot.tweets.counts import AccountCounts
from bot.tweets.store import Basis
from bot.tweets.tweet import normalise_handle


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
        print_json({"accounts": [account.as_json() for account in counts], "skipped": skipped_json})
        return
    _print_counts(counts)
    for each in skipped[:10]:
        note(f"Skipped {each.where}: {each.reason}")
    if len(skipped) > 10:
        note(f"… and {len(skipped) - 10} more.")
    if counts:
        note(f"Next: mockingbird train {counts[0].handle}")


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
            note(
                f"@{handle}: about {estimate.posts} posts, {dollars(estimate.usd)}. "
                f"This month {dollars(estimate.month)} of {dollars(estimate.cap)} are spent."
            )
            if not yes and not click.confirm("Fetch them?", err=True):
                raise click.Abort
            result = await collector.fetch(handle)
            note(f"@{handle}: {result.new} new tweets for {dollars(result.usd)}.")
            fetched.append({"handle": handle, "new": result.new, "usd": str(result.usd)})
    if as_json:
        print_json({"accounts": fetched})


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
        print_json({"account": counts.as_json(), "examples": list(examples)})
        return
    _print_counts([counts])
    for example in examples:
        out.print(f"· {example}", markup=False, highlight=False)


def _print_counts(counts: Iterable[AccountCounts]) -> None:
    table = Table("account", "tweets", "retweets", "short", "duplicates", "kept", "characters", "enough?")
    for each in counts:
        numbers = (each.downloaded, each.retweets, each.short, each.duplicates, each.kept, each.characters)
        table.add_row(f"@{each.handle}", *(f"{number:,}" for number in numbers), each.verdict.value)
    out.print(table)
