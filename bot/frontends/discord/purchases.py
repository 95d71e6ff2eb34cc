"""/train: what a training would read and cost, a button for each thing to agree to, and how a fetch goes.

The buttons carry the number of their purchase, so they work after a restart; a second press changes nothing. Only
whoever asked for the training, or may train, can press them. The message then shows the fetch, and becomes the
training's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import discord
import structlog

from bot.errors import UsageError
from bot.frontends.discord import texts, texts_learning
from bot.frontends.discord.acknowledging import acknowledge
from bot.frontends.discord.archives import Archives
from bot.frontends.discord.failures import Failures
from bot.frontends.discord.in_flight import InFlight
from bot.frontends.discord.lasting import TROUBLE, LastingMessage, say_directly
from bot.frontends.discord.marks import Marks
from bot.frontends.discord.places import Place
from bot.frontends.discord.purchase_buttons import purchase_buttons
from bot.frontends.discord.rights import Rights
from bot.frontends.discord.trainings import TrainingDesk, require_asker
from bot.replies.servers import Action
from bot.training.purchase import Purchase, PurchaseState
from bot.training.purchases import Purchases

_MARK = "discord-purchase-"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a purchase's message stands."""

    purchase: int
    channel: int
    message: int
    server: int = 0  # 0 in a direct message


