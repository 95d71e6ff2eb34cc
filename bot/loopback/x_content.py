"""What is on the X of this machine: accounts, posts, and how X shows them. No network here.

Sources: X's OpenAPI document 2.159 for the names, recorded answers of 2021 and 2022 for how a retweet is cut off, how
HTML entities are escaped and how links are shortened. What a long post looks like (`note_tweet`) was never seen in a
recorded answer; it follows the document alone.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum

from bot.loopback.x_answers import Document, without_empty

LINK = re.compile(r"https?://\S*[\w/=#&%-]")  # a full stop after it is not part of it

_MENTION = re.compile(r"(?<![\w@])@(\w{1,15})")
_HASHTAG = re.compile(r"(?<![\w#])#(\w+)")
_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657  # X's ids count milliseconds from 2010-11-04T01:42:54.657Z
_RETWEET_LENGTH = 140  # characters of "RT @name: …" in `text`; measured on 142 recorded retweets
_NOTE_LENGTH = 280  # characters of `text`; what is longer stands whole in `note_tweet`
_LINK_WEIGHT = 23
_POST_METRICS = (
    "retweet_count", "reply_count", "like_count", "quote_count", "bookmark_count", "impression_count"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class XAccount:
    """An account as X knows it."""

    handle: str  # as its owner writes it, without @
    name: str = ""  # the display name; the handle when empty
    id: str = ""  # decimal digits; the server gives one when empty
    protected: bool = False  # only approved followers may see its posts
    suspended: bool = False  # X has closed it
    earlier_posts: int = 0  # posts that its count includes and that are not played


class PostState(Enum):
    """What became of a post."""

    STANDING = "standing"  # visible
    EDITED = "edited"  # a later version stands in its place
    DELETED = "deleted"  # gone, but it still takes a slot of its page


@dataclass(frozen=True, slots=True)
class XPost:
    """One post, as its author wrote it."""

    id: str  # decimal digits, rising with time
    author_id: str
    text: str  # unescaped, links in full, of any length
    created_at: datetime  # UTC
    reply_to: str | None  # id of the post that it answers
    quotes: str | None  # id of the post that it quotes
    retweets: str | None  # id of the post that it repeats
    mentions: tuple[str, ...]  # handles as written, without @
    versions: tuple[str, ...]  # ids of all its versions, the first one first; just its own when never edited
    state: PostState


class XContent:
    """Accounts and their posts."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """`clock` gives UTC."""
        self.accounts: dict[str, XAccount] = {}  # by id
        self.posts: dict[str, XPost] = {}  # by id, deleted ones and earlier versions too
        self._clock = clock

    def add_account(self, account: XAccount | str) -> XAccount:
        """Open an account, or replace the one of the same id; returned with the id that it has."""
        account = XAccount(account) if isinstance(account, str) else account
        account = replace(account, name=account.name or account.handle, id=account.id or str(101 + len(self.accounts)))
        self.accounts[account.id] = account
        return account

    def account(self, handle: str) -> XAccount:
        """The account of this handle, in whatever case; LookupError when there is none."""
        found = self.find_account(handle)
        if found is None:
            raise LookupError(f"no account @{handle} is played")
        return found

    def find_account(self, handle: str) -> XAccount | None:
        """The account of this handle, in whatever case, or None."""
        wanted = handle.lower()
        return next((a for a in self.accounts.values() if a.handle.lower() == wanted), None)

    def post_as(
        self,
        handle: str,
        text: str,
        *,
        created_at: datetime | None = None,
        reply_to: str | None = None,
        quotes: str | None = None,
        retweets: str | None = None,
        mentions: Sequence[str] | None = None,
    ) -> XPost:
        """Publish a post as this account, now or at `created_at` (UTC), for a later fetch to find.

        `reply_to`, `quotes` and `retweets` are ids of posts. `mentions` are handles; left out, they are read from the
        text. The text of a retweet is not used: X repeats the original.
        """
        created_at = created_at or self._clock()
        post_id = self._free_id(created_at)
        found = _MENTION.findall(text) if mentions is None else mentions
        post = XPost(
            id=post_id,
            author_id=self.account(handle).id,
            text=text,
            created_at=created_at,
            reply_to=reply_to,
            quotes=quotes,
            retweets=retweets,
            mentions=tuple(dict.fromkeys(found)),
            versions=(post_id,),
            state=PostState.STANDING,
        )
        self.posts[post_id] = post
        return post

    def edit(self, post_id: str, text: str, *, created_at: datetime | None = None) -> XPost:
        """Edit a post: a new version with an id of its own takes its place."""
        old = self.posts[post_id]
        created_at = created_at or self._clock()
        new_id = self._free_id(created_at)
        mentions = tuple(dict.fromkeys(_MENTION.findall(text)))
        new = replace(
            old, id=new_id, text=text, created_at=created_at, mentions=mentions, versions=(*old.versions, new_id)
        )
        self.posts[new_id] = new
        for version in old.versions:  # each of them names the whole chain
            self.posts[version] = replace(self.posts[version], versions=new.versions, state=PostState.EDITED)
        return new

    def delete(self, post_id: str) -> None:
        """Delete a post and its earlier versions; its page comes short by one."""
        newest = self.posts[post_id].versions[-1]
        self.posts[newest] = replace(self.posts[newest], state=PostState.DELETED)

    def is_gone(self, post_id: str) -> bool:
        """Whether nobody is shown this post any more, or never was. Deleting any version deletes them all."""
        post = self.posts.get(post_id)
        return post is None or self.posts[post.versions[-1]].state is PostState.DELETED

    def timeline(self, handle: str) -> tuple[XPost, ...]:
        """The posts of this account that can be seen, the newest first."""
        rows = self.rows(self.account(handle).id)
        return tuple(post for post in rows if post.state is PostState.STANDING)

    def rows(self, account_id: str) -> list[XPost]:
        """All posts of an account, the newest first, without superseded versions."""
        own = [p for p in self.posts.values() if p.author_id == account_id and p.state is not PostState.EDITED]
        return sorted(own, key=lambda post: int(post.id), reverse=True)

    def visible(self, account_id: str, viewer_id: str | None) -> bool:
        """Whether this viewer (None for an app without a user) may see the account's posts."""
        account = self.accounts[account_id]
        return not account.suspended and (not account.protected or account_id == viewer_id)

    def user_document(self, account: XAccount, asked: Collection[str]) -> Document:
        """An account as X shows it, with the fields asked for besides those that always come."""
        standing = sum(post.state is PostState.STANDING for post in self.rows(account.id))
        counts = {"followers_count": 0, "following_count": 0, "listed_count": 0, "like_count": 0}
        everything = {
            "id": account.id,
            "name": account.name,
            "username": account.handle,
            "protected": account.protected,
            "verified": False,
            "description": "",
            "created_at": "2015-01-01T00:00:00.000Z",
            "public_metrics": {**counts, "tweet_count": account.earlier_posts + standing},
        }
        asked = {"id", "name", "username", *asked}
        return {key: value for key, value in everything.items() if key in asked}

    def post_document(self, post: XPost, asked: Collection[str]) -> Document:
        """A post as X shows it, with the fields asked for besides those that always come."""
        text, note = self.shown(post)
        answered = self.posts.get(post.reply_to) if post.reply_to else None
        referenced = [{"type": kind, "id": other} for kind, other in references(post)]
        everything = {
            "id": post.id,
            "text": text,
            "edit_history_tweet_ids": list(post.versions),
            "author_id": post.author_id,
            "created_at": timestamp(post.created_at),
            "conversation_id": self._conversation(post),
            "in_reply_to_user_id": answered.author_id if answered else None,
            "referenced_tweets": referenced or None,
            "entities": self._entities(text, post) or None,
            "note_tweet": {"text": note} if note else None,
            "lang": "en",
            "possibly_sensitive": False,
            "reply_settings": "everyone",
            "edit_controls": {
                "edits_remaining": 6 - len(post.versions),
                "is_edit_eligible": post.retweets is None,
                "editable_until": timestamp(post.created_at + timedelta(minutes=30)),
            },
            "public_metrics": dict.fromkeys(_POST_METRICS, 0),
        }
        asked = {"id", "text", "edit_history_tweet_ids", *asked}
        return {key: value for key, value in everything.items() if key in asked and value is not None}

    def shown(self, post: XPost) -> tuple[str, str | None]:
        """The `text` of a post and, when that can't hold all of it, the whole as `note_tweet` has it."""
        if post.retweets is not None:
            original = self.posts[post.retweets]
            whole = f"RT @{self.accounts[original.author_id].handle}: {LINK.sub(_short_link, original.text)}"
            return html.escape(_cut(whole, _RETWEET_LENGTH), quote=False), None
        whole = LINK.sub(_short_link, post.text)
        if len(whole) <= _NOTE_LENGTH:
            return html.escape(whole, quote=False), None
        return html.escape(_cut(whole, _NOTE_LENGTH), quote=False), html.escape(whole, quote=False)

    def _entities(self, text: str, post: XPost) -> Document:
        links = {_short_link(match): match.group() for match in LINK.finditer(post.text)}
        mentions = []
        for match in _MENTION.finditer(text):
            account = self.find_account(match[1])
            known = {"id": account.id} if account else {}
            mentions.append({"start": match.start(), "end": match.end(), "username": match[1], **known})
        urls = [
            {"start": match.start(), "end": match.end(), "url": match.group(), "expanded_url": links[match.group()]}
            for match in LINK.finditer(text)
            if match.group() in links
        ]
        tags = [{"start": m.start(), "end": m.end(), "tag": m[1]} for m in _HASHTAG.finditer(text)]
        return without_empty({"mentions": mentions, "urls": urls, "hashtags": tags})

    def _conversation(self, post: XPost) -> str:
        while post.reply_to is not None and post.reply_to in self.posts:
            post = self.posts[post.reply_to]
        return post.reply_to or post.id

    def _free_id(self, moment: datetime) -> str:
        number = (int(moment.timestamp() * 1000) - _SNOWFLAKE_EPOCH_MS) << 22
        if number <= 0:
            raise ValueError("X's present ids begin in November 2010; post nothing before that")
        while str(number) in self.posts:
            number += 1
        return str(number)


