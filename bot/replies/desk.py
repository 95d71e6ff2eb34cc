"""What an approval desk shows, wherever it stands: a post with all that somebody who decides about it wants to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bot.config import Prices
from bot.replies.post import Part, Post, PostState
from bot.replies.pricing import price_of_thread
from bot.replies.threads import split


@dataclass(frozen=True, slots=True)
class Meaning:
    """A state in words."""

    label: str
    why: str  # what follows from it; empty where the label says all


MEANINGS: Mapping[PostState, Meaning] = {
    PostState.DRAFTED: Meaning("waited too long", "Nobody decided in time, so it will not go out."),  # just expired
    PostState.APPROVED: Meaning(
        "approved", "It goes out at the account's next turn. A pause, quiet hours and a full day hold it up."
    ),
    PostState.SENDING: Meaning("going out", "It is handed to X at this moment."),
    PostState.SENT: Meaning("on X", ""),
    PostState.REFUSED: Meaning("refused", ""),
    PostState.EXPIRED: Meaning("waited too long", "It will not go out."),
    PostState.UNKNOWN: Meaning(
        "being looked for on X",
        "X's answer was lost, so it may stand there or not. The account's own timeline is looked at, and nothing else "
        "goes out there before that is settled. It settles itself: it is sent again only if it is surely not there.",
    ),
    PostState.DELETED: Meaning("gone from X", "It stood there and does no more."),
}
OF_THE_MODEL = "Novelty, score, nats and nearest were measured on what the model said."  # of a post that was edited
_FOR_LATER = Meaning("approved for later", "")
_BEING_DELETED = Meaning("being deleted", "It is taken back from X at the account's next turn.")


@dataclass(frozen=True, slots=True)
class Shown:
    """A post, the parts it goes out in, and what can still be done about it."""

    post: Post
    texts: tuple[str, ...]  # the parts in which it goes out, or went
    taken: int = 0  # parts that X has taken
    standing: int = 0  # of these, parts that are not known to be gone

    @classmethod
    def of(cls, post: Post, parts: tuple[Part, ...] = ()) -> Shown:
        """`parts` are those in which it was approved, where it was."""
        taken = [part for part in parts if part.platform_id is not None]
        standing = sum(part.deleted_at is None for part in taken)
        return cls(post, tuple(part.text for part in parts) or split(post.text), len(taken), standing)

    @property
    def meaning(self) -> Meaning:
        """Where it stands, in words."""
        if self.post.is_being_deleted:
            return _BEING_DELETED
        if self.post.not_before is not None and self.post.state is PostState.APPROVED:
            return _FOR_LATER
        return MEANINGS[self.post.state]

    @property
    def length(self) -> str:
        """As X counts it."""
        return f"a thread of {len(self.texts)}" if len(self.texts) > 1 else f"{self.post.length} of 280"

    @property
    def can_be_refused(self) -> bool:
        """Whether a person can still keep it from going out; of a thread that was held up, the rest of it."""
        return self.post.state in (PostState.DRAFTED, PostState.APPROVED)

    @property
    def can_be_deleted(self) -> bool:
        """Whether something of it stands on X that can be taken back."""
        in_place = self.post.state in (PostState.SENT, PostState.REFUSED, PostState.APPROVED) and self.standing
        return bool(in_place) and self.post.delete_wanted_by is None

    def price(self, prices: Prices) -> Decimal:
        """US dollars for sending it."""
        return price_of_thread(self.texts, prices)

    def is_waiting(self, now: datetime) -> bool:
        """Whether it still waits for a decision."""
        expires_at = self.post.expires_at
        return self.post.state is PostState.DRAFTED and (expires_at is None or expires_at > now)
