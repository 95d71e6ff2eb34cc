"""`/personas/NAME/data`: what a version was made of, step by step, drawn and in numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import web
from markupsafe import Markup

from bot.frontends.web.accounts import activity, languages, length_columns
from bot.frontends.web.pictures import Part, proportions
from bot.frontends.web.rendering import Renderer
from bot.shelf.shelf import Shelf
from bot.training.exploring import Explorer
from bot.training.ingredients import STEPS, Account, Ingredients, told, waterfall
from bot.tweets.store import TweetStore
from bot.tweets.tweet import normalise_handle

SHADES = 6  # colours for accounts; of more some have the same


@dataclass(frozen=True, slots=True)
class Row:
    """A step as the page shows it."""

    title: str
    why: str
    is_left_out: bool
    tweets: int
    bar: Markup  # its place in the waterfall, account by account
    examples: tuple[tuple[str, str], ...]  # handle and text


@dataclass(frozen=True, slots=True)
class Way:
    """One account's way into the version."""

    account: Account
    shade: str
    bar: Markup
    parts: tuple[Part, ...]  # where its tweets ended


class DataPage:
    """Shows what versions were made of; changes nothing."""

    def __init__(self, renderer: Renderer, shelf: Shelf, store: TweetStore, explorer: Explorer) -> None:
        self._renderer = renderer
        self._shelf = shelf
        self._store = store
        self._explorer = explorer

    def routes(self) -> list[web.AbstractRouteDef]:
        """Where this page is found."""
        return [web.get("/personas/{name}/data", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        """The version in use, or the one that is asked for."""
        name, version = normalise_handle(request.match_info["name"]), request.query.get("version")
        if version:
            manifest = await asyncio.to_thread(self._shelf.version, name, version)
        else:
            manifest = await asyncio.to_thread(self._shelf.current, name)
        made = await self._explorer.of_version(manifest)
        return await self._renderer.page(
            request,
            "data.html",
            manifest=manifest,
            versions=[each.version for each in await asyncio.to_thread(self._shelf.versions, name)],
            made=made,
            told=told(made),
            rows=list(rows(made)),
            ways=[way(account, number) for number, account in enumerate(made.accounts)],
            known=set(await self._store.handles()),
            portrait=made.portrait,
            activity=activity(made.portrait) if made.portrait else None,
            lengths=length_columns(made.portrait.lengths) if made.portrait and made.portrait.lengths else None,
            languages=languages(made.portrait) if made.portrait else [],
        )


def rows(made: Ingredients) -> Iterator[Row]:
    """The steps of all together, those without a tweet left out."""
    whole = made.together.steps[0].tweets if made.together.steps else 0
    for step, start in waterfall(made.together.steps):
        if not step.tweets and step.is_left_out:
            continue
        found = [
            (account.handle or "", _shade(number, step.is_left_out), each)
            for number, account in enumerate(made.accounts)
            for each in account.steps
            if each.name == step.name
        ]
        parts = [Part(handle, each.tweets, shade) for handle, shade, each in found]
        if not parts:  # known of all together alone
            parts = [Part("", step.tweets, _shade(0, step.is_left_out))]
        yield Row(
            title=STEPS[step.name].title,
            why=STEPS[step.name].why,
            is_left_out=step.is_left_out,
            tweets=step.tweets,
            bar=proportions(parts, start, whole),
            examples=tuple((handle, text) for handle, _, each in found for text in each.examples),
        )


def way(account: Account, number: int) -> Way:
    """Where the tweets of one account ended: learned from, kept aside, or left out."""
    tweets = {step.name: step.tweets for step in account.steps}
    downloaded = tweets["downloaded"]
    if "train" in tweets:
        ends = [("learned from", tweets["train"], ""), ("kept aside", tweets["held_out"], " aside")]
    else:
        ends = [("kept", tweets["kept"], "")]
    left = downloaded - sum(count for _, count, _ in ends)
    shade = _shade(number, False)
    parts = tuple(Part(title, count, shade + pale) for title, count, pale in [*ends, ("left out", left, " gone")])
    return Way(account, shade, proportions(parts), parts)


def _shade(number: int, is_left_out: bool) -> str:
    return f"shade-{number % SHADES}{' gone' if is_left_out else ''}"
