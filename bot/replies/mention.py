"""What was said to an account of ours on X, and what became of it.

waiting -> sending -> answered
        -> left alone, with the reason       -> unknown    X's answer is missing; the own timeline is looked at
                                             -> waiting    it is certain that X has not got the reply
                                             -> left alone X said no for good
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.database import Row

LAG = timedelta(minutes=5)  # after which the own timeline shows what was posted, as with posts
LONGEST_PAUSE = timedelta(hours=1)  # between two tries to hand over one reply


class MentionState(StrEnum):
    """Where a mention is on its way to an answer."""

    WAITING = "waiting"
    SENDING = "sending"  # a reply was handed to X, no answer yet
    ANSWERED = "answered"
    LEFT_ALONE = "left alone"
    UNKNOWN = "unknown"  # a reply was handed to X, and whether it stands there is looked up


class Wants(StrEnum):
    """What a mention is to be answered with."""

    ANSWER = "answer"
    CONFIRMATION = "confirmation"  # its author wants no more answers, and is told once that there will be none


@dataclass(frozen=True, slots=True)
class Noted:
    """A mention on record."""

    account: str  # of ours
    id: str  # X's
    seen_at: datetime  # UTC
    state: MentionState
    wants: Wants
    reason: str | None
    sending_since: datetime | None  # UTC
    tries: int  # to hand over a reply; of the last one or of none of them it is known that it came to nothing
    reply_id: str | None
    declined: bool = False  # X has said no to the last try, while what became of an earlier one was not known

    @property
    def message_id(self) -> str:
        """Under which it is on record as a message: one post may call several accounts of ours, and each answers it."""
        return f"{self.account} {self.id}"

    @property
    def resource(self) -> str:
        """What the ledger calls the reply to it."""
        return f"reply {self.account} {self.id}"

    def rests(self, now: datetime) -> bool:
        """Of one in doubt: whether it is too early to look at the own timeline once more.

        It is looked at for some minutes after a try, until it must have caught up. Before the next try it is looked at
        again, after a pause that is twice as long each time.
        """
        passed = now - (self.sending_since or self.seen_at)
        return LAG <= passed < self.patience

    def may_be_missed(self, now: datetime) -> bool:
        """Whether a reply that the own timeline does not show will not come there any more."""
        return now - (self.sending_since or self.seen_at) >= self.patience

    @property
    def patience(self) -> timedelta:
        """How long after the last try a reply is given up that the own timeline does not show."""
        doublings = min(max(self.tries - 1, 0), 10)
        return min(LAG * (1 << doublings), LONGEST_PAUSE)


def read_noted(row: Row) -> Noted:
    """The mention in a row of the table `x_mentions`."""
    return Noted(
        account=row["account"],
        id=row["mention_id"],
        seen_at=datetime.fromisoformat(row["seen_at"]),
        state=MentionState(row["state"]),
        wants=Wants(row["wants"]),
        reason=row["reason"],
        sending_since=datetime.fromisoformat(row["sending_since"]) if row["sending_since"] else None,
        tries=row["tries"],
        reply_id=row["reply_id"],
        declined=bool(row["declined"]),
    )
