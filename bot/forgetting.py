"""What each room does when an account is to be forgotten, or all that is held about it is to be handed over.

The order of the steps is `bot.personas.takedown`'s; here stands what a step means in each room. The rooms themselves
know nothing of takedowns: they remove, list and stop what they are told.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.config import MAIN
from bot.database import Database
from bot.errors import UnknownHandle, UsageError
from bot.personas.takedown import Room, Said, Subject, Takedown, Takedowns
from bot.replies.conversation import Conversation, Platform
from bot.replies.posts import Post, Posts, PostState
from bot.shelf.card import model_card
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from bot.training.blends import Blends
from bot.training.decisions import Decisions
from bot.training.evaluation import Evaluator
from bot.training.evaluations import Evaluations
from bot.training.purchase_table import forget_purchases
from bot.training.pushing import HUB, Pushes
from bot.training.trainings import Training, Trainings
from bot.tweets.blocked import Blocked, Blocklist
from bot.tweets.charges import forget_charges
from bot.tweets.compliance import forget_place
from bot.tweets.costs import Ledger
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
_BLEND = "a blend with other accounts, which are not named here"


class PostRoom(Room):
    """Posts for X, with their pictures."""

    def __init__(self, posts: Posts, pictures: Path) -> None:
        self._posts = posts
        self._pictures = pictures

    async def stop_speaking(self, subject: Subject) -> None:
        """Nothing that waits goes out."""
        await self._posts.withdraw(subject.personas)

    async def find(self, subject: Subject) -> Mapping[str, Any]:
        """How many posts there are, by state."""
        posts = await self._posts.made_by(subject.personas)
        return {state.value: count for state in PostState if (count := sum(1 for each in posts if each.state is state))}

    async def said(self, subject: Subject) -> Iterable[Said]:
        """What stands on X, or may."""
        said = await self._posts.said(subject.personas)
        return [
            Said(platform=Platform.X, channel=_place(Platform.X, account), id=platform_id)
            for account, platform_id in said
        ]

    async def remove(self, subject: Subject) -> None:
        """Their texts go."""
        for name in {*await self._posts.remove(subject.personas)} - await self._posts.pictures():
            (self._pictures / name).unlink(missing_ok=True)

    async def export(self, subject: Subject) -> Mapping[str, str]:
        """Each post."""
        return {"posts.jsonl": _lines(_post(post, subject) for post in await self._posts.made_by(subject.personas))}


class ConversationRoom(Room):
    """Answers, and who speaks in which channel."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    async def stop_speaking(self, subject: Subject) -> None:
        """What is being sent arrives."""
        await self._conversation.settled(subject.personas)

    async def find(self, subject: Subject) -> Mapping[str, Any]:
        """How many answers on which platform, and in how many channels one of the personas was chosen."""
        answers = [row["platform"] for row in await self._conversation.said_as(subject.personas)]
        counts = {str(platform): answers.count(platform) for platform in sorted(set(map(str, answers)))}
        return counts | {"channel settings": await self._conversation.channels.count_with(subject.personas)}

    async def said(self, subject: Subject) -> Iterable[Said]:
        """Messages on Discord and replies on X. What the web page showed was kept in memory only, and goes there."""
        said = []
        for row in await self._conversation.said_as(subject.personas):
            if row["platform"] in (Platform.DISCORD, Platform.X):
                ids: list[str | None] = [*str(row["answer_id"] or "").split()] or [None]
                channel = _place(str(row["platform"]), str(row["channel_id"]))
                said += [Said(platform=str(row["platform"]), channel=channel, id=each) for each in ids]
        return said

    async def remove(self, subject: Subject) -> None:
        """No record names the personas."""
        await self._conversation.forget(subject.personas)

    async def export(self, subject: Subject) -> Mapping[str, str]:
        """Each answer, without whom it answered."""
        rows = await self._conversation.said_as(subject.personas)
        return {"messages.jsonl": _lines({**row, "persona": _called(str(row["persona"]), subject)} for row in rows)}


