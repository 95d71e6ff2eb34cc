"""What a body of X's API v2 says: accounts, pages of a timeline, which posts still stand. Pure.

X speaks two vocabularies, and the parameter that asks decides which one answers (measured in public in August and
September 2026): `tweet.fields` brings `referenced_tweets`, `note_tweet`, `edit_history_tweet_ids`, `includes.tweets`;
`post.fields` brings `referenced_posts`, `note_post`, `edit_history_post_ids`, `includes.posts`. The OpenAPI documents
up to 2.159 describe the first, those from 2.160 on the second. Here both are read, whichever comes.

An unknown field is passed over in silence by X, and what it would have told is then missing although the page is
billed. So a page also says what seems to be missing.

What it does not know: search, streams and media. `note_tweet` and `note_post` follow X's documents alone, since no
recorded answer with either was found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from bot.config import Prices
from bot.errors import MockingbirdError, UnknownHandle, XAccountUnavailable
from bot.tweets.records import storable
from bot.tweets.tweet import Source, Tweet, normalise_handle

Document = Mapping[str, Any]  # a parsed JSON object

_RETWEET_PREFIX = re.compile(r"RT @\w{1,15}: ")
REFERENCES = 2  # posts that one post refers to at most: a reply that quotes


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """X's names for the same things, in requests and in answers."""

    name: str  # the value of [x] vocabulary
    parameter: str  # that lists the fields asked for
    fields: tuple[str, ...]  # what is asked for
    references: str  # key of a post: what it refers to
    note: str  # key of a post: a long text as a whole
    history: str  # key of a post: ids of all its versions, the first one first
    included: str  # key of `includes`: posts that are referred to
    expansion: str  # value of `expansions` that brings these along
    references_are_billed: bool  # what a post refers to is only told together with the posts themselves

    def price(self, prices: Prices, *, owned: bool, references: int = 1) -> Decimal:
        """US dollars for reading a post of a timeline, where it refers to so many others. `owned`: at X's lower price.

        Posts mostly refer to one or none, so what is expected is rather too high.
        """
        along = references * prices.post_read if self.references_are_billed else Decimal(0)
        return (prices.owned_read if owned else prices.post_read) + along


TWEET = Vocabulary(
    "tweet", "tweet.fields", ("created_at", "note_tweet", "referenced_tweets"), "referenced_tweets", "note_tweet",
    "edit_history_tweet_ids", "tweets", "referenced_tweets.id", references_are_billed=False,
)  # fmt: skip
# In this one `referenced_posts` is no field but an expansion (OpenAPI 2.167, PostFieldsParameter).
POST = Vocabulary(
    "post", "post.fields", ("created_at", "note_post"), "referenced_posts", "note_post",
    "edit_history_post_ids", "posts", "referenced_posts", references_are_billed=True,
)  # fmt: skip
VOCABULARIES = {each.name: each for each in (TWEET, POST)}


@dataclass(frozen=True, slots=True)
class XUser:
    """An account on X."""

    id: str  # decimal digits
    handle: str  # as its owner writes it, without @
    name: str  # the display name
    protected: bool  # only approved followers may read its posts
    tweet_count: int | None  # posts including retweets, of which at most the newest 3,200 can be read


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """One page of posts, and what X charges for it."""

    tweets: tuple[Tweet, ...]  # the newest first; may be empty although there are further pages
    next_token: str | None  # of the next, older page; None on the last one
    newest_id: str | None  # of this page; None when it is empty
    superseded: frozenset[str]  # ids of earlier versions of edited posts; what is stored under them is out of date
    post_ids: frozenset[str]  # of the posts on the page; billed
    included_ids: frozenset[str]  # of further posts that came along, such as originals of retweets; billed
    user_ids: frozenset[str]  # of accounts that came along; billed
    owned: bool  # read by the owner of the timeline, at X's lower price
    vocabulary: str | None  # in which X answered; None when nothing on the page tells
    fields_missing: bool  # there are posts, and none of them has the fields that were asked for
    references_missing: bool  # posts begin as retweets do, and none on the page says what it refers to

    @property
    def reads(self) -> int:
        """The number of resources that X charges for, were nothing of it read earlier on this UTC day."""
        return len(self.post_ids | self.included_ids) + len(self.user_ids)

    def cost(self, prices: Prices) -> Decimal:
        """US dollars for these reads, were nothing of it read earlier on this UTC day."""
        posts = len(self.post_ids) * (prices.owned_read if self.owned else prices.post_read)
        included = len(self.included_ids - self.post_ids) * prices.post_read
        return posts + included + len(self.user_ids) * prices.user_read


