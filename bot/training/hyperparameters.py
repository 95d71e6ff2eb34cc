"""What is learned with, where the settings leave it to the amount of data. Pure.

Measured in `docs/log.md` under "As much as there is to learn", for the embedded base under "A small base of our own". A
small account wants small steps, or it would have ten of them in an epoch, and a narrow adapter, which learns less of it
by heart. A large one has said everything twice by itself, and wants fewer epochs.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.config import Training

CHARACTERS_A_TOKEN = 4  # about; enough to tell small from large
SMALL, LARGE = 10_000, 50_000  # tokens to learn under which an account is small, and from which on it is large

RATES = {"lora": 2e-3, "full": 2e-4}  # peak learning rate
EMBEDDED = {"rank": 32, "epochs": 6}  # a base so small has more to learn from every account


def suited(settings: Training, base: str) -> Training:
    """The settings with those zeros replaced where the base decides, and not the amount of data."""
    if base != "embedded":
        return settings
    return settings.model_copy(update={name: getattr(settings, name) or value for name, value in EMBEDDED.items()})


def settled(settings: Training, train: Sequence[str]) -> Training:
    """The settings with every 0 that means "by the amount of data" replaced, `train` being the texts to learn."""
    tokens = sum(map(len, train)) // CHARACTERS_A_TOKEN
    chosen = {
        "rank": settings.rank or (4 if tokens < SMALL else 8),
        "epochs": settings.epochs or (3 if tokens < LARGE else 2),
        "batch_tokens": settings.batch_tokens or (128 if tokens < SMALL else 256),
        "learning_rate": settings.learning_rate or RATES[settings.method],
    }
    return settings.model_copy(update=chosen)
