"""Archives that people attach: read into the store, and deleted."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import discord

from bot.errors import DiscordError, UsageError
from bot.tweets.counts import AccountCounts
from bot.tweets.importing import import_archive
from bot.tweets.store import TweetStore

LARGEST = 10 << 20  # bytes; what Discord takes from everybody

_ODD = re.compile(r"[^\w.-]")
_SMALLER = (
    "Pack data/account.js and data/tweets.js of it alone into a zip (that is all that is read), or have the operator "
    "run `mockingbird import` on the whole."
)


class Archives:
    """Takes them in."""

    def __init__(self, store: TweetStore) -> None:
        self._store = store

    async def read(self, attached: discord.Attachment, handles: tuple[str, ...]) -> AccountCounts:
        """What is stored of the archive's account, which is one of `handles` where there are any.

        Raises `UsageError` with what is wrong with it, and `DiscordError`; nothing is stored then.
        """
        if attached.size > LARGEST:
            raise UsageError(f"{attached.filename} has {attached.size / 2**20:.0f} MiB, and 10 are taken. {_SMALLER}")
        if not attached.size:
            raise UsageError(f"{attached.filename} is empty. Attach the zip that X has made of your account.")
        folder = await asyncio.to_thread(TemporaryDirectory, prefix="mockingbird-archive-")
        try:
            path = Path(folder.name) / (_ODD.sub("_", attached.filename)[-100:].strip(".") or "archive")
            try:
                await attached.save(path)
            except (discord.HTTPException, aiohttp.ClientError) as error:
                raise DiscordError("Discord does not hand the file over. Attach it once more.") from error
            return await import_archive(self._store, path, handles)
        finally:
            await asyncio.shield(asyncio.to_thread(folder.cleanup))
