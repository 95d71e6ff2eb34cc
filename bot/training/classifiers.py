"""The two figures that a classifier gives: whose texts they are, and how many offend. Texts in, numbers out.

Both are linear models over short runs of characters (scikit-learn), so they run in seconds and always come out the
same. This module is for the child process that judges: scikit-learn is a second to import and has no place in the
process that serves.
"""

from __future__ import annotations

from collections.abc import Sequence

from profanity_check import predict_prob
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from bot.shelf.figures import Authorship, Toxicity
from bot.training.figures import even_choice

LEARNED = 2_000  # texts of each side at most that the author classifier learns from
LEAST = 20  # texts of each side; with fewer it would tell nothing
OFFENSIVE = 0.5  # a text counts as offensive from this probability on


def authorship(
    samples: Sequence[str],
    own: Sequence[str],
    own_held_out: Sequence[str],
    others: Sequence[str],
    others_held_out: Sequence[str],
) -> Authorship | None:
    """Whose the samples are: mean probability of being the persona's own; None when a side is too small to learn.

    It learns from `own` and `others`, which count alike whatever their number, and is asked about texts that it has not
    seen: 1 to 4 characters in a row (not across words' edges), weighed by how rare they are, a logistic regression on
    top. `real` is what it says of the person's own held-out tweets: samples can't be expected to reach more.
    """
    if min(len(own), len(others)) < LEAST or not samples or not own_held_out or not others_held_out:
        return None
    learned = [*even_choice(own, LEARNED), *even_choice(others, LEARNED)]
    is_own = [number < len(even_choice(own, LEARNED)) for number in range(len(learned))]
    model = make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), lowercase=False, min_df=2, sublinear_tf=True),
        LogisticRegression(class_weight="balanced", C=10.0, max_iter=300),
    )
    model.fit(learned, is_own)
    return Authorship(
        samples=float(model.predict_proba(samples)[:, 1].mean()),
        real=float(model.predict_proba(own_held_out)[:, 1].mean()),
        others=float(model.predict_proba(others_held_out)[:, 1].mean()),
    )


def toxicity(samples: Sequence[str], train: Sequence[str]) -> Toxicity | None:
    """Share of offensive texts; None when a side has none at all.

    The classifier of the package alt-profanity-check was trained on 200,000 English comments and tweets that people had
    marked as offensive or not. It knows swearing and insults. It knows no other language, no irony, no quotation, and
    nothing of what is hateful in polite words; so it is read beside the rate in the person's own tweets.
    """
    if not samples or not train:
        return None
    return Toxicity(samples=_offensive(samples), real=_offensive(train))


def _offensive(texts: Sequence[str]) -> float:
    return float((predict_prob(list(texts)) >= OFFENSIVE).mean())
