"""The figures on what a version says: texts in, numbers out. Pure and deterministic; nothing is drawn by chance.

Every function takes the generated texts ("samples") and real ones beside them, because a figure means little alone: a
person repeats itself as well. Words are those of `bot.training.dataset.words`: case, punctuation and emoji do not
count. Not known here: languages that are written without spaces, in which a phrase counts as one word.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import regex

from bot.shelf.figures import Copies, Diversity, Shape
from bot.training.dataset import words

LONGEST_RUN = 15  # words in a row that may stand in one training tweet before a text is a near copy
RUN_SHARE = 0.7  # likewise, of the text's own words
OVERLAP = (
    0.8  # from this share of common words (Jaccard) on two texts are nearly the same: Lee et al., arXiv 2107.06499
)

Words = tuple[str, ...]


def even_choice(texts: Sequence[str], count: int) -> tuple[str, ...]:
    """At most `count` of the texts, spread evenly over them, in their order."""
    if len(texts) <= count:
        return tuple(texts)
    return tuple(texts[place * len(texts) // count] for place in range(count))


# --- Copies ---


def copies(samples: Sequence[str], train: Sequence[str], held_out: Sequence[str]) -> Copies:
    """Which share of the samples, of which there is at least one, says again what stands in one training tweet.

    Exact: the same words. Near: a run of more than 15 words in a row, or of more than 70% of its words, stands in one
    training tweet; or 80% of the words of both are common. `real_near` is the same of held-out tweets.
    """
    learned, said, real = ([_words(text) for text in texts] for texts in (train, samples, held_out))
    exact = set(learned)
    near = near_copies([*said, *real], learned)
    return Copies(
        exact=_share([text in exact for text in said]),
        near=_share(near[: len(said)]),
        real_near=_share(near[len(said) :]) if real else None,
    )


def near_copies(texts: Sequence[Words], train: Sequence[Words]) -> list[bool]:
    """Of each text whether a training tweet has nearly its words."""
    by_run = _share_a_run(texts, train)
    index = _Overlaps(train)
    return [run or index.found(frozenset(text)) for run, text in zip(by_run, texts, strict=True)]


def _share_a_run(texts: Sequence[Words], train: Sequence[Words]) -> list[bool]:
    """Whether a run that is too long stands in a training tweet; the shortest such run decides, as longer ones hold it.

    The training tweets are gone through once for each length, so that only the texts' own runs are in memory.
    """
    too_long = [min(LONGEST_RUN, int(RUN_SHARE * len(text) + 1e-9)) + 1 for text in texts]
    copied: set[Words] = set()
    for length in set(too_long):
        runs = (ngrams(text, length) for text, own in zip(texts, too_long, strict=True) if own == length)
        wanted = set(chain.from_iterable(runs))
        copied.update(run for tweet in train for run in ngrams(tweet, length) if run in wanted)
    return [any(run in copied for run in ngrams(text, own)) for text, own in zip(texts, too_long, strict=True)]


class _Overlaps:
    """Training tweets, arranged for the question whether one of them has 80% of its words in common with a text."""

    def __init__(self, train: Sequence[Words]) -> None:
        self._sets = [frozenset(text) for text in train]
        self._where: defaultdict[str, list[int]] = defaultdict(list)  # word -> tweets that have it
        for number, distinct in enumerate(self._sets):
            for word in distinct:
                self._where[word].append(number)

    def found(self, text: frozenset[str]) -> bool:
        """Such a tweet has one of the text's rarest fifth of words, so only tweets with those are compared."""
        rare_first = sorted(text, key=lambda word: (len(self._where.get(word, ())), word))
        enough = rare_first[: len(text) - _ceil(OVERLAP * len(text)) + 1]
        candidates = {number for word in enough for number in self._where.get(word, ())}
        return any(_jaccard(text, self._sets[number]) >= OVERLAP for number in candidates)


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    both = len(one & other)
    return both / (len(one) + len(other) - both)


# --- Diversity ---


def diversity(samples: Sequence[str], train: Sequence[str], held_out: Sequence[str]) -> Diversity | None:
    """How varied the samples' words are beside real ones; None when one side has no two words in a row.

    Distinct-n (Li et al. 2016, arXiv 1510.03055) falls with the amount of text, so the samples and all real tweets are
    cut to the same number of words: of both an even choice of texts, in which the longer side gives up words.
    """
    said = [_words(text) for text in samples]
    real = [_words(text) for text in [*train, *held_out]]
    size = min(sum(map(len, said)), sum(map(len, real)))
    said_cut, real_cut = cut_to(said, size), cut_to(real, size)
    shares = [distinct(texts, n) for n in (1, 2) for texts in (said_cut, real_cut)]
    if None in shares:
        return None
    one, real_one, two, real_two = (share or 0.0 for share in shares)
    aside = [_words(text) for text in held_out]
    asked = {run for text in [*said, *aside] for run in ngrams(text, 4)}
    known = {run for text in train for run in ngrams(_words(text), 4) if run in asked}
    return Diversity(
        words=size,
        distinct_1=one,
        real_distinct_1=real_one,
        distinct_2=two,
        real_distinct_2=real_two,
        new_4grams=new_share(said, known),
        real_new_4grams=new_share(aside, known),
    )


