"""What a body of X says about posts that mention an account, and about those who wrote them. Pure.

At the beginning of a reply X writes the names of all who were in the conversation before, and nobody has typed these.
Where the words of the author begin is said by `display_text_range`; where X leaves that out, a reply's names at the
very beginning are taken for X's. So what an author says, and whom an author names, is told from the rest alone.

What it does not know: what stands on pictures, and posts that a reply refers to, unless they came along.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from bot.config import Prices
from bot.tweets.records import storable
from bot.tweets.x_bodies import VOCABULARIES, Document, Vocabulary, unavailable_account

_CARRIED = re.compile(r"(?:@\w{1,15}\s+)*(?:@\w{1,15}\s*$)?")
_NAME = re.compile(r"(?<![\w@])[@＠](\w{1,15})")

# What is asked for, by the name of the vocabulary. The newer one tells of authors and references only by bringing them.
FIELDS = {
    "tweet": (
        "author_id", "conversation_id", "created_at", "display_text_range", "entities", "in_reply_to_user_id",
        "note_tweet", "referenced_tweets",
    ),
    "post": ("conversation_id", "created_at", "display_text_range", "entities", "note_post"),
}  # fmt: skip
EXPANSIONS = {"tweet": (), "post": ("author_id", "in_reply_to_user_id", "referenced_posts")}


@dataclass(frozen=True, slots=True)
class Mention:
    """A post that mentions or quotes an account of ours."""

    id: str  # decimal digits, rising with time
    author_id: str
    conversation_id: str  # X's id of the post that everything began with
    text: str  # the author's own words, with the names that they hold
    created_at: datetime  # UTC
    replied_to: str | None = None  # id of the post that it answers
    answers_user: str | None = None  # id of that post's author
    quoted: str | None = None  # id of the post that it quotes
    is_retweet: bool = False
    named: frozenset[str] = frozenset()  # ids of accounts that the author's own words name
    carried: frozenset[str] = frozenset()  # ids of all accounts that an answer would notify by itself
    handles: Mapping[str, str] | None = None  # of these accounts by id, as they are written there
    earlier: str | None = None  # the text that it answers, where it came along
    by: Mapping[str, str] | None = None  # the authors of posts that came along, by the posts' ids

    def said_without(self, account_id: str) -> str:
        """The author's words without the name of that account."""
        handle = (self.handles or {}).get(account_id)
        text = re.sub(rf"(?<!\w)[@＠]{re.escape(handle)}(?!\w)", " ", self.text, flags=re.I) if handle else self.text
        return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a mention."""

    id: str
    handle: str
    name: str
    description: str
    protected: bool


@dataclass(frozen=True, slots=True)
class MentionPage:
    """One page of mentions, the newest first, and what X charges for it."""

    mentions: tuple[Mention, ...]
    next_token: str | None
    post_ids: frozenset[str]  # billed
    included_ids: frozenset[str] = frozenset()  # posts that came along; billed
    user_ids: frozenset[str] = frozenset()  # accounts that came along; billed

    def cost(self, prices: Prices, owned: bool) -> Decimal:
        """US dollars, were nothing of it read earlier on this UTC day; `owned` as X's price list has it."""
        posts = len(self.post_ids) * (prices.owned_read if owned else prices.post_read)
        return posts + len(self.included_ids) * prices.post_read + len(self.user_ids) * prices.user_read


def most_for_a_mention(vocabulary: Vocabulary, prices: Prices, owned: bool) -> Decimal:
    """US dollars that one mention costs at most, with what comes along."""
    along = 2 * (prices.post_read + prices.user_read) if EXPANSIONS[vocabulary.name] else Decimal(0)
    return (prices.owned_read if owned else prices.post_read) + along


def read_mentions(document: Document, handle: str) -> MentionPage:
    """The page in a body of X; raises what its `errors` say where there is none. `handle` names us in the error."""
    if "meta" not in document:
        raise unavailable_account(document, handle)
    return _read(document.get("data", ()), document, document["meta"].get("next_token"))


def read_streamed(document: Document) -> MentionPage:
    """The one mention in a line of the filtered stream; none where X says something else in it."""
    data = document.get("data")
    return _read([data] if isinstance(data, dict) else (), document, None)


def _read(posts: Iterable[Document], document: Document, next_token: str | None) -> MentionPage:
    includes = document.get("includes", {})
    brought = [post for words in VOCABULARIES.values() for post in includes.get(words.included, ())]
    mentions = tuple(read_mention(post, brought) for post in posts)
    ids = frozenset(mention.id for mention in mentions)
    return MentionPage(
        mentions,
        next_token,
        ids,
        frozenset(post["id"] for post in brought) - ids,
        frozenset(user["id"] for user in includes.get("users", ())),
    )


def read_mention(post: Document, brought: Iterable[Document] = ()) -> Mention:
    """One post, with the posts that came along."""
    references = {
        reference["type"]: reference["id"]
        for words in VOCABULARIES.values()
        for reference in post.get(words.references, ())
    }
    along = {each["id"]: each for each in brought}
    answered = along.get(references.get("replied_to", ""))
    entities = _mentioned(post)
    ids = {name.lower(): user_id for name, user_id in entities if user_id}
    words = _own_words(post, "replied_to" in references)
    return Mention(
        id=post["id"],
        author_id=post.get("author_id", ""),
        conversation_id=post.get("conversation_id") or post["id"],
        text=storable(html.unescape(words)),
        created_at=datetime.fromisoformat(post["created_at"]).astimezone(UTC),
        replied_to=references.get("replied_to"),
        answers_user=post.get("in_reply_to_user_id"),
        quoted=references.get("quoted"),
        is_retweet="retweeted" in references,
        named=frozenset(ids[name.lower()] for name in _NAME.findall(words) if name.lower() in ids),
        carried=frozenset(ids.values()) | ({post["in_reply_to_user_id"]} if post.get("in_reply_to_user_id") else set()),
        handles={user_id: name for name, user_id in entities if user_id},
        earlier=storable(html.unescape(_whole(answered))) if answered else None,
        by={each["id"]: each["author_id"] for each in along.values() if each.get("author_id")},
    )


def read_authors(document: Document) -> dict[str, Author]:
    """The accounts in a body, by id; one that is suspended or gone is left out."""
    return {
        user["id"]: Author(
            user["id"],
            user["username"],
            user["name"],
            user.get("description", ""),
            bool(user.get("protected")),
        )
        for user in document.get("data", ())
    }


def _mentioned(post: Document) -> list[tuple[str, str | None]]:
    """Names and ids of all accounts that the post mentions, in the short and in the long form of its text."""
    notes = [post[words.note] for words in VOCABULARIES.values() if post.get(words.note)]
    found = [each.get("entities", {}).get("mentions", ()) for each in (post, *notes)]
    return [(mention["username"], mention.get("id")) for mentions in found for mention in mentions]


def _own_words(post: Document, is_reply: bool) -> str:
    """The text from where the author's own words begin."""
    text = _whole(post)
    if not is_reply:
        return text
    shown = post.get("display_text_range")
    carried = _CARRIED.match(text)
    begins = shown[0] if shown else carried.end() if carried else 0
    return text[begins:]


def _whole(post: Document) -> str:
    notes = [post[words.note].get("text") for words in VOCABULARIES.values() if post.get(words.note)]
    text: str = post["text"]
    return next((str(note) for note in notes if note), text)
