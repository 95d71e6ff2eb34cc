"""`/accounts`: whose tweets are here; `/accounts/HANDLE`: what one account is like, in figures and two pictures."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web
from markupsafe import Markup

from bot.frontends.web.pictures import Column, Columns, Part, columns, proportions
from bot.frontends.web.rendering import Renderer
from bot.tweets.cleaning import Verdict
from bot.tweets.counts import AccountCounts
from bot.tweets.forecast import Forecast
from bot.tweets.languages import NAMES
from bot.tweets.portrait import LENGTH_STEP, LONGEST_STEP, Lengths, Portrait, periods, why
from bot.tweets.store import Account, Basis, TweetStore

MOST_COLUMNS = 240  # of the activity: twenty years of months
MOST_LANGUAGES = 8  # rows; the rest is one

BASES = {
    Basis.OWN: "own archive",
    Basis.PERMISSION: "written permission",
    Basis.PUBLIC_OFFICIAL: "words of a public office",
    Basis.INVENTED: "invented, nobody's words",
    None: "not recorded why it may be learned",
}
_HABITS = {"capitals": "a word in capitals", "replies": "reply to somebody"}


@dataclass(frozen=True, slots=True)
class Listed:
    """An account as the list shows it."""

    account: Account
    basis: str  # in words
    counts: AccountCounts
    bar: Markup


@dataclass(frozen=True, slots=True)
class Share:
    """A row of a table: so many of all."""

    name: str
    count: int


class AccountsPage:
    """Shows accounts; changes nothing."""

    def __init__(self, renderer: Renderer, store: TweetStore, forecast: Forecast | None = None) -> None:
        self._renderer = renderer
        self._store = store
        self._forecast = forecast

    def routes(self) -> list[web.AbstractRouteDef]:
        """Where these pages are found."""
        return [web.get("/accounts", self.show), web.get("/accounts/{handle}", self.show_one)]

    async def show(self, request: web.Request) -> web.Response:
        """All of them."""
        listed = [self._listed(each, await self._store.counts(each.handle)) for each in await self._store.accounts()]
        return await self._renderer.page(request, "accounts.html", listed=listed, plans=await self._plans())

    async def _plans(self) -> dict[str, str]:
        """For each account that is followed when it is fetched and what that costs, in words."""
        plans = await self._forecast.plans() if self._forecast else []
        return {plan.handle: plan.sentence for plan in plans}

    async def show_one(self, request: web.Request) -> web.Response:
        """One account's portrait."""
        counts = await self._store.counts(request.match_info["handle"])
        accounts = {each.handle: each for each in await self._store.accounts()}
        account = accounts.get(counts.handle, Account(counts.handle, None, None))  # it may be forgotten meanwhile
        portrait = await self._store.portrait(counts.handle)
        parts = verdict_parts(portrait)
        return await self._renderer.page(
            request,
            "account.html",
            account=account,
            basis=BASES[account.basis],
            counts=counts,
            portrait=portrait,
            parts=parts,
            bar=proportions([part for part, _ in parts]),
            activity=activity(portrait),
            periods=periods(portrait.months, MOST_COLUMNS),
            lengths=length_columns(portrait.lengths) if portrait.lengths else None,
            length_names=[column.name for column in _lengths(portrait.lengths)] if portrait.lengths else [],
            languages=languages(portrait),
            habits=habits(portrait),
            examples=[(verdict, why(verdict), texts) for verdict, texts in portrait.examples.items() if texts],
        )

    def _listed(self, account: Account, counts: AccountCounts) -> Listed:
        left_out = counts.downloaded - counts.kept
        bar = proportions([Part("kept", counts.kept, "kept"), Part("left out", left_out, "left-out")])
        return Listed(account, BASES[account.basis], counts, bar)


def verdict_parts(portrait: Portrait) -> list[tuple[Part, str]]:
    """Each verdict that was given, with what it means; its shade is its place among all verdicts."""
    shades = {verdict: f"shade-{number}" for number, verdict in enumerate(Verdict)}
    return [
        (Part(verdict.value.replace("_", " "), count, shades[verdict]), why(verdict))
        for verdict, count in portrait.verdicts.items()
        if count
    ]


def activity(portrait: Portrait) -> Columns | None:
    """Tweets over time, the learned ones filled."""
    found = periods(portrait.months, MOST_COLUMNS)
    if not found:
        return None
    most = max(found, key=lambda period: period.tweets)
    told = (
        f"Tweets from {found[0].name} to {found[-1].name}: {sum(period.tweets for period in found):,}, "
        f"{sum(period.kept for period in found):,} of them learned; most in {most.name}, {most.tweets:,}"
    )
    return columns([Column(period.name, period.tweets, period.kept) for period in found], told)


def length_columns(lengths: Lengths) -> Columns | None:
    """How many of the learned tweets are how long."""
    told = (
        f"Lengths of learned tweets: half have at most {lengths.median} characters, nine of ten at most "
        f"{lengths.ninth_tenth}, the longest {lengths.longest:,}"
    )
    return columns(_lengths(lengths), told)


def languages(portrait: Portrait) -> list[Share]:
    """The most frequent languages; what is beyond `MOST_LANGUAGES` is one row."""
    counts = list(portrait.languages.counts.items())
    shares = [Share(NAMES.get(code, code), count) for code, count in counts[:MOST_LANGUAGES]]
    rest = counts[MOST_LANGUAGES:]
    return [*shares, Share(f"{len(rest)} others", sum(count for _, count in rest))] if rest else shares


def habits(portrait: Portrait) -> list[Share]:
    """What the account's own tweets hold."""
    counts = portrait.habits.model_dump(exclude={"own"})
    return [Share(_HABITS.get(name, name), count) for name, count in counts.items()]


def _lengths(lengths: Lengths) -> list[Column]:
    names = [f"{end - LENGTH_STEP + 1} to {end}" for end in range(LENGTH_STEP, LONGEST_STEP + 1, LENGTH_STEP)]
    names.append(f"over {LONGEST_STEP}")
    return [Column(name, count, count) for name, count in zip(names, lengths.bars, strict=True)]
