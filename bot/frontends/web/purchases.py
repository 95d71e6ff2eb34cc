"""`/purchases/…`: what fetching some accounts costs, the word that is asked for, and how the fetch goes; `/costs`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from aiohttp import web

from bot.frontends.web.rendering import Renderer, see
from bot.frontends.web.sessions import Notice
from bot.frontends.web.streams import Event, send_events
from bot.training.purchase import Purchase, PurchaseState
from bot.training.purchases import Purchases
from bot.tweets.costs import Ledger, cents
from bot.tweets.forecast import Forecast


class PurchasePage:
    """Shows one purchase and takes what is agreed to, one step after the other; works without a script."""

    def __init__(self, renderer: Renderer, purchases: Purchases, closing: asyncio.Event) -> None:
        self._renderer = renderer
        self._purchases = purchases
        self._closing = closing

    def routes(self) -> list[web.AbstractRouteDef]:
        """Where this page is found."""
        return [
            web.get(r"/purchases/{number:\d{1,18}}", self.show),
            web.get(r"/purchases/{number:\d{1,18}}/events", self.events),
            web.post(r"/purchases/{number:\d{1,18}}/{step:look-up|fetch|without}", self.agree),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """The page; that of the training, once there is one."""
        purchase = await self._purchases.purchase(_number(request))
        if purchase.training is not None:
            return see(f"/trainings/{purchase.training}")
        return await self._renderer.page(request, "purchase.html", purchase=purchase)

    async def agree(self, request: web.Request) -> web.Response:
        """Take that step, once."""
        return await self._renderer.after(request, self._agree(request), f"/purchases/{_number(request)}")

    async def events(self, request: web.Request) -> web.StreamResponse:
        """How far the fetch has come, whenever there is news."""
        purchase = await self._purchases.purchase(_number(request))
        return await send_events(request, self._closing, self._news(request, purchase.id))

    async def _agree(self, request: web.Request) -> Notice | None:
        step = {
            "look-up": self._purchases.look_up,
            "fetch": self._purchases.accept,
            "without": self._purchases.do_without,
        }[request.match_info["step"]]
        purchase: Purchase = await step(_number(request))
        if purchase.state is PurchaseState.LEARNING:
            return Notice("It is in line to learn.", is_problem=False)
        return None

    async def _news(self, request: web.Request, number: int) -> AsyncGenerator[Event]:
        """Once the state differs from the one that the page shows (`?state=`), the page is to be loaded anew."""
        state = request.query.get("state", "")
        async for purchase in self._purchases.watch(number):
            if purchase.state != state:
                break
            yield Event("progress", {"html": self._renderer.piece(request, "_fetching.html", purchase=purchase)})
        yield Event("changed", {})


class CostsPage:
    """Shows the ledger."""

    def __init__(self, renderer: Renderer, ledger: Ledger, forecast: Forecast | None = None) -> None:
        self._renderer = renderer
        self._ledger = ledger
        self._forecast = forecast

    def routes(self) -> list[web.AbstractRouteDef]:
        """Where this page is found."""
        return [web.get("/costs", self.show), web.get(r"/costs/{month:\d{4}-\d{2}}", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        """A month: what was paid for what, how it will probably end, and the totals of all months."""
        now = await self._ledger.month()
        shown = await self._ledger.month(request.match_info.get("month"))
        months = await self._ledger.months()
        is_now = shown.month == now.month
        outlook = await self._forecast.outlook() if is_now and self._forecast else None
        return await self._renderer.page(
            request, "costs.html", shown=shown, is_now=is_now, months=months, outlook=outlook, cents=cents
        )


def _number(request: web.Request) -> int:
    return int(request.match_info["number"])
