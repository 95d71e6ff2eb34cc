"""What of the sampled and the found text is worth learning from: rules for one text at a time. Pure.

Outcome: `cleaned(text, kind, ended)` gives the texts that stay, each on one line (a dialogue on two: the message, then
the answer, as the service asks a voice), or none. The teacher is small: it repeats itself, falls out of its part and
shows its prompt. Rather a good text is lost than a bad one kept.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from importlib import resources
from itertools import pairwise

from base.prompts import dialogues, paragraphs, voices
from bot.generation.novelty import NoveltyIndex
from bot.generation.safety import offence
from bot.tweets.cleaning import Profile, clean
from bot.tweets.languages import UNKNOWN, language
from bot.tweets.words import words

# Raise a number with every change of what is kept of that source: its shards are then judged anew.
RULES = {"sampled": 6, "general": 2}

MOST_OFFENCE = 0.8  # from 0 to 1; stricter than the service with what it says (0.9)
LENGTHS = {"posts": (12, 300), "dialogue": (12, 400), "paragraphs": (60, 900), "general": (80, 1800)}  # characters
_FEWEST_WORDS = 3
_NEW_PAIRS = 0.75  # least share of distinct ones among pairs of neighbouring words
_MOST_OF_ONE = 0.2  # share that one word of four letters or more may have in a text of ten words or more

# The teacher out of its part, its prompt shining through, and what a post of nobody's must not hold.
_LEAKED = re.compile(
    r"""\b(?:as\ an\ ai|ai\ assistant|language\ model|i'?m\ sorry,?\ but|i\ can(?:no|')t\ (?:assist|help|fulfil)|smollm
      |the\ (?:user|prompt|previous\ (?:post|message|paragraph))
      |status\ update|in\ one\ sentence|one-lin\w+|(?:one|a)\ hashtag|(?:great|good|delightful|excellent)\ question
      |sincerely|(?:best|warm|kind)\ regards|your\ name
      |(?:here(?:'s|\ is)|this\ is|write)\ (?:an?|the|my|your|one)\ [\w ,-]{0,40}
       (?:paragraph|story|poem|post|letter|speech|fable|review|entry|scene|report|description|version|memory)
      |(?:first|second|third|\d(?:st|nd|rd|th))\ (?:paragraph|sentences?))\b
    |[|{}<>\\[\]`]|\*\*|^\#+\ |\b[A-F]:\s
    |^\W*(?:[AB]|Q|User|Assistant|Title|Blog|Diary|Post|Paragraph|Answer)\ ?:
    |^\w+:\ \"""",
    re.IGNORECASE | re.VERBOSE,
)
_ADDRESS = re.compile(
    r"https?:|www\.|\w\.(?:com|org|net|co|io|edu|gov)\b|@\w|\w@|\b\d{3}[-. ]\d{3,4}[-. ]?\d{0,4}\b", re.IGNORECASE
)
_RUN = re.compile(r"(.)\1{6}|(\S{1,4})\2{4}|\b(\w+)\W+\3\W+\3\b", re.IGNORECASE)  # aaaaaaa, hahahahaha, no no no
_SENTENCE_END = re.compile(r"[.!?…][\"”')]*(?=\s|$)")
_MARKER = re.compile(r"^(?:[-*•–]|\d{1,2}[.)])\s+")


def cleaned(text: str, kind: str, ended: bool = True) -> list[str]:
    """The texts that stay of one; `ended` says whether it ends where the teacher wanted it to."""
    if kind == "general":
        return [text] if _is_fit(text, kind) else []
    *lines, last = text.split("\n")
    lines.append(last if ended else _to_last_sentence(last))
    if kind == "dialogue":
        kept = [_pair("\n".join(lines))]
    else:
        kept = [line for each in lines if (line := _line(each)) and (kind == "posts" or _is_ended(line))]
    return [each for each in kept if _is_kept(each, kind)]


def written() -> list[tuple[str, str]]:
    """Our own texts of the prompts, (text, kind)."""
    posts = [(post, "posts") for voice in voices().values() for _, post in voice]
    pairs = [(f"{asked}\n{answer}", "dialogue") for asked, answer in dialogues()]
    return [*posts, *pairs, *((text, "paragraphs") for _, text in paragraphs())]


def is_loop(text: str) -> bool:
    """Whether it says the same over and over."""
    found = words(text)
    pairs = list(pairwise(found))
    if len(found) >= 8 and len(set(pairs)) < _NEW_PAIRS * len(pairs):
        return True
    long = Counter(word for word in found if len(word) >= 4)
    most = max(long.values(), default=0)
    return (len(found) >= 10 and most > max(2, _MOST_OF_ONE * len(found))) or _RUN.search(text) is not None


def _is_kept(text: str, kind: str) -> bool:
    """For text of the teacher's."""
    return (
        _is_fit(text, kind)
        and not _LEAKED.search(text)
        and not _ADDRESS.search(text)
        and not _listed("famous").intersection(words(text))
        and _shown().check(text).score > 0
    )


def _is_fit(text: str, kind: str) -> bool:
    """For any text."""
    least, most = LENGTHS[kind]
    return (
        least <= len(text) <= most
        and len(found := words(text)) >= _FEWEST_WORDS
        and not _listed("grim").intersection(found)
        and not is_loop(text)
        and offence().probability(text) <= MOST_OFFENCE
        and language(text) in ("en", UNKNOWN)
    )


def _pair(text: str) -> str:
    """The message and its first answer; empty when one is missing or hardly a word."""
    asked, _, answers = text.partition("\nB:")
    pair = asked, answers.strip().split("\n")[0]
    return "\n".join(map(_line, pair)) if min(len(words(each)) for each in pair) > 1 and "\n" not in asked else ""


def _is_ended(line: str) -> bool:
    return line[-1:] in tuple('.!?…"”')


def _line(text: str) -> str:
    """As the service cleans a tweet, without the mark of a list or quotation marks around it all."""
    line = _MARKER.sub("", clean(text, Profile.MOCKINGBIRD))
    inside = line[1:-1]
    return inside if line[:1] + line[-1:] in ('""', "“”") and not set('"“”') & set(inside) else line


def _to_last_sentence(text: str) -> str:
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]] if ends else ""


@cache
def _listed(name: str) -> frozenset[str]:
    """Famous are people about whom a model of this size only invents; grim is what nobody wants from a mockingbird."""
    return frozenset((resources.files("base") / f"{name}.txt").read_text(encoding="utf-8").split())


@cache
def _shown() -> NoveltyIndex:
    """What the teacher was shown, so that it is not kept as its own."""
    return NoveltyIndex((str(number), line) for number, (text, _) in enumerate(written()) for line in text.split("\n"))
