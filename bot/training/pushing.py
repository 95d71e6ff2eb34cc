"""Pushing a version to Hugging Face's hub: model, card and pictures, and never a tweet.

An adapter is merged into its base first, unless the adapter alone is wanted, so that what lies there is a model that
`transformers.pipeline` loads by its name and that speaks as it does here: the sampling stands in its configuration, and
its tokenizer begins each text as each tweet began when it was learned. Everything is made in a folder below
`data/pushing/<persona>/`, looked through for tweets, and gone afterwards; what a kill leaves there goes at the next
push, at the next start, or with the persona. A push is a row before anything is written to the hub, and while files are
made or written nobody is forgotten, so that a takedown knows of every folder and every repository there is.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import AsyncFileLock, FileLock, Timeout
from pydantic import BaseModel
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from bot.config import Generation, Hub, secret
from bot.database import Database, Row
from bot.errors import BaseUnavailable, ConfigError, DiskFull, HubError, NotPermitted, OutsideError, UsageError
from bot.personas.consent import require_basis
from bot.personas.takedown import DELETED, Said, require_remembered
from bot.shelf.card import CARD, PICTURES, Pushed, model_card
from bot.shelf.forms import ADAPTER_FILES, TOKENIZER, WHOLE_FILES, files_of
from bot.shelf.manifest import Form, Manifest
from bot.shelf.shelf import Shelf
from bot.training.child import ensure_base, started
from bot.training.hub import ANSWER, TOKENS_PAGE, Committed, Delete, Deleted, Look, Sent, Standing, Upload
from bot.training.job import DISK_FULL, Merge
from bot.tweets.blocked import require_free
from bot.tweets.store import TweetStore
from bot.tweets.words import words

HUB = "hub"  # as a platform on which something stands, in receipts
FOLDER = "pushing"  # in the data folder: a folder for each persona
LOCK = "push.lock"  # in the data folder
_HELD = "lock"  # beside what is to be pushed, as long as somebody may push it
TOKENIZER_CONFIG = "tokenizer_config.json"
TEXTS = (".md", ".json")  # file names of texts end like this
FEWEST_WORDS = 5  # of a tweet that must not stand in a text; fewer are said by anybody
_MARKDOWN_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")  # CommonMark: a backslash before ASCII punctuation
_LOOK_S = 0.2  # between two looks at a lock that another process holds


@dataclass(frozen=True, slots=True)
class Push:
    """A version that was put on the hub, or was about to be."""

    persona: str
    version: str
    form: Form  # as it lies there
    repo: str  # "owner/name"
    at: datetime  # UTC
    commit: str | None  # None when nobody knows whether it arrived


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be pushed, ready in a folder."""

    manifest: Manifest
    form: Form
    repo: str  # "owner/name"
    private: bool  # how it will be seen
    exists: bool  # there is such a repository
    was_private: bool
    folder: Path
    sizes: dict[str, int]  # file name -> bytes
    begun_at: datetime  # UTC
    already: Push | None  # the same version lies there, and nothing is to be done


