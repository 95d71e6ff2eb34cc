"""One run of the training process, from its job to its result."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.errors import DiskFull, MockingbirdError, TrainingFailed
from bot.training.child import started
from bot.training.job import CHECKPOINT, DISK_FULL, RESULT, Event, Job, Result

FINETUNE = "bot.training.finetune"


MOST_PARTS = 4  # a batch of 512 tokens is then down to a few tweets, and the base itself is what is too large


async def learn(job: Job, on_event: Callable[[Event], Awaitable[None]]) -> Result | None:
    """Do the job in a child process; None when it is to go on later from the checkpoint in the job's folder.

    That is when the child was told to stop, by us or by somebody else, and when it was killed after it had come
    further than the run before: each new try has to get somewhere, so that one that can't does not go on for ever.
    Killed before, which is how an overcommitting system says that memory ran out, it is tried with smaller batches.
    Raises `TrainingFailed`, `DiskFull`.
    """
    while True:
        before = _written_at(job)
        run = await _run(job, on_event)
        if run.code == 0 and not run.stopped:
            return Result.model_validate_json((job.folder / RESULT).read_bytes())
        if run.stopped or run.code in (-signal.SIGTERM, -signal.SIGINT):
            return None
        if run.code != -signal.SIGKILL:
            raise _failure(run)
        if _written_at(job) != before:
            return None
        if job.parts >= MOST_PARTS:
            raise _failure(run)
        job = job.model_copy(update={"parts": job.parts * 2})


@dataclass(frozen=True, slots=True)
class _Run:
    """How a child ended."""

    code: int  # exit code, or minus the signal that ended it
    stopped: bool  # because it was told to
    last_words: str
    ran_out_of_memory: bool  # by its last words


async def _run(job: Job, on_event: Callable[[Event], Awaitable[None]]) -> _Run:
    stopped = False
    async with started(FINETUNE, first_line=job.model_dump_json()) as child:
        async for line in child.lines():
            event = Event.model_validate_json(line)
            stopped = stopped or event.event == "stopped"
            await on_event(event)
        code = await child.ended()
    return _Run(code, stopped, child.last_words, child.ran_out_of_memory)


def _written_at(job: Job) -> int | None:
    """When the job's checkpoint was written, in nanoseconds; None when there is none."""
    try:
        return (job.folder / CHECKPOINT).stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _failure(run: _Run) -> MockingbirdError:
    """Why the child ended without a result, in one sentence."""
    if run.code == DISK_FULL:
        return DiskFull(run.last_words)
    if run.code == TrainingFailed.exit_code and run.last_words:
        return TrainingFailed(run.last_words)
    if run.code == -signal.SIGKILL:
        return TrainingFailed(
            "The training process was killed, most likely because memory ran out. Lower [training] batch_tokens, "
            "use a smaller base, or train when the machine has less to do."
        )
    if run.ran_out_of_memory:
        return TrainingFailed("Memory ran out while learning. Lower [training] batch_tokens or use a smaller base.")
    return TrainingFailed(
        f"The training process ended unexpectedly ({run.last_words or f'exit code {run.code}'}). "
        "Try again; if it happens again, report it with the log."
    )
