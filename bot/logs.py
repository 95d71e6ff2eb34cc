"""Logs on stderr: for people on a terminal, JSON lines otherwise.

Fields that run through: run, persona, version, message_id. Neither tokens nor the text of messages or tweets are ever
passed to a logger; libraries that would write a token at DEBUG are held at INFO.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

from bot.config import Log

if TYPE_CHECKING:
    from structlog.typing import Processor

TALKATIVE = (
    "tweepy",
    "discord.http",
    "discord.gateway",
    "oauthlib",
    "requests_oauthlib",
    "aiosqlite",
)  # tokens or texts at DEBUG
QUIET = ("apscheduler", "aiohttp.access", "asyncio", "filelock")  # a line for each tick or request


def configure(settings: Log, run: str) -> None:
    """Send this process's logs, the libraries' included, to stderr in the configured form."""
    human = settings.format == "human" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if human else "iso", utc=not human),
    ]
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    last: list[Processor] = (
        # Both would print local variables beside a traceback: what people said, and keys.
        [structlog.dev.ConsoleRenderer(sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if human
        else [structlog.processors.ExceptionRenderer(transformer), structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.level.upper(), force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLogger().level))
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(run=run)
