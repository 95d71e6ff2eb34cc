"""What is offered while somebody types: names of personas, their versions, and accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from bot.errors import MockingbirdError
from bot.shelf.shelf import Shelf
from bot.tweets.store import TweetStore

MOST = 25  # choices, by Discord's rule
LONGEST = 100  # characters of each, likewise


class Completion:
    """Looks it up on the shelf and in the store."""

    def __init__(self, shelf: Shelf, store: TweetStore) -> None:
        self._shelf = shelf
        self._store = store

    async def personas(self, typed: str) -> list[str]:
        """Personas whose name contains it."""
        return like(await asyncio.to_thread(self._shelf.personas), typed)

    async def versions(self, persona: str, typed: str) -> list[str]:
        """Versions of that persona, the newest first."""
        try:
            found = await asyncio.to_thread(self._shelf.versions, persona.strip().lower().removeprefix("@"))
        except MockingbirdError:  # the name is not chosen yet
            return []
        return like([each.version for each in reversed(found)], typed)

    async def handles(self, typed: str) -> list[str]:
        """Stored accounts whose name contains it."""
        return like(await self._store.handles(), typed)

    async def handle_lists(self, typed: str) -> list[str]:
        """The list of accounts as it is typed, its last one completed."""
        return last_completed(typed, await self._store.handles())

    async def part_lists(self, typed: str) -> list[str]:
        """The parts of a blend as they are typed, the last persona completed; its weight is typed."""
        return last_completed(typed, await asyncio.to_thread(self._shelf.personas), weighted=True)


def like(names: Iterable[str], typed: str) -> list[str]:
    """The names that contain it, those first that begin with it; as many as Discord shows."""
    wanted = typed.strip().lower().removeprefix("@")
    found = [name for name in names if wanted in name and len(name) <= LONGEST]
    return sorted(found, key=lambda name: (name != wanted, not name.startswith(wanted)))[:MOST]


def last_completed(typed: str, names: Iterable[str], *, weighted: bool = False) -> list[str]:
    """`nasa, es` -> `nasa, esa`: the whole list, once for each name that its last word may become.

    With `weighted` a word may have a weight, as in `nasa:60`; a list whose last word has one is offered as it stands.
    """
    words = typed.lower().replace(",", " ").replace("@", " ").split()
    is_open = bool(words) and typed[-1:] not in (" ", ",")
    last = words.pop() if is_open else ""
    if weighted and ":" in last:
        return [" ".join([*words, last])] if len(typed) <= LONGEST else []
    taken = {word.partition(":")[0].partition("/")[0] for word in words}
    separator = " " if weighted else ", "
    lists = [separator.join([*words, name]) for name in like([name for name in names if name not in taken], last)]
    return [each for each in lists if len(each) <= LONGEST]
