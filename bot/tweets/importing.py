"""Reading a file or folder of tweets into the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing
from pathlib import Path

from bot.errors import UnreadableSource, UsageError
from bot.tweets.cleaning import Profile
from bot.tweets.counts import AccountCounts
from bot.tweets.reading import Batches, Skips, opened
from bot.tweets.store import Basis, TweetStore
from bot.tweets.tweet import Source, Tweet, normalise_handle


async def import_file(
    store: TweetStore,
    path: Path,
    handle: str | None,
    basis: Basis | None,
    profile: Profile | None = None,
    note: str | None = None,
    show: Callable[[str, float], None] | None = None,
) -> tuple[list[AccountCounts], Skips]:
    """Read a file or folder of tweets and store it: the counts of each account, and what could not be read.

    Whatever goes wrong, nothing of it is stored. `show` is told what is being done and which share of it, from 0 to 1,
    is done; reading runs in threads and in batches, so that neither the loop nor memory is held up by a large source.

    An archive of an account of which nobody has said why it may be learned counts as its owner's own, since X gives an
    archive to nobody else. `note` says where a permission is written. Raises `NotPermitted` where the account is
    blocked, also where it is being forgotten at this moment.
    """
    with ExitStack() as stack:
        source = await asyncio.to_thread(stack.enter_context, opened(path, handle))
        async with aclosing(in_threads(source, show)) as batches:
            counts = await store.add_all(batches, basis=basis, profile=profile)
    for account in counts:
        own = source.source is Source.ARCHIVE and not (await store.account(account.handle)).get("basis")
        if basis is not None or own:
            await store.set_basis(account.handle, basis or Basis.OWN, note)
    return counts, source.skips


async def in_threads(source: Batches, show: Callable[[str, float], None] | None = None) -> AsyncGenerator[list[Tweet]]:
    """The source's batches, read in a thread that is waited for even when nobody wants the next batch any more.

    One thread for all of them: in several, the C library would keep memory for each.
    """
    batches, loop = iter(source), asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "import") as thread:  # left only when it is idle: nothing reads from a closed file
        while True:
            batch = await loop.run_in_executor(thread, next, batches, None)
            if show:
                show("reading" if batch is not None else "cleaning", source.share)
            if batch is None:
                return
            yield batch


async def import_archive(store: TweetStore, path: Path, handles: tuple[str, ...]) -> AccountCounts:
    """Store the tweets of an archive that somebody has handed in: what is stored of its account then.

    It counts as its owner's own, unless it is on record already why the account may be learned. Raises
    `UnreadableSource` where it is no archive or does not say whose it is, `UsageError` where it is none of the
    `handles`'s (any account's will do where there are none), and what `import_file` raises. Nothing is stored then.
    """
    owner = await asyncio.to_thread(_owner, path)
    if handles and owner not in {normalise_handle(handle) for handle in handles}:
        raise UsageError(f"This is the archive of @{owner}, whom you did not name. Name @{owner} in `handles`, too.")
    await import_file(store, path, None, None)
    return await store.counts(owner)


def _owner(path: Path) -> str:
    """Whose archive that is."""
    with opened(path) as source:
        if source.source is not Source.ARCHIVE:
            raise UnreadableSource(
                f"{path.name} is no archive from X. Attach the zip that X makes under Settings, Your account, "
                "Download an archive of your data."
            )
        if source.owner is None:
            raise UnreadableSource(
                f"{path.name} does not say whose archive it is. Leave data/account.js in it, beside data/tweets.js."
            )
        return normalise_handle(source.owner)
