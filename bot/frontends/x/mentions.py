"""Mentions of an account on X: read, put on record, and answered at most once each where they call the account.

Outcome: `run` reads what was said to the account since the last time, and answers what `bot.replies.summons` lets
through, the oldest first, within the month's cap. Reads stop before replies do. Whatever X or the rules decline is left
alone with a reason on record; nobody is told of it on X.

A mention is marked before a reply is handed to X. Where X's answer is missing, because the service was stopped or the
connection broke, the account's own timeline is looked at first; only what is not there is handed over once more.

What it does not know: what else was said in a conversation, unless it came along; reading it would cost more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import structlog

from bot.config import X
from bot.errors import (
    BudgetExceeded,
    Busy,
    DiskFull,
    MockingbirdError,
    Refused,
    UnknownPersona,
    XDuplicate,
    XError,
    XPostRefused,
    XUnreachable,
)
from bot.frontends.x.doubts import Doubts
from bot.frontends.x.mention_reads import MentionReads
from bot.frontends.x.sending import to_its_end
from bot.frontends.x.waiting import SOON, wait_after
from bot.generation.mentions_and_links import without_links
from bot.replies.addressing import calling_nobody
from bot.replies.answers import Said
from bot.replies.conversation import Answer, Conversation
from bot.replies.incoming import Incoming, Platform
from bot.replies.mention import MentionState, Noted, Wants
from bot.replies.mentions import GONE, Mentions
from bot.replies.opting_out import ENGLISH, confirmations, opt_out_language
from bot.replies.pace import LONGEST, pace
from bot.replies.summons import TOO_OLD, author_left_alone_because, left_alone_because
from bot.tweets.costs import Call, Ledger
from bot.tweets.x_api import XClient
from bot.tweets.x_mentions import Author, Mention, MentionPage

_PAGES = 8  # of one reading: X gives out the newest 800 mentions
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

log = structlog.get_logger(__name__)


class XMentions:
    """Answers for one account; `await run()` in a task of its own, cancel it to stop."""

    def __init__(
        self,
        client: XClient,
        mentions: Mentions,
        conversation: Conversation,
        ledger: Ledger,
        settings: X,
        ours: frozenset[str],
        clock: Callable[[], datetime],
        owns_app: bool = True,
    ) -> None:
        """`ours` are X's ids of all our accounts; `clock` gives UTC. `owns_app`: the account owns the app of its keys,
        so that X charges the lower price for its mentions.
        """
        self.account = mentions.account
        self._client = client
        self._mentions = mentions
        self._conversation = conversation
        self._ledger = ledger
        self._settings = settings
        self._ours = ours
        self._clock = clock
        self.reads = MentionReads(client, ledger, self.account, settings.persona, owns_app, clock)
        self._doubts = Doubts(mentions, conversation, ledger, self.reads, settings.persona, clock)
        self._every = timedelta(minutes=settings.mentions_every_minutes)
        self._heard: dict[str, Mention] = {}  # those that wait, by id
        self._bell = asyncio.Event()
        self._read_after = _LONG_AGO
        self._send_after = _LONG_AGO
        self._is_streamed = False
        self._said = ""  # the last trouble in the log, so that it stands there once

    def wake(self) -> None:
        """Have `run` look now; rings while it works are one ring."""
        self._bell.set()

    def streamed(self, connected: bool) -> None:
        """Mentions come by themselves from now on, or no more; either way what was missed is read at once."""
        if connected != self._is_streamed:
            self._is_streamed = connected
            self._read_after = min(self._read_after, self._clock())
            self.wake()

    async def run(self) -> None:
        """Read and answer until cancelled. Says so and returns where the account answers nobody."""
        if self.silent_because is not None:
            log.warning("mentions are not answered", account=self.account, reason=self.silent_because)
            return
        while True:
            look_at = await self.turn()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, (look_at - self._clock()).total_seconds())):
                    await self._bell.wait()
            self._bell.clear()

    @property
    def silent_because(self) -> str | None:
        """Why the account answers nobody; None where it does."""
        if not self._settings.persona:
            return "the account has no persona"
        if not self._client.can_post:
            return "the account has no keys"
        return "the account is paused" if self._settings.paused else None

    async def recover(self) -> None:
        """What a stop, or trouble with writing it down, has left as being sent is looked for on X."""
        if unknown := await self._mentions.recover():
            log.warning("replies may be on X or not; the timeline is looked at", account=self.account, replies=unknown)

    async def turn(self) -> datetime:
        """Settle what is in doubt, read if it is time to, answer what waits; the moment (UTC) of the next look."""
        await self._try(self._settle_doubts)
        await self._try(self._doubts.tidy)
        if self._read_after <= self._clock():
            await self._try(self._read, reading=True)
        await self._try(self._answer_waiting)
        in_doubt = await self._mentions.in_state(MentionState.UNKNOWN)
        pending = [max(self._send_after, self._clock() + SOON)] if self._heard or in_doubt else []
        return min([self._read_after, *pending])

    async def _try(self, work: Callable[[], Awaitable[None]], reading: bool = False) -> None:
        """Do it unless there was trouble lately; trouble is said once and pauses that kind of work."""
        if not reading and self._send_after > self._clock():
            return
        try:
            await work()
        except (BudgetExceeded, Busy, DiskFull, XError) as error:
            until = self._clock() + wait_after(error, self._clock())
            if reading:
                self._read_after = until
            else:
                self._send_after = until
            self._tell("reading mentions pauses" if reading else "replies pause", until, error)

    def _tell(self, what: str, until: datetime, error: MockingbirdError) -> None:
        if str(error) != self._said:
            self._said = str(error)
            log.warning(what, account=self.account, until=until.isoformat(timespec="seconds"), reason=str(error))

    # Reading

    async def _read(self) -> None:
        """Everything since the last time, page by page; what waits and is no more among it is gone."""
        since = await self._mentions.since(self._heard)
        asked_before = {each.id for each in await self._mentions.in_state(MentionState.WAITING)} - self._heard.keys()
        token, newest = None, ""
        for number in range(_PAGES):
            page = await self.reads.page(since, None if since else self._clock() - TOO_OLD, token, number, self.hear)
            newest = newest or (page.mentions[0].id if page.mentions else "")
            token = page.next_token
            if token is None:
                break
        if newest:
            await self._mentions.read_up_to(newest)
        for mention_id in asked_before - self._heard.keys():
            await self._mentions.leave(mention_id, GONE)
        spent, now = await self._ledger.share_spent(self.account), self._clock()
        paced = pace(self._every, spent, now)
        self._read_after = now + (LONGEST if self._is_streamed else paced)

    async def hear(self, page: MentionPage) -> None:
        """Put these on record and keep the words of those that wait."""
        assert self._client.own_id is not None  # whoever can post has one
        waiting = await self._mentions.record(page.mentions, self._client.own_id, self._ours)
        self._heard |= {mention.id: mention for mention in page.mentions if mention.id in waiting}

    # Answering

    async def _answer_waiting(self) -> None:
        """Answer or leave alone each mention that waits, the oldest first."""
        candidates, considered = [], set()
        for noted in await self._mentions.in_state(MentionState.WAITING):
            mention = self._heard.get(noted.id)
            if mention is None:
                continue  # its words are read again
            considered.add(noted.id)
            if noted.wants is Wants.CONFIRMATION:
                await self._confirm(mention, noted)
            elif await self._is_answerable(mention):
                candidates.append((mention, noted))
        asked = [] if self._settings.answer_bots else [mention.author_id for mention, _ in candidates]
        strangers = await self._mentions.strangers(asked)
        authors: dict[str, Author | None] = {}
        try:
            authors = await self.reads.authors(strangers)
        except BudgetExceeded as error:  # reads stop first; whoever is known is answered
            candidates = [each for each in candidates if each[0].author_id not in strangers]
            self._tell("strangers wait", self._clock() + SOON, error)
        for mention, noted in candidates:
            await self._answer(mention, noted, authors)
        waiting = {noted.id for noted in await self._mentions.in_state(MentionState.WAITING)}
        for mention_id in considered - waiting:  # others may have come in from the stream meanwhile
            self._heard.pop(mention_id, None)

    async def _is_answerable(self, mention: Mention) -> bool:
        """Whether nothing speaks against it; else it is left alone."""
        assert self._client.own_id is not None
        known = await self._mentions.circumstances(mention, self._client.own_id, self._ours, self._settings)
        reason = left_alone_because(mention, known)
        if reason is not None:
            await self._mentions.leave(mention.id, reason)
        return reason is None

    async def _answer(self, mention: Mention, noted: Noted, authors: dict[str, Author | None]) -> None:
        """Have an answer made and send it."""
        if mention.author_id in authors:
            reason = author_left_alone_because(authors[mention.author_id], self._settings.answer_bots)
            if reason is not None:
                await self._mentions.leave(mention.id, reason)
                return
        if not await self._is_answerable(mention):  # its author may have had an answer or left since
            return
        incoming = await self._incoming(mention, noted)
        await self._conversation.not_delivered(Platform.X, noted.message_id)  # one that was made was never handed to X
        try:
            answer = await self._conversation.answer(incoming)
        except (Refused, UnknownPersona) as error:
            await self._mentions.leave(mention.id, "nothing new was fit to be said, or its author had asked too often")
            log.info("a mention is left alone", account=self.account, mention=mention.id, reason=str(error))
            return
        if answer is None:
            await self._mentions.leave(mention.id, "another account of ours answers it, or answers are switched off")
            return
        text = without_links(calling_nobody(answer.draft.text)).strip()
        if not text:
            await self._mentions.leave(mention.id, "nothing was fit to be said")
            return
        await self._send(mention, noted, text, incoming, answer)

    async def _incoming(self, mention: Mention, noted: Noted) -> Incoming:
        assert self._client.own_id is not None
        return Incoming(
            Platform.X,
            message_id=noted.message_id,
            channel_id=self.account,
            author_id=mention.author_id,
            text=mention.said_without(self._client.own_id),
            thread=await self._mentions.thread(mention),
            persona=self._settings.persona,
            in_its_language=True,
        )

    async def _confirm(self, mention: Mention, noted: Noted) -> None:
        """Tell somebody once that there will be no more answers, in other words where X has these already. After a try
        that is in doubt there are no other words: these may have been its.
        """
        for text in confirmations(opt_out_language(mention.text) or ENGLISH, mention.created_at):
            if not await self._is_known_to_x(mention, noted, text) or noted.tries:
                return
        await self._mentions.leave(mention.id, "X has every wording of the confirmation already")

    async def _is_known_to_x(self, mention: Mention, noted: Noted, text: str) -> bool:
        """Send it; whether X takes it for a repetition."""
        try:
            await self._send(mention, noted, text)
        except XDuplicate:
            return True
        return False

    async def _send(
        self,
        mention: Mention,
        noted: Noted,
        text: str,
        incoming: Incoming | None = None,
        answer: Answer | None = None,
    ) -> None:
        """Hand a reply to X within the cap and write down what became of it, even when cancelled meanwhile.

        Raises `XDuplicate` of a confirmation.
        """
        price, resource = self._ledger.prices.summoned_reply, noted.resource
        bystanders = (mention.carried | mention.named | self._ours) - {mention.author_id, self._client.own_id}
        try:
            async with self._ledger.hold(
                "reply", self._settings.persona, price, "A reply", resource=resource, account=self.account
            ) as call:
                if not await self._mentions.take(mention.id, *([text, answer.persona] if answer else [])):
                    await self._conversation.not_delivered(Platform.X, noted.message_id)
                    return
                try:
                    reply_id = await self._client.reply(text, mention.id, bystanders)
                except XError as error:
                    await to_its_end(self._note_failure(noted, call, error))
                    raise
                await call.settle(1, price)  # first: cut off in between, the reply is looked for, and found
                await to_its_end(self._note_success(mention.id, reply_id, text, incoming, answer))
        except XPostRefused as error:
            log.info("X refused a reply", account=self.account, mention=mention.id, reason=str(error))
            if isinstance(error, XDuplicate) and noted.wants is Wants.CONFIRMATION:
                raise
        else:
            self._said = ""
            log.info("a mention was answered", account=self.account, mention=mention.id)

    async def _note_success(
        self, mention_id: str, reply_id: str, text: str, incoming: Incoming | None, answer: Answer | None
    ) -> None:
        await self._mentions.answered(mention_id, reply_id)
        if incoming is not None and answer is not None:
            draft = answer.draft
            said = Said(reply_id, answer.persona, answer.version, draft.seed, text, draft.novelty, draft.nearest)
            await self._conversation.delivered(incoming, reply_id, said=[said])

    async def _note_failure(self, noted: Noted, call: Call, error: XError) -> None:
        refused = isinstance(error, XPostRefused)
        if (isinstance(error, XUnreachable) and error.outcome_unknown) or (refused and noted.tries):
            if refused:  # an earlier try may be why X refuses another one
                await call.settle(0, Decimal(0))
            await self._mentions.doubt(noted.id, str(error), declined=refused)
            return
        await call.settle(0, Decimal(0))
        has_other_words = isinstance(error, XDuplicate) and noted.wants is Wants.CONFIRMATION
        if not has_other_words and (refused or type(error) is XError):  # X's no, or one that it does not explain
            await self._mentions.leave(noted.id, str(error))
        else:
            await self._mentions.not_taken(noted.id, str(error))
        await self._conversation.not_delivered(Platform.X, noted.message_id)

    # What became of a reply

    async def _settle_doubts(self) -> None:
        await self.recover()  # between two turns nothing is being sent
        async for mention_id in self._doubts.settle():
            self._read_after = _LONG_AGO if mention_id not in self._heard else self._read_after
