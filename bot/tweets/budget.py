"""What may be spent: a month's cap for all our accounts, one for each, and what is kept for posting. Pure.

Reads stop first: they may not touch what is left of the reserve, which posting alone uses up. The look that tells what
became of a post is a part of posting: without it nothing else would go out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from bot.config import MAIN, X, x_accounts

PUBLISHING = frozenset({"post", "reply", "picture", "delete"})  # purposes in the ledger; all others read
_MAY_USE_RESERVE = PUBLISHING | {"look"}


@dataclass(frozen=True, slots=True)
class Spent:
    """What a month has cost so far, in US dollars; calls under way count with the most that they can cost."""

    in_all: Decimal = Decimal(0)
    accounts: Mapping[str, Decimal] = field(default_factory=dict)  # by account of ours
    publishing: Decimal = Decimal(0)  # of all accounts

    @classmethod
    def of(cls, lines: Iterable[tuple[str, str, Decimal]]) -> Spent:
        """The sums of lines: account, purpose, US dollars."""
        in_all = publishing = Decimal(0)
        accounts: dict[str, Decimal] = {}
        for account, purpose, usd in lines:
            in_all += usd
            accounts[account] = accounts.get(account, Decimal(0)) + usd
            publishing += usd if purpose in PUBLISHING else 0
        return cls(in_all, accounts, publishing)


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of a month, in US dollars."""

    cap: Decimal  # of all accounts together
    accounts: Mapping[str, Decimal] = field(default_factory=dict)  # of those that have one of their own
    reserve: Decimal = Decimal(0)  # of the cap: for posting
    warn_at: tuple[float, ...] = ()  # shares of the cap

    def reserve_left(self, spent: Spent) -> Decimal:
        """What reads may not touch: the reserve without what posting has cost this month."""
        return max(Decimal(0), self.reserve - spent.publishing)

    def over(self, expected: Decimal, purpose: str, account: str, spent: Spent) -> Limit | None:
        """The limit that a call of so many US dollars would go over; None when it fits."""
        if spent.in_all + expected > self.cap:
            return Limit("[x] monthly_budget_usd", spent.in_all, self.cap)
        own, of_account = self.accounts.get(account), spent.accounts.get(account, Decimal(0))
        if own is not None and of_account + expected > own:
            return Limit(f"[x.accounts.{account}] monthly_budget_usd", of_account, own)
        kept = Decimal(0) if purpose in _MAY_USE_RESERVE else self.reserve_left(spent)
        if spent.in_all + expected > self.cap - kept:
            return Limit("[x] reserve_for_posting_usd", spent.in_all, self.cap, kept)
        return None

    def passed(self, spent: Decimal) -> list[float]:
        """The shares at which to warn that are spent by now, the smallest first."""
        return [share for share in sorted(self.warn_at) if self.cap and spent >= self.cap * Decimal(str(share))]


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that a call would go over."""

    setting: str  # that sets it
    spent: Decimal  # US dollars of it
    cap: Decimal  # US dollars
    kept: Decimal = Decimal(0)  # US dollars of the cap that only posting may use


def budget_of(settings: X) -> Budget:
    """The limits that the settings name. [x] has the cap of all; an account has one where its own table names it."""
    own = {
        name: account.monthly_budget_usd
        for name, account in x_accounts(settings).items()
        if name != MAIN and "monthly_budget_usd" in settings.accounts[name].model_fields_set
    }
    return Budget(settings.monthly_budget_usd, own, settings.reserve_for_posting_usd, settings.warn_at)
