"""What our accounts have said so far, to say it never again: X forbids posts that are alike, on one account or several.

Two texts are alike when they have the same words in the same order, or share a run of more than `MAX_RUN` words, or
overlap by `ALIKE` or more of their distinct words (Jaccard). With fewer than `FEWEST_WORDS` distinct words one word
more or less says something else ("The lamp is lit." and "The lamp is out."), so there only the same words count.

The threshold is lower than that for copies of real tweets (0.8, `bot.generation.novelty`): a copy of a tweet is known
by its wording, while X looks at what is said. At 0.6 two posts of twelve words have nine in common. Words are compared
without case, punctuation, links and handles.

Each text is taken apart once and kept, about a kilobyte for each; a look compares with all of them. For ten thousand
the first look takes a second and further ones a tenth of it, so it works in a thread, and the event loop goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from bot.database import Transaction
from bot.generation.novelty import MAX_RUN, words

ALIKE = 0.6  # share of distinct words in both, of those in either
FEWEST_WORDS = 6

_STANDS = "EXISTS (SELECT 1 FROM post_parts WHERE post_id = posts.id AND platform_id IS NOT NULL)"  # some of it does
# Posts, and replies to mentions. That somebody gets no more answers is said to each, and is no reply in this.
_POSTS = (
    "SELECT * FROM (SELECT 'post ' || id AS name, text FROM posts WHERE id != ? AND ({}) ORDER BY id) UNION ALL "
    "SELECT 'the reply to ' || mention_id || ' on ' || account, reply_text FROM x_mentions "
    "WHERE reply_text IS NOT NULL AND state != 'waiting'"
)
_COUNTED = _POSTS.format(f"state NOT IN ('refused', 'expired') OR {_STANDS}")
_SAID = _POSTS.format(f"state IN ('sending', 'sent', 'unknown', 'deleted') OR {_STANDS}")


@dataclass(frozen=True, slots=True)
class _TakenApart:
    """What is compared of a text."""

    text: str
    said: tuple[str, ...]  # its words in their order; the text itself where it has none
    distinct: frozenset[str]
    runs: frozenset[int]  # of hashes


class Similar:
    """Compares texts, and remembers how each is taken apart."""

    def __init__(self) -> None:
        self._known: dict[str, _TakenApart] = {}  # filled in a thread, and only ever replaced as a whole elsewhere

    def nearest(self, text: str, said: Iterable[tuple[str, str]]) -> str | None:
        """The name of what is alike, of these with their texts; None where the text is new beside all. Texts that are
        no longer among them are let go of.
        """
        texts, new, before = dict(said), _taken_apart(text), self._known
        self._known = known = {name: held for name in texts if (held := before.get(name)) is not None}
        return next((name for name, earlier in texts.items() if _alike(new, _of(known, name, earlier))), None)

    def forget(self) -> None:
        """Let go of all texts."""
        self._known = {}


class SaidBefore:
    """The same over the tables of posts and of mentions, with our replies, of all accounts. Asked within a transaction,
    so that no two say it at once. One for all that ask: each keeps what it knows of every text.
    """

    def __init__(self) -> None:
        self._similar = Similar()

    async def like_an_earlier_one(self, transaction: Transaction, text: str, number: int = 0) -> str | None:
        """The post or reply that the text is like, such as "post 7": one that was said, is on its way, or waits; also a
        post that was refused, where it has the very same text. `number` is the post that has the text (0: none yet).
        """
        same = await transaction.one("SELECT id FROM posts WHERE text = ? AND id != ?", (text, number))
        return f"post {same['id']}" if same else await self._nearest(transaction, _COUNTED, text, number)

    async def like_what_was_said(self, transaction: Transaction, text: str, number: int = 0) -> str | None:
        """Another post or reply that the text is like, of those that stand or stood on X, or may."""
        return await self._nearest(transaction, _SAID, text, number)

    def forget(self) -> None:
        """Let go of all texts."""
        self._similar.forget()

    async def _nearest(self, transaction: Transaction, sql: str, text: str, number: int) -> str | None:
        rows = await transaction.all(sql, (number,))
        said = [(row["name"], row["text"]) for row in rows]
        return await asyncio.to_thread(self._similar.nearest, text, said)


def are_alike(one: str, other: str) -> bool:
    """Whether the two say substantially the same."""
    return _alike(_taken_apart(one), _taken_apart(other))


def _of(known: dict[str, _TakenApart], name: str, text: str) -> _TakenApart:
    held = known.get(name)
    if held is None or held.text != text:
        held = known[name] = _taken_apart(text)
    return held


def _taken_apart(text: str) -> _TakenApart:
    said = tuple(words(text)) or (text.strip(),)
    runs = frozenset(hash(said[start : start + MAX_RUN + 1]) for start in range(len(said) - MAX_RUN))
    return _TakenApart(text, said, frozenset(said), runs)


def _alike(one: _TakenApart, other: _TakenApart) -> bool:
    if one.said == other.said:
        return True
    fewer, more = sorted((len(one.distinct), len(other.distinct)))
    if fewer < FEWEST_WORDS:
        return False
    if not one.runs.isdisjoint(other.runs):
        return True
    if fewer < ALIKE * more:  # they can't overlap by so much
        return False
    both = len(one.distinct & other.distinct)
    return both >= ALIKE * (fewer + more - both)
