"""Which draft people are likely to approve, learned from what they approved and refused. Pure, deterministic.

The model is a logistic regression with an L2 penalty: each figure of a draft is brought to mean 0 and deviation 1, and
the weights that make the decisions likeliest, less `PENALTY` times half their squares, are found by Newton's method. A
figure that was not measured counts as the mean. What it is worth is its ranking accuracy: of all pairs of an approved
and a refused draft, the share in which the approved one stands higher (AUC; 0.5 is guessing). That is measured on the
newest decisions, which a model of the older ones alone has not seen.

It stays off until there are enough decisions, enough of each kind, and until it ranks better than `LEAST_ACCURACY`.
A draft that a person wrote anew before approving it is no decision about what the model said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import regex
from numpy.typing import NDArray

from bot.generation.length import urls, weighted_length

FEWEST = 40  # decisions
FEWEST_OF_EACH = 8
LEAST_ACCURACY = 0.6  # on decisions that were held out
HELD_OUT = 0.3  # share of the decisions, the newest
PENALTY = 1.0
_STEPS = 25  # of Newton's method; it is at its end after some six
_HASHTAG = regex.compile(r"(?<!\w)#\w")

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a draft when somebody decides about it; None where it was not measured."""

    text: str
    novelty: float  # 0 to 1
    score: float | None  # 0 to 1, `bot.generation.choosing`
    likelihood_gain: float | None  # nats a token over the bare base
    offence: float | None  # 0 to 1
    at: datetime  # when it was drafted, UTC

    def as_row(self) -> list[float]:
        """The numbers that the model sees; NaN where one was not measured."""
        hour = 2 * math.pi * (self.at.hour + self.at.minute / 60) / 24
        return [
            self.novelty,
            _or_nan(self.score),
            _or_nan(self.likelihood_gain),
            _or_nan(self.offence),
            weighted_length(self.text) / 280,
            float(len(_HASHTAG.findall(self.text))),
            float(len(urls(self.text))),
            float("?" in self.text),
            float("!" in self.text),
            math.sin(hour),
            math.cos(hour),
        ]


@dataclass(frozen=True, slots=True)
class Decided:
    """A draft and what a person said to it."""

    figures: Figures
    approved: bool


@dataclass(frozen=True, slots=True)
class Model:
    """Weights, and what each figure has to be brought to first."""

    means: Numbers
    deviations: Numbers
    weights: Numbers  # the last one stands alone

    def probability(self, figures: Figures) -> float:
        """How likely this draft is to be approved."""
        return float(_sigmoid(self._seen([figures]) @ self.weights)[0])

    def _seen(self, drafts: Sequence[Figures]) -> Numbers:
        return _standardised(_rows(drafts), self.means, self.deviations)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The model of all decisions, and what it is worth."""

    approved: int  # decisions
    refused: int
    accuracy: float | None  # AUC on held-out decisions, 0 to 1; None where there were too few to measure it
    model: Model | None  # None: off

    @property
    def is_on(self) -> bool:
        """Whether drafts are put in order by it."""
        return self.model is not None

    @property
    def reason(self) -> str:
        """In a sentence, why it is on or off."""
        decisions = self.approved + self.refused
        if self.accuracy is None and _are_enough(decisions, self.approved, self.refused):
            return (
                f"Drafts are not ranked by decisions yet: there are {decisions}, but the older or the newer of them "
                "all say the same, so that a ranking can't be tried on them."
            )
        if self.accuracy is None:
            return (
                f"Drafts are not ranked by decisions yet: {decisions} of at least {FEWEST} are there, {self.approved} "
                f"approved and {self.refused} refused, of each at least {FEWEST_OF_EACH}."
            )
        what = "are" if self.is_on else f"are not (it takes more than {LEAST_ACCURACY:g})"
        return f"Drafts {what} ranked by {decisions} decisions: accuracy {self.accuracy:.2f} on the newest of them."


def learned(decisions: Sequence[Decided]) -> Ranking:
    """The ranking that follows from the decisions, the oldest first."""
    approved = sum(each.approved for each in decisions)
    refused = len(decisions) - approved
    accuracy = _held_out_accuracy(decisions) if _are_enough(len(decisions), approved, refused) else None
    model = fitted(decisions) if accuracy is not None and accuracy > LEAST_ACCURACY else None
    return Ranking(approved, refused, accuracy, model)


def fitted(decisions: Sequence[Decided]) -> Model:
    """The model that fits these decisions."""
    rows = _rows([each.figures for each in decisions])
    known = ~np.isnan(rows)
    counts = np.maximum(known.sum(axis=0), 1)
    means = np.where(known, rows, 0.0).sum(axis=0) / counts
    deviations = np.sqrt(np.where(known, (rows - means) ** 2, 0.0).sum(axis=0) / counts)
    deviations = np.where(deviations > 1e-9, deviations, 1.0)  # a figure that never changes says nothing
    seen = _standardised(rows, means, deviations)
    wanted = np.array([each.approved for each in decisions], np.float64)
    return Model(means, deviations, _newton(seen, wanted))


def accuracy(approved: Sequence[float], refused: Sequence[float]) -> float | None:
    """The share of pairs in which the approved one stands higher, equals as half; None without a pair (AUC)."""
    if not approved or not refused:
        return None
    pairs = np.subtract.outer(np.asarray(approved), np.asarray(refused))
    return float((pairs > 0).mean() + 0.5 * (pairs == 0).mean())


def _are_enough(decisions: int, approved: int, refused: int) -> bool:
    return decisions >= FEWEST and min(approved, refused) >= FEWEST_OF_EACH


def _held_out_accuracy(decisions: Sequence[Decided]) -> float | None:
    cut = round(len(decisions) * (1 - HELD_OUT))
    earlier, later = decisions[:cut], decisions[cut:]
    if len({each.approved for each in earlier}) < 2:
        return None
    model = fitted(earlier)
    scored = [(each.approved, model.probability(each.figures)) for each in later]
    return accuracy([each for yes, each in scored if yes], [each for yes, each in scored if not yes])


def _newton(seen: Numbers, wanted: Numbers) -> Numbers:
    penalty = np.full(seen.shape[1], PENALTY)
    penalty[-1] = 0.0  # how many are approved at all is not held down
    weights = np.zeros(seen.shape[1])
    for _ in range(_STEPS):
        likely = _sigmoid(seen @ weights)
        slope = seen.T @ (wanted - likely) - penalty * weights
        curve = (seen.T * (likely * (1 - likely))) @ seen + np.diag(penalty + 1e-6)
        weights = weights + np.linalg.solve(curve, slope)
    return weights


def _rows(drafts: Sequence[Figures]) -> Numbers:
    return np.array([each.as_row() for each in drafts], np.float64)


def _standardised(rows: Numbers, means: Numbers, deviations: Numbers) -> Numbers:
    """Figures around 0, what was not measured as 0, and a column of ones."""
    seen = np.nan_to_num((rows - means) / deviations, nan=0.0)
    return np.hstack([seen, np.ones((len(rows), 1))])


def _sigmoid(values: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -30, 30))), np.float64)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
