"""Rules of the filtered stream: which posts one of them matches. Pure.

A small part of X's language: `@handle`, `from:`, `to:`, `#tag`, `is:reply`, `is:quote`, `is:retweet`,
`conversation_id:`, words and "phrases"; side by side (all of them), joined by OR (any of them), and a minus in front
(not). No brackets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.loopback.x.content import XContent
from bot.loopback.x.posts import HASHTAG, XAccount, XPost

_TERM = re.compile(r'-?"[^"]*"|\S+')
_KINDS = frozenset({"is:reply", "is:quote", "is:retweet"})
_NAMED = ("from:", "to:")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of an app."""

    id: str
    value: str
    tag: str

    @property
    def document(self) -> dict[str, str]:
        """The rule as X shows it."""
        return {"id": self.id, "value": self.value, **({"tag": self.tag} if self.tag else {})}

    def matches(self, content: XContent, post: XPost) -> bool:
        """Whether the post is one of those that the rule is about."""
        return any(all(_holds(content, post, term) for term in terms) for terms in _alternatives(self.value))


def is_valid(value: str) -> bool:
    """Whether this is a rule that is understood here and names something to look for."""
    alternatives = _alternatives(value)
    terms = [term for terms in alternatives for term in terms]
    bracketed = any(mark in value for mark in "()")
    return not bracketed and all(alternatives) and any(not term.startswith("-") for term in terms)


def _alternatives(value: str) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for term in _TERM.findall(value):
        if term == "OR":
            found.append([])
        else:
            found[-1].append(term)
    return found


def _holds(content: XContent, post: XPost, term: str) -> bool:
    if term.startswith("-"):
        return not _holds(content, post, term[1:])
    if term.startswith("@"):
        return _mentions(content, post, term[1:])
    if term.startswith("#"):
        return term[1:].lower() in {tag.lower() for tag in HASHTAG.findall(post.text)}
    if term in _KINDS:
        return bool({"is:reply": post.reply_to, "is:quote": post.quotes, "is:retweet": post.retweets}[term])
    if term.startswith("conversation_id:"):
        return content.conversation(post) == term.partition(":")[2]
    if term.startswith(_NAMED):
        return _is_by_or_to(content, post, term)
    words = re.escape(term.strip('"'))
    return re.search(rf"(?<!\w){words}(?!\w)", post.text, re.IGNORECASE) is not None


def _mentions(content: XContent, post: XPost, handle: str) -> bool:
    account = content.find_account(handle)
    return content.mentioned(post, account) if account else False


def _is_by_or_to(content: XContent, post: XPost, term: str) -> bool:
    kind, _, subject = term.partition(":")
    answered = content.posts.get(post.reply_to or "")
    account_id = post.author_id if kind == "from" else answered.author_id if answered else ""
    account: XAccount | None = content.accounts.get(account_id)
    return account is not None and subject.removeprefix("@").lower() in (account.handle.lower(), account.id)