# Accounts


class Standing(StrEnum):
    """What X shows of an account."""

    OPEN = "open"  # everybody may read it
    PROTECTED = "protected"  # only approved followers may
    SUSPENDED = "suspended"  # X has closed it
    GONE = "gone"  # deleted or deactivated


def read_user(document: Document, handle: str) -> XUser:
    """The account in a body of X; raises what its `errors` say when there is none. `handle` names it in the error."""
    data = document.get("data")
    if not isinstance(data, dict):
        raise unavailable_account(document, handle)
    return XUser(
        id=data["id"],
        handle=data["username"],
        name=data["name"],
        protected=bool(data.get("protected")),
        tweet_count=data.get("public_metrics", {}).get("tweet_count"),
    )


def read_standings(document: Document) -> dict[str, Standing]:
    """How each account of a body stands, by id; an account of which X says nothing that is certain is left out."""
    standings = {
        user["id"]: Standing.PROTECTED if user.get("protected") else Standing.OPEN for user in document.get("data", ())
    }
    for error in _errors(document):
        standing = _standing(error)
        if standing is not None:
            standings[_subject(error)] = standing
    return standings


def read_handles(document: Document) -> dict[str, str]:
    """What each account that a body shows is called now, by id."""
    return {user["id"]: str(user["username"]) for user in document.get("data", ()) if user.get("username")}


def unavailable_account(document: Document, handle: str) -> MockingbirdError:
    """What the `errors` of a 200 say about an account: protected, suspended, or not there."""
    standings = {_standing(error) for error in _errors(document)}
    if Standing.PROTECTED in standings:
        return XAccountUnavailable(
            f"The account @{handle} is protected, so its posts can't be read; "
            f"its owner can import the archive that X gives out (mockingbird import)."
        )
    if Standing.SUSPENDED in standings:
        return XAccountUnavailable(
            f"X has suspended the account @{handle}, so its posts can't be read; leave it out until X restores it."
        )
    return UnknownHandle(f"X has no account @{handle}; check the spelling, or whether it was renamed or deleted.")


def _standing(error: Document) -> Standing | None:
    kind = str(error.get("type", ""))
    if kind.endswith("not-authorized-for-resource"):
        return Standing.PROTECTED
    if "suspended" in str(error.get("detail", "")).lower():
        return Standing.SUSPENDED
    return Standing.GONE if kind.endswith("resource-not-found") else None


# Posts


def read_page(document: Document, handle: str, *, owned: bool = False) -> TimelinePage:
    """The page in a body of X, in whichever vocabulary.

    A retweet is taken whole from `includes` and keeps its "RT @name: ". Of an edited post only the newest version is
    taken. `errors` beside `data` are about things that the page merely refers to, and are passed over; in place of
    `data` they are raised when they are about the account.
    """
    posts = document.get("data", [])
    meta = document.get("meta", {})
    if not posts and not meta and document.get("errors"):
        raise unavailable_account(document, handle)
    includes = document.get("includes", {})
    included = {post["id"]: post for each in VOCABULARIES.values() for post in includes.get(each.included, ())}
    superseded = frozenset(version for post in posts for version in _history(post)[:-1])
    return TimelinePage(
        tweets=tuple(
            _read_post(post, included, normalise_handle(handle)) for post in posts if post["id"] not in superseded
        ),
        next_token=meta.get("next_token"),
        newest_id=meta.get("newest_id"),
        superseded=superseded,
        post_ids=frozenset(post["id"] for post in posts),
        included_ids=frozenset(included),
        user_ids=frozenset(user["id"] for user in includes.get("users", ())),
        owned=owned,
        vocabulary=_spoken(posts, includes),
        fields_missing=bool(posts) and not any("created_at" in post for post in posts),
        references_missing=_references_missing(posts),
    )


