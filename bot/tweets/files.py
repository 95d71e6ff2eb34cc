"""The files that tweets are read from: on disk, in a folder, or in a zip of which nothing is trusted.

Outcome: a `File` has a name for messages and can be opened as often as needed; whatever is wrong with it, also while
it is read, is an `UnreadableSource` with one sentence. Nothing is unpacked to disk, and only what is opened is read.
"""

from __future__ import annotations

import gzip
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from bot.errors import UnreadableSource

BUFFER = 1 << 18  # bytes read at once
LARGEST_MEMBER = 2 << 30  # bytes; a million tweets take less in an archive of X
LARGEST_TABLE = 8 << 30  # bytes of text that are still believed to be tweets
SUSPICIOUS = 16 << 20  # bytes from which on the ratio below is looked at
BOMB_RATIO = 200  # tweets shrink to a tenth; what shrinks to less than a two-hundredth is no text of people
LARGEST_DIRECTORY = 64 << 20  # bytes of a zip's list of its files: some hundred thousand of them

# What the standard library raises on bytes that are no good zip or gzip.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,  # gzip's, and seeks to nowhere; those of the system are told apart by their number
)
_END_OF_ZIP = struct.Struct("<4s4H2LH")  # the last record of a zip


class Meter:
    """How much of what is to be read has been read, over all files and passes."""

    def __init__(self) -> None:
        self.total = 0  # bytes; 0 as long as nobody knows
        self.done = 0

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0


@dataclass(frozen=True, slots=True)
class File:
    """One file, wherever it lies."""

    name: str  # where it lies, such as data/tweets.js
    title: str  # for messages, such as data/tweets.js in archive.zip
    size: int  # bytes, as they stand there
    _open: Callable[[], IO[bytes]]

    def open(self, meter: Meter | None = None) -> io.BufferedReader:
        """Its bytes, without gzip. Raises `UnreadableSource`, also while they are read."""
        with _in_a_sentence(self.title):
            raw = self._open()
            is_gzip = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
        unpacked = gzip.GzipFile(fileobj=raw) if is_gzip else raw
        return io.BufferedReader(_Watched(self, unpacked, raw, meter), BUFFER)


class _Watched(io.RawIOBase):
    """Bytes that are counted, and whose failures are sentences."""

    def __init__(self, file: File, unpacked: IO[bytes] | gzip.GzipFile, raw: IO[bytes], meter: Meter | None) -> None:
        self._file = file
        self._unpacked = unpacked
        self._raw = raw
        self._meter = meter
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the buffer is always one of these
        with _in_a_sentence(self._file.title):
            found = self._unpacked.read(len(buffer))
        buffer[: len(found)] = found
        self._count += len(found)
        if self._count > LARGEST_TABLE or (self._count > SUSPICIOUS and self._count > BOMB_RATIO * self._file.size):
            raise UnreadableSource(f"{self._file.title} unpacks to more than tweets ever take. Split or check it.")
        if self._meter:
            self._meter.done += len(found)
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self._unpacked.close()
            self._raw.close()
        super().close()


class Files(Protocol):
    """Files that belong together."""

    name: str  # of the zip or folder, for messages

    def names(self) -> list[str]: ...
    def file(self, name: str) -> File: ...


def file_on_disk(path: Path) -> File:
    """One file of its own. Raises `UnreadableSource`."""
    with _in_a_sentence(path.name):
        return File(path.name, path.name, path.stat().st_size, lambda: path.open("rb"))


class ZipFiles:
    """The members of a zip."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.name = path.name
        self._archive = archive
        named = ((info.filename.replace("\\", "/"), info) for info in archive.infolist())
        self._infos = {name: info for name, info in named if name and not name.endswith("/")}
        for member in self._infos:
            if member.startswith("/") or ".." in member.split("/"):
                raise UnreadableSource(f"{self.name} holds a file that climbs out of it. X makes no such archive.")

    def names(self) -> list[str]:
        return list(self._infos)

    def file(self, name: str) -> File:
        info = self._infos[name]
        if info.flag_bits & 0x1:
            raise UnreadableSource(f"{self.name} is encrypted. Unpack it with its password and import the folder.")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise UnreadableSource(f"{name} in {self.name} is a link to elsewhere. Import the archive as X made it.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # the others unpack without a limit
            raise UnreadableSource(f"{name} in {self.name} is packed in an unusual way. Unpack it, import the folder.")
        if info.file_size > LARGEST_MEMBER or (
            info.file_size > SUSPICIOUS and info.file_size > BOMB_RATIO * info.compress_size
        ):
            raise UnreadableSource(f"{name} in {self.name} unpacks to more than X ever writes. Check the archive.")
        return File(name, f"{name} in {self.name}", info.file_size, lambda: self._archive.open(info))


class FolderFiles:
    """An unpacked archive or a folder of tables; only the places where files of interest stand are listed."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._root = (path.parent if path.name == "data" else path).resolve()

    def names(self) -> list[str]:
        scripts = (self._root / below for below in ("data", "data/js", "data/js/tweets"))
        files = [path for folder in scripts for path in folder.glob("*.js")]
        files += [path for path in self._root.iterdir() if path.is_file()]
        return sorted(path.relative_to(self._root).as_posix() for path in files)

    def file(self, name: str) -> File:
        path = (self._root / name).resolve()
        if not path.is_relative_to(self._root):
            raise UnreadableSource(f"{name} in {self.name} leads out of the folder. Import the archive as X made it.")
        title = f"{name} in {self.name}"
        with _in_a_sentence(title):
            size = path.stat().st_size
        if size > LARGEST_MEMBER:
            raise UnreadableSource(f"{title} is larger than X ever writes. Check the archive.")
        return File(name, title, size, lambda: path.open("rb"))


@contextmanager
def files_of(path: Path) -> Iterator[Files]:
    """The files of a zip or a folder. Raises `UnreadableSource`."""
    with _in_a_sentence(path.name):
        if path.is_dir():
            next(path.iterdir(), None)
            archive = None
        else:
            _check_directory(path)
            archive = zipfile.ZipFile(path)
    if archive is None:
        yield FolderFiles(path)
        return
    with archive:
        yield ZipFiles(path, archive)


def _check_directory(path: Path) -> None:
    """zipfile holds the whole list of a zip's files in memory, so that must not be a bomb itself."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 16) - _END_OF_ZIP.size))
        end = file.read()
    at = end.rfind(b"PK\x05\x06")
    if at >= 0 and len(end) >= at + _END_OF_ZIP.size:
        size = _END_OF_ZIP.unpack_from(end, at)[5]
        if LARGEST_DIRECTORY < size < 0xFFFFFFFF:
            raise UnreadableSource(f"{path.name} holds more files than any archive of X. Check the archive.")


@contextmanager
def _in_a_sentence(name: str) -> Iterator[None]:
    """Whatever the standard library says of a bad file, said to a person. Only ever around its own calls."""
    try:
        yield
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UnreadableSource(f"{name} can't be read: {error.strerror}. Check its permissions.") from error
        raise UnreadableSource(f"{name} is cut off or damaged. Download it again and import that.") from error
