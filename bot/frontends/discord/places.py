"""Where the message of a training stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Kept as a mark over a restart, so what is new here has a default."""

    training: int
    channel: int
    message: int
    author: int  # who asked for it
    server: int = 0  # where it was asked for; 0 in a direct message
    is_direct: bool = False  # whether it has moved to a direct message since
