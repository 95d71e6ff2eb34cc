"""Talks to Hugging Face's hub: `python -m bot.training.hub`, a process of its own that sees the hub's token.

It gets one question as the first line of its standard input and answers in JSON lines on standard output. An exit code
other than 0 is an error's own, whose sentence is then the last line on standard error. The token is HF_TOKEN in its
environment and stands in no question, answer, sentence or log.

Files are uploaded over plain HTTP (Git LFS), as they are by huggingface_hub without hf-xet: that way can be played on
this machine and so is tested, and a repository takes both.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bot.errors import HubError, MockingbirdError, UsageError
from bot.training.job import say_why
from bot.training.orphans import end_with_parent

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

REPORT_S = 0.3  # at least, between two reports of how much of a file is out
TIMEOUT_S = 10.0  # for a question without files
TOKENS_PAGE = "https://huggingface.co/settings/tokens"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Look(_Value):
    """What is there? Answered by `Standing`."""

    ask: Literal["look"] = "look"
    repo: str  # "owner/name", or a name of the user's own


class Upload(_Value):
    """Put these files there, in one commit. Answered by many `Sent`, then by `Committed`."""

    ask: Literal["upload"] = "upload"
    repo: str  # "owner/name"; made where there is none
    folder: Path
    names: tuple[str, ...]  # files in the folder
    gone: tuple[str, ...]  # files of the repository that go, where they are there
    private: bool  # how the repository is to be seen, also if it was there before
    summary: str  # of the commit


class Delete(_Value):
    """Delete these repositories. Answered by a `Deleted` for each."""

    ask: Literal["delete"] = "delete"
    repos: tuple[str, ...]


class Standing(_Value):
    """A repository as it is now, for the user whose token it is, who may write there as far as the token tells."""

    repo: str  # "owner/name"
    exists: bool
    private: bool = True
    head: str | None = None  # the newest commit
    files: tuple[str, ...] = ()


class Sent(_Value):
    """How much of a large file is out."""

    name: str
    sent: int  # bytes
    size: int


class Committed(_Value):
    """What came of an upload."""

    commit: str
    url: str  # of the repository's page


class Deleted(_Value):
    """What became of a repository."""

    repo: str
    trouble: str | None  # in a sentence, why it stands; None when it is gone


Question = Annotated[Look | Upload | Delete, Field(discriminator="ask")]
QUESTION: TypeAdapter[Question] = TypeAdapter(Question)
ANSWER: TypeAdapter[Standing | Sent | Committed | Deleted] = TypeAdapter(Standing | Sent | Committed | Deleted)


def answers(question: Question, api: HfApi) -> Iterator[BaseModel]:
    """The answers as they come. Raises `HubError`, `UsageError`."""
    with _in_sentences(question.repo if not isinstance(question, Delete) else ", ".join(question.repos)):
        match question:
            case Look():
                yield _look(question, api)
            case Upload():
                yield _upload(question, api)
            case Delete():
                for repo in question.repos:
                    yield _delete(repo, api)


def _look(question: Look, api: HfApi) -> Standing:
    from huggingface_hub.errors import RepositoryNotFoundError

    user = api.whoami()
    if user.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise HubError(f"The token may only read on the hub. Make one that may write at {TOKENS_PAGE}.")
    repo = question.repo if "/" in question.repo else f"{user['name']}/{question.repo}"
    try:
        info = api.model_info(repo, timeout=TIMEOUT_S)
    except RepositoryNotFoundError:
        info = None
    _require_own(repo, user)
    if info is None:
        return Standing(repo=repo, exists=False)
    files = tuple(sorted(file.rfilename for file in info.siblings or ()))
    return Standing(repo=repo, exists=True, private=bool(info.private), head=info.sha, files=files)


def _upload(question: Upload, api: HfApi) -> Committed:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    api.create_repo(question.repo, private=question.private, exist_ok=True)
    info = api.model_info(question.repo, timeout=TIMEOUT_S)
    if bool(info.private) != question.private:
        api.update_repo_settings(question.repo, private=question.private)
    there = {file.rfilename for file in info.siblings or ()}
    files = [_Watched(question.folder / name) for name in question.names]
    adding = [CommitOperationAdd(file.path.name, file) for file in files]
    for file in files:
        file.tell_of(say)  # from now on: making the operation has read it once, for its digest
    removing = [CommitOperationDelete(name) for name in question.gone if name in there]
    made = api.create_commit(question.repo, [*adding, *removing], commit_message=question.summary)
    return Committed(commit=made.oid, url=f"{api.endpoint}/{question.repo}")


def _delete(repo: str, api: HfApi) -> Deleted:
    """A repository that the token's owner can't have is not known to be gone: the hub hides what is private."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        _require_own(repo, api.whoami(cache=True))
        api.delete_repo(repo)
    except RepositoryNotFoundError:  # gone already
        pass
    except HubError as error:
        return Deleted(repo=repo, trouble=str(error))
    return Deleted(repo=repo, trouble=None)


