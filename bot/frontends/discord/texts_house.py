"""How the service, its costs and its manners are put in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_UP, Decimal

import discord

from bot.frontends.discord.texts import duration, plain
from bot.generation.speaker import Standing
from bot.replies.opt_outs import RemovalRequest
from bot.training.trainings import Training, TrainingState
from bot.tweets.costs import Month, dollars

OPTED_OUT = (
    "From now on I don't answer you, and what was kept about you is deleted: who asked, votes and guesses.\n"
    "-# Kept is only your id, so that I know whom not to answer. `/privacy` and `/optout` go on working."
)
CAME_BACK = "You are answered again. Nothing of what was kept before came back with you."
_SHOWN = 10  # of a list of which the rest is counted


@dataclass(frozen=True, slots=True)
class Status:
    """What `/status` is made of."""

    trainings: Sequence[Training]  # under way, the oldest first
    engine: Standing
    personas: int
    next_fetch: datetime | None  # UTC
    version: str
    started_at: datetime  # UTC
    shard: int  # of the server, from 0 on
    shards: int
    latency_s: float  # of the connection to Discord
    servers: int | None  # None: not for this person's eyes
    wishes: Sequence[RemovalRequest]  # likewise, then empty


@dataclass(frozen=True, slots=True, order=True)
class Command:
    """A line of `/help`."""

    name: str
    description: str


def status(shown: Status) -> str:
    """How the service is."""
    lines = [
        f"**Mockingbird {shown.version}**, up since {discord.utils.format_dt(shown.started_at, 'R')}",
        _engine(shown.engine),
        f"Personas: {shown.personas:,}.",
        *_trainings(shown.trainings),
    ]
    if shown.next_fetch is not None:
        lines.append(f"New tweets are fetched {discord.utils.format_dt(shown.next_fetch, 'R')}.")
    lines.append(f"-# Shard {shown.shard + 1} of {shown.shards} · {_milliseconds(shown.latency_s)} to Discord")
    if shown.servers is not None:
        lines.append(f"Servers: {shown.servers:,}.")
    return "\n".join([*lines, *_wishes(shown.wishes)])


def _engine(engine: Standing) -> str:
    if engine.base is None:
        return f"No voice: {plain(engine.why_silent)}"
    return f"Base: {plain(engine.base)}. Requests being answered: {engine.waiting:,}."


def _trainings(trainings: Sequence[Training]) -> list[str]:
    running = [each for each in trainings if each.state is not TrainingState.QUEUED]
    lines = [f"Learning now: **{plain(each.persona)}**{_how_far(each)}." for each in running]
    waiting = len(trainings) - len(running)
    return [*lines, f"Trainings in line: {waiting:,}."]


def _how_far(training: Training) -> str:
    point = training.point
    if point is None or not point.steps:
        return ""
    left = f", {duration(point.seconds_left)} left" if point.seconds_left is not None else ""
    return f", {point.step / point.steps:.0%}{left}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms" if seconds < 60 else "no heartbeat yet"  # also infinite, and no number


def _wishes(wishes: Sequence[RemovalRequest]) -> list[str]:
    if not wishes:
        return []
    handles = list(dict.fromkeys(f"@{plain(each.handle)}" for each in wishes))
    more = f" and {len(handles) - _SHOWN} more" if len(handles) > _SHOWN else ""
    return [
        f"People wish that these accounts are not imitated: {', '.join(handles[:_SHOWN])}{more}. `/forget` does it."
    ]


def costs(month: Month, a_day: Decimal, end: date | None) -> str:
    """What X was paid this month; `end` is the day on which nothing is left at that rate, None: the cap lasts."""
    lines = [f"**X in {month.month}: {dollars(month.spent)} of the cap of {dollars(month.cap)}**"]
    lines += [f"{plain(purpose)}: {dollars(usd)}" for purpose, usd in month.by_purpose().items()]
    if month.under_way:
        lines.append(f"Under way: {dollars(month.under_way)} at most.")
    rate = dollars(a_day.quantize(Decimal("0.01"), ROUND_UP))
    if end is None:
        lines.append(f"-# At about {rate} a day the {dollars(month.left)} that are left last for this month.")
    else:
        lines.append(
            f"-# At about {rate} a day nothing is left on {end.day} {end:%B}; then nothing is fetched or posted."
        )
    return "\n".join(lines)


def help_(everybody: Sequence[Command], others: Sequence[Command]) -> str:
    """What the person may do here; `others` are commands that not everybody may use."""
    lines = [
        "Mention me and ask something, or reply to what I said. In a direct message no mention is needed.",
        *(f"`/{each.name}` {each.description}" for each in everybody),
    ]
    if others:
        lines += ["", "**Since you may do more than others here**"]
        lines += [f"`/{each.name}` {each.description}" for each in others]
    return "\n".join(lines)


def privacy(kept: Mapping[str, int], has_opted_out: bool, keep_days: int, server_days: int) -> str:
    """What is kept about whom, and how much about the person who asks."""
    about = ", ".join(f"{count:,} {name}" for name, count in kept.items())
    lines = [
        "**Nothing is learned from what people write, and messages are never stored.** Yours is used for one answer.",
        f"For {keep_days:,} days: who asked, what I said, how a command told me to begin, and votes by reaction. After "
        "that they are deleted. That a message was answered stays, with its time and channel, so that none is answered "
        "twice. The topic of a duel is kept until it ends.",
        "While there is a scoreboard: who guessed right.",
        "For good: who had something trained, forgotten, approved or a word added; who wishes that an account is "
        "not imitated; who wants no answers. Each by Discord's id, and nothing else.",
        f"What a server chose goes {server_days:,} days after it removed me.",
        f"**About you:** {about}.",
    ]
    if has_opted_out:
        lines.append("You have opted out, so I don't answer you. `/optout` has a button to come back.")
    else:
        lines.append("`/optout` deletes what is kept about you, and I don't answer you any more.")
    lines.append("`/optout handle:` asks the operator that an account is not imitated.")
    return "\n".join(lines)


def wished(handle: str) -> str:
    """What `/optout` says about an account."""
    return (
        f"Your wish that @{plain(handle)} is not imitated is on the operator's list. "
        "Only the operator can fulfil it, since it deletes the voice everywhere."
    )
