"""What is held about an account as documents for its owner, without other people: who asked, decided or is named."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from bot.personas.takedown import Subject, Takedown
from bot.replies.posts import Post
from bot.shelf.manifest import Manifest
from bot.training.pushing import HUB
from bot.training.trainings import Training
from bot.tweets.blocked import Blocked

BLEND = "a blend with other accounts, which are not named here"


def manifest_of(manifest: Manifest, subject: Subject) -> dict[str, Any]:
    """The manifest without other people."""
    held = manifest.model_dump(mode="json")
    others = len(set(manifest.handles) - set(subject.handles))
    if others:
        del held["adopted_from"]  # a name that somebody chose, maybe after one of them
        del held["blended_from"]  # likewise, and whose they are
        if held["metrics"]:
            del held["metrics"]["figures"]  # each account's own are among them
    return {
        **held,
        "persona": called(manifest.persona, subject),
        "handles": [handle for handle in manifest.handles if handle in subject.handles],
        "other accounts": others,
        "counts": [each for each in held["counts"] if each["handle"] in subject.handles],
        "splits": [each for each in held["splits"] if each["handle"] in subject.handles],
        "consent": {handle: why for handle, why in manifest.consent.items() if handle in subject.handles},
    }


def training_of(training: Training, subject: Subject) -> dict[str, Any]:
    """A training without other people, and without who asked for it."""
    others = len(set(training.handles) - set(subject.handles))
    return {
        "persona": called(training.persona, subject),
        "handles": [handle for handle in training.handles if handle in subject.handles],
        "other accounts": others,
        "cause": training.cause,
        "state": training.state.value,
        "created_at": training.created_at.isoformat(),
        "finished_at": training.finished_at.isoformat() if training.finished_at else None,
        "version": training.version,
    }


def post_of(post: Post, subject: Subject) -> dict[str, Any]:
    """A post without who decided about it."""
    return {
        "persona": called(post.persona, subject),
        "version": post.version,
        "account": post.account,
        "text": post.text,
        "generated": post.generated or post.text,
        "state": post.state.value,
        "created_at": post.created_at.isoformat(),
        "sent_at": post.sent_at.isoformat() if post.sent_at else None,
        "id on X": post.platform_id,
    }


def receipt_of(takedown: Takedown) -> dict[str, Any]:
    """The receipt without who asked, and without the names of personas: whether one names others is not known now."""
    held = takedown.as_json()
    del held["asked_by"]
    held["personas"] = len(takedown.receipt.personas)
    held["said"] = [{**each, "id": None} if each["platform"] == HUB else each for each in held["said"]]
    found = dict(takedown.receipt.found or {})
    if "versions" in found:
        found["versions"] = list(found["versions"].values())
    return {**held, "found": found}


def blocked_entry(entry: Blocked) -> dict[str, Any]:
    """That an account is not to be learned."""
    return {
        "handle": entry.handle,
        "id on X": entry.platform_id,
        "reason": entry.reason,
        "at": entry.at.isoformat() if entry.at else None,
    }


def called(persona: str, subject: Subject) -> str:
    """The persona's name, unless it may name somebody else."""
    return BLEND if persona in subject.blends else persona


def document(value: object) -> str:
    """As one JSON document."""
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def lines(values: Iterable[Mapping[str, Any]]) -> str:
    """As JSON, one object a line."""
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
