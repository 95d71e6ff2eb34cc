"""How child processes end: with their parent, however that ended, or when told to, after saving what they have."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from io import FileIO


def end_with_parent(standard_input: FileIO) -> None:
    """For a child with nothing to save: end when the parent does, of which the end of standard input is the other sign.

    Call it after what comes in on standard input was read.
    """
    _be_told_of_the_parents_end()
    threading.Thread(target=_end_when_it_ends, args=(standard_input,), daemon=True).start()


class Stopped(Exception):
    """The process was told to stop."""


class Stop:
    """Set by SIGTERM, SIGINT, or the end of standard input, which is the end of the parent."""

    def __init__(self) -> None:
        # No lock: a signal handler is interrupted by the next signal (the kernel sends one for each thread of a parent
        # that dies), and an Event's lock, held by the first, would be waited for by the second for ever.
        self._told = False

    def listen(self, standard_input: FileIO) -> None:
        """From now on signals and the parent's end are noticed. Call it after what comes in was read."""
        _be_told_of_the_parents_end()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._tell())
        threading.Thread(target=self._wait_for_end, args=(standard_input,), daemon=True).start()

    def check(self) -> None:
        """Raises `Stopped` once the process was told to."""
        if self._told:
            raise Stopped

    def _wait_for_end(self, standard_input: FileIO) -> None:
        _read_to_the_end(standard_input)
        self._tell()

    def _tell(self) -> None:
        self._told = True


def _be_told_of_the_parents_end() -> None:
    """Let the kernel send SIGTERM when the parent dies; where it can't, the end of standard input has to do."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def _end_when_it_ends(standard_input: FileIO) -> None:
    _read_to_the_end(standard_input)
    os.kill(os.getpid(), signal.SIGTERM)


def _read_to_the_end(standard_input: FileIO) -> None:
    while standard_input.read(1):
        pass
