"""`/personas`: who is on the shelf and how well they learned, and a form to teach a new one."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from aiohttp import web
from markupsafe import Markup

from bot.errors import MockingbirdError, UsageError
from bot.frontends.web.guard import VISITOR
from bot.frontends.web.health import Refusals
from bot.frontends.web.learning import Learning
from bot.frontends.web.pictures import Part, proportions
from bot.frontends.web.rendering import Renderer, field, see
from bot.frontends.web.sessions import Notice
from bot.generation.draft import in_words
from bot.shelf.card import PICTURES, PREDICTIONS, told
from bot.shelf.manifest import HandleCounts, Manifest
from bot.shelf.shelf import Shelf
from bot.training.decisions import Decisions
from bot.training.purchase import Purchase
from bot.training.purchases import Purchases
from bot.tweets.store import TweetStore
from bot.tweets.tweet import normalise_handle

MOST_DECISIONS = 20  # newest ones, of a persona


@dataclass(frozen=True, slots=True)
class Card:
    """A persona as the page shows it."""

    name: str
    manifest: Manifest | None  # of the version in use; None when it can't be read or is damaged
    problem: str  # why not; empty otherwise
    parts: tuple[Part, ...] = ()  # where the tweets went, all handles together
    bar: Markup | None = None
    picture: str = ""  # address of its social picture; empty when none was drawn
    told: str = ""  # that picture in words

    @property
    def downloaded(self) -> int:
        """Tweets that came in, all handles together."""
        return sum(part.count for part in self.parts)


def parts_of(counts: tuple[HandleCounts, ...]) -> tuple[Part, ...]:
    """The counts of all handles together, what was kept first."""
    return (
        Part("kept", sum(each.kept for each in counts), "kept"),
        Part("retweets", sum(each.retweets for each in counts), "retweets"),
        Part("short", sum(each.short for each in counts), "short"),
        Part("duplicates", sum(each.duplicates for each in counts), "duplicates"),
    )


_PICTURE = rf"/personas/{{name}}/{{version}}/{{picture:{'|'.join(map(re.escape, PICTURES))}}}"


class PersonasPage:
    """Shows the shelf and takes requests for trainings."""

    def __init__(
        self,
        renderer: Renderer,
        shelf: Shelf,
        store: TweetStore,
        trainings: Learning,
        purchases: Purchases,
        decisions: Decisions,
        refusals: Refusals,
    ) -> None:
        self._renderer = renderer
        self._shelf = shelf
        self._store = store
        self._trainings = trainings
        self._purchases = purchases
        self._decisions = decisions
        self._refusals = refusals

    def routes(self) -> list[web.AbstractRouteDef]:
        """Where this page is found."""
        return [web.get("/personas", self.show), web.post("/train", self.train), web.get(_PICTURE, self.picture)]

    async def show(self, request: web.Request) -> web.Response:
        """The page."""
        cards = await asyncio.to_thread(self._cards)
        decided = {card.name: (await self._decisions.of(card.name))[: -MOST_DECISIONS - 1 : -1] for card in cards}
        accounts = [await self._store.counts(handle) for handle in await self._store.handles()]
        known = {account.handle for account in accounts}
        return await self._renderer.page(
            request,
            "personas.html",
            cards=cards,
            decided=decided,
            outlooks={
                card.name: (await self._trainings.outlook(card.name)).sentence for card in cards if card.manifest
            },
            remarks={card.name: await self._store.remarks(card.manifest.handles) for card in cards if card.manifest},
            refusals={card.name: in_words(self._refusals.get(card.name, {})) for card in cards},
            accounts=accounts,
            known=known,
            pays=self._purchases.is_on,
        )

    async def picture(self, request: web.Request) -> web.StreamResponse:
        """What was drawn of a version when it was made."""
        name, version = request.match_info["name"], request.match_info["version"]
        manifest = await asyncio.to_thread(self._shelf.version, name, version)
        path = self._shelf.path(manifest) / request.match_info["picture"]
        if not path.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(path)

    async def train(self, request: web.Request) -> web.Response:
        """Ask for a training and show how it goes; where something has to be fetched first, what that costs."""
        try:
            purchase = await self._purchase(request)
        except MockingbirdError as error:
            self._renderer.session(request).notice = Notice(str(error), is_problem=True)
            return see("/trainings")
        if purchase is not None:
            return see(f"/purchases/{purchase.id}")
        return await self._renderer.after(request, self._train(request), "/trainings")

    async def _purchase(self, request: web.Request) -> Purchase | None:
        """The purchase that the form calls for: by an account that is not stored, or by its second button."""
        handles, name, who = await _handles(request), await _name(request), request[VISITOR].author_id
        if await field(request, "first"):
            return await self._purchases.request(handles, name, "web", who)
        return await self._purchases.needed(handles, name, "web", who)

    async def _train(self, request: web.Request) -> Notice:
        who = request[VISITOR].author_id
        training = await self._trainings.request(await _handles(request), await _name(request), "web", who)
        return Notice(f"{training.persona} is in line to learn.", is_problem=False)

    def _cards(self) -> list[Card]:
        return [self._card(name) for name in self._shelf.personas()]

    def _card(self, name: str) -> Card:
        try:
            manifest = self._shelf.current(name)
            self._shelf.verified(manifest)
        except MockingbirdError as error:
            return Card(name, None, str(error))
        parts = parts_of(manifest.counts)
        drawn = (self._shelf.path(manifest) / PREDICTIONS).is_file()
        picture = f"/personas/{name}/{manifest.version}/{PREDICTIONS}" if drawn else ""
        return Card(name, manifest, "", parts, proportions(parts), picture, told(manifest))


async def _handles(request: web.Request) -> list[str]:
    """The accounts that were ticked, and those that were written down. Raises `UsageError`."""
    ticked = [each for each in (await request.post()).getall("handle", []) if isinstance(each, str)]
    written = re.split(r"[\s,]+", await field(request, "others"))
    handles = list(dict.fromkeys(filter(None, map(normalise_handle, [*ticked, *written]))))
    if not handles:
        raise UsageError("Nothing was trained: tick at least one account on the page of personas.")
    return handles


async def _name(request: web.Request) -> str | None:
    return await field(request, "name") or None