class Pushes:
    """The table `pushes`, and the way to the hub."""

    def __init__(
        self,
        database: Database,
        store: TweetStore,
        shelf: Shelf,
        data: Path,
        settings: Hub,
        generation: Generation,
        clock: Callable[[], datetime],
    ) -> None:
        """`generation` is how the pushed model samples unless it is told otherwise; `clock` gives UTC."""
        self._database = database
        self._store = store
        self._shelf = shelf
        self._data = data
        self._settings = settings
        self._generation = generation
        self._clock = clock

    # --- What was pushed ---

    async def of(self, personas: Sequence[str]) -> list[Push]:
        """All pushes of these personas, the oldest first."""
        marks = ", ".join("?" * len(personas))
        rows = await self._database.all(f"SELECT * FROM pushes WHERE persona IN ({marks}) ORDER BY id", personas)
        return [_push(row) for row in rows]

    async def remove(self, personas: Sequence[str]) -> None:
        """Forget that they were pushed, and delete what lies ready to be, even where somebody is asked about it now.

        On the hub they stay until they are deleted there. Raises `OutsideError`.
        """
        async with self._alone():
            for persona in personas:
                folder = self._data / FOLDER / persona
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
                if folder.exists():
                    raise OutsideError(
                        f"data/{FOLDER}/{persona} can't be deleted. Mend the permissions of [paths] data."
                    )
        async with self._database.transaction() as transaction:
            marks = ", ".join("?" * len(personas))
            await transaction.run(f"DELETE FROM pushes WHERE persona IN ({marks})", personas)

    async def settled(self) -> None:
        """Return once no push is under way, in whatever process."""
        async with self._alone():
            pass

    def sweep(self) -> None:
        """Remove what pushes that were killed left behind, unless one is under way."""
        with suppress(Timeout), FileLock(self._data / LOCK).acquire(blocking=False):
            self._clear()

    # --- Pushing ---

    @asynccontextmanager
    async def planned(
        self, manifest: Manifest, adapter: bool, repo: str | None, private: bool | None, note: Callable[[str], None]
    ) -> AsyncIterator[Plan]:
        """What pushing this version means, ready while the body runs; nothing is written to the hub.

        `private` None is private where the repository is new, and else as it is. `note` is told what takes a while.
        Raises `NotPermitted`, `ConfigError`, `UsageError`, `HubError`, `BaseUnavailable`, `DiskFull`.
        """
        begun_at = self._clock().astimezone(UTC)
        await self._require_consent(manifest)
        token = required_token(self._settings)
        form: Form = "adapter" if adapter else "whole"
        if adapter and manifest.form == "whole":
            raise UsageError(f"{manifest.persona} {manifest.version} is a whole model. Leave --adapter out.")
        standing = await self._look(repo or manifest.persona, token)
        hidden = (standing.private if standing.exists else True) if private is None else private
        already = await self._already(manifest, form, standing) if hidden == standing.private else None
        async with AsyncExitStack() as stack:
            async with self._alone():
                await self._require_consent(manifest)  # once more: whoever is forgotten now is blocked already
                stage = self._folder(stack, manifest.persona)
                if already is None:
                    await self._stage(manifest, Pushed(standing.repo, form), stage, note)
                    await self._require_no_tweet(manifest, stage)
                sizes = _sizes(stage)
            yield Plan(
                manifest=manifest,
                form=form,
                repo=standing.repo,
                private=hidden,
                exists=standing.exists,
                was_private=standing.private,
                folder=stage,
                sizes=sizes,
                begun_at=begun_at,
                already=already,
            )

    async def push(self, plan: Plan, show: Callable[[Sent], None]) -> Committed:
        """Write it to the hub; the commit. `show` is told how much of the large files is out.

        Raises `HubError`, `NotPermitted` and `UnknownPersona` when somebody was blocked or forgotten meanwhile.
        """
        manifest = plan.manifest
        order = Upload(
            repo=plan.repo,
            folder=plan.folder,
            names=tuple(plan.sizes),
            gone=tuple({*ADAPTER_FILES, *WHOLE_FILES, TOKENIZER_CONFIG, *PICTURES} - {*plan.sizes}),
            private=plan.private,
            summary=f"{manifest.persona} {manifest.version}",
        )
        token = required_token(self._settings)
        async with self._alone():
            number = await self._write_down(plan)
            committed = None
            async for answer in _asked(order, token):
                if isinstance(answer, Sent):
                    show(answer)
                elif isinstance(answer, Committed):
                    committed = answer
            if committed is None:
                raise HubError("The hub did not say what became of it. Look at the repository and push again.")
            async with self._database.transaction() as transaction:
                await transaction.run("UPDATE pushes SET commit_id = ? WHERE id = ?", (committed.commit, number))
        return committed

    async def _write_down(self, plan: Plan) -> int:
        """The row's number; from here on a takedown knows of it."""
        manifest = plan.manifest
        async with self._database.transaction() as transaction:
            await require_free(transaction, manifest.handles)
            await require_remembered(transaction, manifest.persona, plan.begun_at.isoformat())
            return await transaction.insert(
                "INSERT INTO pushes (persona, version, form, repo, at) VALUES (?, ?, ?, ?, ?)",
                (
                    manifest.persona,
                    manifest.version,
                    plan.form,
                    plan.repo,
                    self._clock().astimezone(UTC).isoformat(),
                ),
            )

    async def _require_consent(self, manifest: Manifest) -> None:
        """Whoever may not be learned now is not given to others, either."""
        await require_free(self._database, manifest.handles)
        stored = [handle for handle in manifest.handles if await self._store.account(handle)]
        await require_basis(self._store, stored)
        unknown = [f"@{each}" for each in manifest.handles if each not in stored and each not in manifest.consent]
        if unknown:
            raise NotPermitted(
                f"Nothing is stored of {', '.join(unknown)}, so nobody knows why it may be learned, and "
                f"{manifest.persona} {manifest.version} is not pushed. Import its tweets with a basis first."
            )

    async def _already(self, manifest: Manifest, form: Form, standing: Standing) -> Push | None:
        """The newest push into that repository, when it was of this version and nobody wrote there since."""
        row = await self._database.one(
            "SELECT * FROM pushes WHERE repo = ? AND commit_id IS NOT NULL ORDER BY id DESC LIMIT 1", (standing.repo,)
        )
        newest = _push(row) if row and standing.exists and row["commit_id"] == standing.head else None
        same = newest and (newest.persona, newest.version, newest.form) == (manifest.persona, manifest.version, form)
        return newest if same else None

    async def _look(self, repo: str, token: str) -> Standing:
        async for answer in _asked(Look(repo=repo), token):
            if isinstance(answer, Standing):
                return answer
        raise HubError("The hub did not answer as the hub does. Is [hub] endpoint right?")

    # --- What is pushed ---

    async def _stage(self, manifest: Manifest, pushed: Pushed, stage: Path, note: Callable[[str], None]) -> None:
        """All files into the folder. Raises `BaseUnavailable`, `DiskFull`."""
        version = await asyncio.to_thread(self._shelf.verified, manifest)
        pictures = [name for name in PICTURES if (version / name).is_file()]
        try:
            if manifest.form == pushed.form:
                copied = [name for name in files_of(manifest.form) if (version / name).is_file()]
            else:
                await self._merge(manifest, version, stage, note)
                copied = []
            for name in (*copied, TOKENIZER, *pictures):
                shutil.copyfile(version / name, stage / name)
            if pushed.form == "whole":
                make_speak(stage, self._generation.model_copy(update=manifest.own_sampling))
            (stage / CARD).write_text(model_card(manifest, pictures, pushed), encoding="utf-8")
        except OSError as error:
            raise DiskFull(
                f"What is to be pushed could not be made ready ({error.strerror}). Free some space and try again."
            ) from error

    def _folder(self, stack: AsyncExitStack, persona: str) -> Path:
        """An empty folder that is gone when the stack is closed; for whoever is `_alone`."""
        self._clear()
        home = self._data / FOLDER / persona
        home.mkdir(parents=True, exist_ok=True)
        held = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=home, ignore_cleanup_errors=True)))
        stack.enter_context(FileLock(held / _HELD).acquire(blocking=False))
        stage = held / "model"
        stage.mkdir()
        return stage

    def _clear(self) -> None:
        """Remove folders that nobody holds."""
        for folder in (self._data / FOLDER).glob("*/*"):
            with suppress(Timeout, OSError), FileLock(folder / _HELD).acquire(blocking=False):
                shutil.rmtree(folder, ignore_errors=True)

    async def _merge(self, manifest: Manifest, version: Path, stage: Path, note: Callable[[str], None]) -> None:
        base = await ensure_base(manifest.base, self._data, note, manifest.base_sha256)
        if base.record.sha256 != manifest.base_sha256:
            raise BaseUnavailable(
                f"{manifest.persona} {manifest.version} was trained on another {manifest.base} than is here now. "
                "Train it again, or push the adapter alone with --adapter."
            )
        note(f"Merging {manifest.persona} {manifest.version} into {manifest.base}")
        order = Merge(base=base.model, adapter=version, folder=stage)
        async with started("bot.training.merging", first_line=order.model_dump_json()) as child:
            code = await child.ended()
        if code == DISK_FULL:
            raise DiskFull(child.last_words)
        if code:
            raise BaseUnavailable(child.last_words or "Merging failed. Is there enough memory?")

    async def _require_no_tweet(self, manifest: Manifest, stage: Path) -> None:
        """No stored tweet of these accounts may stand in a text that is uploaded. Raises `NotPermitted`."""
        stored = [handle for handle in manifest.handles if await self._store.account(handle)]
        tweets = [tweet.cleaned for handle in stored for tweet in await self._store.kept(handle)]
        for name, text in _texts(stage).items():
            if holds_one_of(text, tweets):
                raise NotPermitted(
                    f"{name} of {manifest.persona} {manifest.version} would hold a tweet word for word, so nothing was "
                    "uploaded. Push another version with --version, or train again."
                )

    def _alone(self) -> AsyncFileLock:
        """One push at a time, over all processes; the lock dies with its process."""
        return AsyncFileLock(self._data / LOCK, poll_interval=_LOOK_S, run_in_executor=False)


