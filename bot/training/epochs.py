"""Which batches a training takes, in their order: a reply alone or behind its prompt, of each account its share."""

from __future__ import annotations

import random
from collections.abc import Sequence

from bot.training.dataset import of_an_epoch
from bot.training.job import Job
from bot.training.rows import Rows, batches


def plan(rows: Rows, job: Job) -> list[list[int]]:
    """The batches of all epochs in their order: the same for the same seed, whenever it is asked."""
    order = random.Random(job.seed)
    epochs = [of_each(rows.accounts, job.balance, order) for _ in range(job.epochs)]
    return [
        picked
        for among in epochs
        for picked in batches(rows, job.batch_tokens, order, prompted(rows, among, job.prompted, order))
    ]


def prompted(rows: Rows, among: Sequence[int] | None, share: float, order: random.Random) -> Sequence[int]:
    """The rows that an epoch takes for these tweets (None: all): a reply is behind its prompt as often as `share`."""
    tweets = range(rows.tweets) if among is None else among
    is_behind = {tweet for tweet in tweets if tweet in rows.answering and order.random() < share}
    return [rows.answering[tweet] if tweet in is_behind else tweet for tweet in tweets]


def of_each(accounts: Sequence[int], balance: float, order: random.Random) -> list[int] | None:
    """The rows that an epoch takes of each account, see `of_an_epoch`; None for all."""
    if len(accounts) < 2:
        return None
    taken: list[int] = []
    start = 0
    for size, share in zip(accounts, of_an_epoch(accounts, balance), strict=True):
        taken += sorted(order.sample(range(start, start + size), share))
        start += size
    return taken
