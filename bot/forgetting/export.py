"""All that is held about an account in one zip, for its owner."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.errors import UnknownHandle, UsageError
from bot.forgetting.documents import blocked_entry, document, receipt_of
from bot.personas.takedown import Room, Subject, Takedowns
from bot.tweets.blocked import Blocklist
from bot.tweets.store import TweetStore

_EXPLAINED = {  # what stands in an export
    "account.json": "what is noted about the account: why it may be learned, where that stands, when it was fetched",
    "tweets.jsonl": "every stored tweet, one JSON object a line: as it came (text), as it is learned (cleaned), the "
    "verdict: kept, or why it was left out",
    "versions.json": "every version of a model that learned from these tweets, with its figures and digests",
    "evaluations.jsonl": "what was found out later about versions that learned from this account alone",
    "decisions.jsonl": "which of these versions was put in use, kept back or pruned, when and why",
    "cards/": "the model card of each version that learned from this account alone",
    "trainings.json": "every training that used these tweets, and how it ended",
    "posts.jsonl": "every post that was generated in this voice, with its state and its id on X",
    "messages.jsonl": "every answer that was given in this voice: where and when",
    "blocked.json": "that the account is not to be learned (again), since when and why",
    "receipts.json": "what was found and deleted when the account was forgotten: figures, digests and ids; of personas "
    "only how many there were, since a name may be another's",
    "pushes.json": "every version of a model that was put on Hugging Face's hub, with the repository it is in",
    "costs.csv": "what reading this account and posting in its voice cost, in US dollars",
}


async def export(
    store: TweetStore, rooms: Mapping[str, Room], blocklist: Blocklist, takedowns: Takedowns, handle: str, path: Path
) -> list[str]:
    """Write a zip with all that is held about the account to `path`; the names in it.

    Raises `UnknownHandle` when nothing is held, `UsageError` when the file is there or can't be written.
    """
    platform_id, handles = await store.same_people(handle)
    personas = sorted({name for room in rooms.values() for name in await room.personas(handles)})
    blends = sorted({name for room in rooms.values() for name in await room.blends(handles)})
    blocked = [each for each in await blocklist.all() if each.handle in handles or _same(each.platform_id, platform_id)]
    receipts = [each for each in await takedowns.all() if set(each.receipt.handles) & set(handles)]
    if not personas and not blocked and not receipts and not await store.account(handle):
        raise UnknownHandle(f"Nothing is held about @{handles[0]}. Check the spelling.")
    subject = Subject(handles, tuple(personas), "", tuple(blends))
    files: dict[str, str] = {}
    for room in rooms.values():
        files |= await room.export(subject)
    files |= {
        "blocked.json": document([blocked_entry(each) for each in blocked]),
        "receipts.json": document([receipt_of(each) for each in receipts]),
    }
    files = {"README.md": _readme(handles), **files}
    try:
        with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    except FileExistsError as error:
        raise UsageError(f"{path} exists already. Name another file, or remove that one.") from error
    except OSError as error:
        raise UsageError(f"{path} can't be written ({error.strerror}). Name another file.") from error
    return list(files)


def _readme(handles: Sequence[str]) -> str:
    rows = [f"- `{name}`: {meaning}" for name, meaning in _EXPLAINED.items()]
    return "\n".join(
        [
            f"# What is held about @{', @'.join(handles)}",
            "",
            "Written by `mockingbird export`. Times are in UTC. Of a model of several accounts only this "
            "account's part is here. Whoever asked for a training, decided about a post or was answered is left out.",
            "",
            *rows,
            "",
        ]
    )


def _same(one: str | None, other: str | None) -> bool:
    return one is not None and one == other
