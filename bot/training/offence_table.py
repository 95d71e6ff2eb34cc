"""The classifier of alt-profanity-check as a table that needs no scikit-learn: a process of its own, run by hand.

    python -m bot.training.offence_table bot/generation/offence.npz

Run it whenever the pin of that package changes; a test compares the two. In the file: `words` (UTF-8, one a line, n of
them), `idf` (n), `coefficients` (n, k) of k linear models, `intercepts`, `slopes` and `shifts` (k).
`bot.generation.safety` says how they are read.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from profanity_check import profanity_check as package


def write(file: Path) -> None:
    """Put the table there."""
    vocabulary = package.vectorizer.vocabulary_
    models = package.model.calibrated_classifiers_
    np.savez_compressed(
        file,
        words=np.frombuffer("\n".join(sorted(vocabulary, key=vocabulary.get)).encode(), np.uint8),
        idf=package.vectorizer.idf_.astype(np.float16),
        coefficients=np.array([model.estimator.coef_[0] for model in models]).T.astype(np.float16),
        intercepts=np.array([model.estimator.intercept_[0] for model in models]),
        slopes=np.array([model.calibrators[0].a_ for model in models]),
        shifts=np.array([model.calibrators[0].b_ for model in models]),
    )


if __name__ == "__main__":
    write(Path(sys.argv[1]))
