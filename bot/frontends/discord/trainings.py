"""/train and its message.

The message is the answer to the command. Which message belongs to which training is a mark in the database, so that
after a restart, or when the connection was begun anew, the message goes on being edited.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import discord
import structlog

from bot.errors import MockingbirdError, Refused, UnknownPersona, UsageError
from bot.frontends.discord import texts, texts_servers
from bot.frontends.discord.in_flight import InFlight
from bot.frontends.discord.lasting import GONE, TROUBLE, LastingMessage
from bot.frontends.discord.marks import Marks
from bot.frontends.discord.server_log import ServerLog
from bot.generation.draft import Drafts
from bot.replies.conversation import Conversation, Incoming, Platform, Wanted
from bot.shelf.card import CURVE, PREDICTIONS, curve_told, told
from bot.shelf.shelf import Shelf
from bot.training.trainings import Training, TrainingState

_MARK = "discord-training-"
_SAMPLES = 3
_LONGEST_DESCRIPTION = 1024  # characters

log = structlog.get_logger(__name__)


class Learning(Protocol):
    """What this front end asks of the training room."""

    async def request(self, handles: tuple[str, ...], name: str | None, cause: str, requested_by: str, /) -> Training:
        """Put a training in line."""

    async def training(self, number: int, /) -> Training:
        """That training as it stands."""

    def watch(self, number: int, /) -> AsyncIterator[Training]:
        """That training whenever it changes, until it has ended."""

    async def cancel(self, number: int, /) -> None:
        """End that training without a version."""

    async def recent(self, limit: int, /) -> list[Training]:
        """The newest trainings, the newest first."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a training's message stands."""

    training: int
    channel: int
    message: int
    author: int  # who asked for it