def distinct(texts: Iterable[Words], n: int) -> float | None:
    """Different n-grams over all n-grams; None when there is none."""
    found = [run for text in texts for run in ngrams(text, n)]
    return len(set(found)) / len(found) if found else None


def new_share(texts: Iterable[Words], known: set[Words]) -> float | None:
    """Share of the texts' four words in a row that are not known; None when there are none."""
    found = [run for text in texts for run in ngrams(text, 4)]
    return sum(run not in known for run in found) / len(found) if found else None


def cut_to(texts: Sequence[Words], size: int) -> list[Words]:
    """`size` words in all, taken from texts that are spread evenly over all of them; the last one is cut off."""
    total = sum(map(len, texts))
    if not total:
        return []
    count = min(len(texts), _ceil(len(texts) * size / total))
    while True:
        chosen = [texts[place * len(texts) // count] for place in range(count)] if count else []
        if sum(map(len, chosen)) >= size:
            break
        count = min(len(texts), count + 1 + count // 10)
    cut: list[Words] = []
    left = size
    for text in chosen:
        cut.append(text[:left])
        left -= len(cut[-1])
    return cut


def ngrams(text: Words, n: int) -> Iterator[Words]:
    """All runs of `n` words, in their order."""
    return (text[start : start + n] for start in range(len(text) - n + 1))


# --- Shape ---

_GRAPHEME = regex.compile(r"\X")
_EMOJI = regex.compile(r"\p{Emoji_Presentation}|\p{Extended_Pictographic}\uFE0F|\p{Regional_Indicator}{2}|\u20E3")
_HASHTAG = regex.compile(r"(?<![\w&])[#＃]\w*\p{L}\w*")
_MENTION = regex.compile(r"(?<!\w)[@＠]\w{1,15}")
_LINK = regex.compile(r"https?://\S+")


def _emoji(text: str) -> float:
    return sum(1 for each in _GRAPHEME.findall(text) if _EMOJI.search(each)) if _EMOJI.search(text) else 0


def _capitals(text: str) -> float:
    """Share of capitals among the letters that have two cases; 0 without any."""
    capitals = sum(map(str.isupper, text))
    return capitals / max(1, capitals + sum(map(str.islower, text)))


FEATURES: dict[str, Callable[[str], float]] = {
    "characters": len,
    "emoji": _emoji,
    "hashtags": lambda text: len(_HASHTAG.findall(text)),
    "mentions": lambda text: len(_MENTION.findall(text)),
    "links": lambda text: len(_LINK.findall(text)),
    "capitals": _capitals,
}


def shapes(samples: Sequence[str], train: Sequence[str], held_out: Sequence[str]) -> tuple[Shape, ...]:
    """Each outward feature of the samples beside the held-out tweets; empty when a side has no text.

    The distance is that of Kolmogorov and Smirnov: the largest difference, over all values, between the shares of
    texts that lie at or below the value. It needs no unit, so that length and hashtags can be compared, is 0 for equal
    distributions and 1 for disjoint ones, and counts a feature that is always present or always missing at full weight.
    By chance alone it is about 0.9 / sqrt(n) for n held-out tweets; `real_distance` shows what is usual.
    """
    if not samples or not train or not held_out:
        return ()
    made = []
    for feature, measure in FEATURES.items():
        said, learned, real = ([measure(text) for text in texts] for texts in (samples, train, held_out))
        made.append(
            Shape.model_validate(
                {
                    "feature": feature,
                    "mean": sum(said) / len(said),
                    "real_mean": sum(real) / len(real),
                    "distance": distance(said, real),
                    "real_distance": distance(learned, real),
                }
            )
        )
    return tuple(made)


def distance(some: Sequence[float], others: Sequence[float]) -> float:
    """The Kolmogorov-Smirnov statistic of two collections that hold something."""
    one, other = sorted(some), sorted(others)
    return max(
        abs(bisect_right(one, value) / len(one) - bisect_right(other, value) / len(other)) for value in {*one, *other}
    )


# --- Common ground ---


def _words(text: str) -> Words:
    return tuple(words(text).split())


def _share(verdicts: Sequence[bool]) -> float:
    return sum(verdicts) / len(verdicts)


def _ceil(value: float) -> int:
    """Rounded up, but not because a float is a hair above a whole number."""
    return -int(-(value - 1e-9) // 1)
