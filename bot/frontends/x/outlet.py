"""Taking back what was posted to X."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal

from bot.config import MAIN
from bot.errors import ConfigError, XError
from bot.personas.takedown import DELETED, Said
from bot.tweets.costs import Ledger
from bot.tweets.x_api import XClient


class XOutlet:
    """Deletes posts, each within the month's cap."""

    def __init__(
        self,
        open_client: Callable[[str], AbstractAsyncContextManager[XClient]],
        accounts: Sequence[str],
        ledger: Ledger,
    ) -> None:
        """`open_client` gives the client with the keys of one of our `accounts`, by its name."""
        self._open_client = open_client
        self._accounts = accounts
        self._ledger = ledger

    async def require_means(self) -> None:
        """Raises `ConfigError` without the keys of any account that posts."""
        for account in self._accounts:
            async with self._open_client(account) as client:
                if client.can_post:
                    return
        raise ConfigError(
            "Deleting posts on X needs the four keys of the account that posted them. "
            "Set them (docs/x.md), or let the posts stand."
        )

    async def take_back(self, said: Sequence[Said], label: str) -> AsyncGenerator[Said]:
        """Each post with what became of it, deleted with the keys of its own account. What X refuses without a way out
        is its outcome; other trouble is raised: `BudgetExceeded`, and what `XClient.delete` raises.
        """
        for account in dict.fromkeys(each.channel for each in said):
            async for each in self._take_back(account, [each for each in said if each.channel == account], label):
                yield each

    async def _take_back(self, account: str, said: Sequence[Said], label: str) -> AsyncGenerator[Said]:
        price = self._ledger.prices.post_delete
        async with self._open_client(account or MAIN) as client:
            for each in said:
                try:
                    what, resource = f"Deleting post {each.id}", f"Deleting {each.id}"
                    async with self._ledger.hold(
                        "delete", label, price, what, resource=resource, account=account or MAIN
                    ) as call:
                        charged = await client.delete(each.id or "") or bool(call.earlier)
                        await call.settle(int(charged), price if charged else Decimal(0))
                except XError as error:
                    if type(error) is not XError:
                        raise
                    yield each.model_copy(update={"outcome": str(error)})
                else:
                    yield each.model_copy(update={"outcome": DELETED})
