"""The command about what was said to our accounts on X."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from rich.table import Column, Table

from bot.app.rooms import open_rooms
from bot.cli.terminal import cli, command, json_option, out, print_json
from bot.config import Config
from bot.replies.mention import MentionState
from bot.replies.mentions import count_mentions, recent_mentions


@cli.command()
@json_option
@command
async def mentions(config: Config, as_json: bool) -> None:
    """Mentions of our accounts on X: the newest ones, what became of them and why, and how many there are."""
    async with open_rooms(config) as rooms:
        counts = await count_mentions(rooms.database)
        newest = await recent_mentions(rooms.database)
    if as_json:
        shown = [asdict(noted) | {"seen_at": noted.seen_at.isoformat(), "sending_since": None} for noted in newest]
        for each in shown:
            del each["sending_since"], each["tries"], each["declined"]
        print_json({"accounts": {name: dict(of_account) for name, of_account in counts.items()}, "mentions": shown})
        return
    if not newest:
        out.print("Nobody has mentioned an account of ours yet, or none answers (docs/x.md).", highlight=False)
        return
    table = Table("account", Column("mention", no_wrap=True), "seen (UTC)", "state", "reason")
    for noted in newest:
        seen = f"{noted.seen_at:%Y-%m-%d %H:%M}"
        table.add_row(noted.account, noted.id, seen, noted.state.value, noted.reason or "")
    out.print(table)
    for name, of_account in sorted(counts.items()):
        states = {what: number for what, number in of_account.most_common() if what in set(MentionState)}
        reasons = {what.partition(": ")[2]: number for what, number in of_account.most_common() if what not in states}
        out.print(f"{name}: {_counted(states)}.", highlight=False, markup=False)
        if reasons:
            out.print(f"Left alone: {_counted(reasons)}.", highlight=False, markup=False)


def _counted(numbers: Mapping[str, int]) -> str:
    return "; ".join(f"{number:,} {what}" for what, number in numbers.items())
