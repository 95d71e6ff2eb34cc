"""What the logs show, and what they must never show."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from bot import logs
from bot.config import Log


@pytest.fixture(autouse=True)
def restored() -> None:
    """Each test configures the process's logging; the next one starts from its own."""
    structlog.contextvars.clear_contextvars()


def fail_with_a_secret_at_hand() -> None:
    said = "my secret is swordfish"  # noqa: F841 - a local variable, as any frame has
    raise ValueError("no such thing")


@pytest.mark.parametrize("form", ["human", "json"])
def test_a_traceback_shows_no_local_variable(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Log.model_validate({"format": form}), run="r1")
    try:
        fail_with_a_secret_at_hand()
    except ValueError:
        structlog.get_logger("bot.test").exception("it failed")
    written = capsys.readouterr().err
    assert "no such thing" in written
    assert "fail_with_a_secret_at_hand" in written
    assert "swordfish" not in written


def test_json_lines_carry_the_run_and_the_libraries_speak_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Log(format="json"), run="r1")
    structlog.get_logger("bot.test").info("ours", persona="nell")
    logging.getLogger("discord").warning("theirs")
    ours, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["persona"], ours["run"]) == ("ours", "nell", "r1")
    assert (theirs["event"], theirs["logger"]) == ("theirs", "discord")


def test_libraries_that_would_log_tokens_or_texts_are_held_at_info_even_when_debugging() -> None:
    logs.configure(Log(level="debug"), run="r1")
    assert not any(logging.getLogger(name).isEnabledFor(logging.DEBUG) for name in logs.TALKATIVE)
