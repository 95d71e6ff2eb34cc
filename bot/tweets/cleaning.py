"""From raw tweets to what a model may learn from: cleaning, and a verdict on each tweet. Pure.

Two profiles. HUGGINGTWEETS applies the rules of huggingtweets (notebook 0.6) to the letter, its quirks included, so
that counts can be compared with its model cards. MOCKINGBIRD is the default and better: all HTML entities, every link
form, control characters, Unicode composition, leading reply mentions, and repeated texts.
Not known here: manual quotes, near-duplicates, and words in languages that are written without spaces.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.tweets.tweet import Tweet

SHORT_WORDS = 3  # a tweet with fewer plain words than this is short
NOT_PLAIN = ("http", "@", "#")  # what a word must not contain to count as plain


class Profile(StrEnum):
    """Which rules clean and judge."""

    HUGGINGTWEETS = "huggingtweets"  # the ancestor's, for comparison
    MOCKINGBIRD = "mockingbird"  # ours, the default


class Verdict(StrEnum):
    """Kept, or the first reason why not."""

    KEPT = "kept"
    RETWEET = "retweet"  # somebody else's words
    SHORT = "short"  # fewer than three plain words
    DUPLICATE = "duplicate"  # the same words, letter case aside, as a tweet before it


@dataclass(frozen=True, slots=True)
class JudgedTweet:
    """A tweet, what cleaning made of it, and whether it is kept."""

    tweet: Tweet
    cleaned: str  # text after the profile's rules; may be empty
    verdict: Verdict


def clean(text: str, profile: Profile) -> str:
    """The text as a model should learn to write it: one line, no links, no markup."""
    if profile is Profile.HUGGINGTWEETS:
        return _clean_as_huggingtweets(text)
    while (cleaned := _clean_once(text)) != text:  # what was taken out may have hidden something
        text = cleaned
    return text


def is_retweet(tweet: Tweet) -> bool:
    """Whether the source flags the tweet as a retweet or its raw text begins like one (`RT @name`)."""
    return tweet.is_retweet or _RETWEET.match(tweet.text) is not None


def is_short(cleaned: str) -> bool:
    """Whether fewer than three words remain without links, mentions and hashtags (the ancestor's rule)."""
    plain = sum(not any(mark in word for mark in NOT_PLAIN) for word in cleaned.lower().split())
    return plain < SHORT_WORDS


def judge(tweets: Sequence[Tweet], profile: Profile) -> list[JudgedTweet]:
    """Each tweet with its cleaned text and its verdict, in the order given; of equal texts the first is kept.

    HUGGINGTWEETS knows no duplicates and keeps them all.
    """
    seen: set[str] = set()
    judged = []
    for tweet in tweets:
        cleaned = clean(tweet.text, profile)
        judged.append(JudgedTweet(tweet, cleaned, _verdict(tweet, cleaned, seen)))
        if profile is Profile.MOCKINGBIRD and judged[-1].verdict is Verdict.KEPT:
            seen.add(cleaned.casefold())
    return judged


def _verdict(tweet: Tweet, cleaned: str, seen: set[str]) -> Verdict:
    if is_retweet(tweet):
        return Verdict.RETWEET
    if is_short(cleaned):
        return Verdict.SHORT
    return Verdict.DUPLICATE if cleaned.casefold() in seen else Verdict.KEPT


_RETWEET = re.compile(r"RT @\w+")

# The ancestor's passes, in its order: http before https, and for each a link after a blank, before a blank, on a line
# of its own, and anywhere. One alternation would be neater, but differs where a link stands inside another.
_HUGGINGTWEETS_LINKS = [
    re.compile(pattern.replace("LINK", rf"{scheme}:\S+"))
    for scheme in ("http", "https")
    for pattern in (" LINK", "LINK ", "\nLINK ", "\nLINK", "LINK")
]


def _clean_as_huggingtweets(text: str) -> str:
    text = text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    for link in _HUGGINGTWEETS_LINKS:
        text = link.sub("", text)
    return " ".join(text.split())


# Control characters other than white space, lone surrogates, zero-width space, byte-order mark and the marks that turn
# the direction of writing; joiners stay, emoji and Persian need them. And anything that looks like a model's own
# marker, so that nobody can end a training text by tweeting one.
_NOISE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
    r"|<\|[a-z_]{1,30}\|>"
)
# X's own short links end where the ASCII letters end, even when Japanese follows without a blank; any other link goes
# on to the next blank.
_LINK = re.compile(
    r"https?://(?:t\.co|pic\.twitter\.com)/[a-z0-9]*…?"
    r"|(?:(?<![\w.-])t\.co|pic\.twitter\.com)/[a-z0-9]*…?"
    r"|(?:https?://|(?<![\w.])www\.)\S*"
    r"|(?<!\w)https?:?/?…",  # cut off with the tweet
    re.IGNORECASE,
)
_CLOSING = ")]>»”\"'!?.,;:…"  # what of a sentence may follow a link without a blank
_PAUSES = ".,;:…"
_EMPTY_BRACKETS = re.compile(r"\( *\)|\[ *\]|< *>")
_LEADING_MENTIONS = re.compile(r"(?:@\w+[:,]?(?: |$))+")


def _clean_once(text: str) -> str:
    if "&" in text:
        text = html.unescape(text)
    text = _NOISE.sub("", unicodedata.normalize("NFC", text))
    text = " ".join(text.split())
    lower = text.lower()
    if "/" in text or "www." in lower or "http" in lower:  # no link is without one of these
        text = _without_links(text)
    mentions = _LEADING_MENTIONS.match(text)
    return text[mentions.end() :] if mentions else text


def _without_links(line: str) -> str:
    """The line without its links and without the brackets around them, the sentence's own punctuation left in place."""
    kept: list[str] = []
    for word in line.split(" "):
        rest = _LINK.sub(_after_link, word)
        if rest != word:
            rest = _EMPTY_BRACKETS.sub("", rest).strip()
            if kept and rest and not rest.strip(_CLOSING):
                is_paused = kept[-1][-1:] in _PAUSES and rest[0] in _PAUSES
                kept[-1] += rest[1:] if is_paused else rest
                continue
        if rest:
            kept.append(rest)
    return " ".join(" ".join(kept).split())


def _after_link(link: re.Match[str]) -> str:
    """What stands in place of a link: a blank, and what closes the sentence or the bracket behind it.

    An ellipsis is X's own, for what it cut off.
    """
    return " " + link[0][len(link[0].rstrip(_CLOSING)) :].replace("…", "")