class ShelfRoom(Room):
    """Versions with their weights and cards."""

    def __init__(self, shelf: Shelf, evaluations: Evaluations, decisions: Decisions, blends: Blends) -> None:
        self._shelf = shelf
        self._blends = blends
        self._evaluations = evaluations
        self._decisions = decisions

    async def personas(self, handles: Sequence[str]) -> Iterable[str]:
        """All that any version of was made from one of these accounts."""
        return self._shelf.of_handles(handles)

    async def blends(self, handles: Sequence[str]) -> Iterable[str]:
        """Those of which any version was made from others, too."""
        names = self._shelf.of_handles(handles)
        return [name for name in names if any(set(each.handles) - set(handles) for each in self._shelf.versions(name))]

    async def stop_learning(self, handles: Sequence[str]) -> None:
        """What is being blended is a version by then."""
        await self._blends.settled()

    async def stop_speaking(self, subject: Subject) -> None:
        """Nobody is called that any more, and no graph of such a model is being built."""
        for persona in subject.personas:
            self._shelf.retire(persona)
        async with self._shelf.building():
            pass

    async def find(self, subject: Subject) -> Mapping[str, Any]:
        """The digests of each version's data set and files."""
        return {
            f"{each.persona}/{each.version}": {"data set": each.fingerprint, "files": each.sha256}
            for each in self._versions(subject)
        }

    async def remove(self, subject: Subject) -> None:
        """Their folders go."""
        for persona in subject.personas:
            self._shelf.remove(persona)
        await self._evaluations.remove(subject.personas)
        await self._decisions.remove(subject.personas)

    async def export(self, subject: Subject) -> Mapping[str, str]:
        """Manifests, and the cards of those that learned from nobody else."""
        versions = self._versions(subject)
        alone = [each for each in versions if set(each.handles) <= set(subject.handles)]
        cards = {f"cards/{each.persona}-{each.version}.md": model_card(each) for each in alone}
        names = sorted({each.persona for each in alone})
        return {
            "versions.json": _document([_manifest(each, subject) for each in versions]),
            "evaluations.jsonl": _lines(await self._evaluations.about(names)),
            "decisions.jsonl": _lines(await self._decisions.about(names)),
            **cards,
        }

    def _versions(self, subject: Subject) -> list[Manifest]:
        known = set(self._shelf.of_handles(subject.handles))
        return [each for persona in subject.personas if persona in known for each in self._shelf.versions(persona)]


class HubRoom(Room):
    """What was pushed to Hugging Face's hub."""

    def __init__(self, pushes: Pushes) -> None:
        self._pushes = pushes

    async def stop_speaking(self, subject: Subject) -> None:
        """What is being uploaded arrives."""
        await self._pushes.settled()

    async def find(self, subject: Subject) -> Mapping[str, Any]:
        """How many pushes."""
        pushes = await self._pushes.of(subject.personas)
        return {"pushes": len(pushes)} if pushes else {}

    async def said(self, subject: Subject) -> Iterable[Said]:
        """The repositories."""
        repos = sorted({each.repo for each in await self._pushes.of(subject.personas)})
        return [Said(platform=HUB, channel="", id=repo) for repo in repos]

    async def remove(self, subject: Subject) -> None:
        """No row names the personas."""
        await self._pushes.remove(subject.personas)

    async def export(self, subject: Subject) -> Mapping[str, str]:
        """Each push; where it is a blend, without the repository's name, which may name somebody else."""
        pushes = [
            {
                "persona": _called(each.persona, subject),
                "version": each.version,
                "form": each.form,
                "repository": _BLEND if each.persona in subject.blends else each.repo,
                "at": each.at.isoformat(),
            }
            for each in await self._pushes.of(subject.personas)
        ]
        return {"pushes.json": _document(pushes)}


