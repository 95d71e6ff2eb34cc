"""Archives that people attach: read into the store, and deleted."""

from __future__ import annotations

import asyncio
import re
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import discord

from bot.errors import DiscordError, UsageError
from bot.frontends.discord.rights import is_owner
from bot.tweets.counts import AccountCounts
from bot.tweets.importing import import_archive
from bot.tweets.store import TweetStore

LARGEST = 10 << 20  # bytes; what Discord takes from everybody
LARGEST_UNPACKED = 20 * LARGEST  # bytes; tweets pack about ten to one

_ODD = re.compile(r"[^\w.-]")
_SMALLER = (
    "Pack data/account.js and data/tweets.js of it alone into a zip (that is all that is read), or have the operator "
    "run `mockingbird import` on the whole."
)


class Archives:
    """Takes them in."""

    def __init__(self, store: TweetStore) -> None:
        self._store = store

    async def read(
        self, interaction: discord.Interaction[Any], attached: discord.Attachment, handles: tuple[str, ...]
    ) -> AccountCounts:
        """What is stored of the archive's account, which is one of `handles` where there are any.

        Raises `UsageError` with what is wrong with it, `NotPermitted`, and `DiscordError`; nothing is stored then.
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
            await asyncio.to_thread(_require_reasonable, path)
            by, by_operator = f"discord:{interaction.user.id}", is_owner(interaction)
            return await import_archive(self._store, path, handles, by, by_operator=by_operator)
        finally:
            await asyncio.shield(asyncio.to_thread(folder.cleanup))


def _require_reasonable(path: Path) -> None:
    """Raises `UsageError` for a zip that would fill the disk. What is no zip is left to whoever reads it."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(each.file_size for each in archive.infolist())
    if unpacked > LARGEST_UNPACKED:
        raise UsageError(f"{path.name} unpacks to {unpacked / 2**20:,.0f} MiB, which is more than is taken. {_SMALLER}")
