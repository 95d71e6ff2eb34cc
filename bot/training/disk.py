"""A full disk, whoever meets it: safetensors reports it as an error of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from safetensors import SafetensorError


@contextmanager
def writing() -> Iterator[None]:
    """Around everything that safetensors writes: trouble with the disk is an `OSError` with its number."""
    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
