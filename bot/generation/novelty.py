"""Is it new, or is it a tweet that the model has learned by heart?

An index over a persona's own tweets answers with the nearest real tweet and how much is shared. Three things make a
text a copy: the same words in the same order, a run of more than eight words that stands in a real tweet, and a share
of distinct words in common (Jaccard) from 0.8 on. Case, punctuation, links and handles are taken away before anything
is compared, on both sides. What is said in other words with the same meaning is not noticed.
"""

from __future__ import annotations

import heapq
import re
import unicodedata
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from bot.tweets.words import words as folded_words

MAX_RUN = 8  # words in a row that may stand in a real tweet
COPIED_FROM = 0.8  # similarity; from here on the same things are said in another order or with a word exchanged
CANDIDATES = 20  # tweets that are looked at closely
_LOOKED_AT = 1_500  # postings that are read for one text, which is where its time goes
_LINK_OR_HANDLE = re.compile(r"(?:https?://|www\.)\S+|(?<![\w@])[@＠]\w+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Novelty:
    """How new a text is."""

    score: float  # 0 a copy, 1 shares nothing
    nearest: str | None  # key of the tweet that shares most; None when none shares a word worth counting
    similarity: float = 0.0  # to the nearest: 1 the same words, else the share of distinct words that both have


class NoveltyIndex:
    """Built from `(key, text)` pairs of the tweets that the persona learned from; about a kilobyte for each."""

    def __init__(self, tweets: Iterable[tuple[str, str]]) -> None:
        self._keys: list[str] = []
        self._words: list[array[int]] = []  # the distinct words of each tweet, by number
        self._numbers: dict[str, int] = {}  # of every word that occurs
        postings: defaultdict[int, array[int]] = defaultdict(lambda: array("I"))  # word -> tweets, ascending
        self._exact: dict[int, int] = {}  # fingerprint of all words -> tweet
        runs, run_tweets = array("Q"), array("I")  # fingerprints of MAX_RUN + 1 words in a row, and whose they are
        for number, (key, text) in enumerate(tweets):
            found = words(text)
            distinct = dict.fromkeys(self._numbers.setdefault(word, len(self._numbers)) for word in found)
            self._keys.append(key)
            self._words.append(array("I", distinct))
            self._exact.setdefault(_fingerprint(found), number)
            for word in distinct:
                postings[word].append(number)
            for run in _runs(found):
                runs.append(_fingerprint(run))
                run_tweets.append(number)
        self._postings = dict(postings)
        order = np.argsort(np.asarray(runs, np.uint64), kind="stable")  # of the same run the first tweet's counts
        self._runs = np.asarray(runs, np.uint64)[order]
        self._run_tweets = np.asarray(run_tweets, np.uint32)[order]

    def check(self, text: str) -> Novelty:
        """How new the text is beside every tweet of the index."""
        found = words(text)
        if not found:
            return Novelty(1.0, None)
        copied = self._exact.get(_fingerprint(found))
        if copied is not None:
            return Novelty(0.0, self._keys[copied], 1.0)
        distinct = set(found)
        known = {self._numbers[word] for word in distinct if word in self._numbers}
        copied = self._holds_run_of(found)
        if copied is not None:
            return Novelty(0.0, self._keys[copied], round(self._similarity(distinct, known, copied), 3))
        candidates = self._candidates(known)
        if not candidates:
            return Novelty(1.0, None)
        # Ties go by number: the order of a set of words is another one in each process.
        similarity, place = max((self._similarity(distinct, known, number), -number) for number in candidates)
        copy = similarity >= COPIED_FROM
        return Novelty(0.0 if copy else round(1 - similarity, 3), self._keys[-place], round(similarity, 3))

    def _holds_run_of(self, found: list[str]) -> int | None:
        """The tweet in which more than `MAX_RUN` of these words stand in a row."""
        runs = np.fromiter((_fingerprint(run) for run in _runs(found)), np.uint64)
        places = np.searchsorted(self._runs, runs)
        inside = places < len(self._runs)
        hits = places[inside][self._runs[places[inside]] == runs[inside]]
        return int(self._run_tweets[hits[0]]) if len(hits) else None

    def _candidates(self, known: set[int]) -> list[int]:
        """Tweets that share most of the text's rarer words, at most `CANDIDATES`.

        A tweet as near as `COPIED_FROM` has four of five of the text's words, so it hardly misses all the rare ones.
        Words are taken as long as their postings are few in all: "the" finds nobody and costs most.
        """
        shared: Counter[int] = Counter()
        read = 0
        for size, word in sorted((len(self._postings[word]), word) for word in known):
            read += size
            if shared and read > _LOOKED_AT:
                break
            shared.update(self._postings[word][:_LOOKED_AT])
        return heapq.nsmallest(CANDIDATES, shared, key=lambda number: (-shared[number], number))

    def _similarity(self, distinct: set[str], known: set[int], number: int) -> float:
        """Distinct words in both, as a share of those in either."""
        theirs = self._words[number]
        both = sum(word in known for word in theirs)
        return both / (len(distinct) + len(theirs) - both)


def words(text: str) -> list[str]:
    """The words of a text, folded so that case, width, punctuation, spacing, links and handles do not hide a copy.

    Of writing without spaces each two neighbouring letters count as a word.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return folded_words(_LINK_OR_HANDLE.sub(" ", text))


def _runs(found: list[str]) -> Iterable[list[str]]:
    size = MAX_RUN + 1
    return (found[start : start + size] for start in range(len(found) - size + 1))


def _fingerprint(found: list[str]) -> int:
    """64 bits of the words in their order: of a million runs two are the same by chance once in 37 million indexes."""
    return int.from_bytes(blake2b(" ".join(found).encode(), digest_size=8).digest())
