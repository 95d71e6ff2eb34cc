"""One run of the training process, from its job to its result."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

from bot.errors import DiskFull, MockingbirdError, TrainingFailed
from bot.training.child import Child, started
from bot.training.job import CHECKPOINT, DISK_FULL, RESULT, Event, Job, Result

FINETUNE = "bot.training.finetune"


async def learn(job: Job, on_event: Callable[[Event], Awaitable[None]]) -> Result | None:
    """Do the job in a child process; None when it is to go on later from the checkpoint in the job's folder.

    That is when the child was told to stop, by us or by somebody else, and when it was killed after it had come
    further than the run before: each new try has to get somewhere, so that one that can't does not go on for ever.
    Raises `TrainingFailed`, `DiskFull`.
    """
    stopped = False
    before = _written_at(job)
    async with started(FINETUNE, first_line=job.model_dump_json()) as child:
        async for line in child.lines():
            event = Event.model_validate_json(line)
            stopped = stopped or event.event == "stopped"
            await on_event(event)
        code = await child.ended()
    if stopped or code in (-signal.SIGTERM, -signal.SIGINT):
        return None
    if code == -signal.SIGKILL and _written_at(job) != before:
        return None
    if code != 0:
        raise _failure(child, code)
    return Result.model_validate_json((job.folder / RESULT).read_bytes())


def _written_at(job: Job) -> int | None:
    """When the job's checkpoint was written, in nanoseconds; None when there is none."""
    try:
        return (job.folder / CHECKPOINT).stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _failure(child: Child, code: int) -> MockingbirdError:
    """Why the child ended without a result, in one sentence."""
    if code == DISK_FULL:
        return DiskFull(child.last_words)
    if code == TrainingFailed.exit_code and child.last_words:
        return TrainingFailed(child.last_words)
    if code == -signal.SIGKILL:
        return TrainingFailed(
            "The training process was killed, most likely because memory ran out. Lower [training] batch_tokens, "
            "use a smaller base, or train when the machine has less to do."
        )
    if child.ran_out_of_memory:
        return TrainingFailed("Memory ran out while learning. Lower [training] batch_tokens or use a smaller base.")
    return TrainingFailed(
        f"The training process ended unexpectedly ({child.last_words or f'exit code {code}'}). "
        "Try again; if it happens again, report it with the log."
    )
