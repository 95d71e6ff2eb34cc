"""The command that shows what a version was made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import click
from rich import box
from rich.table import Table

from bot.app.rooms import open_rooms
from bot.cli.portrait import Row, print_distributions, print_table, share
from bot.cli.terminal import cli, command, err, json_option, out, print_json
from bot.config import Config
from bot.training.ingredients import STEPS, Account, Ingredients, Step, told, waterfall
from bot.tweets.tweet import normalise_handle

BAR = 36  # characters of the longest bar
SIDE_BY_SIDE = 5  # accounts in a table
UNKNOWN = "–"


@cli.command()
@click.argument("persona")
@click.option("--version", help="Another one than the version in use.")
@json_option
@command
async def explore(config: Config, persona: str, version: str | None, as_json: bool) -> None:
    """What a version was made of: downloaded, left out and why, learned from, kept aside."""
    async with open_rooms(config, examples=True) as rooms:
        name = normalise_handle(persona)
        manifest = rooms.shelf.meant(name, version)
        with err.status(f"Looking into {name} {manifest.version}"):
            made = await rooms.explorer.of_version(manifest)
    if as_json:
        print_json(made.model_dump(mode="json"))
    else:
        print_ingredients(made)


def print_ingredients(made: Ingredients) -> None:
    """From the sum of all to examples of each step."""
    people = ", ".join(f"@{account.handle}" for account in made.accounts)
    _say(f"{made.persona} {made.version}{f', learned from {people}' if people else ''}. {' '.join(told(made))}")
    if not made.accounts:
        return
    print_table("What it was made of: █ remains, ░ left out", ("step", "tweets", ""), list(_flow(made.together)))
    for start in range(0, len(made.accounts), SIDE_BY_SIDE):
        _print_side_by_side(made.accounts[start : start + SIDE_BY_SIDE])
    if made.portrait:
        print_distributions(made.portrait)
    for name in STEPS:
        _print_examples(made, name)


def _say(text: str, style: str | None = None) -> None:
    out.print(text, style=style, markup=False, highlight=False)


def _flow(account: Account) -> Iterator[Row]:
    whole = account.steps[0].tweets if account.steps else 0
    for step, start in waterfall(account.steps):
        if step.tweets or not step.is_left_out:
            yield _name(step), share(step.tweets, whole), _bar(step, start, whole)


def _name(step: Step) -> str:
    return f"{'−' if step.is_left_out else '='} {STEPS[step.name].title}"


def _bar(step: Step, start: int, whole: int) -> str:
    """Rounded up, so that a single tweet is seen."""
    if not whole or not step.tweets:
        return ""
    begin = min(start * BAR // whole, BAR - 1)
    end = max(-(-(start + step.tweets) * BAR // whole), begin + 1)
    return " " * begin + ("░" if step.is_left_out else "█") * (end - begin)


def _print_side_by_side(accounts: Sequence[Account]) -> None:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    for account in accounts:
        table.add_column(f"@{account.handle}", justify="right", overflow="fold")
    for number, step in enumerate(accounts[0].steps):
        counts = [account.steps[number].tweets for account in accounts]
        if any(counts) or not step.is_left_out:
            table.add_row(_name(step), *map(_number, counts))
    if any(account.epoch is not None for account in accounts):
        table.add_section()
        for title, found in FACTS.items():
            table.add_row(title, *map(found, accounts))
    _say("\nAccount by account", "bold")
    out.print(table)


def _number(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else UNKNOWN


FACTS: Mapping[str, Callable[[Account], str]] = {
    "from": lambda account: _day(account.first),
    "kept aside from": lambda account: _day(account.boundary),
    "to": lambda account: _day(account.last),
    "characters": lambda account: _number(account.characters),
    "tokens": lambda account: _number(account.tokens),
    "answering": lambda account: _number(account.answers),
    "in an epoch": lambda account: _number(account.epoch),
    "new since": lambda account: _number(account.new),
}


def _print_examples(made: Ingredients, name: str) -> None:
    found = [
        (account.handle, text)
        for account in made.accounts
        for step in account.steps
        if step.name == name
        for text in step.examples
    ]
    if found:
        _say(f"\n{STEPS[name].title}: {STEPS[name].why}", "bold")
    for handle, text in found:
        _say(f"· @{handle}: {text}" if len(made.accounts) > 1 else f"· {text}")
