"""/train and its message.

The message is the answer to the command. An interaction's token ends after 15 minutes, but the message is the bot's
own: it is edited by the token while that lasts, which needs no permission in the channel, and as an ordinary message
after that. Which message belongs to which training is a mark in the database, so that after a restart, or when the
connection was begun anew, the message goes on being edited.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Protocol

import aiohttp
import discord
import structlog

from bot.errors import MockingbirdError, UsageError
from bot.frontends.discord import texts
from bot.frontends.discord.in_flight import InFlight
from bot.frontends.discord.marks import Marks
from bot.generation.draft import Drafts
from bot.replies.conversation import Conversation, Platform
from bot.training.trainings import Training, TrainingState

_MARK = "discord-training-"
_SAMPLES = 3
_TOKEN_MARGIN = timedelta(minutes=2)  # the token is left alone so long before it ends
_GONE = (discord.NotFound, discord.Forbidden)
_TROUBLE = (discord.DiscordException, aiohttp.ClientError, OSError)

log = structlog.get_logger(__name__)


class Learning(Protocol):
    """What this front end asks of the training room."""

    async def request(self, handles: tuple[str, ...], name: str | None, cause: str, requested_by: str, /) -> Training:
        """Put a training in line."""

    async def training(self, number: int, /) -> Training:
        """That training as it stands."""

    def watch(self, number: int, /) -> AsyncIterator[Training]:
        """That training whenever it changes, until it has ended."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a training's message stands."""

    training: int
    channel: int
    message: int
    author: int  # who asked for it


class _Message:
    """A message of ours that can be edited for ever."""

    def __init__(self, lasting: discord.PartialMessage, interaction: discord.Interaction[Any] | None) -> None:
        self._lasting = lasting
        self._interaction = interaction

    async def edit(self, text: str) -> None:
        """Let it say that, cut to the length of one message."""
        content, *_ = texts.pieces(text)
        if self._interaction and discord.utils.utcnow() + _TOKEN_MARGIN < self._interaction.expires_at:
            await self._interaction.edit_original_response(content=content)
        else:
            await self._lasting.edit(content=content)


class TrainingDesk:
    """Takes trainings in and keeps their messages up to date."""

    def __init__(
        self, trainings: Learning, conversation: Conversation, marks: Marks, edit_every_seconds: float
    ) -> None:
        self._trainings = trainings
        self._conversation = conversation
        self._marks = marks
        self._edit_every = edit_every_seconds  # seconds at least between two edits of a message
        self._followers = InFlight()
        self._following = False  # whether there is a connection to follow with

    async def train(self, interaction: discord.Interaction[Any], handles: str, name: str | None) -> None:
        """Ask for a training and show what becomes of it."""
        await interaction.response.defer()
        names = texts.parse_handles(handles)
        if not names:
            raise UsageError("Name at least one account, for example `/train handles:nasa`.")
        training = await self._trainings.request(names, name, "discord", str(interaction.user.id))
        shown = await interaction.edit_original_response(content=texts.training_under_way(training))
        place = _Place(training.id, shown.channel.id, shown.id, interaction.user.id)
        await self._marks.set(f"{_MARK}{training.id}-{shown.id}", json.dumps(asdict(place)))
        self._start(interaction.client, place, interaction)

    @asynccontextmanager
    async def following(self, client: discord.Client) -> AsyncIterator[None]:
        """While the body runs, the messages of trainings under way are kept up to date, those of earlier runs too."""
        self._following = True
        for value in (await self._marks.beginning_with(_MARK)).values():
            self._start(client, _Place(**json.loads(value)), None)
        try:
            yield
        finally:
            self._following = False
            await self._followers.drain(0)  # the marks remain

    def _start(self, client: discord.Client, place: _Place, interaction: discord.Interaction[Any] | None) -> None:
        if not self._following:  # the connection is being closed; the mark sees to it that the next one goes on
            return
        lasting = client.get_partial_messageable(place.channel).get_partial_message(place.message)
        work = self._follow(place, _Message(lasting, interaction))
        self._followers.start(work, name=f"discord training {place.training}")

    async def _follow(self, place: _Place, message: _Message) -> None:
        try:
            await self._show_progress(place, message)
            training = await self._trainings.training(place.training)
            await message.edit(texts.training_ended(training, await self._samples(training, place)))
        except _GONE as trouble:
            log.info("discord training message is gone", training_id=place.training, trouble=str(trouble))
        except _TROUBLE as trouble:
            log.warning("discord training message not finished", training_id=place.training, trouble=str(trouble))
            return  # with its mark, so that the next connection does it
        except Exception:  # the edge of a task that nobody waits for
            log.exception("discord training message failed", training_id=place.training)
        await self._marks.remove(f"{_MARK}{place.training}-{place.message}")

    async def _show_progress(self, place: _Place, message: _Message) -> None:
        """Edit the message while the training changes: at once when its state does, else every few seconds."""
        clock = asyncio.get_running_loop().time
        state: TrainingState | None = None
        edited_at = 0.0
        async for training in self._trainings.watch(place.training):
            if training.ended or (training.state is state and clock() - edited_at < self._edit_every):
                continue
            try:
                await message.edit(texts.training_under_way(training))
            except _GONE:
                raise
            except _TROUBLE as trouble:
                log.debug("discord training message not edited", training_id=place.training, trouble=str(trouble))
            state, edited_at = training.state, clock()

    async def _samples(self, training: Training, place: _Place) -> Drafts | None:
        """What the persona says now; None when there is nothing new to hear or to say."""
        if training.state is not TrainingState.PUBLISHED:
            return None
        request = f"training-{training.id}"
        try:
            return await self._conversation.drafts(
                Platform.DISCORD, str(place.channel), str(place.author), request, training.persona, count=_SAMPLES
            )
        except MockingbirdError as error:
            log.info("no samples after a training", training_id=training.id, reason=type(error).__name__)
            return None
