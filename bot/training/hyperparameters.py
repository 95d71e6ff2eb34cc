"""What is learned with, where the settings leave it to the amount of data. Pure.

Measured in `docs/log.md` under "As much as there is to learn". A small account wants small steps: with 512 tokens in
each it would have ten of them in an epoch, too few to come anywhere. A large one wants fewer epochs, since it has said
everything twice by itself, and has use for a wider adapter.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.config import Training

CHARACTERS_A_TOKEN = 4  # about; enough to tell small from large
STEPS_AN_EPOCH = 40  # aimed at, as far as the next two allow
SMALLEST_BATCH, LARGEST_BATCH = 128, 512  # tokens in a step
LARGE = 50_000  # tokens from which an account is large

RATES = {"lora": 4e-3, "full": 2e-4}  # peak learning rate


def settled(settings: Training, train: Sequence[str]) -> Training:
    """The settings with every 0 that means "by the amount of data" replaced, `train` being the texts to learn."""
    tokens = sum(map(len, train)) // CHARACTERS_A_TOKEN
    batch = min(LARGEST_BATCH, max(SMALLEST_BATCH, tokens // STEPS_AN_EPOCH // 64 * 64))
    chosen = {
        "rank": settings.rank or (16 if tokens >= LARGE else 8),
        "epochs": settings.epochs or (2 if tokens >= LARGE else 3),
        "batch_tokens": settings.batch_tokens or batch,
        "learning_rate": settings.learning_rate or RATES[settings.method],
    }
    return settings.model_copy(update=chosen)
