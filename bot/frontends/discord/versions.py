"""/versions and /rollback: as which versions a persona could speak, and a button that puts another one in use.

A persona speaks in every server, so it is put back in every server.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Self

import discord

from bot.frontends.discord import texts, texts_shelf
from bot.frontends.discord.acknowledging import acknowledge
from bot.frontends.discord.failures import Failures
from bot.frontends.discord.lasting import LastingMessage
from bot.frontends.discord.paging import page_buttons, page_of
from bot.frontends.discord.rights import Rights
from bot.frontends.discord.served import Served
from bot.replies.servers import Action
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from bot.training.decisions import Decision, Decisions

PAGE = 5  # versions on a page; each has a reason of a sentence or two


class RollbackButton(
    Served,
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"rollback:(?P<persona>[a-z0-9_-]{1,60}):(?P<version>v[0-9]{1,9}|no)",
):
    """Put one version in use, or leave it. Everything it knows stands in its custom id."""

    def __init__(self, persona: str, version: str | None) -> None:
        label = "Leave it" if version is None else f"Roll back to {version}"
        style = discord.ButtonStyle.secondary if version is None else discord.ButtonStyle.danger
        custom_id = f"rollback:{persona}:{version or 'no'}"
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=custom_id))
        self.persona = persona
        self.version = version

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that somebody has pressed."""
        return cls(match["persona"], None if match["version"] == "no" else match["version"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand over to the desk of the client that heard of it."""
        interaction.client.replies.join()
        await interaction.client.desks.versions.confirm(interaction, self.persona, self.version)


class VersionDesk:
    """Shows versions and rolls back."""

    def __init__(self, shelf: Shelf, decisions: Decisions, rights: Rights, failures: Failures) -> None:
        self._shelf = shelf
        self._decisions = decisions
        self._rights = rights
        self._failures = failures

    async def show(self, interaction: discord.Interaction[Any], persona: str) -> None:
        """List the versions of a persona, the newest first. Raises `UnknownPersona`."""
        await interaction.response.defer()
        await self._show_page(interaction, _name(persona), 0)

    async def turn(self, interaction: discord.Interaction[Any], persona: str, number: int) -> None:
        """Another page, in the place of the one that is shown."""
        try:
            await interaction.response.defer()
            await self._show_page(interaction, persona, number)
        except Exception as error:  # noqa: BLE001 - the edge: nothing above would tell the person
            await self._failures.tell(interaction, error)

    async def roll_back(self, interaction: discord.Interaction[Any], persona: str, version: str | None) -> None:
        """Ask whether that version is to be put in use, or the one before where none is named.

        Raises `NotPermitted`, `UnknownPersona`, `UnknownVersion`.
        """
        await self._rights.require(interaction, Action.ROLL_BACK)
        await interaction.response.defer()
        now = await asyncio.to_thread(self._shelf.current, _name(persona))
        wanted = (version or "").strip().lower() or now.parent
        if wanted is None:
            raise self._shelf.none_before(now.persona)
        then = await asyncio.to_thread(self._shelf.version, now.persona, wanted)
        if then.version == now.version:
            text = texts_shelf.rolled_back(now.persona, now.version, None)
            await interaction.edit_original_response(content=text)
            return
        view = discord.ui.View(timeout=None)
        view.add_item(RollbackButton(now.persona, then.version)).add_item(RollbackButton(now.persona, None))
        await interaction.edit_original_response(content=texts_shelf.rollback(now, then), view=view)

    async def confirm(self, interaction: discord.Interaction[Any], persona: str, version: str | None) -> None:
        """Do what the button says, if the person may, and say so in the place of the question."""
        try:
            await self._rights.require(interaction, Action.ROLL_BACK)
            await acknowledge(interaction)
            if version is None:
                text = texts_shelf.left_alone(await asyncio.to_thread(self._shelf.current, persona))
            else:
                decision = await self._decisions.roll_back(persona, version, f"discord:{interaction.user.id}")
                text = texts_shelf.rolled_back(persona, version, decision)
            await _answer(interaction, text)
        except Exception as error:  # noqa: BLE001 - the edge: nothing above would tell the person
            await self._failures.tell(interaction, error)

    async def _show_page(self, interaction: discord.Interaction[Any], persona: str, number: int) -> None:
        found = (await asyncio.to_thread(self._shelf.versions, persona))[::-1]
        current = await asyncio.to_thread(self._shelf.current, persona)
        number = page_of(number, len(found), PAGE)
        shown = found[number * PAGE : (number + 1) * PAGE]
        text = texts_shelf.versions(shown, current.version, await self._reasons(shown, persona), len(found))
        content, *_ = texts.pieces(text)
        view = page_buttons("versions", number, len(found), PAGE, persona)
        await interaction.edit_original_response(content=content, view=view)

    async def _reasons(self, shown: list[Manifest], persona: str) -> dict[str, Decision]:
        """Why each is in use or not: the newest decision about it."""
        versions = {manifest.version for manifest in shown}
        return {each.to_version: each for each in await self._decisions.of(persona) if each.to_version in versions}


async def _answer(interaction: discord.Interaction[Any], text: str) -> None:
    """Let the message under which the button was say that."""
    if interaction.message is not None:
        channel = interaction.channel_id or interaction.message.channel.id
        await LastingMessage(interaction.client, channel, interaction.message.id, interaction).edit(text)


def _name(persona: str) -> str:
    return persona.strip().lower().removeprefix("@")
