"""A purchase of tweets as a value: where it stands, and what it is expected to cost, at most and after more pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from bot.tweets.collecting import Estimate
from bot.tweets.timeline_reading import Progress
from bot.tweets.x_api import PAGE_SIZE


class PurchaseState(StrEnum):
    """Where a purchase stands."""

    ASKED = "asked"  # somebody is to agree to looking the accounts up
    LOOKING = "looking"  # they are being looked up
    PRICED = "priced"  # somebody is to agree to the fetch
    READY = "ready"  # nothing has to be bought; somebody is to agree to the training
    FETCHING = "fetching"  # agreed to: waits its turn, or is being fetched
    LEARNING = "learning"  # handed over to a training
    FAILED = "failed"  # the reason says why; what was fetched stays
    DECLINED = "declined"  # nobody wants it any more


@dataclass(frozen=True, slots=True)
class Purchase:
    """What is to be fetched before a training, and what became of it."""

    id: int
    handles: tuple[str, ...]  # to learn from; lower case, no @
    name: str | None  # of the persona, where one was given
    cause: str  # discord, web
    requested_by: str  # an id on its platform
    state: PurchaseState
    created_at: datetime  # UTC
    estimates: tuple[Estimate, ...]  # one for each account to fetch, once it is priced
    look_up_usd: Decimal  # US dollars that looking up costs, while that is to be agreed to
    spent: Decimal  # US dollars that the accounts have cost since the purchase was asked for
    month: Decimal  # US dollars that this month has cost so far
    cap: Decimal  # US dollars that a month may cost
    can_do_without: bool  # every account has tweets in the store, so that it could be learned without fetching
    progress: Progress | None  # of the account that is being fetched
    pauses_until: datetime | None  # UTC; X takes no requests until then
    agreed: Decimal | None  # US dollars that `spent` may come to, once the fetch was agreed to
    training: int | None  # what it led to
    reason: str | None  # in words: why it failed, or is asked for once more

    @property
    def usd(self) -> Decimal:
        """US dollars that the fetch is expected to cost."""
        return sum((each.usd for each in self.estimates), Decimal(0))

    @property
    def most(self) -> Decimal:
        """US dollars that the fetch costs at most before somebody is asked again."""
        return sum(map(_with_a_page_more, self.estimates), Decimal(0))

    @property
    def is_under_way(self) -> bool:
        """Whether something is being looked up or fetched."""
        return self.state in (PurchaseState.LOOKING, PurchaseState.FETCHING)


def most_of(estimates: Sequence[Estimate]) -> Decimal:
    """US dollars that must be left under the cap for all of these."""
    return sum((each.most for each in estimates), Decimal(0))


def _page_price(estimate: Estimate) -> Decimal:
    """US dollars of a full page: `most` is whole pages, one at least."""
    return estimate.most / max(1, -(-estimate.posts // PAGE_SIZE))


def _with_a_page_more(estimate: Estimate) -> Decimal:
    """US dollars, at most, of the pages that are expected and one more, since X seldom fills them all."""
    return (-(-estimate.posts // PAGE_SIZE) + 1) * _page_price(estimate)


def expecting(estimate: Estimate, posts: int) -> Estimate:
    """The estimate for so many posts, unless it expects more."""
    if estimate.posts >= posts:
        return estimate
    price = _page_price(estimate)
    return replace(estimate, posts=posts, usd=posts * price / PAGE_SIZE, most=-(-posts // PAGE_SIZE) * price)


def estimates_as_json(estimates: Sequence[Estimate]) -> str:
    """As a row holds them."""
    return json.dumps([asdict(each) for each in estimates], default=str)


def estimates_of(text: str) -> tuple[Estimate, ...]:
    """What `estimates_as_json` wrote."""

    def read(fields: dict[str, Any]) -> Estimate:
        money = {name: Decimal(fields[name]) for name in ("usd", "month", "cap", "most")}
        return Estimate(fields["handle"], fields["posts"], **money)

    return tuple(map(read, json.loads(text)))
