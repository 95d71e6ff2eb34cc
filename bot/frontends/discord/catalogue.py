"""/personas and /persona show: who has been learned."""

from __future__ import annotations

import asyncio
from typing import Any

import discord

from bot.errors import MockingbirdError
from bot.frontends.discord import texts, texts_shelf
from bot.frontends.discord.asking import asked_by
from bot.frontends.discord.failures import Failures
from bot.frontends.discord.paging import page_buttons, page_of
from bot.frontends.discord.training_end import attached
from bot.frontends.discord.trainings import Learning
from bot.replies.conversation import Conversation
from bot.shelf.card import PREDICTIONS, told
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from bot.tweets.store import TweetStore

PAGE = 10  # personas on a page; a blend of many parts takes several lines


class Catalogue:
    """Shows what is on the shelf."""

    def __init__(
        self, shelf: Shelf, store: TweetStore, learning: Learning, conversation: Conversation, failures: Failures
    ) -> None:
        self._shelf = shelf
        self._store = store
        self._learning = learning
        self._conversation = conversation
        self._failures = failures

    async def personas(self, interaction: discord.Interaction[Any]) -> None:
        """List who is on the shelf, the first page of it."""
        await interaction.response.defer()
        await self._show_page(interaction, 0)

    async def turn(self, interaction: discord.Interaction[Any], number: int) -> None:
        """Another page, in the place of the one that is shown."""
        try:
            await interaction.response.defer()
            await self._show_page(interaction, number)
        except Exception as error:  # noqa: BLE001 - the edge: nothing above would tell the person
            await self._failures.tell(interaction, error)

    async def card(self, interaction: discord.Interaction[Any], persona: str) -> None:
        """One persona: its card in short, when it learns again, and its picture where files may be attached.

        Raises `UnknownPersona`.
        """
        await interaction.response.defer()
        name = persona.strip().lower().removeprefix("@")
        await self._conversation.require_here(name)
        manifest = await asyncio.to_thread(self._shelf.current, name)
        versions = len(await asyncio.to_thread(self._shelf.versions, name))
        files = await asyncio.to_thread(attached, self._shelf, manifest, {PREDICTIONS: told(manifest)})
        remarks = await self._store.remarks(manifest.handles)
        outlook = await self._learning.outlook(name)
        content, *more = texts.pieces(texts_shelf.card(manifest, versions, remarks, outlook.sentence))
        await interaction.edit_original_response(content=content, attachments=files)
        for piece in more:
            await interaction.followup.send(piece)

    async def _show_page(self, interaction: discord.Interaction[Any], number: int) -> None:
        names = await asyncio.to_thread(self._shelf.personas)
        number = page_of(number, len(names), PAGE)
        shown = await asyncio.to_thread(self._manifests, names[number * PAGE : (number + 1) * PAGE])
        here = await self._conversation.persona_here(asked_by(interaction))
        content, *_ = texts.pieces(texts_shelf.personas(shown, number * PAGE + 1, len(names), here))
        view = page_buttons("personas", number, len(names), PAGE)
        await interaction.edit_original_response(content=content, view=view)

    def _manifests(self, names: list[str]) -> list[Manifest]:
        """Of the versions in use; somebody may be taken down at this moment."""
        found = []
        for name in names:
            try:
                found.append(self._shelf.current(name))
            except MockingbirdError:
                continue
        return found
