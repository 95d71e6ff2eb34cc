"""What a post for X is, and where it stands.

drafted -> approved -> sending -> sent -> deleted
        -> refused              -> unknown    the answer is missing: it may be on X or not, until somebody has looked
        -> expired              -> approved   X said no for now, or it is surely not there; it is tried again
                                -> refused    X said no for good; the reason says why
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b

from bot.config import MAIN
from bot.database import Row
from bot.generation.length import weighted_length


class PostState(StrEnum):
    """Where a post is on its way."""

    DRAFTED = "drafted"  # waits for a person
    APPROVED = "approved"  # may be sent, from its moment on where it has one
    SENDING = "sending"  # handed to X, no answer yet
    SENT = "sent"  # X gave it an id
    REFUSED = "refused"  # a person said no, or X did for good
    EXPIRED = "expired"  # it waited too long
    UNKNOWN = "unknown"  # the service stopped or the answer was lost while it was being sent: it may be on X or not
    DELETED = "deleted"  # it stood on X and does no more


@dataclass(frozen=True, slots=True)
class Post:
    """One post and where it stands."""

    id: int
    persona: str
    version: str
    seed: int
    text: str
    novelty: float  # of what the model said: 0 a copy, 1 shares nothing
    state: PostState
    created_at: datetime  # UTC
    decided_by: str | None
    sent_at: datetime | None  # UTC; until X took it, when it was last handed over
    platform_id: str | None  # X's id, of a thread that of its first part
    reason: str | None
    account: str = MAIN  # of ours, on which it stands or is to stand
    nearest: str | None = None  # id of the real tweet that it resembles most
    offence: float | None = None  # probability, 0 to 1
    likelihood_gain: float | None = None  # nats a token over the bare base
    score: float | None = None  # by which it was the best of its drafts, 0 to 1
    generated: str | None = None  # what the model said, where a person has edited it
    edited_by: str | None = None
    not_before: datetime | None = None  # UTC; a person has said when
    expires_at: datetime | None = None  # UTC; from then on it is not sent any more
    picture: str | None = None  # the name of a file in the folder of pictures
    alt_text: str | None = None  # what is to be seen on it
    deleted_at: datetime | None = None  # UTC
    decided_at: datetime | None = None  # UTC
    delete_wanted_by: str | None = None  # who wants it taken back from X, which is done at the next turn

    @property
    def is_edited(self) -> bool:
        """Whether its figures were measured on other words."""
        return bool(self.generated) and self.generated != self.text

    @property
    def is_being_deleted(self) -> bool:
        """Whether somebody wants it taken back from X, and that is not done yet."""
        return self.delete_wanted_by is not None and self.state is not PostState.DELETED

    @property
    def length(self) -> int:
        """As X counts it."""
        return weighted_length(self.text)

    @property
    def fingerprint(self) -> str:
        """Of what would go out: who approves it has seen exactly that."""
        seen = "\0".join([self.text, self.picture or "", self.alt_text or ""])
        return blake2b(seen.encode(), digest_size=6).hexdigest()

    @property
    def due_since(self) -> datetime:
        """From when on it might have gone out, once it is approved (UTC)."""
        return max(self.decided_at or self.created_at, self.not_before or self.created_at)


@dataclass(frozen=True, slots=True)
class Part:
    """One post on X: all of a text, or a part of a thread. It is exactly what is sent."""

    post_id: int
    number: int  # from 1 on
    of: int  # how many there are
    text: str
    platform_id: str | None = None  # X's, once it is known to stand there
    sending_since: datetime | None = None  # UTC; from there on it may stand there
    tried_at: datetime | None = None  # UTC; when it was last handed to X
    attempts: int = 0  # of which it is not certain that they came to nothing
    said_duplicate: bool = False  # at the last one X said that it has this text already
    reply_to: str | None = None  # X's id of the part before
    deleted_at: datetime | None = None  # UTC; from then on it is known to be gone from X

    @property
    def name(self) -> str:
        """For the log and the ledger: `Post 7`, `Post 7, part 2`."""
        return f"Post {self.post_id}" + (f", part {self.number}" if self.of > 1 else "")


def read_post(row: Row) -> Post:
    """The post in a row of the table `posts`."""
    return Post(
        id=row["id"],
        persona=row["persona"],
        version=row["version"],
        seed=row["seed"],
        text=row["text"],
        novelty=row["novelty"],
        state=PostState(row["state"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        decided_by=row["decided_by"],
        sent_at=_moment(row["sent_at"]),
        platform_id=row["platform_id"],
        reason=row["reason"],
        account=row["account"],
        nearest=row["nearest"],
        offence=row["offence"],
        likelihood_gain=row["likelihood_gain"],
        score=row["score"],
        generated=row["generated"],
        edited_by=row["edited_by"],
        not_before=_moment(row["not_before"]),
        expires_at=_moment(row["expires_at"]),
        picture=row["picture"],
        alt_text=row["alt_text"],
        deleted_at=_moment(row["deleted_at"]),
        decided_at=_moment(row["decided_at"]),
        delete_wanted_by=row["delete_wanted_by"],
    )


def read_parts(rows: Sequence[Row]) -> list[Part]:
    """The parts in the rows of one post, in their order."""
    return [
        Part(
            post_id=row["post_id"],
            number=row["number"],
            of=len(rows),
            text=row["text"],
            platform_id=row["platform_id"],
            sending_since=_moment(row["sending_since"]),
            tried_at=_moment(row["tried_at"]),
            attempts=row["attempts"],
            said_duplicate=bool(row["said_duplicate"]),
            reply_to=before["platform_id"] if before else None,
            deleted_at=_moment(row["deleted_at"]),
        )
        for before, row in zip([None, *rows], rows, strict=False)
    ]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
