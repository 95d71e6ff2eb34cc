"""What is not said and not answered: offence by a classifier, and words by list. Pure, offline, without scikit-learn.

The classifier is that of the package alt-profanity-check, which also judges versions (`bot.training.classifiers`): word
counts weighed by rarity, five linear models, a sigmoid on each, their mean. As a table of numbers in `offence.npz`
(written by `bot.training.offence_table`) it needs only numpy. It knows swearing, insults and plain threats in English.
It knows no other language, no spelling that hides a word, no irony, and nothing of what is hateful in polite words:
for these there are the lists. And in a long text it overlooks one word among harmless ones: slurs, which demean people
for what they are, stand in `slurs.txt`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib import resources

import numpy as np
import regex

from bot.config import SafetySettings
from bot.errors import Refused
from bot.generation.draft import Reason
from bot.tweets.words import words

_CLASSIFIED = regex.compile(r"\b\w\w+\b")  # what the classifier was taught to take for a word


class Offence:
    """How probably a text offends; a megabyte of numbers and three of words."""

    def __init__(self) -> None:
        with resources.files("bot.generation").joinpath("offence.npz").open("rb") as file:
            table = np.load(file, allow_pickle=False)
            names = table["words"].tobytes().decode().split("\n")
            self._numbers = {name: number for number, name in enumerate(names)}
            self._idf = table["idf"].astype(np.float64)
            self._coefficients = table["coefficients"].astype(np.float32)
            self._intercepts, self._slopes, self._shifts = table["intercepts"], table["slopes"], table["shifts"]

    def probability(self, text: str) -> float:
        """From 0 to 1; some 0.1 for a text of which no word is known."""
        found = (self._numbers.get(word) for word in _CLASSIFIED.findall(text.lower()))
        counts = Counter(number for number in found if number is not None)
        numbers = np.fromiter(counts, np.int64, len(counts))
        weights = np.fromiter(counts.values(), np.float64, len(counts)) * self._idf[numbers]
        length = float(np.sqrt(weights @ weights)) or 1.0
        decisions = (weights / length) @ self._coefficients[numbers] + self._intercepts
        return float((1 / (1 + np.exp(self._slopes * decisions + self._shifts))).mean())


class Safety:
    """What the settings let out and in. Words are compared whole, whatever their case."""

    def __init__(self, settings: SafetySettings) -> None:
        self._settings = settings
        self.never_said = words_of(settings.never_said)

    def in_draft(self, text: str, banned: Iterable[str] = ()) -> Reason | None:
        """Why the text may not be said, with further words that may not be; None when it may."""
        return self._reason(text, banned, self._settings.most_offence_said)

    def in_message(self, text: str, banned: Iterable[str] = ()) -> Reason | None:
        """Why the text is not to be answered; None when it is."""
        return self._reason(text, banned, self._settings.most_offence_heard)

    def _reason(self, text: str, banned: Iterable[str], most: float) -> Reason | None:
        if not self._settings.enabled or not text:
            return None
        if holds(text, {*self.never_said, *banned}):
            return Reason.BANNED_WORD
        if most < 1 and (has_slur(text) or offence().probability(text) > most):
            return Reason.UNSAFE
        return None


@cache
def offence() -> Offence:
    """The classifier, read when it is first asked."""
    return Offence()


def has_slur(text: str) -> bool:
    """Whether one stands in the text, as it is or in the genitive."""
    return any(word.split("'")[0] in slurs() for word in words(text))


@cache
def slurs() -> frozenset[str]:
    """One alone is enough."""
    return frozenset(resources.files("bot.generation").joinpath("slurs.txt").read_text(encoding="utf-8").split())


def holds(text: str, banned: Iterable[str]) -> bool:
    """Whether one of the words stands in the text; of writing without spaces, whether its letters do in a row."""
    found = f" {' '.join(words(text))} "
    return any(f" {' '.join(parts)} " in found for word in banned if (parts := words(word)))


def words_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Words for a list, each folded as it is compared, once and in their order. Raises `Refused` on what is no word."""
    folded: dict[str, None] = {}
    for text in texts:
        if len(text.split()) != 1 or not words(text):
            raise Refused(f"{text[:60]!r} is not one word. Name words one by one, without blanks.")
        folded[text.strip().casefold()] = None
    return tuple(folded)