class TrainingDesk:
    """Takes trainings in and keeps their messages up to date."""

    def __init__(
        self,
        trainings: Learning,
        conversation: Conversation,
        shelf: Shelf,
        marks: Marks,
        edit_every_seconds: float,
        server_log: ServerLog,
    ) -> None:
        self._trainings = trainings
        self._shelf = shelf
        self._conversation = conversation
        self._marks = marks
        self._log = server_log
        self._edit_every = edit_every_seconds  # seconds at least between two edits of a message
        self._followers = InFlight()
        self._following = False  # whether there is a connection to follow with

    async def train(
        self,
        interaction: discord.Interaction[Any],
        names: tuple[str, ...],
        name: str | None,
        button: Callable[[int], discord.ui.Item[Any]] | None,
    ) -> None:
        """Ask for a training, in answer to a command that was deferred, and show what becomes of it.

        `button` makes one for the training's number, to stand under the message until the training has ended.
        """
        if not names:
            raise UsageError("Name at least one account, for example `/train handles:nasa`.")
        training = await self._trainings.request(names, name, "discord", str(interaction.user.id))
        view: Any = discord.utils.MISSING
        if button is not None:
            view = discord.ui.View(timeout=None).add_item(button(training.id))
        shown = await interaction.edit_original_response(content=texts.training_under_way(training), view=view)
        await self.follow(
            interaction.client, Place(training.id, shown.channel.id, shown.id, interaction.user.id), interaction
        )

    async def follow(self, client: discord.Client, place: Place, interaction: discord.Interaction[Any] | None) -> None:
        """From now on the message there shows how the training goes; `interaction` is what the message answers."""
        await self._marks.set(f"{_MARK}{place.training}-{place.message}", json.dumps(asdict(place)))
        self._start(client, place, interaction)

    async def training(self, number: int) -> Training:
        """That training as it stands. Raises `Refused`."""
        return await self._trainings.training(number)

    async def cancel(self, number: int) -> None:
        """End that training. Raises `Refused` when it has ended."""
        await self._trainings.cancel(number)

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

    def _start(self, client: discord.Client, place: Place, interaction: discord.Interaction[Any] | None) -> None:
        if not self._following:  # the connection is being closed; the mark sees to it that the next one goes on
            return
        work = self._follow(place, LastingMessage(client, place.channel, place.message, interaction))
        self._followers.start(work, name=f"discord training {place.training}")

    async def _follow(self, place: Place, message: LastingMessage) -> None:
        try:
            await self._show_progress(place, message)
            training = await self._trainings.training(place.training)
            samples = await self._samples(training, place)
            await self._show_end(training, texts.training_ended(training, samples), message)
            told = texts_servers.trained(training.persona, training.version, training.state)
            await self._log.tell(message.client, _guild_id(message.client, place.channel), told)
        except (Refused, UnknownPersona):  # it was forgotten while it was shown
            await self._say_gone(message)
        except GONE as trouble:
            log.info("discord training message is gone", training_id=place.training, trouble=str(trouble))
        except TROUBLE as trouble:
            log.warning("discord training message not finished", training_id=place.training, trouble=str(trouble))
            return  # with its mark, so that the next connection does it
        except Exception:  # the edge of a task that nobody waits for
            log.exception("discord training message failed", training_id=place.training)
        await self._marks.remove(f"{_MARK}{place.training}-{place.message}")

    async def _show_progress(self, place: Place, message: LastingMessage) -> None:
        """Edit the message while the training changes: at once when its state does, else every few seconds."""
        clock = asyncio.get_running_loop().time
        state: TrainingState | None = None
        edited_at = 0.0
        async for training in self._trainings.watch(place.training):
            if training.ended or (training.state is state and clock() - edited_at < self._edit_every):
                continue
            try:
                await message.edit(texts.training_under_way(training), keep_buttons=True)
            except GONE:
                raise
            except TROUBLE as trouble:
                log.debug("discord training message not edited", training_id=place.training, trouble=str(trouble))
            state, edited_at = training.state, clock()

    async def _show_end(self, training: Training, text: str, message: LastingMessage) -> None:
        """The last edit, with pictures unless the bot may not attach any there."""
        files = await asyncio.to_thread(self._pictures, training)
        try:
            await message.edit(text, files=files)
        except discord.Forbidden:
            if not files:
                raise
            await message.edit(text)

    def _pictures(self, training: Training) -> list[discord.File]:
        """What was drawn of the version that came of it: what it says, once it is in use, and how it learned."""
        if training.version is None:
            return []
        try:
            manifest = self._shelf.version(training.persona, training.version)
        except MockingbirdError:  # removed since
            return []
        pictures = {CURVE: curve_told(manifest)}
        if training.state is TrainingState.PUBLISHED:
            pictures = {PREDICTIONS: told(manifest)} | pictures
        found = {name: self._shelf.path(manifest) / name for name in pictures}
        return [
            discord.File(path, name, description=pictures[name][:_LONGEST_DESCRIPTION])
            for name, path in found.items()
            if path.is_file()
        ]

    async def _samples(self, training: Training, place: Place) -> Drafts | None:
        """What the persona says now; None when there is nothing new to hear or to say.

        The message is on record first: its picture speaks in that voice even where no sample can be made.
        """
        if training.state is not TrainingState.PUBLISHED or training.version is None:
            return None
        asked = Incoming(Platform.DISCORD, _request(place), str(place.channel), str(place.author))
        await self._conversation.speaks(
            asked, str(place.message), training.persona, training.version, training.created_at
        )
        try:
            return await self._conversation.drafts(asked, Wanted(training.persona, count=_SAMPLES))
        except MockingbirdError as error:
            log.info("no samples after a training", training_id=training.id, reason=type(error).__name__)
            return None

    async def _say_gone(self, message: LastingMessage) -> None:
        with suppress(*TROUBLE):
            await message.edit(texts.TRAINING_GONE)


def _guild_id(client: discord.Client, channel: int) -> int | None:
    """Of the server that a channel or thread belongs to, where it is known."""
    guild = getattr(client.get_channel(channel), "guild", None)
    return guild.id if isinstance(guild, discord.Guild) else None


def _request(place: Place) -> str:
    """Under which what a training's message says at last is on record; a training may have several messages."""
    return f"training-{place.training}-{place.message}"
