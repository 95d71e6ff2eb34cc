"""For child processes with nothing to save: they end when their parent does, however it ended."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from io import FileIO


def end_with_parent(standard_input: FileIO) -> None:
    """Let the kernel send SIGTERM when the parent dies, and end when standard input does, which is its other sign.

    Call it after what comes in on standard input was read.
    """
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
    threading.Thread(target=_wait_for_end, args=(standard_input,), daemon=True).start()


def _wait_for_end(standard_input: FileIO) -> None:
    while standard_input.read(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
