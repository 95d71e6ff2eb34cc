"""The figures by which a version is judged, as they stand in its manifest: what `docs/evaluation.md` explains.

A figure that could not be had is None, never zero: without other accounts there is no style margin, without samples
there is no copy rate. Beside each stands what real tweets reach, since no figure means much alone.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Figure(BaseModel):
    """Frozen, and with no room for a key that means nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AccountLoss(Figure):
    """How well the held-out tweets of one account are foreseen; losses in nats per token."""

    handle: str
    tweets: int  # scored; of a large account an even choice
    loss: float
    bits_per_byte: float  # over the UTF-8 bytes of the tweets
    base_loss: float  # the base's own
    base_bits_per_byte: float
    in_use_loss: float | None = None  # of the version in use; None when that is this one, or stands on another base
    in_use_bits_per_byte: float | None = None


class Others(Figure):
    """The accounts that the version is told apart from."""

    accounts: int  # how many; their names would outlive them here when one of them is forgotten
    source: Literal["stored", "examples"]  # the operator's other accounts, or those that come with the project
    tweets: int  # scored, of all of them


class StyleMargin(Figure):
    """How much of the gain over the base is this person, and how much any tweet; nats per token."""

    own_gain: float  # the base's loss minus the version's, on the own held-out tweets
    others_gain: float  # the same on other accounts' tweets, each account counting alike
    margin: float  # the first minus the second


class Samples(Figure):
    """What the version said by itself, without a beginning, and how that was drawn."""

    count: int
    seed: int  # of the first; the next ones count up
    temperature: float
    top_p: float
    top_k: int
    max_tokens: int
    passed: float  # share that would have been let through as drafts: not empty, looping or too near to a real tweet


class Copies(Figure):
    """Share of texts that say again what stands in a training tweet."""

    exact: float  # the same words
    near: float  # nearly the same, the exact ones included
    real_near: float | None  # of real held-out tweets: how often the person repeats itself


class Diversity(Figure):
    """How varied the words are, samples and real tweets cut to the same number of words."""

    words: int  # of each side that were compared
    distinct_1: float  # different words, over all words
    real_distinct_1: float
    distinct_2: float  # different pairs of words in a row, over all pairs
    real_distinct_2: float
    new_4grams: float | None  # share of four words in a row that stand in no training tweet; None without any
    real_new_4grams: float | None  # of the held-out tweets


class Shape(Figure):
    """One outward feature: its means, and how far samples lie from held-out tweets (Kolmogorov and Smirnov)."""

    feature: Literal["characters", "emoji", "hashtags", "mentions", "links", "capitals"]
    mean: float  # of the samples
    real_mean: float  # of the held-out tweets
    distance: float  # 0 the same, 1 apart
    real_distance: float  # of the training tweets from the held-out ones: what time alone does


class Authorship(Figure):
    """Mean probability with which a classifier gives texts to the persona and not to the other accounts."""

    samples: float
    real: float  # the own held-out tweets
    others: float  # the other accounts' held-out tweets


class Toxicity(Figure):
    """Share of texts that a classifier of offensive English gives more than even odds."""

    samples: float
    real: float  # the training tweets


class Figures(Figure):
    """Everything that was found out about a version in one evaluation."""

    accounts: tuple[AccountLoss, ...]
    others: Others | None = None
    margin: StyleMargin | None = None
    samples: Samples | None = None
    copies: Copies | None = None
    diversity: Diversity | None = None
    shapes: tuple[Shape, ...] = ()
    authorship: Authorship | None = None
    toxicity: Toxicity | None = None
    same_data_set: bool = True  # False: the tweets are others than those that the version was made and judged with
    seconds: float  # it took
