"""The `mockingbird` command: parses, calls one room, prints. Results go to stdout, progress and logs to stderr.

With `--json` a reading command prints one JSON document and nothing else on stdout. Exit codes: 0 done, 1 a bug,
2 wrong usage or configuration, 3 something outside is unavailable or refused, 130 interrupted.
"""

from __future__ import annotations

import sys

import click
from rich.markup import escape

from bot.cli import (
    accounts,
    adopting,
    blending,
    consent,
    drawing,
    exploring,
    hub,
    judging,
    login,
    mentions,
    posts,
    service,
    training,
    voices,
)
from bot.cli.terminal import cli, err
from bot.errors import MockingbirdError

__all__ = [
    "accounts",
    "adopting",
    "blending",
    "cli",
    "consent",
    "drawing",
    "exploring",
    "hub",
    "judging",
    "login",
    "main",
    "mentions",
    "posts",
    "service",
    "training",
    "voices",
]


def main() -> None:
    """Entry point: runs the command and turns every outcome into its exit code."""
    try:
        cli.main(standalone_mode=False)
    except MockingbirdError as error:
        err.print(f"[bold red]Error:[/] {escape(str(error))}", highlight=False, markup=True)  # [x] is no style
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except BrokenPipeError:  # the reader, `head` for example, has seen enough
        sys.exit(0)
