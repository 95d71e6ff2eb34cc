"""/duel: two personas talk to each other in a thread, turn by turn, until the last one or until somebody stops them.

What was said is a row, so a duel goes on after a restart. A turn that may have been sent already is looked for in the
thread before it is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import discord
import structlog

from bot.errors import Busy, MockingbirdError, NotPermitted
from bot.frontends.discord import texts_duels
from bot.frontends.discord.asking import asked_by
from bot.frontends.discord.costume import Costumes
from bot.frontends.discord.failures import Failures
from bot.frontends.discord.in_flight import InFlight
from bot.frontends.discord.lasting import GONE, TROUBLE
from bot.frontends.discord.rights import moderates
from bot.frontends.discord.served import Served
from bot.replies.conversation import Conversation
from bot.replies.duels import MOST_TURNS, Duel, Duels
from bot.replies.incoming import Platform

MOST_IN_REPLIES = 4  # turns where there is no thread, so that a channel isn't filled

_TRIES = 4  # of one turn
_LONGEST_WAIT = 60.0  # seconds between two tries
_LOOKED_AT = 30  # messages, when a turn may have been sent already

log = structlog.get_logger(__name__)


class StopButton(
    Served,
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"duel:(?P<number>[0-9]+):stop",
):
    """End one duel. Everything it knows stands in its custom id, so it outlives the process."""

    def __init__(self, number: int) -> None:
        style = discord.ButtonStyle.danger
        super().__init__(discord.ui.Button(label="Stop", style=style, custom_id=f"duel:{number}:stop"))
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
        desk: DuelDesk = interaction.client.desks.duels
        await desk.stop(interaction, self.number)


class DuelDesk:
    """Opens duels, lets them take their course, and stops them."""

    def __init__(
        self, duels: Duels, conversation: Conversation, costumes: Costumes, failures: Failures, pause_seconds: float
    ) -> None:
        """`pause_seconds`: between two turns, so that people can read them."""
        self._duels = duels
        self._conversation = conversation
        self._costumes = costumes
        self._failures = failures
        self._pause = pause_seconds
        self._followers = InFlight()
        self._followed: set[int] = set()
        self._following = False  # whether there is a connection to follow with

    async def begin(self, interaction: discord.Interaction[Any], a: str, b: str, topic: str, turns: int) -> None:
        """Let them talk. Raises `NotPermitted` where the bot may not write."""
        await interaction.response.defer()
        in_thread = isinstance(interaction.channel, discord.Thread)
        ours = interaction.app_permissions
        if not (ours.send_messages_in_threads if in_thread else ours.send_messages):
            raise NotPermitted(texts_duels.MAY_NOT_WRITE)
        asked = asked_by(interaction)
        duel = await self._duels.begin(asked, a, b, topic, turns)
        try:
            view = discord.ui.View(timeout=None).add_item(StopButton(duel.id))
            opened = await interaction.edit_original_response(content=texts_duels.opening(duel), view=view)
            thread = None if in_thread else await _thread(interaction, opened.id, duel)
        except BaseException:
            await self._duels.end(duel.id, "it could not be opened")
            raise
        place, most = (
            (thread, MOST_TURNS) if thread else (interaction.channel_id, MOST_TURNS if in_thread else MOST_IN_REPLIES)
        )
        await self._duels.takes_place(duel.id, str(opened.id), str(place), most)
        await self._conversation.delivered(asked, str(opened.id))
        self._start(interaction.client, duel.id, resumed=False)

    async def stop(self, interaction: discord.Interaction[Any], number: int) -> None:
        """End it, if the person may."""
        try:
            duel = await self._duels.duel(number)
            if not (moderates(interaction) or str(interaction.user.id) == duel.started_by):
                raise NotPermitted(texts_duels.NOT_YOURS)
            await interaction.response.defer()
            await self._duels.end(number, "somebody stopped it")
            await interaction.edit_original_response(content=texts_duels.stopped(duel), view=None)
        except Exception as error:  # noqa: BLE001 - the edge: nothing above would tell the person
            await self._failures.tell(interaction, error)

    @asynccontextmanager
    async def following(self, client: discord.Client) -> AsyncIterator[None]:
        """While the body runs, duels take their course, those of earlier runs too."""
        self._following = True
        for number in await self._duels.under_way(Platform.DISCORD):
            self._start(client, number, resumed=True)
        try:
            yield
        finally:
            self._following = False
            await self._followers.drain(0)  # the rows remain

    def _start(self, client: discord.Client, number: int, *, resumed: bool) -> None:
        if self._following and number not in self._followed:
            self._followed.add(number)
            self._followers.start(self._follow(client, number, resumed), name=f"discord duel {number}")

    async def _follow(self, client: discord.Client, number: int, resumed: bool) -> None:
        try:
            if resumed:
                await client.wait_until_ready()  # threads are known from then on
            await self._take_turns(client, number, resumed)
        except GONE as trouble:
            log.info("discord duel has no place any more", duel=number, trouble=str(trouble))
            await self._duels.end(number, "its thread is gone")
        except MockingbirdError as error:
            await self._end_early(client, number, str(error))
        except TROUBLE as trouble:
            log.warning("discord duel given up", duel=number, trouble=str(trouble))
            await self._duels.end(number, "Discord was out of reach")
        except Exception as error:  # noqa: BLE001 - the edge of a task that nobody waits for
            await self._end_early(client, number, self._failures.sentence(error, duel=number))
        finally:
            self._followed.discard(number)

    async def _take_turns(self, client: discord.Client, number: int, resumed: bool) -> None:
        """One turn after the other until the duel is over."""
        look = resumed
        while (duel := await self._next(number)) is not None:
            sent = await self._say(client, duel, look)
            await self._duels.was_said(duel, str(sent))
            look = False
            if len(duel.said) >= duel.turns:
                if await self._duels.end(number):
                    await _close(client, duel, texts_duels.who_won(duel))
                return
            await asyncio.sleep(self._pause)

    async def _next(self, number: int) -> Duel | None:
        """The duel with a turn to be sent; patient with an engine that has much to do. Raises `MockingbirdError`."""
        for _ in range(_TRIES - 1):
            try:
                return await self._duels.to_be_said(number)
            except Busy as busy:
                await asyncio.sleep(min(busy.retry_after_s, _LONGEST_WAIT))
        return await self._duels.to_be_said(number)

    async def _say(self, client: discord.Client, duel: Duel, look: bool) -> int:
        """Send the last turn, once, and give its message's id; with `look` it may stand there already.

        Raises one of `TROUBLE` when Discord would not take it for a while.
        """
        for number in range(_TRIES):
            try:
                found = await _sent_before(client, duel) if look else None
                return found or await self._send(client, duel)
            except GONE:
                raise
            except TROUBLE:
                if number == _TRIES - 1:
                    raise
                look = True
                await asyncio.sleep(min(5.0 * 2**number, _LONGEST_WAIT))
        raise AssertionError("unreachable")

    async def _send(self, client: discord.Client, duel: Duel) -> int:
        turn, channel = duel.said[-1], _channel(client, duel)
        said = await self._costumes.say(channel, turn.persona, texts_duels.shown(turn.text))
        if said is not None:
            return said.id
        options: dict[str, Any] = {"nonce": f"duel-{duel.id}-{len(duel.said)}", "suppress_embeds": True}
        if duel.in_replies and len(duel.said) > 1:
            before = channel.get_partial_message(int(duel.said[-2].message_id))
            options |= {"reference": before.to_reference(fail_if_not_exists=False), "mention_author": False}
        sent: discord.Message = await channel.send(texts_duels.plainly(turn.persona, turn.text), **options)
        return sent.id

    async def _end_early(self, client: discord.Client, number: int, reason: str) -> None:
        """End it and say why where they talked."""
        with contextlib.suppress(MockingbirdError):  # it was forgotten with one of its personas
            duel = await self._duels.duel(number)
            if await self._duels.end(number, reason):
                await _close(client, duel, texts_duels.ended_early(reason))


async def _thread(interaction: discord.Interaction[Any], message: int, duel: Duel) -> int | None:
    """The id of a new thread about the opening message; None where there can be none."""
    ours, channel = interaction.app_permissions, interaction.channel
    allowed = ours.create_public_threads and ours.send_messages_in_threads
    if not (allowed and isinstance(channel, discord.TextChannel)):
        return None
    try:
        opened = channel.get_partial_message(message)
        return (await opened.create_thread(name=texts_duels.thread_name(duel), auto_archive_duration=60)).id
    except TROUBLE as trouble:
        log.info("discord duel gets no thread", duel=duel.id, trouble=str(trouble))
        return None


async def _sent_before(client: discord.Client, duel: Duel) -> int | None:
    """The id of the message that says the last turn, where it arrived although nobody learned of it."""
    text = texts_duels.shown(duel.said[-1].text)
    before = duel.said[-2].message_id if len(duel.said) > 1 else duel.message_id
    ours = {client.application_id, client.user.id if client.user else None}
    try:
        async for message in _channel(client, duel).history(limit=_LOOKED_AT, after=discord.Object(int(before))):
            if (message.author.id in ours or message.application_id in ours) and text in message.content:
                return int(message.id)
    except discord.Forbidden:  # it may write, but not read what was said
        return None
    return None


async def _close(client: discord.Client, duel: Duel, text: str) -> None:
    """Say that where they talked, and take the button away. It isn't worth a second try."""
    try:
        await _channel(client, duel).send(text, nonce=f"duel-{duel.id}-end", suppress_embeds=True)
        opening = client.get_partial_messageable(int(duel.channel_id)).get_partial_message(int(duel.message_id))
        await opening.edit(view=None)
    except TROUBLE as trouble:
        log.info("discord duel not closed", duel=duel.id, trouble=str(trouble))


def _channel(client: discord.Client, duel: Duel) -> Any:
    """Where they talk, as the library knows it: in costume only where it knows it as a channel of a server."""
    number = int(duel.thread_id)
    return client.get_channel(number) or client.get_partial_messageable(number, guild_id=int(duel.server_id))
