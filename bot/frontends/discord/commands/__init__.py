"""The commands as Discord sees them. Each hands its values over to a desk; nothing is decided here.

- talking, playing, shelf, learning, serving, house: the commands by what they are about
- completing: what is offered while somebody types
- tree: what holds for every command
"""

from __future__ import annotations

from typing import Any

from discord import app_commands

from bot.frontends.discord.commands import house, learning, playing, serving, shelf, talking


def add_commands(tree: app_commands.CommandTree[Any]) -> None:
    """Put every command in the tree."""
    for module in (talking, playing, shelf, learning, serving, house):
        for command in module.COMMANDS:
            tree.add_command(command)
