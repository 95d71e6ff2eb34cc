"""What there is of accounts to fetch from X before a training, beside what is stored, and what it would cost."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from bot.errors import NotPermitted, UnknownHandle
from bot.training.purchase import most_of
from bot.tweets.collecting import Collector, Estimate
from bot.tweets.costs import Ledger
from bot.tweets.store import Basis, TweetStore


class Offers:
    """Asks the store and X; buys nothing but looking accounts up."""

    def __init__(self, store: TweetStore, ledger: Ledger, collector: Collector | None) -> None:
        """`collector` None: X is off."""
        self._store = store
        self._ledger = ledger
        self._collector = collector

    @property
    def is_on(self) -> bool:
        """Whether anything can be fetched from X."""
        return self._collector is not None

    async def can_fetch(self, handles: Sequence[str]) -> bool:
        """Whether there may be something to fetch for these accounts: X is on and permitted, and they are real."""
        if self._collector is None or not self._collector.is_permitted:
            return False
        return bool(await self.to_fetch(handles))

    def collector(self) -> Collector:
        """What fetches. Raises `NotPermitted` where X is off."""
        if self._collector is None:
            raise NotPermitted(
                "Nothing can be fetched: X is off. Set [x] enabled = true (docs/x.md), or import the archive of the "
                "account's owner (`mockingbird import`)."
            )
        return self._collector

    async def is_stored(self, handle: str) -> bool:
        """Whether anything of the account is in the store."""
        try:
            return (await self._store.counts(handle)).downloaded > 0
        except UnknownHandle:
            return False

    async def to_fetch(self, handles: Sequence[str]) -> list[str]:
        """Those that can be on X at all."""
        known = await self._store.handles()
        bases = {handle: await self._store.basis(handle) for handle in handles if handle in known}
        return [handle for handle in handles if bases.get(handle) is not Basis.INVENTED]

    async def have_news(self, handles: Sequence[str]) -> bool:
        """Whether one of these stored accounts is followed and was left in the middle, or has probably posted since."""
        collector = self._collector
        if collector is None or not collector.is_permitted:
            return False
        followed = set(await collector.handles()) & set(await self.to_fetch(handles))
        for handle in followed:
            if await collector.look_up_price(handle) or (await collector.estimate(handle)).posts:
                return True
        return False

    async def look_up_price(self, handles: Sequence[str]) -> Decimal:
        """US dollars that asking for an estimate of these costs; nothing where X is off."""
        if self._collector is None:
            return Decimal(0)
        return sum([await self._collector.look_up_price(handle) for handle in handles], Decimal(0))

    async def estimates(self, handles: Sequence[str]) -> list[Estimate]:
        """What fetching these will cost. Raises `BudgetExceeded` when it does not fit under the cap."""
        estimates = [await self.collector().estimate(handle) for handle in handles]
        await self._ledger.check(most_of(estimates), fetching(handles))
        return estimates


def fetching(handles: Sequence[str]) -> str:
    """What is done, as the beginning of a sentence."""
    return f"Fetching {', '.join(f'@{handle}' for handle in handles)}"
