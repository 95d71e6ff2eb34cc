"""Mentions and commands in, generated tweets out; the one place that every front end asks.

A message is recorded under its platform's id before anything is generated (`messages`), so that a second delivery, a
reconnect or a restart is silent. Message texts are never stored: they are data for one answer only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.config import Generation, Replies
from bot.database import Database
from bot.errors import Refused, UnknownPersona, UnknownVersion
from bot.generation.choosing import in_language_of
from bot.generation.draft import Draft, Drafts, OnPartial, Sampling
from bot.personas.takedown import forgotten_personas, taken_down
from bot.replies.addressing import addressed_persona
from bot.replies.answers import Answers, Said
from bot.replies.channels import Channels
from bot.replies.drafting import Drafting, Wanted
from bot.replies.incoming import Incoming, Platform
from bot.replies.messages import Messages
from bot.replies.opt_outs import OptOuts
from bot.replies.quota import Quota
from bot.replies.server_words import ServerWords
from bot.replies.servers import Servers
from bot.replies.similar import SaidBefore
from bot.shelf.shelf import Shelf
from bot.tweets.languages import language


@dataclass(frozen=True, slots=True)
class Answer:
    """What to say."""

    persona: str
    version: str
    draft: Draft


class Conversation:
    """Answers messages at most once each, within each person's quota."""

    def __init__(
        self,
        database: Database,
        shelf: Shelf,
        speaker: Drafting,
        generation: Generation,
        settings: Replies,
        clock: Callable[[], datetime],
        said: SaidBefore | None = None,
    ) -> None:
        """`clock` gives UTC; `said` is what the process knows of texts that were said on X."""
        self._database = database
        self._shelf = shelf
        self._speaker = speaker
        self._generation = generation
        self._settings = settings
        self._clock = clock
        self._in_flight: set[tuple[str, str]] = set()
        self._said = said or SaidBefore()
        self.words = ServerWords(database, clock)
        self.servers = Servers(database, clock)
        self.channels = Channels(database)
        self.answers = Answers(database, clock)
        self.messages = Messages(database, self.answers, clock)
        self.opt_outs = OptOuts(database, clock)
        self.quota = Quota(database, settings, self.servers, clock)

    async def answer(self, incoming: Incoming, on_partial: OnPartial | None = None) -> Answer | None:
        """The reply to a message, or None when it was answered (or is being answered) already, when its author wants no
        answers, and where nobody is answered.

        The caller sends it and then calls `delivered`. Raises `Refused`, `Busy`, `UnknownPersona`, each with a
        sentence for the author; the message then counts as dealt with, except after `Busy`. `on_partial` is told how
        far each row has come; what it is told is not for everybody's eyes.
        """
        key = (incoming.platform.value, incoming.message_id)
        began = self._clock().isoformat()
        if key in self._in_flight:
            return None
        self._in_flight.add(key)  # before the first await: two deliveries may come in one breath
        try:
            if await self._is_unwanted(incoming) or not await self.messages.record(incoming):
                return None
            async with self.messages.noting_refusal(incoming):
                answer = await self._make(incoming, on_partial)
                await self.messages.move(incoming, "sending", answer.persona, answer.version, answer.draft.seed, began)
            return answer
        finally:
            self._in_flight.discard(key)

    async def delivered(self, incoming: Incoming, *answer_ids: str, said: Sequence[Said] = ()) -> None:
        """The platform accepted the answer under these ids, one for each message that it took: `Messages.answered`."""
        await self.messages.answered(incoming, *answer_ids, said=said)

    async def not_delivered(self, platform: Platform, message_id: str) -> None:
        """It is certain that the platform has not got the answer; the message may be answered anew."""
        await self.messages.take_back(platform, message_id)

    async def drafts(self, incoming: Incoming, wanted: Wanted, on_partial: OnPartial | None = None) -> Drafts:
        """What a command gives: drafts as they are wanted, the best first.

        `incoming` is the command, which counts against the author's quota. The caller shows them and then calls
        `delivered`. `on_partial` is as with `answer`. Raises `Refused`, `Busy`, `UnknownPersona`, `UnknownVersion`.
        """
        began = self._clock().isoformat()
        async with self.messages.noting_refusal(incoming):
            name, sampling = await self._asked(incoming, wanted)
            drafts = await self._speaker.drafts(
                name,
                start=wanted.start,
                count=wanted.count,
                sampling=sampling,
                seed=wanted.seed,
                about=wanted.about,
                thread=incoming.thread,
                version=wanted.version,
                on_partial=on_partial,
            )
        await self.messages.move(incoming, "answered", drafts.persona, drafts.version, drafts.drafts[0].seed, began)
        return drafts

    async def replay(self, incoming: Incoming, wanted: Wanted) -> Drafts:
        """What `/replay` gives: the one draft of the wanted version with the wanted seed, beginning and sampling.

        Everything else is as with `drafts`. Raises `Refused` when that draft is not fit to be shown, `UnknownVersion`.
        """
        began = self._clock().isoformat()
        async with self.messages.noting_refusal(incoming):
            name, sampling = await self._asked(incoming, wanted)
            version = (wanted.version or self._shelf.current(name).version).strip().lower()
            seed = wanted.seed or 0
            drafts = await self._speaker.replay(name, version, seed=seed, sampling=sampling, start=wanted.start)
        await self.messages.move(incoming, "answered", drafts.persona, drafts.version, drafts.drafts[0].seed, began)
        return drafts

    async def channel_persona(self, platform: Platform, channel_id: str) -> str:
        """Who answers in that channel when nobody is named."""
        chosen = await self.channels.get(platform, channel_id)
        return chosen.persona or self._settings.default_persona

    async def persona_here(self, incoming: Incoming) -> str:
        """Who answers where that was said when nobody is named."""
        return (await self.channels.here(incoming)).persona or self._settings.default_persona

    async def set_channel_persona(self, platform: Platform, channel_id: str, persona: str, server_id: str = "") -> None:
        """From now on that persona answers there. Raises `UnknownPersona`."""
        await self.require_here(persona)
        self._shelf.current(persona)
        await self.channels.set_persona(platform, channel_id, persona, server_id)

    async def _is_unwanted(self, incoming: Incoming) -> bool:
        """Whether nobody is answered there, or the author does not want to be."""
        if (await self.channels.here(incoming)).is_off:
            return True
        return await self.opt_outs.has(incoming.platform, incoming.author_id)

    async def _asked(self, incoming: Incoming, wanted: Wanted) -> tuple[str, Sampling]:
        """Who is to speak and how, once the request is on record. Raises `Refused`, `UnknownPersona`."""
        if await self.opt_outs.has(incoming.platform, incoming.author_id):
            raise Refused("You have opted out, so nothing is done for you here. `/optout` takes you in again.")
        await self.messages.record(incoming)
        if not wanted.goes_on:
            await self.quota.check(incoming)
        if (await self.channels.here(incoming)).is_off:
            raise Refused("The bot is switched off in this channel. Ask in another one.")
        persona = wanted.persona
        name = persona.strip().lower().removeprefix("@") if persona else await self.persona_here(incoming)
        await self.require_here(name)
        return name, await self._sampling(incoming, wanted.temperature, wanted.top_p)

    async def _sampling(
        self, incoming: Incoming, temperature: float | None = None, top_p: float | None = None
    ) -> Sampling:
        banned = await self.words.of(incoming.platform, incoming.server_id)
        return Sampling.from_settings(self._generation, temperature=temperature, top_p=top_p, banned=banned)

    async def _make(self, incoming: Incoming, on_partial: OnPartial | None) -> Answer:
        await self.quota.check(incoming)
        persona, version, text = await self._meant(incoming)
        await self.require_here(persona)
        drafts = await self._speaker.drafts(
            persona,
            count=self._generation.drafts,
            sampling=await self._sampling(incoming),
            about=text,
            thread=incoming.thread,
            version=version,
            on_partial=on_partial,
        )
        fit = drafts.drafts if incoming.platform is not Platform.X else await self._new(drafts.drafts)
        best = fit[0]
        if incoming.in_its_language:  # the first time, the detector is loaded
            best = await asyncio.to_thread(in_language_of, text, fit, language)
        return Answer(drafts.persona, drafts.version, best)

    async def _new(self, drafts: Sequence[Draft]) -> Sequence[Draft]:
        """Those that are like nothing that any account of ours has said on X. Raises `Refused` when there are none."""
        async with self._database.transaction() as transaction:
            new = [each for each in drafts if await self._said.like_what_was_said(transaction, each.text) is None]
        if not new:
            raise Refused("Everything that came to mind was said on X before, and X forbids saying the same again.")
        return new

    async def _meant(self, incoming: Incoming) -> tuple[str, str | None, str]:
        """Who is to answer, as which version (None: the one in use), and what.

        Where the account that it was said to has a persona, that one does. Else whoever is named comes first, then who
        said what the message replies to, then the channel's persona.
        """
        if incoming.persona:
            return incoming.persona, None, incoming.text.strip()
        names = {*self._shelf.personas(), *await forgotten_personas(self._database)}
        persona, text = addressed_persona(incoming.text, names)
        if persona is not None:
            return persona, None, text
        kept = await self.answers.find(incoming.platform, incoming.continues) if incoming.continues else None
        if kept is None:
            return await self.persona_here(incoming), None, text
        try:
            return kept.said.persona, self._shelf.version(kept.said.persona, kept.said.version).version, text
        except UnknownVersion:  # it was deleted since
            return kept.said.persona, None, text

    async def require_here(self, persona: str) -> None:
        """Say so when the persona was taken down; raises `UnknownPersona`."""
        if persona not in self._shelf.personas() and persona in await forgotten_personas(self._database):
            raise UnknownPersona(taken_down(persona))
