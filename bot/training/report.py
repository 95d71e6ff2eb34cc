"""What a training says of itself while it runs: events on standard output, steps gathered into a few."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TextIO

from bot.training.job import Event
from bot.training.orphans import Stopped


@dataclass
class Report:
    """Events on standard output, one JSON object a line."""

    out: TextIO
    every: float  # seconds at least between two "step" events
    reported_at: float = 0.0
    nats: float = 0.0  # since the last "step" event
    tokens: int = 0  # likewise

    def __call__(self, event: Event) -> None:
        try:
            self.out.write(event.model_dump_json(exclude_none=True) + "\n")
            self.out.flush()
        except BrokenPipeError as error:  # nobody is there to read it
            raise Stopped from error

    def step(self, step: int, steps: int, nats: float, tokens: int, seconds_left: float) -> None:
        """A step's figures, reported together with those of the steps since the last report."""
        self.nats += nats
        self.tokens += tokens
        seconds = time.monotonic() - self.reported_at
        if seconds < self.every:
            return
        loss, rate = self.nats / self.tokens, self.tokens / seconds
        self(Event(event="step", step=step, steps=steps, loss=loss, tokens_per_second=rate, seconds_left=seconds_left))
        self.begin()

    def begin(self) -> None:
        """Forget what was gathered: time that is not learning has passed."""
        self.reported_at, self.nats, self.tokens = time.monotonic(), 0.0, 0
