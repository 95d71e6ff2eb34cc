"""From raw tweets to what a model may learn from: cleaning, and a verdict on each tweet. Pure.

Two profiles. HUGGINGTWEETS applies the rules of huggingtweets (notebook 0.6) to the letter, its quirks included, so
that counts can be compared with its model cards. MOCKINGBIRD is the default and better: all HTML entities, every link
form, control characters, Unicode composition, mentions that only address, somebody else's words, writing without
spaces, and repetitions. What each rule does and why stands in docs/tweets.md.
Not known here: whose words an unmarked text is, such as a headline that is shared without quotation marks.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.tweets.repetition import Repetition, Said
from bot.tweets.tweet import Tweet
from bot.tweets.words import has_fewer_words

# Raise it with every change of what the rules say of any tweet: what is stored is then judged anew.
RULES = 2

SHORT_WORDS = 3  # a tweet with fewer plain words than this is short
NOT_PLAIN = ("http", "@", "#")  # what a word must not contain to count as plain


class Profile(StrEnum):
    """Which rules clean and judge."""

    HUGGINGTWEETS = "huggingtweets"  # the ancestor's, for comparison
    MOCKINGBIRD = "mockingbird"  # ours, the default


class Verdict(StrEnum):
    """Kept, or the first reason why not."""

    KEPT = "kept"
    RETWEET = "retweet"  # passed on by the account: flagged so, or beginning like one
    QUOTE = "quote"  # somebody else's words, quoted by hand
    SHORT = "short"  # fewer than three plain words
    DUPLICATE = "duplicate"  # the same words as a tweet before it; letter case, punctuation and emoji aside
    NEAR_DUPLICATE = "near_duplicate"  # nearly the same words as a tweet before it, see `repetition.OVERLAP`


@dataclass(frozen=True, slots=True)
class JudgedTweet:
    """A tweet, what cleaning made of it, and whether it is kept."""

    tweet: Tweet
    cleaned: str  # text after the profile's rules; may be empty
    verdict: Verdict


def clean(text: str, profile: Profile) -> str:
    """The text as a model should learn to write it: one line, no links, no markup.

    By MOCKINGBIRD's rules it is never longer than the text in Unicode's form NFC, and twice is like once.
    """
    if profile is Profile.HUGGINGTWEETS:
        return _clean_as_huggingtweets(text)
    line = " ".join(text.split())
    while (cleaned := _clean_once(line)) != line:  # what was taken out may have hidden something
        line = cleaned
    return line


def is_retweet(tweet: Tweet) -> bool:
    """Whether the source flags the tweet as a retweet or its raw text begins like one (`RT @name`)."""
    return tweet.is_retweet or _RETWEET.match(tweet.text) is not None


def is_quote(cleaned: str) -> bool:
    """Whether the text, cleaned by MOCKINGBIRD's rules, is somebody else's, quoted by hand.

    What a person said before the quoted words is their own; cleaning has left it alone if it is worth keeping.
    """
    if "@" not in cleaned:
        return False
    return bool(_quoted(cleaned) or _QUOTED_AT_ONCE.match(cleaned) or _HEADLINE.match(cleaned))


def is_short(cleaned: str) -> bool:
    """Whether fewer than three words remain without links, mentions and hashtags (the ancestor's rule)."""
    plain = sum(not any(mark in word for mark in NOT_PLAIN) for word in cleaned.lower().split())
    return plain < SHORT_WORDS


class Judge:
    """Judges the tweets of one account in turn, in as many parts as they come in; `expected` is how many in all."""

    def __init__(self, profile: Profile, expected: int) -> None:
        self._profile = profile
        self._said = Said(expected)

    def remember(self, kept: Sequence[str]) -> None:
        """Take these cleaned texts for kept, in the order in which they were judged."""
        if self._profile is Profile.MOCKINGBIRD:
            self._said.remember(kept)

    def judge(self, tweets: Sequence[Tweet]) -> list[JudgedTweet]:
        """Each tweet with its cleaned text and its verdict, in the order given.

        Of tweets that repeat each other the first is kept. HUGGINGTWEETS knows no quotes and no duplicates, and keeps
        them all.
        """
        cleaned = [clean(tweet.text, self._profile) for tweet in tweets]
        verdicts = [self._verdict(tweet, text) for tweet, text in zip(tweets, cleaned, strict=True)]
        if self._profile is Profile.MOCKINGBIRD:
            kept = [place for place, verdict in enumerate(verdicts) if verdict is Verdict.KEPT]
            repetitions = self._said.check([cleaned[place] for place in kept])
            for place, repetition in zip(kept, repetitions, strict=True):
                verdicts[place] = _REPEATED[repetition]
        return [JudgedTweet(*each) for each in zip(tweets, cleaned, verdicts, strict=True)]

    def _verdict(self, tweet: Tweet, cleaned: str) -> Verdict:
        """The verdict as far as the tweet alone decides it."""
        if is_retweet(tweet):
            return Verdict.RETWEET
        if self._profile is Profile.HUGGINGTWEETS:
            return Verdict.SHORT if is_short(cleaned) else Verdict.KEPT
        if is_quote(cleaned):
            return Verdict.QUOTE
        return Verdict.SHORT if has_fewer_words(cleaned, SHORT_WORDS) else Verdict.KEPT


def judge(tweets: Sequence[Tweet], profile: Profile) -> list[JudgedTweet]:
    """All tweets of an account judged at once, see `Judge`."""
    return Judge(profile, len(tweets)).judge(tweets)


_REPEATED = {
    None: Verdict.KEPT,
    Repetition.SAME: Verdict.DUPLICATE,
    Repetition.NEAR: Verdict.NEAR_DUPLICATE,
}

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


# Control characters other than white space, lone surrogates, characters without width and marks that turn the direction
# of writing; joiners stay, emoji and Persian need them.
_NOISE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    r"\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
# Whatever looks like a model's own marker, so that nobody can end a training text by tweeting one. A blank takes its
# place, so that what is left and right of it makes no other one.
_MARKER = re.compile(
    r"<[|｜][^<>|｜\s]{1,40}[|｜]>|</?(?:s|pad|unk|bos|eos|mask|(?:start|end)_of_turn)>", re.IGNORECASE
)
# An ampersand that was escaped over and over.
_NO_CHARACTER = re.compile(r"&#(?:[xX][\da-fA-F]{8,}|\d{8,});?", re.ASCII)  # Unicode ends at 1,114,111
_ESCAPED_AMPERSAND = re.compile(r"&(?:(?:amp|AMP|#0*38(?!\d)|#[xX]0*26(?![\da-fA-F]));?)+")
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
_MENTION = re.compile(r"@\w+")
_MENTIONS_IN_A_ROW = 3  # so many at the end are a list of people to call

# Somebody else's words, as people quoted them before there was a button for it.
_QUOTED = re.compile(
    r"\b(?:RT|MT):? ?@\w"  # so true RT @ann: ...
    r"|[\"”]@\w+ ?:|[“„«] ?@\w+ ?:|(?<!\S)['‘]@\w+ ?:"  # so true “@ann: ...”
)
_PERHAPS_QUOTED = re.compile(r"[T:\"”“„«'‘] ?@")  # six times as fast
_QUOTED_AT_ONCE = re.compile(
    r"(?:rt|mt|ht):? ?@\w"
    r"|(?:\.?@\w+[:,]? ){0,5}\W{0,3}[\"“”„«] ?@\w",  # "@ann ..."
    re.IGNORECASE,
)
_HEADLINE = re.compile(
    r"[\"“].+[\"”][ .,]*(?:(?:via|by|from|h/t|[-–—]+) ?@\w+[ ,.&]*)+$"  # “...” via @paper by @ann
    r"|(?:ICYMI[,:]? )?(?:via|from):? ?@\w+[^\"“”]{0,60}[\"“].+[\"”](?: (?:by )?@\w+)*$",  # via @paper by Ann: “...”
    re.IGNORECASE,
)


def _clean_once(line: str) -> str:
    if "&" in line:
        line = " ".join(unescaped(_ESCAPED_AMPERSAND.sub("&", line)).split())
    if not line.isascii():
        line = unicodedata.normalize("NFC", line)
    if not line.isprintable():
        line = " ".join(_NOISE.sub("", line).split())
    if "<" in line:
        line = " ".join(_MARKER.sub(" ", line).split())
    if "/" in line or "…" in line or "www." in line.lower():  # no link is without one of these
        line = _without_links(line)
    return _own_words(_without_addresses(line)) if "@" in line else line


def unescaped(text: str) -> str:
    """The text without HTML entities; one that stands for no character becomes U+FFFD, however long its number is."""
    return html.unescape(_NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", text))


def _without_addresses(line: str) -> str:
    """The line without mentions that only say who shall read it: before a reply, behind "cc", in a row at the end.

    All others stay, `.@ann` at the beginning too: mostly they are part of the sentence.
    """
    leading = _LEADING_MENTIONS.match(line)
    line = line[leading.end() :] if leading else line
    words = line.split(" ")
    while (end := _end_of_said(words)) < len(words):
        del words[end:]
    return " ".join(words)


def _end_of_said(words: list[str]) -> int:
    """How many of the words come before the mentions at the end that only call people."""
    end = len(words)
    while end and _MENTION.fullmatch(words[end - 1]):
        end -= 1
    before = words[end - 1] if end else ""
    if end < len(words) and before.lower() in ("cc", "cc:"):
        return end - 1
    is_list = len(words) - end >= _MENTIONS_IN_A_ROW and not (before[-1:].isalnum() or before[-1:] in "-–—:/&,")
    return end if is_list else len(words)


def _quoted(line: str) -> re.Match[str] | None:
    return _QUOTED.search(line) if _PERHAPS_QUOTED.search(line) else None


def _own_words(line: str) -> str:
    """What a person wrote before somebody else's words, if that is worth keeping; else the whole line."""
    quoted = _quoted(line)
    if quoted is None or _QUOTED_AT_ONCE.match(line) or _HEADLINE.match(line):
        return line
    own = line[: quoted.start()].rstrip(" -–—:,([")
    return line if has_fewer_words(own, SHORT_WORDS) else own


def _without_links(line: str) -> str:
    """The line without its links and without the brackets around them, the sentence's own punctuation left in place."""
    kept: list[str] = []
    for word in line.split(" "):
        if "/" not in word and "…" not in word and "." not in word:  # as most words, which saves the search
            kept.append(word)
            continue
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
