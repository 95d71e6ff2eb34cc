"""What stands at the end of a training: counts and figures, pictures, and samples in messages of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import discord
import structlog

from bot.errors import MockingbirdError
from bot.frontends.discord import texts, texts_learning
from bot.frontends.discord.lasting import LastingMessage
from bot.frontends.discord.places import Place
from bot.generation.draft import Drafts
from bot.replies.conversation import Conversation
from bot.replies.drafting import Wanted, said_of
from bot.replies.incoming import Incoming, Platform
from bot.shelf.card import CURVE, PREDICTIONS, curve_told, told
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from bot.training.trainings import Training, TrainingState

_SAMPLES = 3
_LONGEST_DESCRIPTION = 1024  # characters

log = structlog.get_logger(__name__)


class TrainingEnd:
    """Says what came of a training. What it says is the same each time, so that saying it again does no harm."""

    def __init__(self, conversation: Conversation, shelf: Shelf, buttons: Callable[[], discord.ui.View]) -> None:
        """`buttons` gives those that stand under a sample."""
        self._conversation = conversation
        self._shelf = shelf
        self._buttons = buttons

    async def show(self, training: Training, place: Place, message: LastingMessage) -> None:
        """The last edit, and the samples behind it.

        The message is on record first: its picture speaks in that voice even where no sample can be made. Raises one of
        `TROUBLE`, and `UnknownPersona` when it was forgotten meanwhile.
        """
        asked = _asked(place)
        is_published = training.state is TrainingState.PUBLISHED
        if is_published and training.version is not None:
            await self._conversation.messages.speaks(
                asked, str(place.message), training.persona, training.version, training.created_at
            )
        manifest = await asyncio.to_thread(self._manifest, training)
        characters = sum(split.characters for split in manifest.splits) if manifest and manifest.splits else None
        await self._edit(message, texts_learning.ended(training, characters), training, manifest)
        if is_published:
            await self._add_samples(training, asked, place, message)

    async def _edit(self, message: LastingMessage, text: str, training: Training, manifest: Manifest | None) -> None:
        """With pictures, unless the bot may not attach any there."""
        files = await asyncio.to_thread(self._pictures, training, manifest) if manifest else []
        try:
            await message.edit(text, files=files)
        except discord.Forbidden:
            if not files:
                raise
            await message.edit(text)

    def _manifest(self, training: Training) -> Manifest | None:
        """Of the version that came of it; None where there is none, or it was removed since."""
        try:
            return self._shelf.version(training.persona, training.version) if training.version else None
        except MockingbirdError:
            return None

    def _pictures(self, training: Training, manifest: Manifest) -> list[discord.File]:
        """What was drawn of the version: what it says, once it is in use, and how it learned."""
        pictures = {CURVE: curve_told(manifest)}
        if training.state is TrainingState.PUBLISHED:
            pictures = {PREDICTIONS: told(manifest)} | pictures
        return attached(self._shelf, manifest, pictures)

    async def _add_samples(self, training: Training, asked: Incoming, place: Place, message: LastingMessage) -> None:
        """What the persona says now, each in a message that can be answered and voted for by itself."""
        wanted = Wanted(training.persona, training.version, count=_SAMPLES, seed=training.id, goes_on=True)
        try:
            drafts = await self._conversation.drafts(asked, wanted)
        except MockingbirdError as error:
            log.info("no samples after a training", training_id=training.id, reason=type(error).__name__)
            return
        try:
            await self._send(drafts, asked, place, message)
        except (discord.NotFound, discord.Forbidden) as trouble:
            log.info("samples after a training not shown", training_id=training.id, trouble=str(trouble))

    async def _send(self, drafts: Drafts, asked: Incoming, place: Place, message: LastingMessage) -> None:
        """Each is on record as soon as it is sent, so that a takedown finds it, whatever happens to the next."""
        ids: list[str] = []
        for number, text in enumerate(texts.drafts(drafts), start=1):
            sent = await message.add(text, f"{place.message}-{number}", self._buttons())
            ids.append(str(sent.id))
            await self._conversation.delivered(asked, str(place.message), *ids, said=said_of(drafts, ids))


def attached(shelf: Shelf, manifest: Manifest, pictures: dict[str, str]) -> list[discord.File]:
    """Those of these pictures of a version that there are; the values tell what is on them."""
    found = {name: shelf.path(manifest) / name for name in pictures}
    return [
        discord.File(path, name, description=pictures[name][:_LONGEST_DESCRIPTION])
        for name, path in found.items()
        if path.is_file()
    ]


def _asked(place: Place) -> Incoming:
    """Under which what a training's message says at last is on record; a training may have several messages."""
    request = f"training-{place.training}-{place.message}"
    server = str(place.server) if place.server and not place.is_direct else ""
    return Incoming(Platform.DISCORD, request, str(place.channel), str(place.author), server_id=server)
