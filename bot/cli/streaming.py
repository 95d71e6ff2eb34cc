"""What is being spoken, at the terminal, while it is spoken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from bot.generation.draft import OnPartial, Partial


@contextmanager
def live_rows(console: Console) -> Iterator[OnPartial]:
    """Every row as it grows, behind its seed, and gone when the body ends. Nothing where there is no terminal."""
    rows: dict[int, Partial] = {}
    with Live(console=console, transient=True) as live:

        def show(partial: Partial) -> None:
            rows[partial.row] = partial
            live.update(Group(*(_line(rows[row]) for row in sorted(rows))))

        yield show


def _line(partial: Partial) -> Text:
    return Text.assemble((f"{partial.seed}  ", "dim"), partial.text)