class HubOutlet:
    """Deletes repositories, with all versions that were ever pushed to them."""

    def __init__(self, settings: Hub) -> None:
        self._settings = settings

    async def require_means(self) -> None:
        """Raises `ConfigError` without a token."""
        required_token(self._settings)

    async def take_back(self, said: Sequence[Said], label: str) -> AsyncGenerator[Said]:
        """Each repository with what became of it. Raises `ConfigError` without a token, and `HubError`."""
        token = required_token(self._settings)
        repos = {each.id: each for each in said if each.id}
        async for answer in _asked(Delete(repos=tuple(repos)), token):
            if isinstance(answer, Deleted):
                yield repos[answer.repo].model_copy(update={"outcome": answer.trouble or DELETED})


def required_token(settings: Hub) -> str:
    """The hub's token. Raises `ConfigError` where there is none."""
    token = secret(settings.token_env)
    if token is None:
        raise ConfigError(
            f"The hub asks for a token that may write. Make one at {TOKENS_PAGE} "
            f"and put it into the environment variable {settings.token_env}."
        )
    return token


async def _asked(question: Look | Upload | Delete, token: str) -> AsyncIterator[BaseModel]:
    """The answers of a process of its own, the only one that sees the token. Raises `HubError`, `UsageError`."""
    line = question.model_dump_json()
    async with started(
        "bot.training.hub", first_line=line, may_ask_the_hub=True, variables={"HF_TOKEN": token}
    ) as child:
        async for answer in child.lines():
            yield ANSWER.validate_json(answer)
        code = await child.ended()
    if code == UsageError.exit_code:
        raise UsageError(child.last_words)
    if code == HubError.exit_code:
        raise HubError(child.last_words)
    if code:
        raise HubError(f"The process that talks to the hub failed ({child.last_words or code}). Try again.")


