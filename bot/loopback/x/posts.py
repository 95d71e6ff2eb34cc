"""What a post and an account are on the X of this machine, and how X counts the length of a text. Pure.

Sources: X's OpenAPI document 2.159 for the names, X's page on counting characters for the weights.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

LINK = re.compile(r"https?://\S*[\w/=#&%-]")  # a full stop after it is not part of it
MENTION = re.compile(r"(?<![\w@])@(\w{1,15})")
HASHTAG = re.compile(r"(?<![\w#])#(\w+)")

_LINK_WEIGHT = 23


@dataclass(frozen=True, slots=True)
class XAccount:
    """An account as X knows it."""

    handle: str  # as its owner writes it, without @
    name: str = ""  # the display name; the handle when empty
    id: str = ""  # decimal digits; the server gives one when empty
    protected: bool = False  # only approved followers may see its posts
    suspended: bool = False  # X has closed it
    earlier_posts: int = 0  # posts that its count includes and that are not played
    description: str = ""  # what it says about itself
    verified_type: str = "none"  # blue, business, government or none
    created_at: datetime = datetime(2015, 1, 1, tzinfo=UTC)


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
    media: tuple[str, ...] = ()  # ids of what is attached


def references(post: XPost) -> list[tuple[str, str]]:
    """Kind and id of each post that this one refers to, in X's words."""
    pairs = (("replied_to", post.reply_to), ("quoted", post.quotes), ("retweeted", post.retweets))
    return [(kind, post_id) for kind, post_id in pairs if post_id is not None]


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
