"""What a service does beside answering: it goes on with takedowns, tells what changed, retrains, forgets what is old.

Each is a task of its own that runs until it is cancelled, looks into the database or waits for a `Bell`, and outlives
trouble.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

import structlog

from bot.app import now
from bot.app.rooms import Rooms
from bot.errors import MockingbirdError
from bot.personas.takedown import Takedown
from bot.replies.changes import Change
from bot.replies.incoming import Platform
from bot.training.decisions import Decision, Decisions, still_news
from bot.tweets.charges import forget_charges

LOOK_S = 1.0  # between two looks for takedowns and decisions, which another process may have begun
WAIT_S = 900.0  # before another try with a takedown that has to wait
DROP_AGAIN_S = 60.0  # before another try to let go of what is held in memory

log = structlog.get_logger(__name__)


class Bell:
    """Rings for one task: a tick of the scheduler or an event wakes it; rings while it works are one ring."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the task now, or as soon as it waits again."""
        self._rung.set()

    async def wait(self) -> None:
        """Until it rings."""
        await self._rung.wait()
        self._rung.clear()


async def keep_forgetting(
    rooms: Rooms,
    dropped: Callable[[Collection[str]], None],
    look_s: float = LOOK_S,
    drop_again_s: float = DROP_AGAIN_S,
) -> None:
    """Go on with takedowns that were interrupted, here or in another process, and let go of what is held in memory of
    personas that were taken down, which `dropped` is told too. Until cancelled.
    """
    clock = asyncio.get_running_loop().time
    seen: list[Takedown] = []
    waiting: set[int] = set()  # for trouble to pass
    try_again_at = drop_again_at = 0.0
    while True:
        stand = await rooms.takedowns.all()
        if stand != seen and clock() >= drop_again_at:
            try:
                rooms.said.forget()
                await rooms.speaker.drop_what_is_gone()
                dropped({name for takedown in stand for name in takedown.receipt.personas} - {*rooms.shelf.personas()})
                seen = stand
            except Exception:  # a fault of ours; whoever was taken down is not called any more, all the same
                log.exception("what was taken down could not be let go of")
                drop_again_at = clock() + drop_again_s
        unfinished = {takedown.id for takedown in stand if takedown.finished_at is None}
        if unfinished - waiting or (unfinished and clock() >= try_again_at):
            try:
                await rooms.takedowns.go_on()
                waiting = set()
            except MockingbirdError:  # the log has it
                waiting, try_again_at = unfinished, clock() + WAIT_S
            except Exception:  # a fault of ours; what was to be forgotten does not speak, whatever happens here
                log.exception("a takedown broke off")
                waiting, try_again_at = unfinished, clock() + WAIT_S
        await asyncio.sleep(look_s)


async def keep_telling(rooms: Rooms, tell: Callable[[Decision, Change | None], Awaitable[None]] | None) -> None:
    """Say it in the log, and to `tell`, when a persona speaks as another version from now on, or was taught anew and
    does not, in whatever process that was decided. Until cancelled.

    It goes on after what was told last, before a restart, too: whoever `tell` hands it to notes what was told.
    """
    seen: int | None = None
    while True:
        try:
            if seen is None:
                seen = await _told_so_far(rooms.decisions)
            for decision in still_news(await rooms.decisions.outcomes_since(seen), now()):
                change = await rooms.changes.after(decision)
                seen = decision.id
                await _tell(rooms.decisions, decision, change, tell)
        except MockingbirdError as error:  # nothing could be written; what is not told yet is looked at again
            log.warning("decisions are told later", reason=str(error))
        await asyncio.sleep(LOOK_S)


async def _told_so_far(decisions: Decisions) -> int:
    told = await decisions.told()
    if told is None:  # the first start: nobody has waited for what was decided before
        told = await decisions.newest()
        await decisions.note_told(told)
    return told


async def _tell(
    decisions: Decisions,
    decision: Decision,
    change: Change | None,
    tell: Callable[[Decision, Change | None], Awaitable[None]] | None,
) -> None:
    if decision.is_switch:
        _log_switch(decision)
    if change is not None:
        _log_change(change)
    if tell is not None and (change is not None or decision.is_switch):
        await tell(decision, change)
    elif tell is None:
        await decisions.note_told(decision.id)


def _log_switch(decision: Decision) -> None:
    log.info(
        "a persona speaks as another version",
        persona=decision.persona,
        version=decision.to_version,
        before=decision.from_version,
        what=decision.what.value,
        by=decision.by,
    )


def _log_change(change: Change) -> None:
    """The figures and the reason. The samples stand beside the decision, with which a takedown removes them."""
    decision = change.decision
    log.info(
        "a retraining was judged",
        persona=decision.persona,
        version=decision.to_version,
        before=decision.from_version,
        adopted=change.is_adopted,
        new_tweets=change.new_tweets,
        loss=change.loss,
        loss_before=change.loss_before,
        why=decision.why,
    )


async def keep_retraining(rooms: Rooms, bell: Bell) -> None:
    """Put every persona in line that is due, now and whenever the bell rings. Until cancelled."""
    while True:
        try:
            for training in await rooms.trainings.request_due():
                log.info("a persona is due", persona=training.persona, run=training.id)
        except MockingbirdError as error:
            log.warning("retraining put off", reason=str(error))
        await bell.wait()


async def keep_sweeping(rooms: Rooms, bell: Bell) -> None:
    """Whenever the bell rings. Not at once: who has invited the bot again is known only when it is connected."""
    while True:
        await bell.wait()
        try:
            await sweep(rooms)
        except MockingbirdError as error:
            log.warning("what is old was not forgotten yet", reason=str(error))


async def sweep(rooms: Rooms) -> None:
    """Let go of what has been kept long enough: posts that nobody sends, also on an account that has no keys or is gone
    from the settings, servers that removed the bot, what was said, who had asked for it, and whom X has charged for on
    earlier days.
    """
    config, conversation = rooms.config, rooms.conversation
    await rooms.posts.expire()
    await forget_charges(rooms.database, now())
    gone = await conversation.servers.forget_those_gone(Platform.DISCORD, config.discord.forget_server_after_days)
    if gone:
        log.info("servers that removed the bot are forgotten", servers=gone)
    await conversation.answers.forget_old(config.replies.keep_days)
