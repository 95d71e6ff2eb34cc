"""What only a whole source tells about each of its tweets: whose it is, whether its id is one, and when it was sent.

Outcome: a `Survey` sees every record once, `settled` says what came of it, and `Settled.tweet` makes tweets of the
records when they are read again. Memory does not grow with the number of records. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.errors import UnreadableSource
from bot.tweets.moments import Order, moment_in, order_of
from bot.tweets.records import Record
from bot.tweets.tweet import Source, Tweet, normalise_handle

MOST_ACCOUNTS = 10_000  # in one file; a search for a word finds more, and nobody wants to learn them all
ROUNDED_AT = 15  # digits that a spreadsheet keeps of a number
LONG = 18  # digits of an id that a program which knows no whole numbers has rounded to 16 or 17 of them
ROW_NUMBERS = 10_000_000  # ids below are either from 2006 or merely number the rows


@dataclass(frozen=True, slots=True)
class Settled:
    """What holds for all records of a source."""

    source: Source
    accounts: frozenset[str]  # accounts of several whose tweets are wanted; empty where all are `sole`'s
    sole: str | None  # whose tweets those are that name none of the accounts
    leaves_out: bool = False  # whether records of other accounts are left out in silence
    with_id: bool = True
    order: Order | None = None

    def owner(self, record: Record) -> str | None:
        """Whose tweet the record is."""
        return record.handle if record.handle in self.accounts else self.sole

    def tweet(self, record: Record, owner: str) -> Tweet:
        """The record as a tweet of that account."""
        _, text, id_, created_at, is_retweet, reply_to, reply_to_id, written = record
        if written is not None and self.order is not None:
            created_at = moment_in(self.order, written)
        if not self.with_id:  # whatever has spoilt one column of ids has spoilt the other
            id_ = reply_to_id = None
        return Tweet(owner, text, id_, created_at, is_retweet, reply_to, self.source, reply_to_id)


class Survey:
    """What the records of one source have in common."""

    def __init__(self) -> None:
        self._own: dict[str, bool] = {}  # handle: whether one of its records is its own doing
        self._ids = _Ids()
        self._orders: set[Order] = set()
        self.is_empty = True

    def see(self, record: Record) -> None:
        """Take one record into account."""
        self.is_empty = False
        if record.handle is not None and len(self._own) <= MOST_ACCOUNTS:
            is_theirs = record.is_retweet and not record.text.startswith("RT @")
            self._own[record.handle] = self._own.get(record.handle, False) or not is_theirs
        if record.id is not None:
            self._ids.see(record.id)
        if record.written is not None and (order := order_of(record.written)):
            self._orders.add(order)

    def settled(self, handle: str | None, source: Source, name: str) -> Settled:
        """What holds for the source called `name`.

        `handle`, when given, renames the only account, or picks one of several. A retweet whose record names the
        retweeted author (as rtweet writes some) belongs to the account whose file it is. Raises `UnreadableSource`
        when the records do not say whose they are, or `handle` is none of several.
        """
        with_id = self._ids.are_ids()
        order = next(iter(self._orders)) if len(self._orders) == 1 else None
        accounts = self._accounts()
        if handle is None:
            if not accounts:
                raise UnreadableSource(f"{name} does not say whose tweets it holds. Name the account with --handle.")
            if len(accounts) > MOST_ACCOUNTS:
                raise UnreadableSource(
                    f"{name} holds tweets of more than {MOST_ACCOUNTS:,} accounts. Name one of them with --handle."
                )
            sole = accounts[0] if len(accounts) == 1 else None
            return Settled(source, frozenset(accounts), sole, with_id=with_id, order=order)
        wanted = normalise_handle(handle)
        if len(accounts) <= 1:
            return Settled(source, frozenset(), wanted, with_id=with_id, order=order)
        if wanted not in accounts and len(self._own) <= MOST_ACCOUNTS:
            some = f"{', '.join(accounts[:10])}{' and others' if len(accounts) > 10 else ''}"
            raise UnreadableSource(f"{name} holds no tweets of @{wanted}, but of {some}.")
        return Settled(source, frozenset([wanted]), None, leaves_out=True, with_id=with_id, order=order)

    def _accounts(self) -> list[str]:
        """Handles in order of appearance, without authors who appear only because they were retweeted."""
        return [handle for handle, is_own in self._own.items() if is_own] or list(self._own)


class _Ids:
    """Whether what stands where ids stand are ids."""

    def __init__(self) -> None:
        self._long = self._rounded = self._count = 0
        self._smallest, self._largest = 10**19, -1
        self._few: set[int] = set()  # up to three different ones

    def see(self, id_: str) -> None:
        digits = len(id_)
        if digits > ROUNDED_AT:
            self._long += 1
            self._rounded += id_.endswith("00") if digits >= LONG else not id_[ROUNDED_AT:].strip("0")
        number = int(id_)
        self._count += 1
        self._smallest = min(self._smallest, number)
        self._largest = max(self._largest, number)
        if len(self._few) < 3:
            self._few.add(number)

    def are_ids(self) -> bool:
        """False where a spreadsheet or JavaScript has rounded them, or where they merely number the rows."""
        if self._rounded * 2 > self._long:
            return False
        spread = self._largest - self._smallest
        return len(self._few) < 3 or self._largest > ROW_NUMBERS or spread >= self._count