class TrainingRoom(Room):
    """Trainings, with their data sets and checkpoints."""

    def __init__(self, trainings: Trainings, evaluator: Evaluator, database: Database, shelf: Shelf) -> None:
        self._trainings = trainings
        self._evaluator = evaluator
        self._database = database
        self._shelf = shelf

    async def personas(self, handles: Sequence[str]) -> Iterable[str]:
        """Those that were to be learned and never were; a name on the shelf is whose the shelf says it is."""
        known = {path.parent.parent.name for path in self._shelf.folder.glob("*/v*/manifest.json")}
        return {training.persona for training in await self._trainings.about(handles)} - known

    async def blends(self, handles: Sequence[str]) -> Iterable[str]:
        """Those that were to be learned from others, too."""
        return {each.persona for each in await self._trainings.about(handles) if set(each.handles) - set(handles)}

    async def stop_learning(self, handles: Sequence[str]) -> None:
        """Whatever waits or runs, in whatever process, is cancelled."""
        await self._trainings.stop(handles)
        await self._evaluator.idle()

    async def find(self, subject: Subject) -> Mapping[str, Any]:
        """How many, and where an experiment tracker shows them; what is there is its operator's to delete."""
        trainings = await self._trainings.about(subject.handles)
        runs = [each.tracked for each in trainings if each.tracked]
        tracked = "; ".join(f"{run.service} {run.url or 'in files here'}" for run in runs)
        return {"trainings": len(trainings)} | ({"tracked": tracked} if tracked else {})

    async def remove(self, subject: Subject) -> None:
        """Rows and folders go."""
        await self._evaluator.idle()  # once more: it is not certain that the account was blocked all the time
        await self._trainings.remove(subject.handles)
        await forget_purchases(self._database, subject.handles)

    async def export(self, subject: Subject) -> Mapping[str, str]:
        """Each training, without who asked for it."""
        trainings = [_training(each, subject) for each in await self._trainings.about(subject.handles)]
        return {"trainings.json": _document(trainings)}


class TweetRoom(Room):
    """Accounts and their tweets."""

    def __init__(self, store: TweetStore, database: Database) -> None:
        self._store = store
        self._database = database

    async def find(self, subject: Subject) -> Mapping[str, Any]:
        """How many tweets."""
        return {"tweets": await self._store.stored(subject.handles)}

    async def remove(self, subject: Subject) -> None:
        """They go."""
        await self._store.remove(subject.handles)
        await forget_place(self._database)
        await forget_charges(self._database)

    async def export(self, subject: Subject) -> Mapping[str, str]:
        """All of them, as they came and as they are learned."""
        accounts = [account for handle in subject.handles if (account := await self._store.account(handle))]
        tweets = [tweet for handle in subject.handles for tweet in await self._store.everything(handle)]
        return {"account.json": _document(accounts), "tweets.jsonl": _lines(tweets)}


