"""The composition root: the only package that sees every room and says what is made of what.

`rooms` wires everything that needs no engine and no network; the command line stands on it. `service` adds the engine,
the front ends, the scheduler and the tasks, each with a name and an owner, and takes them down in reverse.
"""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The service's clock, UTC."""
    return datetime.now(UTC)
