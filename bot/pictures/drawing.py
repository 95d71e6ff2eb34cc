"""Has a picture drawn by a process of its own, see `bot.pictures.painter`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Literal

import structlog

LIMIT_S = 60.0  # a picture takes a second; more only on a machine that has stopped to breathe
PNG = b"\x89PNG\r\n\x1a\n"

_PASSED_ON = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")  # no secret

log = structlog.get_logger(__name__)


def draw(template: Literal["predictions", "pipeline", "curve", "avatar"], scene: Mapping[str, object]) -> bytes | None:
    """The PNG that the template makes of the scene; None when it can't be drawn, with the reason in the log.

    Blocks for about a second: call it in a thread.
    """
    command = [sys.executable, "-m", "bot.pictures.painter"]
    wish = json.dumps({"template": template, "scene": scene}).encode()
    seen = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    try:
        done = subprocess.run(command, input=wish, capture_output=True, timeout=LIMIT_S, env=seen, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("a picture was not drawn", picture=template, reason=type(error).__name__)
        return None
    words = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode or not done.stdout.startswith(PNG):
        log.warning("a picture was not drawn", picture=template, code=done.returncode, reason=words[-1:])
        return None
    for word in words:
        log.warning("a picture was drawn with fewer fonts", picture=template, reason=word)
    return done.stdout