def _require_own(repo: str, user: dict[str, object]) -> None:
    """Return when the repository is the user's own or one of his or her organisations', else raise `HubError`."""
    organisations = user.get("orgs", [])
    assert isinstance(organisations, list)
    owners = {str(user["name"]), *(str(each["name"]) for each in organisations)}
    if repo.partition("/")[0] not in owners:
        raise HubError(
            f"The token's owner, {user['name']}, has no part in {repo} on the hub. "
            "Name another repository, or use a token of its owner."
        )


class _Watched(io.BufferedReader):
    """A file that reports how much of it was read."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.path = path
        self._size = path.stat().st_size
        self._tell: Callable[[BaseModel], None] | None = None
        self._told_at = 0.0

    def tell_of(self, tell: Callable[[BaseModel], None]) -> None:
        """Report from now on."""
        self._tell = tell

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file."""
        data = super().read(size)
        if self._tell and (time.monotonic() >= self._told_at + REPORT_S or self.tell() == self._size):
            self._told_at = time.monotonic()
            self._tell(Sent(name=self.path.name, sent=self.tell(), size=self._size))
        return data


@contextmanager
def _in_sentences(repo: str) -> Iterator[None]:
    """Whatever the hub or the way there refuses is one sentence."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        yield
    except HFValidationError as error:
        raise UsageError(
            f"{repo} can't be a repository's name on the hub. Name another one with --repo: letters, digits, - and _."
        ) from error
    except HfHubHTTPError as error:
        raise HubError(_refusal(repo, error)) from error
    except OfflineModeIsEnabled as error:
        raise HubError("HF_HUB_OFFLINE is set, so the hub is not asked. Unset it and try again.") from error
    except (httpx2.HTTPError, OSError, RuntimeError) as error:  # the library wraps trouble with an upload in the last
        cause = error.__cause__
        if isinstance(cause, HfHubHTTPError):
            raise HubError(_refusal(repo, cause)) from error
        if isinstance(error, RuntimeError) and not isinstance(cause, httpx2.HTTPError | OSError):
            raise
        raise HubError(
            f"The hub can't be reached, or the connection to it broke off ({type(cause or error).__name__}). "
            "Check the network and try again."
        ) from error
    except ValueError as error:  # what it says about the metadata of a card, or an answer that is not the hub's
        raise HubError(f"The hub did not take {repo} ({_first_line(str(error))}). Is [hub] endpoint right?") from error


def _refusal(repo: str, error: HfHubHTTPError) -> str:
    status = error.response.status_code
    if status == 401:
        return f"The hub does not know this token. Make one at {TOKENS_PAGE}."
    if status == 403:
        return f"The token may not write to {repo} on the hub. Make one that may at {TOKENS_PAGE}."
    if status == 404:
        return f"The hub shows no repository {repo} to this token. Check the name and the token."
    if status == 429:
        return "The hub has a limit on requests that is used up. Try again in a few minutes."
    return f"The hub refused with {status} ({_first_line(error.server_message or 'no reason given')}). Try again later."


def _first_line(text: str) -> str:
    return next((" ".join(line.split()) for line in text.splitlines() if line.strip()), "").rstrip(".")


def say(answer: BaseModel) -> None:
    """One JSON line on standard output."""
    sys.stdout.write(answer.model_dump_json() + "\n")
    sys.stdout.flush()


def main() -> int:
    """Answers the one question; 0, or the error's exit code with its sentence as the last line on stderr."""
    os.environ["HF_HUB_DISABLE_XET"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    from huggingface_hub import HfApi

    standard_input = io.FileIO(0, closefd=False)
    question = QUESTION.validate_json(standard_input.readline())
    end_with_parent(standard_input)
    try:
        for answer in answers(question, HfApi(token=os.environ["HF_TOKEN"])):
            say(answer)
    except MockingbirdError as error:
        return say_why(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
