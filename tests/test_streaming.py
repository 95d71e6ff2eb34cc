"""What the terminal shows while a persona speaks."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from bot.cli.streaming import live_rows
from bot.generation.draft import Partial


def test_rows_are_shown_as_they_grow_and_are_gone_at_the_end() -> None:
    shown = StringIO()
    console = Console(file=shown, force_terminal=True, width=60, color_system=None)
    with live_rows(console) as on_partial:
        on_partial(Partial(1, 8, "[b]owls mend"))
        on_partial(Partial(0, 7, "zebras juggle"))
    before, _, after = shown.getvalue().rpartition("8  [b]owls mend")
    assert "7  zebras juggle" in before
    assert after.count("\x1b[2K") == 2  # both lines are erased


def test_nothing_is_shown_where_there_is_no_terminal() -> None:
    shown = StringIO()
    with live_rows(Console(file=shown, force_terminal=False)) as on_partial:
        on_partial(Partial(0, 7, "zebras juggle"))
    assert not shown.getvalue().strip()