def read_missing(document: Document) -> frozenset[str]:
    """Ids of posts that were asked for and that X shows nobody any more: deleted, or of a closed account."""
    return frozenset(_subject(error) for error in _errors(document) if _standing(error) is not None)


def _spoken(posts: Iterable[Document], includes: Document) -> str | None:
    keys = {key for post in posts for key in post} | set(includes)
    return next(
        (each.name for each in VOCABULARIES.values() if {each.references, each.history, each.included} & keys), None
    )


def _references_missing(posts: Iterable[Document]) -> bool:
    referring = any(_references(post) for post in posts)
    return not referring and any(_RETWEET_PREFIX.match(post["text"]) for post in posts)


def _references(post: Document) -> dict[str, str]:
    """Kind and id of what a post refers to."""
    found = [reference for each in VOCABULARIES.values() for reference in post.get(each.references, ())]
    return {reference["type"]: reference["id"] for reference in found}


def _history(post: Document) -> list[str]:
    return next((list(post[each.history]) for each in VOCABULARIES.values() if post.get(each.history)), [])


def _read_post(post: Document, included: Mapping[str, Document], handle: str) -> Tweet:
    references = _references(post)
    text = _whole_text(post)
    original = included.get(references.get("retweeted", ""))
    prefix = _RETWEET_PREFIX.match(text)
    if original is not None and prefix is not None:
        text = prefix.group() + _whole_text(original)
    created_at = post.get("created_at")
    return Tweet(
        handle=handle,
        text=text,
        id=post["id"],
        created_at=datetime.fromisoformat(created_at).astimezone(UTC) if created_at else None,
        is_retweet="retweeted" in references,
        reply_to=references.get("replied_to"),
        source=Source.X_API,
        reply_to_id=references.get("replied_to"),
    )


def _whole_text(post: Document) -> str:
    notes = [post[each.note].get("text") for each in VOCABULARIES.values() if post.get(each.note)]
    text: str = post["text"]
    return storable(next((str(note) for note in notes if note), text))


def _errors(document: Document) -> list[Document]:
    return [error for error in document.get("errors", ()) if isinstance(error, dict)]


def _subject(error: Document) -> str:
    return str(error.get("resource_id") or error.get("value") or "")


# Compliance jobs


@dataclass(frozen=True, slots=True)
class ComplianceJob:
    """X's answer to the question which of many posts are still there, given in its own time."""

    id: str  # decimal digits
    status: str  # created (waits for the ids), in_progress, complete, failed or expired
    # Whoever holds one of these may use it, so they are kept out of logs and of the database.
    upload_url: str
    download_url: str

    def __repr__(self) -> str:
        return f"ComplianceJob({self.id!r}, {self.status!r})"


def read_job(document: Document) -> ComplianceJob | None:
    """The job in a body of X; None when there is no such job."""
    data = document.get("data") or {}
    if not data.get("id"):
        return None
    return ComplianceJob(data["id"], data.get("status", ""), data.get("upload_url", ""), data.get("download_url", ""))


def read_job_results(text: str) -> frozenset[str]:
    """Ids of posts whose stored copies have to go, from a job's lines of JSON.

    X's guide: an id without a line needs nothing; `delete` means what it says; `rehydrate` says that the post was
    edited, and its newer version, which has an id of its own, comes with the next fetch. Locations are not stored.
    """
    events = [json.loads(line) for line in text.splitlines() if line.strip()]
    return frozenset(str(event["id"]) for event in events if event.get("action") in ("delete", "rehydrate"))
