"""Commands about the service itself."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict

import click
from rich.text import Text

from bot import doctor
from bot.app import frontends, now, service
from bot.app.engines import ready_base
from bot.app.rooms import open_rooms
from bot.app.x_accounts import x_findings
from bot.cli.terminal import cli, command, json_option, note, out, print_json
from bot.config import Config


@cli.command()
@command
async def serve(config: Config) -> None:
    """Run the service until SIGTERM or Ctrl-C."""
    await service.serve(config)


@cli.command()
@command
async def prepare(config: Config) -> None:
    """Make the configured base ready, so that the first start is a quick one."""
    base = await ready_base(config, note)
    note(f"The base {base.record.spec} is ready.")


@cli.command("doctor")
@click.option("--ask-x", is_flag=True, help="Ask X as well: what it has counted, for nothing, and our bios.")
@json_option
@click.pass_obj
def doctor_(config: Config, ask_x: bool, as_json: bool) -> None:
    """Check settings, keys, disk, base and shelf, and say what to do about each finding."""
    findings = asyncio.run(_findings(config, ask_x))
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        colours = {doctor.Grade.OK: "green", doctor.Grade.NOTE: "yellow", doctor.Grade.WRONG: "red"}
        for finding in findings:
            line = Text(f"{finding.grade.value:5}", colours[finding.grade])  # no markup: "[x]" is a section
            line.append(f" {finding.about}  ", "bold").append(finding.text)
            out.print(line, highlight=False, soft_wrap=True)
    if any(finding.grade is doctor.Grade.WRONG for finding in findings):
        sys.exit(2)


async def _findings(config: Config, ask_x: bool) -> list[doctor.Finding]:
    moment = now()
    return [
        *doctor.examine(config),
        *await doctor.discord_answers(config),
        *await doctor.money(config, moment),
        *await x_findings(config, ask_x),
        *await doctor.wishes(config, moment),
    ]


@cli.command("sync-commands")
@command
async def sync_commands(config: Config) -> None:
    """Tell Discord the bot's commands now."""
    async with open_rooms(config) as rooms:
        names = await frontends.sync_commands(rooms)
    out.print(f"Discord knows {', '.join(f'/{name}' for name in sorted(names))} now.", highlight=False)


@cli.command()
@command
async def demo(config: Config) -> None:
    """The whole loop in a minute or two, on the example accounts, without any account or key."""
    from bot.demo import run_demo  # the loopback servers are of no use to any other command

    await run_demo(config)
