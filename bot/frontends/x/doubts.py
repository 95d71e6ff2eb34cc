"""Replies of which nobody knows whether they stand on X: looked for on the account's own timeline.

Outcome: one that surely does not stand there is handed over once more, or given up; never one that may stand there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime

import structlog

from bot.frontends.x.mention_reads import MentionReads
from bot.replies.conversation import Conversation
from bot.replies.incoming import Incoming, Platform
from bot.replies.mention import MentionState, Noted
from bot.replies.mentions import Mentions
from bot.replies.summons import TOO_OLD
from bot.tweets.costs import Ledger

log = structlog.get_logger(__name__)


class Doubts:
    """Those of one account of ours."""

    def __init__(
        self,
        mentions: Mentions,
        conversation: Conversation,
        ledger: Ledger,
        reads: MentionReads,
        persona: str,
        clock: Callable[[], datetime],
    ) -> None:
        """`persona` speaks on the account; `clock` gives UTC."""
        self._account = mentions.account
        self._mentions = mentions
        self._conversation = conversation
        self._ledger = ledger
        self._reads = reads
        self._persona = persona
        self._clock = clock
        self._is_tidy = False

    async def settle(self) -> AsyncIterator[str]:
        """Look at the own timeline; the ids of mentions whose reply is to be handed over once more."""
        for noted in await self._mentions.in_state(MentionState.UNKNOWN):
            if noted.rests(self._clock()):
                continue
            found = await self._reads.find_reply(noted.id)
            if found.reply_id is not None:
                await self._stands(noted, found.reply_id)
            elif noted.may_be_missed(self._clock()) and await self._missed(noted, found.is_whole):
                yield noted.id

    async def tidy(self) -> None:
        """Once: let go of what the ledger still holds of calls at which a process before this one was cut off."""
        if not self._is_tidy and not await self._mentions.in_state(MentionState.UNKNOWN):
            await self._ledger.nothing_in_doubt("reply", self._account)
            self._is_tidy = True

    async def _stands(self, noted: Noted, reply_id: str) -> None:
        await self._charged(noted)  # before the doubt is over: after a crash it is done again
        await self._conversation.delivered(Incoming(Platform.X, noted.message_id, self._account, ""), reply_id)
        await self._mentions.answered(noted.id, reply_id)
        log.info("a reply whose answer was missing stands on X", account=self._account, mention=noted.id)

    async def _charged(self, noted: Noted) -> None:
        price = self._ledger.prices.summoned_reply
        await self._ledger.charged("reply", self._persona, price, noted.resource, self._account)

    async def _missed(self, noted: Noted, is_certain: bool) -> bool:
        """The own timeline does not show it: whether it is handed over once more, since that can't be a second one."""
        if is_certain:
            await self._conversation.not_delivered(Platform.X, noted.message_id)
            await self._ledger.not_charged(noted.resource)
        else:  # it is given up below, and X may have charged for it
            await self._charged(noted)
        if noted.declined:
            reason = noted.reason or "X does not take a reply to it"
            await self._mentions.leave(noted.id, reason, may_stand=not is_certain)
        elif self._clock() - noted.seen_at >= TOO_OLD or not is_certain:
            reason = f"no reply to it is known to have reached X: {noted.reason}"
            await self._mentions.leave(noted.id, reason, may_stand=not is_certain)
        else:
            await self._mentions.not_there(noted.id)
            return True
        return False
