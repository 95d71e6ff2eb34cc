"""From what was typed to what appears in the channel; what to say is decided in `bot.replies`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import structlog

from bot.errors import Busy, MockingbirdError
from bot.frontends.web.learning import Learning
from bot.frontends.web.sessions import Kind, Line, Session, reply_id
from bot.frontends.web.typed import Explain, ListPersonas, Say, Train, Tweet, Typed, understood
from bot.frontends.web.work import Work
from bot.generation.draft import Draft, OnPartial, Partial
from bot.replies.addressing import addressed_persona
from bot.replies.conversation import Answer, Conversation
from bot.replies.drafting import Wanted
from bot.replies.incoming import Incoming, Platform
from bot.training.purchases import Purchases
from bot.training.trainings import Training, TrainingState

HELP = (
    "Just write, and the persona you chose answers. @persona in front asks another one.\n"
    "/tweet persona start… gives a tweet, beginning as you wish.\n"
    "/train handle… teaches a new persona; where tweets have to be fetched first, it says what that costs.\n"
    "/personas lists who is here."
)
NOBODY = "Nobody is here yet. Import an archive with `mockingbird import`, then write /train and its handle."
ANSWERED_BEFORE = "This was answered before; write it again to have another answer."

HAS_A_PRICE = "Something has to be fetched from X first, and that has a price."

SAMPLES = 3  # after a training
RESTART_S = 10.0  # a guess at how long a restart takes

log = structlog.get_logger(__name__)


class Chat:
    """Takes messages from channels and puts answers there."""

    def __init__(
        self,
        conversation: Conversation,
        trainings: Learning,
        purchases: Purchases,
        personas: Callable[[], list[str]],
        clock: Callable[[], datetime],
    ) -> None:
        self._conversation = conversation
        self._trainings = trainings
        self._purchases = purchases
        self._personas = personas
        self._clock = clock
        self._answers = Work()  # wait for their end when the service stops
        self._views = Work()  # only look on; cut off when the service stops
        self._is_stopping = False

    async def take(self, session: Session, author_id: str, message_id: str, text: str) -> None:
        """Show the message and start on its answer; a message that is there already changes nothing. Raises `Busy`."""
        if self._is_stopping:
            raise Busy("The service is stopping. Send this again when it is back.", RESTART_S)
        reply = session.line(reply_id(message_id))
        if session.line(message_id) and not (reply and reply.try_again):
            return
        personas = self._personas()
        typed = understood(text, personas)
        if not session.line(message_id):
            session.put(Line(message_id, Kind.SAID, self._clock(), text))
        channel = await self._conversation.channel_persona(Platform.WEB, author_id)
        thinker = _thinker(typed, personas, channel)
        session.put(Line(reply_id(message_id), Kind.THINKING, self._clock(), persona=thinker))
        incoming = Incoming(Platform.WEB, message_id, channel_id=author_id, author_id=author_id, text=text)
        self._answers.start(self._reply(session, incoming, typed), name=f"web answer to {message_id}")

    async def finish(self, within_s: float) -> None:
        """Nothing new is taken; answers under way are waited for, at most so many seconds; then everything ends."""
        self._is_stopping = True
        await self._views.finish(0)
        await self._answers.finish(within_s)

    async def _reply(self, session: Session, incoming: Incoming, typed: Typed) -> None:
        """Whatever happens, the line that says "thinking" becomes something else."""
        try:
            line = await self._line(incoming, typed, _writing(session, incoming))
        except MockingbirdError as error:
            line = self._house(incoming, Kind.PROBLEM, str(error))
            if isinstance(error, Busy):
                line = replace(line, try_again=incoming.text)
        except Exception:  # the edge: the person hears that it failed, the log has the rest, the page goes on
            error_id = secrets.token_hex(4)
            log.exception("an answer failed", error_id=error_id, platform="web", message_id=incoming.message_id)
            line = self._house(incoming, Kind.PROBLEM, f"Something went wrong here. The log has it under {error_id}.")
        session.put(line)
        if line.kind is Kind.ANSWER and isinstance(typed, Say):
            await self._conversation.delivered(incoming, line.id)
        if line.training:
            self._views.start(self._follow(session, incoming, line), name=f"web view of training {line.training.id}")

    async def _line(self, incoming: Incoming, typed: Typed, on_partial: OnPartial) -> Line:
        match typed:
            case Say():
                answer = await self._conversation.answer(incoming, on_partial)
                return self._answered(incoming, answer) if answer else self._house(incoming, Kind.NOTE, ANSWERED_BEFORE)
            case Tweet(persona, start):
                return self._answered(incoming, await self._tweet(incoming, persona, start, on_partial))
            case Train(handles):
                purchase = await self._purchases.needed(handles, None, "web", incoming.author_id)
                if purchase is not None:
                    return replace(self._house(incoming, Kind.NOTE, HAS_A_PRICE), purchase=purchase.id)
                training = await self._trainings.request(handles, None, "web", incoming.author_id)
                return replace(self._house(incoming, Kind.TRAINING, ""), training=training)
            case ListPersonas():
                names = self._personas()
                return self._house(incoming, Kind.NOTE, f"Here are {', '.join(names)}." if names else NOBODY)
            case Explain(problem):
                return self._house(incoming, Kind.NOTE, f"{problem}\n{HELP}" if problem else HELP)

    async def _tweet(self, incoming: Incoming, persona: str | None, start: str, on_partial: OnPartial) -> Answer:
        drafts = await self._conversation.drafts(incoming, Wanted(persona, start=start), on_partial)
        return Answer(drafts.persona, drafts.version, drafts.drafts[0])

    async def _follow(self, session: Session, incoming: Incoming, line: Line) -> None:
        """Keep the training's line up to date; at its end the persona says a few things."""
        assert line.training is not None
        async for training in self._trainings.watch(line.training.id):
            line = replace(line, training=training)
            session.put(line)
            if training.state is TrainingState.PUBLISHED:
                session.put(replace(line, samples=await self._samples(incoming, training)))

    async def _samples(self, incoming: Incoming, training: Training) -> tuple[Draft, ...]:
        asked = replace(incoming, message_id=f"{incoming.message_id}-samples")
        try:
            drafts = await self._conversation.drafts(asked, Wanted(training.persona, count=SAMPLES))
        except MockingbirdError as error:  # the training went well all the same
            log.info("no samples after a training", training=training.id, reason=type(error).__name__)
            return ()
        return drafts.drafts

    def _answered(self, incoming: Incoming, answer: Answer) -> Line:
        line_id = reply_id(incoming.message_id)
        return Line(line_id, Kind.ANSWER, self._clock(), answer.draft.text, answer.persona, answer)

    def _house(self, incoming: Incoming, kind: Kind, text: str) -> Line:
        return Line(reply_id(incoming.message_id), kind, self._clock(), text)


def _writing(session: Session, incoming: Incoming) -> OnPartial:
    """Shows the first row while it is spoken, as long as nothing else has taken the place of the line that thinks."""

    def show(partial: Partial) -> None:
        line = session.line(reply_id(incoming.message_id))
        if partial.row == 0 and line is not None and line.kind is Kind.THINKING:
            session.put(replace(line, text=partial.text))

    return show


def _thinker(typed: Typed, personas: list[str], channel: str) -> str | None:
    """Whose thinking the channel shows; None when the house answers."""
    match typed:
        case Say(text):
            return addressed_persona(text, personas)[0] or channel
        case Tweet(persona, _):
            return persona or channel
    return None