class CostRoom(Room):
    """The ledger, whose sums have to stay true."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def find(self, subject: Subject) -> Mapping[str, Any]:
        """How many lines."""
        return {"lines, which stay under another name": len(await self._lines(subject))}

    async def remove(self, subject: Subject) -> None:
        """The names go, the amounts stay."""
        await self._ledger.rename((*subject.handles, *subject.personas), subject.label)

    async def export(self, subject: Subject) -> Mapping[str, str]:
        """Date, purpose, resources and dollars."""
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(["at", "purpose", "units", "usd"])
        for line in await self._lines(subject):
            writer.writerow([line["at"], line["purpose"], line["units"], line["usd"]])
        return {"costs.csv": table.getvalue()}

    async def _lines(self, subject: Subject) -> list[dict[str, object]]:
        return await self._ledger.about((*subject.handles, *subject.personas))


def rooms_to_empty(
    posts: Posts,
    conversation: Conversation,
    shelf: Shelf,
    evaluations: Evaluations,
    decisions: Decisions,
    trainings: Trainings,
    evaluator: Evaluator,
    database: Database,
    store: TweetStore,
    ledger: Ledger,
    pushes: Pushes,
    blends: Blends,
    pictures: Path,
) -> dict[str, Room]:
    """The rooms by name, in the order in which a takedown empties them."""
    return {
        "posts": PostRoom(posts, pictures),
        "answers": ConversationRoom(conversation),
        "hub": HubRoom(pushes),
        "versions": ShelfRoom(shelf, evaluations, decisions, blends),
        "trainings": TrainingRoom(trainings, evaluator, database, shelf),
        "tweets": TweetRoom(store, database),
        "costs": CostRoom(ledger),
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
        "blocked.json": _document([_blocked(each) for each in blocked]),
        "receipts.json": _document([_receipt(each) for each in receipts]),
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


def _manifest(manifest: Manifest, subject: Subject) -> dict[str, Any]:
    """The manifest without other people."""
    document = manifest.model_dump(mode="json")
    others = len(set(manifest.handles) - set(subject.handles))
    if others:
        del document["adopted_from"]  # a name that somebody chose, maybe after one of them
        del document["blended_from"]  # likewise, and whose they are
        if document["metrics"]:
            del document["metrics"]["figures"]  # each account's own are among them
    return {
        **document,
        "persona": _called(manifest.persona, subject),
        "handles": [handle for handle in manifest.handles if handle in subject.handles],
        "other accounts": others,
        "counts": [each for each in document["counts"] if each["handle"] in subject.handles],
        "splits": [each for each in document["splits"] if each["handle"] in subject.handles],
        "consent": {handle: why for handle, why in manifest.consent.items() if handle in subject.handles},
    }


def _training(training: Training, subject: Subject) -> dict[str, Any]:
    others = len(set(training.handles) - set(subject.handles))
    return {
        "persona": _called(training.persona, subject),
        "handles": [handle for handle in training.handles if handle in subject.handles],
        "other accounts": others,
        "cause": training.cause,
        "state": training.state.value,
        "created_at": training.created_at.isoformat(),
        "finished_at": training.finished_at.isoformat() if training.finished_at else None,
        "version": training.version,
    }


def _post(post: Post, subject: Subject) -> dict[str, Any]:
    return {
        "persona": _called(post.persona, subject),
        "version": post.version,
        "account": post.account,
        "text": post.text,
        "generated": post.generated or post.text,
        "state": post.state.value,
        "created_at": post.created_at.isoformat(),
        "sent_at": post.sent_at.isoformat() if post.sent_at else None,
        "id on X": post.platform_id,
    }


def _place(platform: str, channel_id: str) -> str:
    """Where it was said: a channel, or an account of ours on X, of which the main one is not named."""
    return "" if platform == Platform.X and channel_id == MAIN else channel_id


def _called(persona: str, subject: Subject) -> str:
    """The persona's name, unless it may name somebody else."""
    return _BLEND if persona in subject.blends else persona


def _same(one: str | None, other: str | None) -> bool:
    return one is not None and one == other


def _blocked(entry: Blocked) -> dict[str, Any]:
    return {
        "handle": entry.handle,
        "id on X": entry.platform_id,
        "reason": entry.reason,
        "at": entry.at.isoformat() if entry.at else None,
    }


def _receipt(takedown: Takedown) -> dict[str, Any]:
    """The receipt without who asked, and without the names of personas: whether one names others is not known now."""
    document = takedown.as_json()
    del document["asked_by"]
    document["personas"] = len(takedown.receipt.personas)
    document["said"] = [{**each, "id": None} if each["platform"] == HUB else each for each in document["said"]]
    found = dict(takedown.receipt.found or {})
    if "versions" in found:
        found["versions"] = list(found["versions"].values())
    return {**document, "found": found}


def _document(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _lines(values: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
