"""The shelf: `models/<persona>/<version>/`, immutable once published, and `models/<persona>/current`.

A version is prepared in a staging folder beside the others and appears by one rename; which one is in use changes by
replacing the file `current` by another rename. So a reader, in this process or another, sees the old or the new,
never half of either, and a kill at any moment leaves at worst a staging folder, which the next start sweeps away.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import AsyncFileLock, FileLock, Timeout
from pydantic import ValidationError

from bot.errors import DamagedVersion, DiskFull, OutsideError, UnknownPersona, UnknownVersion, UsageError
from bot.personas.name import is_persona_name
from bot.shelf.forms import GRAPHS, TOKENIZER, files_of
from bot.shelf.manifest import Manifest

STAGING = ".staging-"
SHIPPED = (("lighthouse_nell", "v1"),)  # came with the project: never pruned
BUILDING = ".graphs.lock"  # on the shelf itself
PLACING = ".placing.lock"  # likewise
_LOOK_S = 0.2  # between two looks whether another process has built a graph


class Shelf:
    """Versions on disk below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._digests: dict[Path, tuple[tuple[int, int, int], str]] = {}  # of files as they were when last read

    def personas(self) -> list[str]:
        """Names of all personas that have a version in use, sorted."""
        if not self.folder.is_dir():
            return []
        return sorted(entry.parent.name for entry in self.folder.glob("*/current"))

    def versions(self, persona: str) -> list[Manifest]:
        """All complete versions, the oldest first. Raises `UnknownPersona` when there is none."""
        found = [manifest for path in self._home(persona).glob("v*/manifest.json") if (manifest := _read(path))]
        if not found:
            raise UnknownPersona(self._unknown(persona))
        return sorted(found, key=lambda manifest: manifest.number)

    def version(self, persona: str, version: str) -> Manifest:
        """That version's manifest. Raises `UnknownVersion`."""
        for manifest in self.versions(persona):
            if manifest.version == version:
                return manifest
        raise self._no_version(persona, version)

    def meant(self, persona: str, version: str | None) -> Manifest:
        """That version, or the one in use where none is named. Raises `UnknownPersona`, `UnknownVersion`."""
        return self.version(persona, version) if version else self.current(persona)

    def current(self, persona: str) -> Manifest:
        """The version in use. Raises `UnknownPersona`."""
        try:
            version = (self._home(persona) / "current").read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UnknownPersona(self._unknown(persona)) from error
        return self.version(persona, version)

    def standing_for(self, persona: str, handles: Sequence[str]) -> Manifest | None:
        """The version in use, None where there is none; a name stands for the same people for ever.

        Raises `UsageError` when it stands for others than these accounts, which are sorted.
        """
        try:
            current = self.current(persona)
        except UnknownPersona:
            return None
        if current.handles != tuple(handles):
            raise UsageError(f"{persona} is the name of a persona made of {current.people}. Choose another name.")
        return current

    def path(self, manifest: Manifest) -> Path:
        """The folder of that version."""
        return self._home(manifest.persona) / manifest.version

    def verified(self, manifest: Manifest) -> Path:
        """The version's folder, once what it speaks with is known to be what was published.

        Files are read once and again when they have changed: 5 MB take some milliseconds, 270 MB some tenths of a
        second. Raises `DamagedVersion`, and `UnknownVersion` when it was pruned meanwhile.
        """
        if not self.path(manifest).is_dir():
            raise self._no_version(manifest.persona, manifest.version)
        damaged = self.damaged(manifest, {*files_of(manifest.form), TOKENIZER})
        if damaged:
            raise DamagedVersion(
                f"{manifest.persona} {manifest.version} is damaged on disk ({', '.join(damaged)}). "
                f"`mockingbird rollback {manifest.persona}` goes back to the version before it, "
                f"`mockingbird train {' '.join(manifest.handles)} --name {manifest.persona}` makes a new one."
            )
        return self.path(manifest)

    def damaged(self, manifest: Manifest, names: Collection[str] | None = None) -> list[str]:
        """Files of the version whose bytes are not those that were published, among `names` or among all."""
        return [
            name
            for name, digest in manifest.sha256.items()
            if (names is None or name in names) and self._digest(self.path(manifest) / name) != digest
        ]

    def next_version(self, persona: str) -> str:
        """The name that the next version of this persona will have."""
        numbers = [int(path.name[1:]) for path in self._home(persona).glob("v*") if path.name[1:].isdigit()]
        return f"v{max(numbers, default=0) + 1}"

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Held from the choice of a version's number until it is placed: nobody else, in whatever process, takes it.

        Raises `DiskFull`.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / PLACING)
            lock.acquire()
        except OSError as error:
            raise DiskFull(
                f"Nothing can be written to the shelf ({error.strerror}). Free some space and try again."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def staging(self, persona: str, run: str) -> Path:
        """An empty folder for the files of the version that `run` is making, on the shelf's own file system."""
        folder = self._home(persona) / f"{STAGING}{run}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def place(self, staging: Path, manifest: Manifest) -> None:
        """Turn the staging folder into the version that `manifest` describes, not yet in use. Raises `DiskFull`."""
        try:
            _write_durably(staging / "manifest.json", manifest.model_dump_json(indent=2) + "\n")
            staging.rename(self.path(manifest))
        except OSError as error:
            raise DiskFull(
                f"{manifest.persona} {manifest.version} could not be written ({error.strerror}). "
                "Free some space; the version in use is untouched."
            ) from error

    def use(self, persona: str, version: str) -> Manifest:
        """Put that version in use, at once and for every process. Raises `UnknownVersion`, `DiskFull`."""
        manifest = self.version(persona, version)
        current = self._home(persona) / "current"
        try:
            _write_durably(current.with_name(".current-new"), version + "\n")
            current.with_name(".current-new").replace(current)
        except OSError as error:
            raise DiskFull(
                f"{persona} {version} could not be put in use ({error.strerror}). "
                "Free some space and try again; the version in use is untouched."
            ) from error
        return manifest

    def prune(self, persona: str, version: str) -> None:
        """Take a version that is not in use off the shelf, at once, by a rename; `clear_pruned` deletes its files.

        Raises `OutsideError` when it can't be renamed.
        """
        gone = self._pruned(persona, version)
        shutil.rmtree(gone, ignore_errors=True)
        try:
            (self._home(persona) / version).rename(gone)
        except FileNotFoundError:
            return
        except OSError as error:
            raise OutsideError(
                f"{persona} {version} can't be pruned ({error.strerror}). Mend the permissions there."
            ) from error

    def clear_pruned(self, persona: str, version: str) -> None:
        """Delete the files of a pruned version and what was built of it; what can't be is left to the next `sweep`."""
        shutil.rmtree(self._pruned(persona, version), ignore_errors=True)
        shutil.rmtree(self._home(persona) / f"{GRAPHS}{version}", ignore_errors=True)

    def of_handles(self, handles: Collection[str]) -> list[str]:
        """The personas of which any version, in use or not, was made from one of these accounts; sorted."""
        found = [manifest for path in self.folder.glob("*/v*/manifest.json") if (manifest := _read(path))]
        return sorted({each.persona for each in found if not set(handles).isdisjoint(each.handles)})

    def retire(self, persona: str) -> None:
        """Take the version in use out of use, at once and for every process: nobody is called that any more."""
        (self._home(persona) / "current").unlink(missing_ok=True)

    def remove(self, persona: str) -> None:
        """Delete the persona with all its versions. Raises `OutsideError` when a file can't be deleted."""
        self.retire(persona)
        home = self._home(persona)
        while home.exists():
            try:
                shutil.rmtree(home)
            except FileNotFoundError:  # somebody else deletes there, too; what is left has to go all the same
                continue
            except OSError as error:
                raise OutsideError(
                    f"The versions of {persona} can't be deleted ({error.strerror}). Mend the permissions there."
                ) from error

    def building(self) -> AsyncFileLock:
        """Held while the graph of a version is built: whoever removes a persona waits for it, nobody builds twice."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return AsyncFileLock(self.folder / BUILDING, poll_interval=_LOOK_S, run_in_executor=False)

    def sweep(self) -> None:
        """Remove what interrupted runs left half made, and graphs of versions that are gone."""
        if not self.folder.is_dir():
            return
        with suppress(Timeout), FileLock(self.folder / PLACING).acquire(blocking=False):
            for staging in self.folder.glob(f"*/{STAGING}*"):
                shutil.rmtree(staging, ignore_errors=True)
        with suppress(Timeout), FileLock(self.folder / BUILDING).acquire(blocking=False):
            for graphs in self.folder.glob(f"*/{GRAPHS}*"):
                if not (graphs.parent / graphs.name.removeprefix(GRAPHS) / "manifest.json").is_file():
                    shutil.rmtree(graphs, ignore_errors=True)

    def _home(self, persona: str) -> Path:
        """The persona's folder; a name that somebody typed must not lead elsewhere. Raises `UnknownPersona`."""
        if not is_persona_name(persona):
            raise UnknownPersona(self._unknown(persona))
        return self.folder / persona

    def _pruned(self, persona: str, version: str) -> Path:
        return self._home(persona) / f"{STAGING}pruned-{version}"

    def _digest(self, file: Path) -> str:
        """Digest of the file as it is now; empty when it can't be read."""
        try:
            stat = file.stat()
            seen = stat.st_mtime_ns, stat.st_size, stat.st_ino
            known = self._digests.get(file)
            if known is None or known[0] != seen:
                known = self._digests[file] = seen, file_sha256(file)
        except OSError:
            return ""
        return known[1]

    def none_before(self, persona: str) -> UnknownVersion:
        """What somebody is told who wants to go back from a persona's first version."""
        return UnknownVersion(
            f"{persona} has no earlier version to go back to. `mockingbird versions {persona}` lists those it has."
        )

    def _no_version(self, persona: str, version: str) -> UnknownVersion:
        return UnknownVersion(
            f"{persona} has no version {version}. `mockingbird versions {persona}` lists those it has."
        )

    def _unknown(self, persona: str) -> str:
        known = self.personas()
        hint = (
            f"Known are {', '.join(known)}." if known else "None is trained yet: `mockingbird train HANDLE` makes one."
        )
        return f"There is no persona {persona}. {hint}"


def file_sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> Manifest | None:
    """The manifest, or None when another program left something else there."""
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _write_durably(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
