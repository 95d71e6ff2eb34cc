"""What every command stands on: the group, its configuration, and where output goes."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import secrets
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Concatenate, ParamSpec

import click
from rich.console import Console

from bot import __version__, logs
from bot.cli.lazy import LazyGroup
from bot.config import Config, load

P = ParamSpec("P")
out = Console()
err = Console(stderr=True)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mockingbird")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Settings; ./config.toml by default.")
@click.pass_context
def cli(context: click.Context, config_file: Path | None) -> None:
    """Learns the voice of an X account and speaks it in Discord, on X and on a web page."""
    config = load(config_file)
    logs.configure(config.log, run=secrets.token_hex(4))
    if config.hub.endpoint:
        os.environ["HF_ENDPOINT"] = config.hub.endpoint  # the hub's library knows no other way; for our children
    context.obj = config


def command(function: Callable[Concatenate[Config, P], Awaitable[None]]) -> Callable[P, None]:
    """The coroutine as a command that is given the configuration."""

    def run(config: Config, /, *arguments: P.args, **options: P.kwargs) -> None:
        async def body() -> None:
            await function(config, *arguments, **options)

        asyncio.run(body())

    return functools.update_wrapper(click.pass_obj(run), function)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def note(text: str) -> None:
    """A line for the person at the terminal, on stderr."""
    err.print(text, markup=False, highlight=False)


def print_json(document: object) -> None:
    """The one document that `--json` puts on stdout."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=1, default=_plain))


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
