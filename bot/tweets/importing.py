"""Reading a file or folder of tweets into the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing
from pathlib import Path

from bot.errors import NotPermitted, UnreadableSource, UsageError
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


async def import_archive(
    store: TweetStore, path: Path, handles: tuple[str, ...], by: str, *, by_operator: bool
) -> AccountCounts:
    """Store the tweets of an archive that somebody has handed in: what is stored of its account then.

    `by` says who, for example discord:17. It counts as the owner's permission to learn, which is none to show: only the
    operator's own accounts are `OWN`. Anybody can write a file that looks like an archive, so to an account that is
    known already only the operator adds, and whoever has handed it in before.

    Raises `UnreadableSource` where it is no archive or does not say whose it is, `UsageError` where it is none of the
    `handles`'s (any account's will do where there are none), `NotPermitted`, and what `import_file` raises. Nothing is
    stored then.
    """
    owner = await asyncio.to_thread(_owner, path)
    if handles and owner not in {normalise_handle(handle) for handle in handles}:
        raise UsageError(f"This is the archive of @{owner}, whom you did not name. Name @{owner} in `handles`, too.")
    known, note = await store.account(owner), f"archive handed in by {by}"
    if known and not by_operator and known["basis_note"] != note:
        raise NotPermitted(
            f"@{owner} is known here already, so only the bot's operator adds to it. Leave the archive out, or ask the "
            "operator to run `mockingbird import`."
        )
    has_basis = bool(known and known["basis"])
    await import_file(store, path, None, None if has_basis else Basis.PERMISSION, note=None if has_basis else note)
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