def references(post: XPost) -> list[tuple[str, str]]:
    """Kind and id of each post that this one refers to, in X's words."""
    pairs = (("replied_to", post.reply_to), ("quoted", post.quotes), ("retweeted", post.retweets))
    return [(kind, post_id) for kind, post_id in pairs if post_id is not None]


def _short_link(match: re.Match[str]) -> str:
    return "https://t.co/" + hashlib.sha256(match.group().encode()).hexdigest()[:10]


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def timestamp(moment: datetime) -> str:
    """A time as X writes it: 2021-09-20T03:54:05.000Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def weight(text: str) -> int:
    """The length that X counts: a link 23, most Latin 1, everything else 2, an emoji 2 however it is composed.

    After X's page on counting characters. Graphemes are approximated: joiners, variation selectors, skin tones and the
    second half of a flag weigh nothing.
    """
    text = unicodedata.normalize("NFC", text)
    total = _LINK_WEIGHT * len(LINK.findall(text))
    joined = flag = False
    for character in LINK.sub("", text):
        code = ord(character)
        modifier = code in (0x200D, 0xFE0F, 0x20E3) or 0x1F3FB <= code <= 0x1F3FF or 0xE0020 <= code <= 0xE007F
        indicator = 0x1F1E6 <= code <= 0x1F1FF
        light = code <= 4351 or 8192 <= code <= 8205 or 8208 <= code <= 8223 or 8242 <= code <= 8247
        total += 0 if modifier or joined or (indicator and flag) else 1 if light else 2
        joined, flag = code == 0x200D, indicator and not flag
    return total
