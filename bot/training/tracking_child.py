"""The process that talks to a tracker: `python -m bot.training.tracking_child`, two lines in, one line out.

The first line is an `Order`: the run is opened and told on standard output, as `Tracked`. The second, when the version
is placed, is `Material`: all of it is sent. Standard input that ends before it means that there is nothing to send.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BufferedReader, FileIO
from typing import BinaryIO, Protocol, TextIO

from bot.errors import MockingbirdError, OutsideError, UsageError
from bot.shelf.manifest import Tracked
from bot.training.job import say_why
from bot.training.orphans import end_with_parent
from bot.training.tracking import Material, Order
from bot.training.tracking_lineage import Lineage, lineage


class Run(Protocol):
    """A run that a tracker has opened."""

    @property
    def tracked(self) -> Tracked:
        """What it is called, and where it can be seen."""
        ...

    def send(self, shown: Lineage) -> None:
        """Let the tracker have everything, and close the run."""
        ...


Opened = Callable[[Order], AbstractContextManager[Run]]


def adapter(service: str) -> Opened:
    """What opens a run of that service. Raises `UsageError` where its package is missing."""
    if importlib.util.find_spec(service) is None:
        raise UsageError(
            f"{service} is not installed. Run `.venv/bin/pip install --constraint requirements.lock --editable "
            f"'.[{service}]'`, or set [tracking] service = \"\"."
        )
    if service == "wandb":
        from bot.training import tracking_wandb

        return tracking_wandb.opened
    from bot.training import tracking_trackio

    return tracking_trackio.opened


def talk(order: Order, out: TextIO, standard_input: BinaryIO) -> None:
    """Open the run, tell it, and send what is to be sent. Raises `UsageError`, `OutsideError`."""
    opened = adapter(order.service)
    try:
        with opened(order) as run:
            out.write(run.tracked.model_dump_json() + "\n")
            out.flush()
            line = standard_input.readline()
            if line:
                end_with_parent(FileIO(0, closefd=False))
                with lineage(Material.model_validate_json(line), order.folder) as shown:
                    run.send(shown)
    except Exception as error:  # what a tracker's library raises is not ours to know
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise OutsideError(f"{order.service} did not take the run: {reason}") from error


def main() -> int:
    """Exit code 0 when done; else the error's own, with its sentence as the last line on stderr."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out, FileIO(0, closefd=False) as raw:
        os.dup2(2, 1)  # what libraries print is no answer
        standard_input = BufferedReader(raw)
        try:
            talk(Order.model_validate_json(standard_input.readline()), out, standard_input)
        except MockingbirdError as error:
            return say_why(error)
    return 0


if __name__ == "__main__":
    code = main()
    if code:
        sys.stderr.flush()
        os._exit(code)  # what a library that failed says at its end would hide why
