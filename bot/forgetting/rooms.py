"""What each step of a takedown means in each room, and what a room hands over."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.config import MAIN
from bot.database import Database
from bot.forgetting.documents import BLEND, called, document, lines, manifest_of, post_of, training_of
from bot.personas.takedown import Room, Said, Subject
from bot.replies.conversation import Conversation
from bot.replies.incoming import Platform
from bot.replies.posts import Posts, PostState
from bot.shelf.card import model_card
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from bot.training.blends import Blends
from bot.training.decisions import Decisions
from bot.training.evaluation import Evaluator
from bot.training.evaluations import Evaluations
from bot.training.purchase_table import forget_purchases
from bot.training.pushing import HUB, Pushes
from bot.training.trainings import Trainings
from bot.tweets.charges import forget_charges
from bot.tweets.compliance import forget_place
from bot.tweets.costs import Ledger
from bot.tweets.store import TweetStore


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
        return {"posts.jsonl": lines(post_of(post, subject) for post in await self._posts.made_by(subject.personas))}


class ConversationRoom(Room):
    """Answers, and who speaks in which channel."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    async def stop_speaking(self, subject: Subject) -> None:
        """What is being sent arrives."""
        await self._conversation.messages.settled(subject.personas)

    async def find(self, subject: Subject) -> Mapping[str, Any]:
        """How many answers on which platform, and in how many channels one of the personas was chosen."""
        answers = [row["platform"] for row in await self._conversation.messages.said_as(subject.personas)]
        counts = {str(platform): answers.count(platform) for platform in sorted(set(map(str, answers)))}
        return counts | {"channel settings": await self._conversation.channels.count_with(subject.personas)}

    async def said(self, subject: Subject) -> Iterable[Said]:
        """Messages on Discord and replies on X. What the web page showed was kept in memory only, and goes there."""
        said = []
        for row in await self._conversation.messages.said_as(subject.personas):
            if row["platform"] in (Platform.DISCORD, Platform.X):
                ids: list[str | None] = [*str(row["answer_id"] or "").split()] or [None]
                channel = _place(str(row["platform"]), str(row["channel_id"]))
                said += [Said(platform=str(row["platform"]), channel=channel, id=each) for each in ids]
        return said

    async def remove(self, subject: Subject) -> None:
        """No record names the personas."""
        await self._conversation.messages.forget(subject.personas)

    async def export(self, subject: Subject) -> Mapping[str, str]:
        """Each answer, without whom it answered."""
        rows = await self._conversation.messages.said_as(subject.personas)
        return {"messages.jsonl": lines({**row, "persona": called(str(row["persona"]), subject)} for row in rows)}


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
            "versions.json": document([manifest_of(each, subject) for each in versions]),
            "evaluations.jsonl": lines(await self._evaluations.about(names)),
            "decisions.jsonl": lines(await self._decisions.about(names)),
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
                "persona": called(each.persona, subject),
                "version": each.version,
                "form": each.form,
                "repository": BLEND if each.persona in subject.blends else each.repo,
                "at": each.at.isoformat(),
            }
            for each in await self._pushes.of(subject.personas)
        ]
        return {"pushes.json": document(pushes)}


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
        trainings = [training_of(each, subject) for each in await self._trainings.about(subject.handles)]
        return {"trainings.json": document(trainings)}


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
        return {"account.json": document(accounts), "tweets.jsonl": lines(tweets)}


class CostRoom(Room):
    """The ledger, whose sums have to stay true."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def find(self, subject: Subject) -> Mapping[str, Any]:
        """How many lines."""
        return {"lines, which stay under another name": len(await self._entries(subject))}

    async def remove(self, subject: Subject) -> None:
        """The names go, the amounts stay."""
        await self._ledger.rename((*subject.handles, *subject.personas), subject.label)

    async def export(self, subject: Subject) -> Mapping[str, str]:
        """Date, purpose, resources and dollars."""
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(["at", "purpose", "units", "usd"])
        for line in await self._entries(subject):
            writer.writerow([line["at"], line["purpose"], line["units"], line["usd"]])
        return {"costs.csv": table.getvalue()}

    async def _entries(self, subject: Subject) -> list[dict[str, object]]:
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


def _place(platform: str, channel_id: str) -> str:
    """Where it was said: a channel, or an account of ours on X, of which the main one is not named."""
    return "" if platform == Platform.X and channel_id == MAIN else channel_id
