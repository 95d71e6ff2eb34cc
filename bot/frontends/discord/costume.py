"""Speaking as the persona: through a webhook of the channel, with its name, marked (AI), and its face.

One webhook for each channel, found again after a restart among the channel's by who made it. Its token is a secret that
lets anybody write there, so it is held in memory only.

A message that a webhook sends has no nonce: nothing lets Discord drop a second copy. So what may have arrived is looked
for in the channel before it is said again, and is not said as a plain reply then.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp
import discord
import structlog

from bot.config import Discord
from bot.frontends.discord import texts
from bot.frontends.discord.lasting import TROUBLE
from bot.personas.name import display_name
from bot.pictures import avatar
from bot.pictures.drawing import draw
from bot.replies.conversation import Conversation
from bot.replies.incoming import Platform

LONGEST_IN_COSTUME = texts.LONGEST - 30  # UTF-16 code units; the rest is for whom it answers
UNKNOWN_WEBHOOK = 10015  # Discord's code for one that was deleted

_LOOK_AGAIN_AFTER = 600.0  # seconds; each refusal counts among the invalid requests for which Discord bans an address
_LONGEST_CHANGE = 10.0  # seconds that an answer waits for a new face; Discord allows few changes
_LOOKS_OFFICIAL = re.compile(r"(dis)(cord)|(cly)(de)", re.IGNORECASE)  # words that Discord takes in no such name
_DEFAULT_AVATARS = 6
_PAUSES = (1.0, 3.0, 9.0)  # seconds before a message that may have been said is looked for and said again
_LOOKED_AT = 30  # messages

_Place = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.ForumChannel

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Rack:
    """What hangs in one channel."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # two answers at once don't make two webhooks
    webhook: discord.Webhook | None = None
    worn: str = ""  # the persona whose face the webhook was last given
    empty_until: float = 0.0  # by the loop's clock: it is of no use to ask for a webhook before


class Costumes:
    """Says what a persona says under its own name, wherever that is wanted and possible."""

    def __init__(self, conversation: Conversation, settings: Discord) -> None:
        self._conversation = conversation
        self._settings = settings
        self._racks: dict[int, _Rack] = {}  # by channel

    async def say(
        self,
        channel: Any,
        persona: str,
        text: str,
        *,
        ping: discord.abc.User | None = None,
        view: discord.ui.View | None = None,
    ) -> discord.Message | None:
        """Say that as the persona, to `ping` if there is one; the message, or None where it has to be said plainly.

        `text` is ready to be shown, and at most `LONGEST_IN_COSTUME` long. Raises one of `TROUBLE` when it may have
        been said and may not.
        """
        thread = channel if isinstance(channel, discord.Thread) else None
        place = thread.parent if thread else channel
        if not isinstance(place, _Place) or not await self._is_wanted(place, thread):
            return None
        rack = self._racks.setdefault(place.id, _Rack())
        own = await self._conversation.channel_persona(Platform.DISCORD, str(place.id))
        for _ in range(2):  # once more, with a new webhook, where the one at hand was deleted behind our back
            webhook = await self._webhook(place, rack, own)
            if webhook is None:
                return None
            options = _message(text, ping, view, thread) | _signature(webhook, persona)
            try:
                said = await _sent(webhook, channel, options)
            except discord.DiscordServerError:
                raise
            except discord.HTTPException as trouble:  # a refusal: nothing was said
                rack.webhook = None
                if trouble.code != UNKNOWN_WEBHOOK:
                    self._leave_empty(place, rack, str(trouble))
                    return None
            else:
                rack.empty_until = 0.0
                return said
        return None

    async def _is_wanted(self, place: _Place, thread: discord.Thread | None) -> bool:
        """Whether costumes are worn there: as the thread says, else the channel, else the server, else the operator."""
        for each in filter(None, (thread, place)):
            chosen = (await self._conversation.channels.get(Platform.DISCORD, str(each.id))).in_costume
            if chosen is not None:
                return chosen
        server = await self._conversation.servers.settings(Platform.DISCORD, str(place.guild.id))
        return self._settings.in_costume if server.in_costume is None else server.in_costume

    async def _webhook(self, place: _Place, rack: _Rack, own: str) -> discord.Webhook | None:
        """The channel's webhook, with the face of the channel's own persona; None where there can be none."""
        async with rack.lock:
            if asyncio.get_running_loop().time() < rack.empty_until:
                return None
            if place.guild.me is not None and not place.permissions_for(place.guild.me).manage_webhooks:
                self._leave_empty(place, rack, "the bot may not manage webhooks there")
                return None
            try:
                return await _dressed(place, rack, own)
            except TROUBLE as trouble:
                self._leave_empty(place, rack, str(trouble))
                return None

    def _leave_empty(self, place: _Place, rack: _Rack, reason: str) -> None:
        """Speak plainly there for a while. It is said once in the log, until there is a webhook again."""
        if not rack.empty_until:
            log.warning("discord answers are plain replies in a channel", channel=place.id, reason=reason)
        rack.webhook = None
        rack.empty_until = asyncio.get_running_loop().time() + _LOOK_AGAIN_AFTER


