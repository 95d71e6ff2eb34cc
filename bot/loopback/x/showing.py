"""How X shows accounts, posts and pictures: the fields that were asked for besides those that always come. Pure.

Sources: X's OpenAPI document 2.159 for the names, recorded answers of 2021 and 2022 for how a retweet is cut off, how
HTML entities are escaped and how links are shortened. What a long post looks like (`note_tweet`) was never seen in a
recorded answer; it follows the document alone.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Collection
from datetime import timedelta

from bot.loopback.x.answers import Document, without_empty
from bot.loopback.x.content import XContent
from bot.loopback.x.posts import HASHTAG, LINK, MENTION, PostState, XAccount, XPost, references, timestamp

_RETWEET_LENGTH = 140  # characters of "RT @name: …" in `text`; measured on 142 recorded retweets
_NOTE_LENGTH = 280  # characters of `text`; what is longer stands whole in `note_tweet`
_POST_METRICS = (
    "retweet_count", "reply_count", "like_count", "quote_count", "bookmark_count", "impression_count"
)  # fmt: skip


def media_key(media_id: str) -> str:
    """The key under which a picture is shown; 3 stands for photographs."""
    return f"3_{media_id}"


def user_document(content: XContent, account: XAccount, asked: Collection[str]) -> Document:
    """An account, with the fields asked for besides those that always come."""
    everything = {
        "id": account.id,
        "name": account.name,
        "username": account.handle,
        "protected": account.protected,
        "verified": account.verified_type != "none",
        "verified_type": account.verified_type,
        "description": account.description,
        "created_at": timestamp(account.created_at),
        "public_metrics": _user_metrics(content, account) if "public_metrics" in asked else None,
    }
    asked = {"id", "name", "username", *asked}
    return {key: value for key, value in everything.items() if key in asked}


def _user_metrics(content: XContent, account: XAccount) -> Document:
    standing = sum(post.state is PostState.STANDING for post in content.rows(account.id))
    counts = {"followers_count": 0, "following_count": 0, "listed_count": 0, "like_count": 0}
    return {**counts, "tweet_count": account.earlier_posts + standing}


def post_document(content: XContent, post: XPost, asked: Collection[str]) -> Document:
    """A post, with the fields asked for besides those that always come."""
    text, note = shown(content, post)
    answered = content.posts.get(post.reply_to) if post.reply_to else None
    referenced = [{"type": kind, "id": other} for kind, other in references(post)]
    everything = {
        "id": post.id,
        "text": text,
        "edit_history_tweet_ids": list(post.versions),
        "author_id": post.author_id,
        "created_at": timestamp(post.created_at),
        "conversation_id": content.conversation(post),
        "in_reply_to_user_id": answered.author_id if answered else None,
        "referenced_tweets": referenced or None,
        "attachments": {"media_keys": [media_key(each) for each in post.media]} if post.media else None,
        "entities": (_entities(content, text, post) or None) if "entities" in asked else None,
        "note_tweet": {"text": note} if note else None,
        "lang": "en",
        "possibly_sensitive": False,
        "reply_settings": "everyone",
        "edit_controls": {
            "edits_remaining": 6 - len(post.versions),
            "is_edit_eligible": post.retweets is None,
            "editable_until": timestamp(post.created_at + timedelta(minutes=30)),
        },
        "public_metrics": dict.fromkeys(_POST_METRICS, 0) | {"reply_count": len(content.answers_to(post.id))},
    }
    asked = {"id", "text", "edit_history_tweet_ids", *asked}
    return {key: value for key, value in everything.items() if key in asked and value is not None}


def shown(content: XContent, post: XPost) -> tuple[str, str | None]:
    """The `text` of a post and, when that can't hold all of it, the whole as `note_tweet` has it."""
    if post.retweets is not None:
        original = content.posts[post.retweets]
        author = content.handle_of(original.author_id)
        whole = f"RT @{author}: {LINK.sub(_short_link, original.text)}"
        return html.escape(_cut(whole, _RETWEET_LENGTH), quote=False), None
    whole = LINK.sub(_short_link, post.text)
    if len(whole) <= _NOTE_LENGTH:
        return html.escape(whole, quote=False), None
    return html.escape(_cut(whole, _NOTE_LENGTH), quote=False), html.escape(whole, quote=False)


def _entities(content: XContent, text: str, post: XPost) -> Document:
    links = {_short_link(match): match.group() for match in LINK.finditer(post.text)}
    mentions = []
    for match in MENTION.finditer(text):
        account = content.find_account(match[1])
        known = {"id": account.id} if account else {}
        mentions.append({"start": match.start(), "end": match.end(), "username": match[1], **known})
    urls = [
        {"start": match.start(), "end": match.end(), "url": match.group(), "expanded_url": links[match.group()]}
        for match in LINK.finditer(text)
        if match.group() in links
    ]
    tags = [{"start": m.start(), "end": m.end(), "tag": m[1]} for m in HASHTAG.finditer(text)]
    return without_empty({"mentions": mentions, "urls": urls, "hashtags": tags})


def _short_link(match: re.Match[str]) -> str:
    return "https://t.co/" + hashlib.sha256(match.group().encode()).hexdigest()[:10]


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
