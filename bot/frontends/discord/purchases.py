"""Fetching tweets from X before a training: what it costs, a button to agree, and how it goes.

The buttons carry the number of their purchase, so they work after a restart; a second press changes nothing. Only
whoever asked for the training, or may manage the server, can press them. The message then shows the fetch, and becomes
the training's.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Self

import discord
import structlog

from bot.errors import Refused
from bot.frontends.discord import texts
from bot.frontends.discord.failures import Failures, say_privately
from bot.frontends.discord.in_flight import InFlight
from bot.frontends.discord.lasting import GONE, TROUBLE, LastingMessage
from bot.frontends.discord.marks import Marks
from bot.frontends.discord.rights import Rights, manages
from bot.frontends.discord.trainings import Place, TrainingDesk
from bot.replies.servers import Action
from bot.training.purchases import Purchase, Purchases, PurchaseState
from bot.tweets.costs import dollars

_MARK = "discord-purchase-"
_NOT_YOURS = "Only whoever asked for this training, or may manage this server, decides about its cost."

log = structlog.get_logger(__name__)


class PurchaseButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"purchase:(?P<number>[0-9]+):(?P<step>look|fetch|without)",
):
    """Agree to one step of a purchase. Everything it knows stands in its custom id, so it outlives the process."""

    def __init__(self, number: int, step: str, label: str = "…") -> None:
        style = discord.ButtonStyle.secondary if step == "without" else discord.ButtonStyle.success
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=f"purchase:{number}:{step}"))
        self.number = number
        self.step = step

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that somebody has pressed."""
        return cls(int(match["number"]), match["step"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand over to the desk of the client that heard of it."""
        interaction.client.replies.join()
        desk: PurchaseDesk = interaction.client.desks.purchases
        await desk.agree(interaction, self.number, self.step)


class FetchFirstButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"fetch-first:(?P<number>[0-9]+)"
):
    """Stop a training, to fetch what is new before it."""

    def __init__(self, number: int) -> None:
        super().__init__(
            discord.ui.Button(
                label="Stop, and fetch what is new first",
                style=discord.ButtonStyle.secondary,
                custom_id=f"fetch-first:{number}",
            )
        )
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
        desk: PurchaseDesk = interaction.client.desks.purchases
        await desk.fetch_first(interaction, self.number)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a purchase's message stands."""

    purchase: int
    channel: int
    message: int


class PurchaseDesk:
    """Says what a training's tweets cost, takes the answer, and keeps the message up to date."""

    def __init__(
        self,
        purchases: Purchases,
        trainings: TrainingDesk,
        marks: Marks,
        rights: Rights,
        failures: Failures,
        edit_every_seconds: float,
    ) -> None:
        self._purchases = purchases
        self._trainings = trainings
        self._marks = marks
        self._rights = rights
        self._failures = failures
        self._edit_every = edit_every_seconds  # seconds at least between two edits of a message
        self._followers = InFlight()
        self._followed: set[int] = set()  # messages
        self._following = False  # whether there is a connection to follow with

    async def train(self, interaction: discord.Interaction[Any], handles: str, name: str | None) -> None:
        """Train at once on what is stored, or say first what has to be fetched and what that costs.

        Raises `NotPermitted`.
        """
        await self._rights.require(interaction, Action.TRAIN)
        await interaction.response.defer()
        names = texts.parse_handles(handles)
        purchase = await self._purchases.needed(names, name, "discord", str(interaction.user.id)) if names else None
        if purchase is None:
            can_fetch = await self._purchases.can_fetch(names)
            await self._trainings.train(interaction, names, name, FetchFirstButton if can_fetch else None)
        else:
            await self._show(interaction, purchase)

    async def agree(self, interaction: discord.Interaction[Any], number: int, step: str) -> None:
        """Take that step of a purchase, if the person may."""
        try:
            purchase = await self._purchases.purchase(number)
            if not _may(interaction, purchase.cause, purchase.requested_by):
                await say_privately(interaction, _NOT_YOURS)
                return
            await interaction.response.defer()
            take = {
                "look": self._purchases.look_up,
                "fetch": self._purchases.accept,
                "without": self._purchases.do_without,
            }
            await self._show(interaction, await take[step](number))
        except Exception as error:  # noqa: BLE001 - the edge: nothing above would tell the person
            await self._failures.tell(interaction, error)

    async def fetch_first(self, interaction: discord.Interaction[Any], number: int) -> None:
        """Stop that training, if the person may, and say what fetching before it costs."""
        try:
            training = await self._trainings.training(number)
            if not _may(interaction, training.cause, training.requested_by):
                await say_privately(interaction, _NOT_YOURS)
                return
            await interaction.response.defer(thinking=True)
            if training.ended:
                raise Refused(f"Training {number} has ended already. Ask for another one with `/train`.")
            who = str(interaction.user.id)
            purchase = await self._purchases.request(training.handles, training.persona, "discord", who)
            await self._trainings.cancel(number)
            await self._show(interaction, purchase)
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

    async def _show(self, interaction: discord.Interaction[Any], purchase: Purchase) -> None:
        """Let the message of the command or button say how the purchase stands, and follow it where it moves on."""
        view = _view(purchase)
        content, *_ = texts.pieces(texts.purchase(purchase))
        shown = await interaction.edit_original_response(content=content, view=view)
        if view is None and purchase.state is not PurchaseState.FAILED:
            place = _Place(purchase.id, shown.channel.id, shown.id)
            await self._marks.set(_mark(place), json.dumps(asdict(place)))
            self._start(interaction.client, place, interaction)

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
            await self._show_progress(place, message)
            purchase = await self._purchases.purchase(place.purchase)
            if purchase.training is not None:
                training = Place(purchase.training, place.channel, place.message, int(purchase.requested_by))
                await self._trainings.follow(client, training, interaction)
        except GONE as trouble:
            log.info("discord purchase message is gone", purchase=place.purchase, trouble=str(trouble))
        except TROUBLE as trouble:
            log.warning("discord purchase message not finished", purchase=place.purchase, trouble=str(trouble))
            return  # with its mark, so that the next connection does it
        except Exception:  # the edge of a task that nobody waits for
            log.exception("discord purchase message failed", purchase=place.purchase)
        finally:
            self._followed.discard(place.message)
        await self._marks.remove(_mark(place))

    async def _show_progress(self, place: _Place, message: LastingMessage) -> None:
        """Edit the message while the fetch moves on, every few seconds, and when it has ended."""
        clock = asyncio.get_running_loop().time
        edited_at = -self._edit_every
        async for purchase in self._purchases.watch(place.purchase):
            is_last = not purchase.is_under_way
            if not is_last and clock() - edited_at < self._edit_every:
                continue
            try:
                await message.edit(texts.purchase(purchase), buttons=_view(purchase))
            except GONE:
                raise
            except TROUBLE as trouble:
                if is_last:
                    raise
                log.debug("discord purchase message not edited", purchase=place.purchase, trouble=str(trouble))
            edited_at = clock()


def _may(interaction: discord.Interaction[Any], cause: str, requested_by: str) -> bool:
    """Discord's command permissions guard /train but not the buttons under its answer, hence the check."""
    return manages(interaction) or (cause == "discord" and requested_by == str(interaction.user.id))


def _view(purchase: Purchase) -> discord.ui.View | None:
    """The buttons for what is to be agreed to; None where nothing is."""
    view = discord.ui.View(timeout=None)
    if purchase.state is PurchaseState.ASKED:
        label = f"Look up for {dollars(purchase.look_up_usd)}"
        view.add_item(PurchaseButton(purchase.id, "look", label))
    elif purchase.state is PurchaseState.PRICED:
        label = f"Fetch for {dollars(purchase.usd)} and train"
        view.add_item(PurchaseButton(purchase.id, "fetch", label))
    else:
        return None
    if purchase.can_do_without:
        view.add_item(PurchaseButton(purchase.id, "without", "Train on what is stored"))
    return view


def _mark(place: _Place) -> str:
    return f"{_MARK}{place.purchase}-{place.message}"