def holds_one_of(text: str, tweets: Iterable[str]) -> bool:
    """Whether all the words of one of the tweets stand in the text in their order; very short ones don't count.

    They are looked for as they stand there and as Markdown shows them, `jim\\_free` being `jim_free`.
    """
    readings = [f" {' '.join(words(each))} " for each in (text, _MARKDOWN_ESCAPE.sub(r"\1", text))]
    said = [f" {' '.join(found)} " for tweet in tweets if len(found := words(tweet)) >= FEWEST_WORDS]
    return any(each in reading for reading in readings for each in said)


def make_speak(folder: Path, generation: Generation) -> None:
    """Let the whole model in that folder say what it would say here, without being told how.

    It samples with these settings, ends at the end token and pads with it, and its tokenizer sets the end token before
    each text. Older programs look for the sampling in `task_specific_params`, newer ones in generation_config.json.
    """
    config = _read(folder / "config.json")
    end = config["eos_token_id"]
    end_id = int(end[0] if isinstance(end, list) else end)
    sampling = {
        "do_sample": True,
        "temperature": generation.temperature,
        "top_p": generation.top_p,
        "top_k": generation.top_k,
        "max_new_tokens": generation.max_tokens,
    }
    ids = {"bos_token_id": end_id, "eos_token_id": end_id}
    for name in ("_name_or_path", "auto_map", "custom_pipelines"):  # nobody's business, or code that others would load
        config.pop(name, None)
    config.pop("pad_token_id", None)  # else GPT-2 takes the end token at the beginning for padding, and warns
    _write(folder / "config.json", {**config, **ids, "task_specific_params": {"text-generation": sampling}})
    _write(folder / "generation_config.json", {**ids, "pad_token_id": end_id, **sampling})
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    mark = tokenizer.id_to_token(end_id)
    tokenizer.post_processor = TemplateProcessing(single=f"{mark} $A", special_tokens=[(mark, end_id)])
    tokenizer.save(str(folder / TOKENIZER))
    marks = dict.fromkeys(("bos_token", "eos_token", "pad_token", "unk_token"), mark)
    longest = config.get("max_position_embeddings") or config.get("n_positions") or 1_024
    _write(
        folder / TOKENIZER_CONFIG,
        {"tokenizer_class": "TokenizersBackend", "model_max_length": longest, **marks},
    )


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}


def _texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir()) if path.suffix in TEXTS}


def _read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _push(row: Row) -> Push:
    return Push(
        persona=row["persona"],
        version=row["version"],
        form=row["form"],
        repo=row["repo"],
        at=datetime.fromisoformat(row["at"]),
        commit=row["commit_id"],
    )