def is_own(webhook: discord.Webhook, bot: discord.abc.Snowflake | None) -> bool:
    """Whether this bot made it; only of those it is told the token."""
    return webhook.token is not None and webhook.user is not None and bot is not None and webhook.user.id == bot.id


def signed(persona: str) -> str:
    """The persona's name as its messages are signed: `Lighthouse Nell (AI)`. It is never longer than 80 characters."""
    name = _LOOKS_OFFICIAL.sub(lambda found: "-".join(filter(None, found.groups())), display_name(persona))
    return f"{name[:75]} (AI)"


def label(persona: str) -> str:
    """What a webhook with that persona's face is called in the server's settings. It does not give the persona's name,
    which would stand there still when the persona was forgotten; it tells after a restart whose face it is.
    """
    return f"Mockingbird {hashlib.sha256(persona.encode()).hexdigest()[:8]} (AI)"


def _message(
    text: str, ping: discord.abc.User | None, view: discord.ui.View | None, thread: discord.Thread | None
) -> dict[str, Any]:
    pinged = discord.AllowedMentions(everyone=False, roles=False, users=[ping] if ping else False, replied_user=False)
    return {
        "content": f"{ping.mention} {text}" if ping else text,
        "allowed_mentions": pinged,
        "suppress_embeds": True,
        "view": view or discord.utils.MISSING,
        "thread": thread or discord.utils.MISSING,
    }


def _signature(webhook: discord.Webhook, persona: str) -> dict[str, str]:
    """Name of one message, and its face where that isn't the webhook's own.

    A message can be signed with any name, but a face only by an address that Discord can read, and the bot has none in
    the public web; a face of the webhook itself can be changed only now and then. So whoever is called by name in a
    channel that has somebody else gets one of Discord's own default faces, always the same one.
    """
    name = {"username": signed(persona)}
    if webhook.name == label(persona):
        return name
    number = hashlib.sha256(persona.encode()).digest()[0] % _DEFAULT_AVATARS
    return name | {"avatar_url": f"{discord.Asset.BASE}/embed/avatars/{number}.png"}


async def _sent(webhook: discord.Webhook, channel: Any, options: dict[str, Any]) -> discord.Message:
    """The message that the webhook sends, once. Raises one of `TROUBLE`."""
    before = channel.last_message_id or channel.id
    webhook.session = _ThatTriesOnce(webhook.session)  # type: ignore[assignment]
    for pause in _PAUSES:
        try:
            return await webhook.send(wait=True, **options)
        except discord.DiscordServerError:
            await asyncio.sleep(pause)
            async for message in channel.history(limit=_LOOKED_AT, after=discord.Object(before)):
                if message.webhook_id == webhook.id and message.content == options["content"]:
                    return message  # type: ignore[no-any-return]
    return await webhook.send(wait=True, **options)


class _ThatTriesOnce:
    """A session that lets the library, which sends again after errors of Discord's, know of them at once."""

    def __init__(self, session: Any) -> None:
        self._session: Any = session._session if isinstance(session, _ThatTriesOnce) else session

    @asynccontextmanager
    async def request(self, method: str, url: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer. Raises `DiscordServerError`."""
        async with self._session.request(method, url, **options) as response:
            if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise discord.DiscordServerError(response, await response.text())
            yield response


async def _dressed(place: _Place, rack: _Rack, own: str) -> discord.Webhook:
    """The webhook at hand, the one of an earlier run, or a new one, with that persona's face. Raises one of `TROUBLE`,
    among others where there are too many already.
    """
    if rack.webhook is None:
        rack.webhook = next((each for each in await place.webhooks() if is_own(each, place.guild.me)), None)
        rack.worn = own if rack.webhook and rack.webhook.name == label(own) else ""
    if rack.webhook is None:
        rack.webhook = await place.create_webhook(name=label(own), avatar=await _face(own))
    elif rack.worn != own:
        rack.webhook = await _changed(rack.webhook, own)
    rack.worn = own  # also where Discord didn't take the change: it is not asked again for every answer
    return rack.webhook


async def _changed(webhook: discord.Webhook, persona: str) -> discord.Webhook:
    """The webhook with that persona's name and face; as it was, where Discord doesn't take them now."""
    try:
        async with asyncio.timeout(_LONGEST_CHANGE):
            return await webhook.edit(name=label(persona), avatar=await _face(persona))
    except (*TROUBLE, TimeoutError) as trouble:
        log.info("a discord webhook keeps its old face", webhook=webhook.id, trouble=str(trouble))
        return webhook


async def _face(persona: str) -> bytes | None:
    return await asyncio.to_thread(draw, "avatar", avatar.scene(persona))
