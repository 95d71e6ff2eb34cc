"""People on X who speak to our accounts, and what each of their posts is worth: an answer or none."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.loopback.x import LoopbackX, PostState, XAccount, XPost
from tests.x_month.sentences import sentence


class Kind(StrEnum):
    """Of something said."""

    NAMED = "names an account of ours"
    BOTH = "names two of them"
    QUOTED = "quotes a post of ours"
    ANSWERED = "answers a post of ours"
    WENT_ON = "answers a reply of ours"
    CARRIED = "is an answer to somebody else, in which X carries our name along"
    STOPPED = "asks for no more answers"


_KINDS = {
    Kind.NAMED: 50,
    Kind.BOTH: 6,
    Kind.QUOTED: 8,
    Kind.ANSWERED: 12,
    Kind.WENT_ON: 16,
    Kind.CARRIED: 6,
    Kind.STOPPED: 2,
}
_DELETED = 0.03  # the share of what is said that its author deletes soon
_STRANGE = {"parrot_bot": "A bot.", "weatherBot": "Rain.", "gizmo": "Automated by @ada."}


@dataclass(frozen=True, slots=True)
class Spoken:
    """A post of theirs."""

    post: XPost
    kind: Kind
    author: str  # handle
    to: tuple[str, ...]  # handles of ours


class People:
    """Everybody who is not us."""

    def __init__(self, x: LoopbackX, ours: Sequence[str], moments: Sequence[datetime], chance: random.Random) -> None:
        """`moments` are those at which somebody says something, in order."""
        self._x = x
        self._ours = tuple(ours)
        self._moments = list(moments)
        self._chance = chance
        self._deleting: list[tuple[datetime, str]] = []
        self.spoken: dict[str, Spoken] = {}  # by X's id
        self.bots = frozenset(_STRANGE)
        self.protected = frozenset({"hermit", "recluse"})
        self.ordinary = [f"person{number}" for number in range(1, 141)]
        for handle in self.ordinary:
            x.add_account(handle)
        for handle in self.protected:
            x.add_account(XAccount(handle, protected=True))
        for handle, description in _STRANGE.items():
            x.add_account(XAccount(handle, description=description))

    def speak(self, now: datetime, calm: bool) -> None:
        """Say what is to be said until now, and delete what is to be deleted.

        That waits until it is calm: what X showed in an answer that was lost, and shows no more when it is asked again,
        was charged without anybody knowing.
        """
        while self._moments and self._moments[0] <= now:
            self._say(self._moments.pop(0))
        for at, post_id in [each for each in self._deleting if calm and each[0] <= now]:
            self._deleting.remove((at, post_id))
            self._x.delete_behind(post_id)

    def counts(self) -> Mapping[Kind, int]:
        """How much of each kind was said."""
        return {kind: sum(each.kind is kind for each in self.spoken.values()) for kind in Kind}

    def _say(self, at: datetime) -> None:
        kind = self._chance.choices([*_KINDS], [*_KINDS.values()])[0]
        ours, other = self._chance.sample(self._ours, 2)
        if kind is Kind.BOTH:  # X charges for it once, at the price of whoever reads it first: of these it is the same
            ours, other = self._chance.sample(self._ours[1:], 2)
        handles = (
            [*self.ordinary, *self.bots] if kind is Kind.CARRIED else [*self.ordinary, *self.bots, *self.protected]
        )
        author = self._chance.choice(handles)
        words = sentence(self._chance, 4, 8)
        post = None
        if kind is Kind.QUOTED and (quoted := self._ours_said(ours)):
            post = self._x.post_as(author, f"{words} @{ours}", quotes=quoted.id, created_at=at)
        elif kind is Kind.ANSWERED and (answered := self._ours_said(ours)):
            post = self._x.post_as(author, words, reply_to=answered.id, created_at=at)
        elif kind is Kind.WENT_ON and (replied := self._ours_replied(ours)):
            author = self._x.handle_of(self._x.posts[replied.reply_to or ""].author_id)
            post = self._x.post_as(author, words, reply_to=replied.id, created_at=at)
        elif kind is Kind.CARRIED:
            first, second = self._chance.sample(self.ordinary, 2)
            before = self._x.post_as(first, words, created_at=at - timedelta(seconds=30))
            author = second
            post = self._x.post_as(author, f"@{ours} @{first} {words}", reply_to=before.id, created_at=at)
        elif kind is Kind.STOPPED:
            post = self._x.post_as(author, f"@{ours} stop", created_at=at)
        if post is None:
            kind = kind if kind is Kind.BOTH else Kind.NAMED
            also = f" @{other}" if kind is Kind.BOTH else ""
            post = self._x.post_as(author, f"@{ours}{also} {words}", created_at=at)
        to = (ours, other) if kind is Kind.BOTH else (ours,)
        self.spoken[post.id] = Spoken(post, kind, author, to)
        if self._chance.random() < _DELETED and kind is not Kind.STOPPED:
            self._deleting.append((at + timedelta(minutes=self._chance.uniform(0, 40)), post.id))

    def _ours_said(self, handle: str) -> XPost | None:
        """One of the newest posts of an account of ours."""
        return self._one(post for post in self._newest(handle) if post.reply_to is None)

    def _ours_replied(self, handle: str) -> XPost | None:
        """One of the newest replies of an account of ours to somebody."""
        ours = {self._x.account(each).id for each in self._ours}
        return self._one(
            post
            for post in self._newest(handle)
            if post.reply_to and (to := self._x.posts.get(post.reply_to)) and to.author_id not in ours
        )

    def _newest(self, handle: str) -> list[XPost]:
        return [post for post in self._x.rows(self._x.account(handle).id)[:40] if post.state is PostState.STANDING]

    def _one(self, posts: object) -> XPost | None:
        found = list(posts)  # type: ignore[call-overload]
        return self._chance.choice(found) if found else None
