"""X's two vocabularies for posts, as the X of this machine speaks them. No network here.

The server thinks in the older one (`tweet.fields`, `referenced_tweets`) and translates at its door. Which one answers
is decided by the words of the request. Sources: X's OpenAPI documents 2.159 (`tweet`) and 2.167 (`post`); what X
really does where the two meet was measured by others in public in August and September 2026: both are understood, a
field that is unknown in the words of the request is passed over in silence, and `edit_history_post_ids` comes unasked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bot.loopback.x.answers import Document

TWEET, POST = "tweet", "post"

_KEYS = {
    "referenced_tweets": "referenced_posts",
    "note_tweet": "note_post",
    "edit_history_tweet_ids": "edit_history_post_ids",
}
_METRICS = {"retweet_count": "repost_count"}
_FIELDS = {"note_post": "note_tweet"}  # references and history are no fields in the newer words
_UNKNOWN_FIELDS = frozenset(_KEYS.values()) | set(_KEYS) | {"author_id", "in_reply_to_user_id"}
_EXPANSIONS = {"referenced_posts": "referenced_tweets.id", "edit_history_post_ids": "edit_history_tweet_ids"}


def spoken(query: Mapping[str, str]) -> str:
    """The vocabulary of a request; the older one where nothing tells."""
    expansions = query.get("expansions", "").split(",")
    return POST if "post.fields" in query or not set(_EXPANSIONS).isdisjoint(expansions) else TWEET


def is_neutral(query: Mapping[str, str]) -> bool:
    """Whether a request names nothing that only one of the vocabularies has."""
    return spoken(query) == TWEET and "tweet.fields" not in query and "referenced_tweets" not in str(query)


def in_tweet_words(query: Mapping[str, str], understood: Collection[str]) -> dict[str, str]:
    """What a request asks for in the older words; where its own are not understood, that is not much."""
    vocabulary = spoken(query)
    rest = {name: value for name, value in query.items() if name not in ("tweet.fields", "post.fields", "expansions")}
    if vocabulary not in understood:
        return rest
    if vocabulary == TWEET:
        return dict(query)
    fields = [_FIELDS.get(f, f) for f in _values(query, "post.fields") if f not in _UNKNOWN_FIELDS - set(_FIELDS)]
    expansions = [_EXPANSIONS.get(each, each) for each in _values(query, "expansions")]
    asked = {"tweet.fields": ",".join(fields), "expansions": ",".join(expansions)}
    return rest | {name: value for name, value in asked.items() if value}


def in_post_words(document: Document) -> Document:
    """An answer in the newer words."""
    translated = dict(document)
    if "data" in document:
        data = document["data"]
        translated["data"] = [_post(each) for each in data] if isinstance(data, list) else _post(data)
    if "includes" in document:
        includes = dict(document["includes"])
        if "tweets" in includes:
            includes["posts"] = [_post(each) for each in includes.pop("tweets")]
        translated["includes"] = includes
    return translated


def _post(post: Document) -> Document:
    renamed = {_KEYS.get(key, key): value for key, value in post.items()}
    if "public_metrics" in renamed:
        renamed["public_metrics"] = {_METRICS.get(k, k): value for k, value in renamed["public_metrics"].items()}
    return renamed


def _values(query: Mapping[str, str], name: str) -> list[str]:
    return [value for value in query.get(name, "").split(",") if value]
