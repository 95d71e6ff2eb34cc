"""Every command is known to the command line before its module is imported, and nothing else is imported for it."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import click
import pytest

import bot.cli
from bot.cli import cli
from bot.cli.lazy import COMMANDS
from tests.processes import ROOT, environment

NAMES = {name: (module, text) for module, held in COMMANDS.items() for name, text in held.items()}


def imported_after(code: str) -> set[str]:
    """The packages that a fresh process has imported when it has run this."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_command_is_where_it_is_said_to_be_and_says_of_itself_what_help_says(name: str) -> None:
    """Its first paragraph, of which `--help` shows as much as the terminal has room for."""
    module, text = NAMES[name]
    command = cli.get_command(click.Context(cli), name)
    assert command is not None and command.callback is not None
    assert command.callback.__module__ == f"bot.cli.{module}"
    assert " ".join((command.help or "").partition("\n\n")[0].split()) == text


def test_every_command_of_every_module_is_listed() -> None:
    for path in sorted((ROOT / "bot" / "cli").glob("*.py")):
        import_module(f"{bot.cli.__name__}.{path.stem}" if path.stem != "__init__" else bot.cli.__name__)
    assert set(cli.commands) == set(NAMES) == set(cli.list_commands(click.Context(cli)))


def test_the_help_lists_every_command_and_imports_no_room() -> None:
    code = "from bot.cli import cli\ncli.main(['--help'], standalone_mode=False)"
    assert imported_after(code) & {"discord", "tweepy", "aiohttp", "jinja2", "numpy", "aiosqlite"} == set()
    context = click.Context(cli)
    shown = [line.split()[0] for line in cli.get_help(context).partition("Commands:")[2].splitlines() if line]
    assert shown == sorted(NAMES)


def test_the_costs_are_shown_without_the_library_of_discord() -> None:
    assert "discord" not in imported_after("from bot.cli import accounts")


def test_an_unknown_command_is_refused_by_its_name() -> None:
    with pytest.raises(click.UsageError, match="No such command 'coasts'"):
        cli.main(["coasts"], standalone_mode=False)
