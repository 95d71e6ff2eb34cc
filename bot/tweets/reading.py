"""The reader for a path: an X archive (zip or folder) or a table, told apart by what is there, not by its name."""

from __future__ import annotations

from pathlib import Path

from bot.errors import UnreadableSource
from bot.tweets.records import Reading, Skipped
from bot.tweets.tables import read_table
from bot.tweets.x_archive import read_archive

__all__ = ["Reading", "Skipped", "read"]


def read(path: Path, handle: str | None = None) -> Reading:
    """All tweets at `path`, by account. Blocks while it reads: call it in a thread. Raises `UnreadableSource`.

    `handle` names the account where the source does not, renames the only one, or picks one of several.
    """
    if path.is_dir():
        return read_archive(path, handle)
    if not path.exists():
        raise UnreadableSource(f"There is no file or folder {path}. Check the path.")
    if not path.is_file():
        raise UnreadableSource(f"{path} is neither a file nor a folder. Name an X archive or a table of tweets.")
    if path.suffix.lower() == ".js":  # one file of an unpacked archive
        data = next((folder for folder in path.resolve().parents if folder.name == "data"), path.parent)
        return read_archive(data, handle)
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise UnreadableSource(f"{path.name} can't be read: {error.strerror}. Check its permissions.") from error
    if not start:
        raise UnreadableSource(f"{path.name} is empty. Import a file that holds tweets.")
    is_zip = start.startswith(b"PK") or path.suffix.lower() == ".zip"
    return read_archive(path, handle) if is_zip else read_table(path, handle)
