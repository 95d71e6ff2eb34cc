"""Is it new, or is it a tweet that the model has learned by heart?

An index over a persona's own tweets answers with the nearest real tweet and how much is shared. Novelty 1 means that
no tweet shares a word worth counting; 0 means a copy: the same words after normalisation, or a run of more than
eight words that stands in a real tweet.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

MAX_RUN = 8  # words in a row that may stand in a real tweet
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
CANDIDATES = 20  # tweets that are looked at closely
_COMMON_SHARE = 0.05  # words in more than this share of the tweets don't help to find the nearest
_FEW = 40  # tweets; with fewer, every word counts


@dataclass(frozen=True, slots=True)
class Novelty:
    """How new a text is."""

    score: float  # 0 a copy, 1 shares nothing
    nearest: str | None  # key of the tweet that shares most; None when none shares a word worth counting


class NoveltyIndex:
    """Built from `(key, text)` pairs of the tweets that the persona learned from."""

    def __init__(self, tweets: Iterable[tuple[str, str]]) -> None:
        self._keys: list[str] = []
        self._sizes: list[int] = []
        self._postings: defaultdict[str, list[int]] = defaultdict(list)
        self._exact: dict[tuple[str, ...], int] = {}
        self._runs: dict[int, int] = {}  # hash of MAX_RUN + 1 words in a row -> tweet
        for number, (key, text) in enumerate(tweets):
            found = words(text)
            distinct = set(found)
            self._keys.append(key)
            self._sizes.append(len(distinct))
            self._exact.setdefault(tuple(found), number)
            for word in distinct:
                self._postings[word].append(number)
            for run in _runs(found):
                self._runs.setdefault(hash(run), number)
        limit = max(len(self._keys) * _COMMON_SHARE, _FEW)
        self._common = {word for word, numbers in self._postings.items() if len(numbers) > limit}

    def check(self, text: str) -> Novelty:
        """How new the text is beside every tweet of the index."""
        found = words(text)
        copied = self._exact.get(tuple(found))
        if copied is None:
            copied = next((self._runs[hash(run)] for run in _runs(found) if hash(run) in self._runs), None)
        if copied is not None:
            return Novelty(0.0, self._keys[copied])
        distinct = set(found)
        shared = Counter(number for word in distinct - self._common for number in self._postings.get(word, ()))
        if not shared:
            return Novelty(1.0, None)
        # The best candidates by rare words are compared over all words (Jaccard). Ties go by number: the order of a
        # set of words is another one in each process.
        candidates = sorted(shared, key=lambda number: (-shared[number], number))[:CANDIDATES]
        similarity, nearest = max((self._similarity(distinct, number), -number) for number in candidates)
        return Novelty(round(1 - similarity, 3), self._keys[-nearest])

    def _similarity(self, distinct: set[str], number: int) -> float:
        both = sum(1 for word in distinct if _holds(self._postings.get(word, []), number))
        return both / (len(distinct) + self._sizes[number] - both)


def words(text: str) -> list[str]:
    """The words of a text, folded so that case, punctuation and spacing do not hide a copy."""
    return _WORD.findall(text.casefold().replace("’", "'"))


def _runs(found: list[str]) -> Iterable[tuple[str, ...]]:
    size = MAX_RUN + 1
    return (tuple(found[start : start + size]) for start in range(len(found) - size + 1))


def _holds(numbers: list[int], number: int) -> bool:
    """Whether the ascending list holds the number."""
    place = bisect_left(numbers, number)
    return place < len(numbers) and numbers[place] == number