class PurchaseDesk:
    """Says what a training's tweets cost, takes the answer, and keeps the message up to date."""

    def __init__(
        self,
        purchases: Purchases,
        trainings: TrainingDesk,
        archives: Archives,
        marks: Marks,
        rights: Rights,
        failures: Failures,
        edit_every_seconds: float,
    ) -> None:
        self._purchases = purchases
        self._trainings = trainings
        self._archives = archives
        self._marks = marks
        self._rights = rights
        self._failures = failures
        self._edit_every = edit_every_seconds  # seconds at least between two edits of a message
        self._followers = InFlight()
        self._followed: set[int] = set()  # messages
        self._following = False  # whether there is a connection to follow with

    async def train(
        self,
        interaction: discord.Interaction[Any],
        handles: str,
        name: str | None,
        archive: discord.Attachment | None = None,
    ) -> None:
        """Say what a training would read and what has to be bought for it, and ask whether to go on.

        An archive is read first. Raises `NotPermitted`, `UsageError`, and what `Purchases.request` raises.
        """
        await self._rights.require(interaction, Action.TRAIN)
        await interaction.response.defer()
        names, note = texts.parse_handles(handles), ""
        if archive is not None:
            read = await self._archives.read(interaction, archive, names)
            names = names or (read.handle,)
            note = f"{texts_learning.archive_read(read)}\n"
        if not names:
            raise UsageError("Name at least one account, for example `/train handles:nasa`.")
        await self._show(interaction, await self._offer(names, name, str(interaction.user.id), bool(note)), note)

    async def _offer(self, names: tuple[str, ...], name: str | None, who: str, has_archive: bool) -> Purchase:
        """What has to be agreed to. Somebody who brings the archive of the one account wants that learned."""
        if not has_archive or len(names) > 1:
            purchase = await self._purchases.needed(names, name, "discord", who)
            if purchase is not None:
                return purchase
        await self._trainings.plan(names, name)  # whatever is missing is said now
        return await self._purchases.offer_stored(names, name, "discord", who)

    async def agree(self, interaction: discord.Interaction[Any], number: int, step: str) -> None:
        """Take that step of a purchase, if the person may."""
        try:
            purchase = await self._purchases.purchase(number)
            await require_asker(self._rights, interaction, purchase.cause, purchase.requested_by)
            await acknowledge(interaction)
            take = {
                "look": self._purchases.look_up,
                "fetch": self._purchases.accept,
                "without": self._purchases.do_without,
                "first": self._purchases.fetch_first,
                "decline": self._purchases.decline,
            }
            await self._show(interaction, await take[step](number))
        except Exception as error:  # noqa: BLE001 - the edge: nothing above would tell the person
            await self._failures.tell(interaction, error)

    @asynccontextmanager
    async def following(self, client: discord.Client) -> AsyncIterator[None]:
        """While the body runs, the messages of fetches under way are kept up to date, those of earlier runs too."""
        self._following = True
        for value in (await self._marks.beginning_with(_MARK)).values():
            self._start(client, _Place(**json.loads(value)), None)
        try:
            yield
        finally:
            self._following = False
            await self._followers.drain(0)  # the marks remain

    async def _show(self, interaction: discord.Interaction[Any], purchase: Purchase, note: str = "") -> None:
        """Let the message of the command or button say how the purchase stands, and follow it where it moves on."""
        client, pressed = interaction.client, interaction.message
        if pressed is None:  # the answer to a command
            text, view = await self._said(purchase)
            content, *_ = texts.pieces(note + text)
            await interaction.edit_original_response(content=content, view=view)
            return
        place = _Place(purchase.id, interaction.channel_id or pressed.channel.id, pressed.id, interaction.guild_id or 0)
        if purchase.training is not None:
            await self._hand_over(client, place, purchase, interaction)
        elif purchase.is_under_way:
            await self._marks.set(_mark(place), json.dumps(asdict(place)))
            self._start(client, place, interaction)
        else:
            text, view = await self._said(purchase)
            await LastingMessage(client, place.channel, place.message, interaction).edit(text, buttons=view)

    async def _said(self, purchase: Purchase) -> tuple[str, discord.ui.View | None]:
        """How it stands, with the buttons for what is to be agreed to."""
        can_fetch = purchase.state is PurchaseState.READY and await self._purchases.can_fetch(purchase.handles)
        if purchase.state is PurchaseState.READY:
            text = texts_learning.plan(await self._trainings.plan(purchase.handles, purchase.name))
        else:
            text = texts.purchase(purchase)
        return text, purchase_buttons(purchase, can_fetch)

    async def _hand_over(
        self,
        client: discord.Client,
        place: _Place,
        purchase: Purchase,
        interaction: discord.Interaction[Any] | None,
    ) -> None:
        """From now on the message there is the training's."""
        if purchase.training is not None:
            author = int(purchase.requested_by)
            training = Place(purchase.training, place.channel, place.message, author, place.server)
            await self._trainings.follow(client, training, interaction)

    def _start(self, client: discord.Client, place: _Place, interaction: discord.Interaction[Any] | None) -> None:
        if not self._following or place.message in self._followed:
            return
        self._followed.add(place.message)
        message = LastingMessage(client, place.channel, place.message, interaction)
        work = self._follow(client, place, message, interaction)
        self._followers.start(work, name=f"discord purchase {place.purchase}")

    async def _follow(
        self,
        client: discord.Client,
        place: _Place,
        message: LastingMessage,
        interaction: discord.Interaction[Any] | None,
    ) -> None:
        try:
            await self._show_progress(client, place, message)
            purchase = await self._purchases.purchase(place.purchase)
            await self._hand_over(client, place, purchase, interaction)
        except discord.NotFound as trouble:
            log.info("discord purchase message is gone", purchase=place.purchase, trouble=str(trouble))
        except TROUBLE as trouble:
            log.warning("discord purchase message not finished", purchase=place.purchase, trouble=str(trouble))
            return  # with its mark, so that the next connection does it
        except Exception:  # the edge of a task that nobody waits for
            log.exception("discord purchase message failed", purchase=place.purchase)
        finally:
            self._followed.discard(place.message)
        await self._marks.remove(_mark(place))

    async def _show_progress(self, client: discord.Client, place: _Place, message: LastingMessage) -> None:
        """Edit the message while the fetch moves on, every few seconds, and when it has ended.

        Where the bot may not see the channel, whoever asked is told the end directly; of a training they hear later.
        """
        clock = asyncio.get_running_loop().time
        edited_at = -self._edit_every
        async for purchase in self._purchases.watch(place.purchase):
            is_last = not purchase.is_under_way
            if not is_last and clock() - edited_at < self._edit_every:
                continue
            try:
                text, view = await self._said(purchase)
                await message.edit(text, buttons=view)
            except discord.NotFound:
                raise
            except TROUBLE as trouble:
                if is_last and not isinstance(trouble, discord.Forbidden):
                    raise
                if is_last and purchase.training is None:
                    await self._tell_directly(client, purchase, text, view)
                log.debug("discord purchase message not edited", purchase=place.purchase, trouble=str(trouble))
            edited_at = clock()

    async def _tell_directly(
        self, client: discord.Client, purchase: Purchase, text: str, view: discord.ui.View | None
    ) -> None:
        try:
            await say_directly(client, int(purchase.requested_by), text, view)
        except TROUBLE as trouble:
            log.info("nobody could be told of a purchase", purchase=purchase.id, trouble=str(trouble))


def _mark(place: _Place) -> str:
    return f"{_MARK}{place.purchase}-{place.message}"
