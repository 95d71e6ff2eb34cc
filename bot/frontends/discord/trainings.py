"""The message of a training.

It is the answer to a command. Which message belongs to which training is a mark in the database, so that after a
restart, or when the connection was begun anew, the message goes on being edited. Where the bot may not see the channel,
the message moves to a direct one once the token has ended; where it was deleted, nothing is told any more.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace
from typing import Any, Protocol, Self

import discord
import structlog

from bot.errors import NotPermitted, Refused, UnknownPersona
from bot.frontends.discord import texts, texts_learning, texts_servers
from bot.frontends.discord.acknowledging import acknowledge
from bot.frontends.discord.failures import Failures
from bot.frontends.discord.in_flight import InFlight
from bot.frontends.discord.lasting import TROUBLE, LastingMessage, say_directly
from bot.frontends.discord.marks import Marks
from bot.frontends.discord.places import Place
from bot.frontends.discord.rights import Rights
from bot.frontends.discord.served import Served
from bot.frontends.discord.server_log import ServerLog
from bot.frontends.discord.training_end import TrainingEnd
from bot.replies.servers import Action
from bot.training.plan import Plan
from bot.training.policy import Outlook
from bot.training.trainings import Training, TrainingState

_MARK = "discord-training-"
_LONGEST_WAIT_S = 300.0  # between two tries with the last edit

log = structlog.get_logger(__name__)


class Learning(Protocol):
    """What this front end asks of the training room."""

    async def plan(self, handles: tuple[str, ...], name: str | None, /) -> Plan:
        """What a training of these accounts would read."""

    async def training(self, number: int, /) -> Training:
        """That training as it stands."""

    def watch(self, number: int, /) -> AsyncIterator[Training]:
        """That training whenever it changes, until it has ended."""

    async def cancel(self, number: int, /) -> None:
        """End that training without a version."""

    async def recent(self, limit: int, /) -> list[Training]:
        """The newest trainings, the newest first."""

    async def outlook(self, persona: str, /) -> Outlook:
        """Whether the persona will learn again now and why, when else, and what that takes."""


class CancelButton(
    Served, discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"training:(?P<number>[0-9]+):cancel"
):
    """Stop one training. Everything it knows stands in its custom id, so it outlives the process."""

    def __init__(self, number: int) -> None:
        style = discord.ButtonStyle.secondary
        super().__init__(discord.ui.Button(label="Cancel", style=style, custom_id=f"training:{number}:cancel"))
        self.number = number

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that somebody has pressed."""
        return cls(int(match["number"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand over to the desk of the client that heard of it."""
        interaction.client.replies.join()
        await interaction.client.desks.trainings.cancel(interaction, self.number)


class TrainingDesk:
    """Keeps the messages of trainings up to date, and stops trainings."""

    def __init__(
        self,
        trainings: Learning,
        end: TrainingEnd,
        marks: Marks,
        rights: Rights,
        failures: Failures,
        server_log: ServerLog,
        edit_every_seconds: float,
        first_wait_seconds: float,
    ) -> None:
        """`first_wait_seconds`: the pause after the last edit has failed; it doubles each time."""
        self._trainings = trainings
        self._end = end
        self._marks = marks
        self._rights = rights
        self._failures = failures
        self._log = server_log
        self._edit_every = edit_every_seconds  # seconds at least between two edits of a message
        self._first_wait = first_wait_seconds
        self._followers = InFlight()
        self._followed: set[int] = set()  # messages
        self._following = False  # whether there is a connection to follow with

    async def plan(self, names: tuple[str, ...], name: str | None) -> Plan:
        """What a training of these accounts would read. Raises where there can be none."""
        return await self._trainings.plan(names, name)

    async def follow(self, client: discord.Client, place: Place, interaction: discord.Interaction[Any] | None) -> None:
        """From now on the message there shows how the training goes; `interaction` is what the message answers."""
        await self._marks.set(_mark(place), json.dumps(asdict(place)))
        self._start(client, place, interaction)

    async def cancel(self, interaction: discord.Interaction[Any], number: int) -> None:
        """Stop that training, if the person may; its message says so."""
        try:
            training = await self._trainings.training(number)
            await require_asker(self._rights, interaction, training.cause, training.requested_by)
            await acknowledge(interaction)
            await self._trainings.cancel(number)
        except Exception as error:  # noqa: BLE001 - the edge: nothing above would tell the person
            await self._failures.tell(interaction, error)

    @asynccontextmanager
    async def following(self, client: discord.Client) -> AsyncIterator[None]:
        """While the body runs, the messages of trainings under way are kept up to date, those of earlier runs too."""
        self._following = True
        for value in (await self._marks.beginning_with(_MARK)).values():
            self._start(client, Place(**json.loads(value)), None)
        try:
            yield
        finally:
            self._following = False
            await self._followers.drain(0)  # the marks remain
            self._followed.clear()

    def _start(self, client: discord.Client, place: Place, interaction: discord.Interaction[Any] | None) -> None:
        """Where the connection is being closed, the mark sees to it that the next one goes on."""
        if not self._following or place.message in self._followed:
            return
        self._followed.add(place.message)
        work = self._follow(client, place, LastingMessage(client, place.channel, place.message, interaction))
        self._followers.start(work, name=f"discord training {place.training}")

    async def _follow(self, client: discord.Client, place: Place, message: LastingMessage) -> None:
        try:
            await self._show_progress(place, message)
            await self._show_end(place, message)
            training = await self._trainings.training(place.training)
            told = texts_servers.trained(training.persona, training.version, training.state)
            await self._log.tell(client, place.server or None, told)
        except (Refused, UnknownPersona):  # it was forgotten while it was shown
            with suppress(*TROUBLE):
                await message.edit(texts.TRAINING_GONE)
        except discord.NotFound as trouble:
            log.info("discord training message is gone", training_id=place.training, trouble=str(trouble))
        except discord.Forbidden as trouble:
            log.info("discord training message is out of reach", training_id=place.training, trouble=str(trouble))
            await self._move(client, place)
        except Exception:  # the edge of a task that nobody waits for
            if client.is_closed():  # with its mark, so that the next connection does it
                return
            log.exception("discord training message failed", training_id=place.training)
        self._followed.discard(place.message)
        await self._marks.remove(_mark(place))

    async def _show_progress(self, place: Place, message: LastingMessage) -> None:
        """Edit the message while the training changes: at once when its state does, else every few seconds."""
        clock = asyncio.get_running_loop().time
        state: TrainingState | None = None
        edited_at = 0.0
        async for training in self._trainings.watch(place.training):
            if training.ended or (training.state is state and clock() - edited_at < self._edit_every):
                continue
            try:
                await message.edit(texts.training_under_way(training), buttons=_buttons(training))
            except (discord.NotFound, discord.Forbidden):
                raise
            except TROUBLE as trouble:
                log.debug("discord training message not edited", training_id=place.training, trouble=str(trouble))
            state, edited_at = training.state, clock()

    async def _show_end(self, place: Place, message: LastingMessage) -> None:
        """Discord's trouble is waited out: nobody else would say how it ended."""
        training = await self._trainings.training(place.training)
        wait = self._first_wait
        while True:
            try:
                await self._end.show(training, place, message)
                return
            except (discord.NotFound, discord.Forbidden):
                raise
            except TROUBLE as trouble:
                log.warning("discord training message not finished", training_id=place.training, trouble=str(trouble))
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)

    async def _move(self, client: discord.Client, place: Place) -> None:
        """Go on in a direct message to whoever asked, if they take any."""
        if place.is_direct:
            return
        try:
            training = await self._trainings.training(place.training)
            text = texts_learning.moved_here(training, place.channel) + texts.training_under_way(training)
            sent = await say_directly(client, place.author, text, _buttons(training))
        except (Refused, *TROUBLE) as trouble:
            log.info("nobody could be told of a training", training_id=place.training, trouble=str(trouble))
            return
        moved = replace(place, channel=sent.channel.id, message=sent.id, is_direct=True)
        await self.follow(client, moved, None)


async def require_asker(rights: Rights, interaction: discord.Interaction[Any], cause: str, requested_by: str) -> None:
    """Raises `NotPermitted` unless the person has asked for it, or may train.

    Discord's command permissions guard /train but not the buttons under its answer, hence the check.
    """
    is_asker = cause == "discord" and requested_by == str(interaction.user.id)
    if not is_asker and not await rights.may(interaction, Action.TRAIN):
        raise NotPermitted("Only whoever asked for this training, or may train here, decides about it.")


def _buttons(training: Training) -> discord.ui.View:
    return discord.ui.View(timeout=None).add_item(CancelButton(training.id))


def _mark(place: Place) -> str:
    return f"{_MARK}{place.training}-{place.message}"
