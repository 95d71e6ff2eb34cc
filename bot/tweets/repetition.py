"""Whether an account has said this before, in the same words or nearly. Pure, and the same in every process.

Outcome: of two texts whose words overlap by `OVERLAP` or more (Jaccard) the later one is known as a repetition, with
less than 100 bytes of memory for each tweet of usual length. That never happens to texts that overlap less: likely
twins are found by MinHash (Broder 1997), and then their words are compared.

What is missed: about one in six twins that overlap by just 0.8, one in a hundred of those that overlap by 0.9. In an
account of hundreds of thousands of tweets it is more, since the table of likely twins is bounded and what is newer
takes the place of what is older. The same words in the same order are never missed, however long ago they were said.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from enum import StrEnum
from hashlib import blake2b
from operator import index

import numpy as np
from numpy.typing import NDArray
from rbloom import Bloom
from rensa import RMinHash

from bot.tweets.words import words

OVERLAP = 0.8  # share of the words of both that must be common; the same as for copies among generated texts
FEWEST_WORDS = 6  # distinct words; with fewer, one word more or less is another tweet

_BANDS, _ROWS = 6, 6  # a twin of overlap s is a candidate with probability 1 - (1 - s**6)**6
_SEED = 1
_SLOT_BITS = 23  # 8 million slots, 32 MB; of one size for all, so that an account may come at once or page by page
_FALSE_ALARMS = 1e-9  # share of new texts that are taken for said
_MIXERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9] * 2, np.uint64) ** np.arange(
    1, _ROWS + 1, dtype=np.uint64
)


class Repetition(StrEnum):
    """How a text repeats an earlier one."""

    SAME = "same"  # the same words in the same order
    NEAR = "near"  # nearly the same words


class Said:
    """What an account has said so far, as far as it takes to know a repetition; `expected` texts will come in all."""

    def __init__(self, expected: int) -> None:
        self._whole = Bloom(max(expected, 1), _FALSE_ALARMS, hash_func=index)  # of digests
        self._slots = np.zeros(1 << _SLOT_BITS, np.uint32).data  # the newest text with such a band
        self._starts = array("I", [0, 0])  # of each text in `_words`; numbers begin with 1, so that 0 is an empty slot
        self._words = array("I")  # hashes of each text's distinct words

    def check(self, texts: Sequence[str]) -> list[Repetition | None]:
        """For each text in turn how it repeats an earlier one. Only what is new is remembered."""
        return [self._check_one(*each) for each in _taken_apart(texts)]

    def remember(self, texts: Sequence[str]) -> None:
        """As `check`, for texts that are known to be new."""
        for each in _taken_apart(texts):
            self._remember_one(*each)

    def _check_one(self, whole: int, distinct: set[int], slots: Sequence[int]) -> Repetition | None:
        if whole in self._whole:
            return Repetition.SAME
        if len(distinct) >= FEWEST_WORDS and self._has_twin(distinct, slots):
            return Repetition.NEAR
        self._remember_one(whole, distinct, slots)
        return None

    def _remember_one(self, whole: int, distinct: set[int], slots: Sequence[int]) -> None:
        self._whole.add(whole)
        if len(distinct) < FEWEST_WORDS:
            return
        number = len(self._starts) - 1
        self._words.extend(distinct)
        self._starts.append(len(self._words))
        for slot in slots:
            self._slots[slot] = number

    def _has_twin(self, distinct: set[int], slots: Sequence[int]) -> bool:
        return any(_overlap(distinct, others) >= OVERLAP for others in self._candidates(slots))

    def _candidates(self, slots: Sequence[int]) -> Iterator[array[int]]:
        for number in {self._slots[slot] for slot in slots} - {0}:
            yield self._words[self._starts[number] : self._starts[number + 1]]


def overlap(one: str, other: str) -> float:
    """The share of distinct words that both texts have (Jaccard), between 0 and 1."""
    mine, theirs = set(words(one)), set(words(other))
    return len(mine & theirs) / len(mine | theirs) if mine or theirs else 1.0


def _taken_apart(texts: Sequence[str]) -> Iterator[tuple[int, set[int], list[int]]]:
    """For each text the digest of its words in order, the hashes of its distinct words, and its slots."""
    spoken = [words(text) or [text] for text in texts]
    hashes = RMinHash.hash_token_sets(spoken)
    for said, hashed, slots in zip(spoken, hashes, _bands(hashes), strict=True):
        yield _digest(said), {each >> 32 for each in hashed}, slots


def _overlap(mine: set[int], theirs: array[int]) -> float:
    if not OVERLAP <= len(theirs) / len(mine) <= 1 / OVERLAP:
        return 0.0
    common = len(mine.intersection(theirs))
    return common / (len(mine) + len(theirs) - common)


def _digest(said: Sequence[str]) -> int:
    """128 bits, for the filter; Python's own hash of a text is another one in each process."""
    whole = " ".join(said).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(whole, digest_size=16).digest(), signed=True)


def _bands(hashes: list[list[int]]) -> list[list[int]]:
    """For each text the slots of its bands: texts with the same `_ROWS` minima in a band have the same slot there."""
    rows = RMinHash.digest_matrix_from_token_hash_sets(hashes, _BANDS * _ROWS, _SEED).to_rows()
    minima: NDArray[np.uint64] = np.array(rows, np.uint64).reshape(len(hashes), _BANDS, _ROWS)
    mixed = (minima * _MIXERS).sum(axis=2, dtype=np.uint64)
    mixed = (mixed + np.arange(_BANDS, dtype=np.uint64)) * _MIXERS[0]  # a band has slots of its own
    found: list[list[int]] = (mixed >> np.uint64(64 - _SLOT_BITS)).tolist()
    return found
